/* SPDX-License-Identifier: MIT */
/*
 * Frames through shared memory.
 *
 * A power-of-two buffer of bytes holds records, each three words and a frame, padded to whole words:
 *
 *   length:32
 *   csum_blank:1 data_validated:1 hashed:1 0:1 gso:2 0:2 hash_type:2 0:6 gso_size:16
 *   hash:32
 *   length bytes, 0 to 3 more
 *
 * Records follow each other without gaps and run over the buffer's end into its beginning; a word never does, since all
 * begin at a multiple of 4. Indices count bytes, run freely and wrap at 2^32, which every capacity divides.
 *
 * Each end keeps its own index in private memory and only stores it to the shared page; the other's is loaded once and
 * must lie within the capacity of its own. So whatever the other end writes, this end stays within the buffer, and does
 * not do more work than the buffer has room for.
 *
 * Events as in a ring of Xen's (shared.h): each end stores what it sleeps on, then looks at the other's index; the
 * other stores its index, then looks at that. A consumer sleeps on the next byte, a producer on the byte whose
 * release makes room enough. An end that dies between its index and the event leaves the other one asleep behind an
 * event index that is passed and never will be again: so its successor's first event is sent whatever that says.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include <ring/frame.h>

#include "shared.h"

/* What one end writes stands apart from what the other one does, so that they do not fight for a cache line. */
struct frame_shared {
    _Atomic uint32_t head; /* the producer's: written so far */
    _Atomic uint32_t room_event;
    uint32_t reserved[14];
    _Atomic uint32_t tail; /* the consumer's: read so far */
    _Atomic uint32_t data_event;
    uint32_t reserved_too[14];
    uint32_t words[]; /* the buffer */
};

static_assert(sizeof(struct frame_shared) == FRAME_HEADER_SIZE, "two cache lines");
static_assert(FRAME_CAPACITY_MIN >= FRAME_LENGTH_MAX + FRAME_OVERHEAD, "any frame fits into any ring");

#define FLAG_CSUM_BLANK     1u
#define FLAG_DATA_VALIDATED 2u
#define FLAG_HASHED         4u
#define GSO_SHIFT           4
#define HASH_TYPE_SHIFT     8
#define GSO_SIZE_SHIFT      16
#define FLAGS_UNUSED        0xfcc8u

size_t frame_size(uint32_t capacity)
{
    return FRAME_HEADER_SIZE + (size_t)capacity;
}

static int check_memory(const void *memory, size_t size, uint32_t capacity)
{
    if (capacity < FRAME_CAPACITY_MIN || capacity > FRAME_CAPACITY_MAX || (capacity & (capacity - 1)) != 0)
        return -EINVAL;
    return size < frame_size(capacity) || (uintptr_t)memory % 64 != 0 ? -EINVAL : 0;
}

int frame_format(void *memory, size_t size, uint32_t capacity, uint32_t start)
{
    int rc = check_memory(memory, size, capacity);
    if (rc == 0 && start % 4 != 0)
        rc = -EINVAL;
    if (rc < 0)
        return rc;

    struct frame_shared *shared = memory;
    memset(memory, 0, FRAME_HEADER_SIZE);
    shared_index_publish(&shared->head, start);
    shared_index_publish(&shared->tail, start);
    shared_index_publish(&shared->data_event, start + 1);
    shared_index_publish(&shared->room_event, start); /* nobody waits for room */
    return 0;
}

/* Whether the consumer can be at `tail` when the producer is at `head`. */
static bool possible(uint32_t head, uint32_t tail, uint32_t capacity)
{
    return head - tail <= capacity && (head - tail) % 4 == 0;
}

/* Loads both indices. Returns 0, -EINVAL, or -EPROTO. */
static int attach(void *memory, size_t size, uint32_t capacity, uint32_t *ret_head, uint32_t *ret_tail)
{
    int rc = check_memory(memory, size, capacity);
    if (rc < 0)
        return rc;
    const struct frame_shared *shared = memory;
    const uint32_t head = shared_index_acquire(&shared->head), tail = shared_index_acquire(&shared->tail);
    if (!possible(head, tail, capacity) || head % 4 != 0)
        return -EPROTO;
    *ret_head = head;
    *ret_tail = tail;
    return 0;
}

