/* SPDX-License-Identifier: MIT */
/*
 * Where a request's data is, over a grant device whose guest's pages are next to each other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/event.h>

#include <xendev/grant.h>

#include "blkback/worker/memory.h"

#define PAGES 512u
#define BAD   PAGES /* the first reference of nothing */

/* ---- The grant device. --------------------------------------------------------------------------------------------------- */

static struct {
    uint8_t pages[PAGES][XENDEV_PAGE_SIZE];
    unsigned mapped, calls, pieces;
} device;

int xendev_grants_map_optional(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count,
                               void **ret_address)
{
    (void)grants;
    assert_int_equal(domid, 7);
    assert_int_equal(count, 1);
    if (grefs[0] >= BAD)
        return -EFAULT;
    device.mapped++;
    *ret_address = device.pages[grefs[0]];
    return 0;
}

void xendev_grants_unmap(struct xendev_grants *grants, void *address, unsigned count)
{
    (void)grants;
    (void)address;
    assert_int_equal(count, 1);
    device.mapped--;
}

unsigned xendev_grants_copy(struct xendev_grants *grants, uint32_t domid, enum xendev_copy_direction direction,
                            struct xendev_copy *pieces, unsigned count)
{
    unsigned failed = 0;

    (void)grants;
    assert_int_equal(domid, 7);
    device.calls++;
    device.pieces += count;
    for (unsigned i = 0; i < count; i++) {
        assert_true(pieces[i].offset + pieces[i].length <= XENDEV_PAGE_SIZE);
        pieces[i].status = pieces[i].gref >= BAD ? -EFAULT : 0;
        failed += pieces[i].status != 0;
        if (pieces[i].status != 0)
            continue;
        uint8_t *guest = device.pages[pieces[i].gref] + pieces[i].offset;
        if (direction == XENDEV_COPY_FROM_GUEST)
            memcpy(pieces[i].local, guest, pieces[i].length);
        else
            memcpy(guest, pieces[i].local, pieces[i].length);
    }
    return failed;
}

/* ---- The memory. --------------------------------------------------------------------------------------------------------- */

#define SLOTS 32u

static struct event_base *base;
static struct blkback_queue_counters counters;
static struct memory_data datas[SLOTS];

static struct memory *open_memory(unsigned persistent)
{
    const struct memory_params params = {
        .base = base,
        .counters = &counters,
        .domid = 7,
        .slots = SLOTS,
        .batch = 16,
        .persistent = persistent,
        .indirect = BLKIF_INDIRECT_SEGMENTS,
    };
    struct memory *memory;

    memset(&device, 0, sizeof(device));
    memset(datas, 0, sizeof(datas));
    assert_int_equal(memory_open(&params, &memory), 0);
    return memory;
}

static void close_memory(struct memory *memory)
{
    memory_close(memory);
    assert_int_equal(device.mapped, 0);
}

/* The request in a slot: `count` pieces of `length` bytes at `offset` of the pages from `gref` on, each `step` further. */
static struct memory_data *request(struct memory *memory, unsigned index, unsigned count, uint32_t gref, uint32_t step,
                                   uint16_t offset, uint16_t length)
{
    struct memory_data *data = &datas[index];

    memory_prepare(memory, index, data, count);
    data->extent_count = count;
    for (unsigned i = 0; i < count; i++)
        data->extents[i] = (struct blkif_extent){(gref + i * step) % PAGES, offset, length};
    return data;
}

static size_t bytes_of(const struct memory_data *data)
{
    size_t bytes = 0;

    for (int i = 0; i < data->iov_count; i++)
        bytes += data->iov[i].iov_len;
    return bytes;
}

/* ---- Tests. -------------------------------------------------------------------------------------------------------------- */

static void a_list_is_read_once(void **state)
{
    (void)state;
    for (unsigned persistent = 0; persistent <= 64; persistent += 64) {
        struct memory *memory = open_memory(persistent);
        struct memory_list lists[] = {{.gref = 3, .count = 256}, {.gref = BAD, .count = 1}, {.gref = 4, .count = 1}};
        memset(device.pages[3], 0x33, XENDEV_PAGE_SIZE);
        memset(device.pages[4], 0x44, XENDEV_PAGE_SIZE);
        memory_fetch_lists(memory, lists, 3);
        assert_false(lists[0].failed);
        assert_true(lists[1].failed);
        assert_false(lists[2].failed);
        assert_int_equal(device.calls, 1);
        assert_int_equal(device.pieces, persistent > 0 ? 2 : 3); /* after one that cannot be mapped none is tried */
        memset(device.pages, 0xee, sizeof(device.pages));
        for (unsigned i = 0; i < 256 * BLKIF_SEGMENT_SIZE; i++)
            assert_int_equal(((const uint8_t *)lists[0].bytes)[i], 0x33);
        assert_int_equal(((const uint8_t *)lists[2].bytes)[BLKIF_SEGMENT_SIZE - 1], 0x44);
        close_memory(memory);
    }
}

