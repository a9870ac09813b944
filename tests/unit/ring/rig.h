/* SPDX-License-Identifier: MIT */
/*
 * What the ring tests share: a ring and its journal between guard pages, a front end, a back end, and a seeded
 * generator. A test's ring starts at 0xfffffff0, so that every test passes the wrap of its indices.
 */
#ifndef TESTS_UNIT_RING_RIG_H
#define TESTS_UNIT_RING_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include <ring/back.h>
#include <ring/front.h>

#define RIG_START      0xfffffff0u
#define RIG_GENERATION 42u

/* Places of the indices in the ring page (xen/io/ring.h). */
#define RIG_REQ_PROD  0
#define RIG_REQ_EVENT 4
#define RIG_RSP_PROD  8
#define RIG_RSP_EVENT 12

struct rig {
    struct ring_layout layout;
    uint8_t *pages;
    size_t pages_size;
    uint8_t *journal;
    size_t journal_size;
    struct ring_front front;
    struct ring_back back;
};

static inline uint8_t *rig_map(size_t size)
{
    uint8_t *area = mmap(NULL, size + 2 * RING_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(area, MAP_FAILED);
    assert_int_equal(mprotect(area + RING_PAGE_SIZE, size, PROT_READ | PROT_WRITE), 0);
    return area + RING_PAGE_SIZE;
}

static inline void rig_unmap(uint8_t *memory, size_t size)
{
    munmap(memory - RING_PAGE_SIZE, size + 2 * RING_PAGE_SIZE);
}

/* A ring of 16-byte requests and 8-byte responses. */
static inline struct ring_layout rig_layout(uint32_t slots)
{
    return (struct ring_layout){
        .slots = slots, .slot_size = 16, .request_size = 16, .response_size = 8, .response_mask = 0xff};
}

static inline int rig_attach(struct rig *rig)
{
    return ring_back_attach(&rig->back, rig->pages, rig->pages_size, &rig->layout, rig->journal, rig->journal_size,
                            RIG_GENERATION);
}

/* As a new process would: nothing of the old struct ring_back survives. */
static inline int rig_recover_after(struct rig *rig, bool crashed)
{
    memset(&rig->back, 0xee, sizeof rig->back);
    return ring_back_recover(&rig->back, rig->pages, rig->pages_size, &rig->layout, rig->journal, rig->journal_size,
                             RIG_GENERATION, crashed);
}

static inline int rig_recover(struct rig *rig)
{
    return rig_recover_after(rig, false);
}

static inline void rig_init(struct rig *rig, struct ring_layout layout, uint32_t start)
{
    memset(rig, 0, sizeof *rig);
    rig->layout = layout;
    size_t size = RING_HEADER_SIZE + (size_t)layout.slots * layout.slot_size;
    rig->pages_size = (size + RING_PAGE_SIZE - 1) & ~(size_t)(RING_PAGE_SIZE - 1);
    rig->pages = rig_map(rig->pages_size);
    rig->journal_size = ring_journal_size(&layout);
    rig->journal = rig_map(rig->journal_size);
    assert_int_equal(ring_front_init(&rig->front, rig->pages, rig->pages_size, &rig->layout, start), 0);
    assert_int_equal(rig_attach(rig), 0);
}

static inline void rig_fini(struct rig *rig)
{
    rig_unmap(rig->pages, rig->pages_size);
    rig_unmap(rig->journal, rig->journal_size);
}

static inline uint32_t rig_index(const struct rig *rig, size_t place)
{
    uint32_t value;
    memcpy(&value, rig->pages + place, sizeof value);
    return value;
}

static inline void rig_set_index(struct rig *rig, size_t place, uint32_t value)
{
    memcpy(rig->pages + place, &value, sizeof value);
}

static inline uint8_t *rig_slot(struct rig *rig, uint32_t index)
{
    return rig->pages + RING_HEADER_SIZE + (size_t)(index & (rig->layout.slots - 1)) * rig->layout.slot_size;
}

/* Publishes `count` requests, numbered from `first`. */
static inline void rig_submit(struct rig *rig, uint64_t first, unsigned count)
{
    for (uint64_t id = first; id < first + count; id++) {
        uint64_t request[2] = {id, ~id};
        assert_int_equal(ring_front_request(&rig->front, request), 0);
    }
    ring_front_publish(&rig->front);
}

/* Consumes one request and returns its number. */
static inline uint64_t rig_consume(struct rig *rig, uint32_t *ret_index)
{
    struct ring_request request;
    uint64_t id[2];
    assert_int_equal(ring_back_consume(&rig->back, &request), 1);
    memcpy(id, request.bytes, sizeof id);
    assert_true(id[1] == ~id[0]);
    *ret_index = request.index;
    return id[0];
}

/* The next response's number as the front end reads it. */
static inline uint64_t rig_collect(struct rig *rig)
{
    uint64_t id;
    assert_int_equal(ring_front_consume(&rig->front, &id), 1);
    return id;
}

/* ---- splitmix64, seeded from RINGBACK_SEED or the clock. --------------------------------------------------------- */

static inline uint64_t rig_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint32_t rig_below(uint64_t *state, uint32_t limit)
{
    return (uint32_t)(rig_random(state) % limit);
}

static inline uint64_t rig_seed(void)
{
    const char *given = getenv("RINGBACK_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    print_message("RINGBACK_SEED=%#llx\n", (unsigned long long)seed);
    return seed;
}

#endif