/* Bytes of a frame's record. */
static uint32_t record_size(uint32_t length)
{
    return FRAME_OVERHEAD + ((length + 3) & ~3u);
}

static volatile uint32_t *word_at(struct frame_shared *shared, uint32_t capacity, uint32_t index)
{
    return &shared->words[(index & (capacity - 1)) / 4];
}

/* How many of `length` bytes from `index` on stand before the buffer's end. */
static uint32_t before_end(uint32_t capacity, uint32_t index, uint32_t length)
{
    const uint32_t left = capacity - (index & (capacity - 1));
    return length < left ? length : left;
}

/* ---- What is said of a frame. ------------------------------------------------------------------------------------ */

static uint32_t pack(const struct netif_meta *meta)
{
    uint32_t flags = (meta->csum_blank ? FLAG_CSUM_BLANK : 0) | (meta->data_validated ? FLAG_DATA_VALIDATED : 0);
    if (meta->hashed)
        flags |= FLAG_HASHED | (uint32_t)meta->hash_type << HASH_TYPE_SHIFT;
    if (meta->gso != NETIF_GSO_NONE)
        flags |= (uint32_t)meta->gso << GSO_SHIFT | (uint32_t)meta->gso_size << GSO_SIZE_SHIFT;
    return flags;
}

/* Returns 0, or -EPROTO for what pack() does not make. */
static int unpack(uint32_t flags, uint32_t hash, struct netif_meta *ret_meta)
{
    const uint32_t gso = flags >> GSO_SHIFT & 3, gso_size = flags >> GSO_SIZE_SHIFT;
    if ((flags & FLAGS_UNUSED) != 0 || gso > NETIF_GSO_TCPV6 || (gso == NETIF_GSO_NONE) != (gso_size == 0))
        return -EPROTO;
    *ret_meta = (struct netif_meta){
        .csum_blank = flags & FLAG_CSUM_BLANK,
        .data_validated = flags & FLAG_DATA_VALIDATED,
        .gso = (enum netif_gso)gso,
        .gso_size = (uint16_t)gso_size,
        .hashed = flags & FLAG_HASHED,
        .hash_type = (enum netif_hash_type)(flags >> HASH_TYPE_SHIFT & 3),
        .hash = flags & FLAG_HASHED ? hash : 0,
    };
    return 0;
}

/* ---- The producer. ----------------------------------------------------------------------------------------------- */

int frame_producer_attach(struct frame_producer *producer, void *memory, size_t size, uint32_t capacity)
{
    uint32_t head, tail;
    int rc = attach(memory, size, capacity, &head, &tail);
    if (rc < 0)
        return rc;
    *producer = (struct frame_producer){
        .shared = memory, .capacity = capacity, .head = head, .published = head, .tail_seen = tail, .owed = true};
    return 0;
}

/* Whether `need` bytes are free. Returns 1, 0, or -EPROTO. */
static int has_room(struct frame_producer *producer, uint32_t need)
{
    if (need <= producer->capacity - (producer->head - producer->tail_seen))
        return 1;
    /* Before: the consumer's index, which frees bytes. After: the stores that overwrite them. */
    const uint32_t tail = shared_index_acquire(&producer->shared->tail);
    if (!possible(producer->head, tail, producer->capacity))
        return -EPROTO;
    producer->tail_seen = tail;
    return need <= producer->capacity - (producer->head - tail);
}

int frame_producer_put(struct frame_producer *producer, const struct netif_meta *meta, const void *frame,
                       uint32_t length)
{
    if (length == 0 || length > FRAME_LENGTH_MAX)
        return -EMSGSIZE;
    const int rc = has_room(producer, record_size(length));
    if (rc <= 0)
        return rc < 0 ? rc : -ENOSPC;

    struct frame_shared *shared = producer->shared;
    const uint32_t capacity = producer->capacity, data = producer->head + FRAME_OVERHEAD;
    *word_at(shared, capacity, producer->head) = length;
    *word_at(shared, capacity, producer->head + 4) = pack(meta);
    *word_at(shared, capacity, producer->head + 8) = meta->hashed ? meta->hash : 0;

    uint8_t *buffer = (uint8_t *)shared->words;
    const uint32_t first = before_end(capacity, data, length);
    memcpy(buffer + (data & (capacity - 1)), frame, first);
    memcpy(buffer, (const uint8_t *)frame + first, length - first);
    producer->head += record_size(length);
    return 0;
}