static void neighbours_are_one_buffer(void **state)
{
    struct memory *memory = open_memory(64);

    (void)state;
    struct memory_data *data = request(memory, 0, 20, 100, 1, 0, XENDEV_PAGE_SIZE);
    assert_true(memory_bind(memory, 0, data));
    assert_true(data->mapped);
    assert_int_equal(data->iov_count, 1);
    assert_ptr_equal(data->iov[0].iov_base, device.pages[100]);
    assert_int_equal(data->iov[0].iov_len, 20 * XENDEV_PAGE_SIZE);
    memory_release(memory, data);

    data = request(memory, 0, 20, 119, PAGES - 1, 0, XENDEV_PAGE_SIZE); /* the other way round */
    assert_true(memory_bind(memory, 0, data));
    assert_int_equal(data->iov_count, 20);
    assert_int_equal(bytes_of(data), 20 * XENDEV_PAGE_SIZE);
    memory_release(memory, data);

    data = request(memory, 0, 20, 100, 1, 512, XENDEV_PAGE_SIZE - 512); /* a gap before each */
    assert_true(memory_bind(memory, 0, data));
    assert_int_equal(data->iov_count, 20);
    assert_ptr_equal(data->iov[19].iov_base, device.pages[119] + 512);
    memory_release(memory, data);
    assert_int_equal(device.calls, 0);
    close_memory(memory);
}

static void data_goes_there_and_back(void **state)
{
    static const uint16_t lengths[] = {512, 3584, XENDEV_PAGE_SIZE};

    (void)state;
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (unsigned count = 1; count <= BLKIF_INDIRECT_SEGMENTS; count += count < 16 ? 1 : 48) {
            struct memory *memory = open_memory(0);
            struct memory_data *data = request(memory, 5, count, 0, 1, 0, lengths[i]);
            for (unsigned page = 0; page < PAGES; page++)
                memset(device.pages[page], (int)page + 1, XENDEV_PAGE_SIZE);
            assert_true(memory_bind(memory, 5, data));
            assert_int_equal(bytes_of(data), (size_t)count * lengths[i]);
            memory_fetch(memory, &data, 1);
            assert_false(data->failed);
            size_t at = 0;
            for (int v = 0; v < data->iov_count; v++)
                for (size_t b = 0; b < data->iov[v].iov_len; b++, at++)
                    assert_int_equal(((uint8_t *)data->iov[v].iov_base)[b], (uint8_t)(at / lengths[i] + 1));
            memset(device.pages, 0, sizeof(device.pages));
            memory_deliver(memory, &data, 1);
            for (unsigned page = 0; page < count; page++) {
                assert_int_equal(device.pages[page][lengths[i] - 1], (uint8_t)(page + 1));
                if (lengths[i] < XENDEV_PAGE_SIZE)
                    assert_int_equal(device.pages[page][lengths[i]], 0);
            }
            memory_release(memory, data);
            close_memory(memory);
        }
}

static void large_ones_wait_for_each_other(void **state)
{
    struct memory *memory = open_memory(0);
    unsigned bound = 0;

    (void)state;
    while (bound < SLOTS && memory_bind(memory, bound, request(memory, bound, 256, 0, 1, 0, XENDEV_PAGE_SIZE)))
        bound++;
    assert_in_range(bound, 1, SLOTS - 1); /* there is a bound, and there is room for one */
    // cppcheck-suppress arrayIndexOutOfBoundsCond
    assert_int_equal(datas[bound].iov_count, 0);
    assert_true(memory_bind(memory, SLOTS - 1,
                            request(memory, SLOTS - 1, 11, 0, 1, 0, XENDEV_PAGE_SIZE))); /* small ones do not */
    for (unsigned i = 0; i < 100; i++) {
        memory_release(memory, &datas[i % bound]);
        assert_true(memory_bind(memory, bound, &datas[bound]));
        assert_int_equal(bytes_of(&datas[bound]), 256 * XENDEV_PAGE_SIZE);
        assert_false(memory_bind(memory, i % bound, &datas[i % bound]));
        memory_release(memory, &datas[bound]);
        assert_true(memory_bind(memory, i % bound, &datas[i % bound]));
    }
    close_memory(memory);
}

static void a_bad_piece_fails_its_request(void **state)
{
    struct memory *memory = open_memory(0);
    struct memory_data *all[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        all[i] = request(memory, i, 256, i, 1, 0, XENDEV_PAGE_SIZE);
        assert_true(memory_bind(memory, i, all[i]));
    }
    all[2]->extents[255].gref = BAD;
    memory_fetch(memory, all, 4);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(all[i]->failed, i == 2);
    assert_int_equal(device.pieces, 4 * 256); /* more than one call has */
    for (unsigned i = 0; i < 4; i++)
        memory_release(memory, all[i]);
    close_memory(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read_once),           cmocka_unit_test(neighbours_are_one_buffer),
        cmocka_unit_test(data_goes_there_and_back),      cmocka_unit_test(large_ones_wait_for_each_other),
        cmocka_unit_test(a_bad_piece_fails_its_request),
    };

    base = event_base_new();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    event_base_free(base);
    return failed;
}
