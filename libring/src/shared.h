/* SPDX-License-Identifier: MIT */
/*
 * Every access to memory that the peer can change, and every barrier, in one place.
 *
 * The peer is another processor of the same machine, compiled by somebody else, that may be broken or hostile. So:
 *
 *  - An index is loaded once, atomically, into a local variable; all arithmetic on indices is on uint32_t and wraps.
 *  - A slot is copied with one volatile load per 32-bit word and never looked at again: what is checked is used.
 *  - A response is stored byte-exact under the layout's mask: padding keeps what the guest put there, so nothing of
 *    ours leaks through it (XSA-216). Bytes that stand together go out in one store.
 *
 * The four orderings a ring needs, each named after its purpose:
 *
 *   shared_index_load     none: a value of our own, or one that is only shown or compared.
 *   shared_index_acquire  before: the load of the peer's producer.
 *                         after:  the loads of the slots it announces.
 *   shared_index_publish  before: the stores to slots, and the loads of what stood in them.
 *                         after:  the store of our producer, which announces them.
 *   shared_index_recheck  before: shared_index_publish() of our producer or event index.
 *                         after:  the load of the peer's event or producer index.
 *
 * The last two make the wake-up protocol (xen/io/ring.h) work: each side stores its index and then looks at the
 * other's. If both loads were allowed to pass the stores, each side would miss the other's store and both would sleep.
 * A release store and an acquire load do not prevent that; sequentially consistent ones do, also against a peer that
 * uses a full barrier instead: on x86 the store becomes a locked instruction, on arm64 STLR followed by LDAR stays in
 * order.
 */
#ifndef RING_SRC_SHARED_H
#define RING_SRC_SHARED_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ring/layout.h>

/* The ring pages. Source: DEFINE_RING_TYPES in xen/io/ring.h. */
struct ring_shared {
    _Atomic uint32_t req_prod;
    _Atomic uint32_t req_event;
    _Atomic uint32_t rsp_prod;
    _Atomic uint32_t rsp_event;
    uint32_t reserved[12];
    volatile uint32_t slots[];
};

static_assert(offsetof(struct ring_shared, slots) == RING_HEADER_SIZE, "slots follow the header");
static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2,
              "the peer and the journal know nothing of locks");

/* Returns 0, or -EINVAL when the layout is impossible or `pages` too small for it or misaligned. */
int shared_check(const void *pages, size_t pages_size, const struct ring_layout *layout);

static inline uint32_t shared_index_load(const _Atomic uint32_t *index)
{
    return atomic_load_explicit(index, memory_order_relaxed);
}

static inline uint32_t shared_index_acquire(const _Atomic uint32_t *index)
{
    return atomic_load_explicit(index, memory_order_acquire);
}

static inline void shared_index_publish(_Atomic uint32_t *index, uint32_t value)
{
    atomic_store_explicit(index, value, memory_order_seq_cst);
}

static inline uint32_t shared_index_recheck(const _Atomic uint32_t *index)
{
    return atomic_load_explicit(index, memory_order_seq_cst);
}

/* Whether moving a producer from `before` to `after` passed the `event` index the peer sleeps on. */
static inline bool shared_event_due(uint32_t before, uint32_t after, uint32_t event)
{
    return after - event < after - before;
}

static inline volatile uint32_t *shared_slot(struct ring_shared *shared, const struct ring_layout *layout,
                                             uint32_t index)
{
    return shared->slots + (size_t)(index & (layout->slots - 1)) * (layout->slot_size / 4);
}

/* Copies `size` bytes, a multiple of 4, out of a slot. */
static inline void shared_slot_read(const volatile uint32_t *slot, uint32_t *ret_words, uint32_t size)
{
    for (uint32_t i = 0; i < size / 4; i++)
        ret_words[i] = slot[i];
}

/* Copies `size` bytes, a multiple of 4, into a slot: those whose bit in `mask` is set. `bytes` need no alignment. */
static inline void shared_slot_write(volatile uint32_t *slot, const void *bytes, uint32_t size, uint32_t mask)
{
    for (uint32_t i = 0; i < size / 4; i++, mask >>= 4) {
        const uint8_t *from = (const uint8_t *)bytes + 4 * (size_t)i;
        volatile uint8_t *to = (volatile uint8_t *)&slot[i];

        if ((mask & 0xf) == 0xf) {
            uint32_t word;
            memcpy(&word, from, sizeof word);
            slot[i] = word;
            continue;
        }
        for (uint32_t half = 0; half < 4; half += 2) {
            if ((mask >> half & 3) == 3) {
                uint16_t pair;
                memcpy(&pair, from + half, sizeof pair);
                *(volatile uint16_t *)(to + half) = pair;
            } else if (mask >> half & 1) {
                to[half] = from[half];
            } else if (mask >> half & 2) {
                to[half + 1] = from[half + 1];
            }
        }
    }
}

#endif