bool frame_producer_fits(struct frame_producer *producer, uint32_t frames, uint32_t bytes)
{
    return has_room(producer, bytes + frames * (FRAME_OVERHEAD + 3)) != 0;
}

bool frame_producer_publish(struct frame_producer *producer)
{
    const uint32_t before = producer->published;
    const bool owed = producer->owed;
    producer->owed = false;
    if (producer->head == before)
        return owed;
    /* Before: the records. After: the consumer may read them; then look whether it sleeps. */
    shared_index_publish(&producer->shared->head, producer->head);
    producer->published = producer->head;
    return owed || shared_event_due(before, producer->head, shared_index_recheck(&producer->shared->data_event));
}

bool frame_producer_rearm(struct frame_producer *producer, uint32_t length)
{
    const uint32_t most = producer->capacity - record_size(length); /* in the buffer, for it to fit */
    /* Before: what we sleep on. After: whether the consumer released before it could see that. */
    shared_index_publish(&producer->shared->room_event, producer->head - most);
    return producer->head - shared_index_recheck(&producer->shared->tail) <= most;
}

/* ---- The consumer. ----------------------------------------------------------------------------------------------- */

int frame_consumer_attach(struct frame_consumer *consumer, void *memory, size_t size, uint32_t capacity)
{
    uint32_t head, tail;
    int rc = attach(memory, size, capacity, &head, &tail);
    if (rc < 0)
        return rc;
    *consumer = (struct frame_consumer){
        .shared = memory, .capacity = capacity, .tail = tail, .released = tail, .head_seen = head, .owed = true};
    return 0;
}

int frame_consumer_get(struct frame_consumer *consumer, struct netif_meta *ret_meta, void *ret_frame,
                       uint32_t *ret_length)
{
    struct frame_shared *shared = consumer->shared;
    const uint32_t capacity = consumer->capacity, tail = consumer->tail;
    if (consumer->head_seen == tail) {
        /* Before: the producer's index. After: the loads of the records it announces. */
        const uint32_t head = shared_index_acquire(&shared->head);
        if (!possible(head, consumer->released, capacity) || !possible(head, tail, capacity))
            return -EPROTO;
        if (head == tail)
            return 0;
        consumer->head_seen = head;
    }

    const uint32_t there = consumer->head_seen - tail; /* at least a word */
    const uint32_t length = *word_at(shared, capacity, tail);
    if (length == 0 || length > FRAME_LENGTH_MAX || record_size(length) > there)
        return -EPROTO;
    const uint32_t flags = *word_at(shared, capacity, tail + 4), hash = *word_at(shared, capacity, tail + 8);
    struct netif_meta meta;
    if (unpack(flags, hash, &meta) < 0)
        return -EPROTO;

    const uint8_t *buffer = (const uint8_t *)shared->words;
    const uint32_t data = tail + FRAME_OVERHEAD, first = before_end(capacity, data, length);
    memcpy(ret_frame, buffer + (data & (capacity - 1)), first);
    memcpy((uint8_t *)ret_frame + first, buffer, length - first);
    consumer->tail = tail + record_size(length);
    *ret_meta = meta;
    *ret_length = length;
    return 1;
}

bool frame_consumer_release(struct frame_consumer *consumer)
{
    const uint32_t before = consumer->released;
    const bool owed = consumer->owed;
    consumer->owed = false;
    if (consumer->tail == before)
        return owed;
    /* Before: the loads of the records. After: the producer may overwrite them; then look whether it sleeps. */
    shared_index_publish(&consumer->shared->tail, consumer->tail);
    consumer->released = consumer->tail;
    return owed || shared_event_due(before, consumer->tail, shared_index_recheck(&consumer->shared->room_event));
}

bool frame_consumer_rearm(struct frame_consumer *consumer)
{
    /* Before: what we sleep on. After: whether the producer published before it could see that. */
    shared_index_publish(&consumer->shared->data_event, consumer->tail + 1);
    return shared_index_recheck(&consumer->shared->head) != consumer->tail;
}
