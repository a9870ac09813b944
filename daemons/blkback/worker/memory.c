/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. With persistent grants a request whose references can all be had from the cache of mapped pages (mapcache.h) is served
 * straight from or to the guest's memory: no copy, no call to the hypervisor. Any other has its data in a buffer of ours, copied by grant
 * copy, a batch at a time; such a copy fails alone, with a status.
 *
 * Buffers. Each slot has one for a request of direct segments. A larger request takes chunks from a pool, which bounds what a guest can make us
 * hold; when the pool is empty, its request waits for another to end. Pieces never cross from one chunk into the next, so a chunk has
 * room for at least as many as it has pages. Pieces that follow each other in memory are one buffer for the disk, wherever they are.
 *
 * The guest can change mapped pages at any time. What is written from them goes to the disk and nowhere else: nothing is decided by it. A list
 * of segments decides much: it is copied, with one load a word, and looked at in the copy.
 */
#include "memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <event2/event.h>

#include <xendev/grant.h>

#include "mapcache.h"

#define BUFFER_SIZE (BLKIF_DIRECT_SEGMENTS * (size_t)XENDEV_PAGE_SIZE)
#define CHUNK_SIZE  (MEMORY_CHUNK_PAGES * (size_t)XENDEV_PAGE_SIZE)
#define CHUNKS      64u  /* of a queue: 8 MiB */
#define PIECES_MAX  512u /* of one grant copy */
#define LIST_SIZE   (BLKIF_INDIRECT_SEGMENTS * (size_t)BLKIF_SEGMENT_SIZE)

static_assert(CHUNKS >= MEMORY_CHUNKS_MAX && PIECES_MAX >= BLKIF_INDIRECT_SEGMENTS, "one request has room");
static_assert(BLKIF_INDIRECT_SEGMENTS <= BLKIF_SEGMENTS_PER_PAGE, "a list is within one page");

/* Of the cache. */
static const struct timeval period = {.tv_sec = 10};

/* What a request of more than direct segments has in place of memory_data's own. */
struct room {
    struct iovec iov[BLKIF_INDIRECT_SEGMENTS];
    struct blkif_extent extents[BLKIF_INDIRECT_SEGMENTS];
    struct mapcache_page *pages[BLKIF_INDIRECT_SEGMENTS];
};

struct memory {
    struct memory_params params;
    uint8_t *buffers;   /* BUFFER_SIZE a slot */
    struct room *rooms; /* a slot each; and these are NULL without indirect requests */
    uint8_t *chunks;    /* CHUNKS of CHUNK_SIZE */
    uint64_t *lists;    /* LIST_SIZE for each of a batch */
    uint8_t *free_chunks[CHUNKS];
    unsigned free_count;
    struct mapcache *cache; /* NULL: copy always */
    struct event *timer;
    struct xendev_copy *pieces;       /* of one grant copy */
    struct memory_data **piece_datas; /* whose piece it is */
};

static void note_mapped(struct memory *memory)
{
    memory->params.counters->grants_mapped = memory->cache != NULL ? mapcache_count(memory->cache) : 0;
}

static void on_period(evutil_socket_t fd, short what, void *arg)
{
    struct memory *memory = arg;

    (void)fd;
    (void)what;
    mapcache_tick(memory->cache);
    note_mapped(memory);
}

/* Memory that takes no room before it is used, and so only as far as the guest uses its ring. Returns NULL when there is none. */
static void *reserve(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

static void unreserve(void *memory, size_t size)
{
    if (memory != NULL)
        munmap(memory, size);
}

static int allocate_indirect(struct memory *memory)
{
    memory->rooms = reserve(memory->params.slots * sizeof(struct room));
    memory->chunks = reserve(CHUNKS * CHUNK_SIZE);
    memory->lists = calloc(memory->params.batch, LIST_SIZE);
    if (memory->rooms == NULL || memory->chunks == NULL || memory->lists == NULL)
        return -ENOMEM;
    for (unsigned i = CHUNKS; i-- > 0;)
        memory->free_chunks[memory->free_count++] = memory->chunks + i * CHUNK_SIZE;
    return 0;
}

int memory_open(const struct memory_params *params, struct memory **ret_memory)
{
    struct memory *memory = calloc(1, sizeof(*memory));
    int err = 0;

    if (memory == NULL)
        return -ENOMEM;
    memory->params = *params;
    memory->pieces = calloc(PIECES_MAX, sizeof(*memory->pieces));
    memory->piece_datas = calloc(PIECES_MAX, sizeof(void *));
    memory->buffers = reserve(params->slots * BUFFER_SIZE);
    if (memory->pieces == NULL || memory->piece_datas == NULL || memory->buffers == NULL)
        err = -ENOMEM;
    if (err == 0 && params->indirect > 0)
        err = allocate_indirect(memory);
    if (err == 0 && params->persistent > 0) {
        memory->timer = event_new(params->base, -1, EV_PERSIST, on_period, memory);
        err = memory->timer == NULL || event_add(memory->timer, &period) < 0
                  ? -ENOMEM
                  : mapcache_new(params->grants, params->domid, params->persistent, &memory->cache);
    }
    if (err < 0) {
        memory_close(memory);
        return err;
    }
    note_mapped(memory);
    *ret_memory = memory;
    return 0;
}

void memory_close(struct memory *memory)
{
    if (memory == NULL)
        return;
    if (memory->timer != NULL)
        event_free(memory->timer);
    mapcache_free(memory->cache);
    memory->cache = NULL;
    note_mapped(memory);
    unreserve(memory->buffers, memory->params.slots * BUFFER_SIZE);
    unreserve(memory->rooms, memory->params.slots * sizeof(struct room));
    unreserve(memory->chunks, CHUNKS * CHUNK_SIZE);
    free(memory->lists);
    free(memory->piece_datas);
    free(memory->pieces);
    free(memory);
}

/* ---- Lists of segments. -------------------------------------------------------------------------------------------------- */

/* One load a word, and never another: its owner may change it meanwhile. */
static void snapshot(uint64_t *to, const volatile uint64_t *from, unsigned words)
{
    for (unsigned i = 0; i < words; i++)
        to[i] = from[i];
}

static_assert(BLKIF_SEGMENT_SIZE == sizeof(uint64_t), "a segment is a word");

void memory_fetch_lists(struct memory *memory, struct memory_list *lists, unsigned count)
{
    struct memory_list *copied[PIECES_MAX];
    unsigned pieces = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t *bytes = memory->lists + i * (LIST_SIZE / sizeof(uint64_t));
        struct mapcache_page *page = memory->cache != NULL ? mapcache_get(memory->cache, lists[i].gref) : NULL;
        lists[i].bytes = bytes;
        lists[i].failed = false;
        if (page != NULL) {
            snapshot(bytes, mapcache_address(page), lists[i].count);
            mapcache_put(memory->cache, page);
            continue;
        }
        memory->pieces[pieces] = (struct xendev_copy){
            .gref = lists[i].gref,
            .length = (uint16_t)(lists[i].count * BLKIF_SEGMENT_SIZE),
            .local = bytes,
        };
        copied[pieces++] = &lists[i];
    }
    if (pieces == 0 || xendev_grants_copy(memory->params.grants, memory->params.domid, XENDEV_COPY_FROM_GUEST,
                                          memory->pieces, pieces) == 0)
        return;
    for (unsigned i = 0; i < pieces; i++)
        copied[i]->failed = memory->pieces[i].status != 0;
}

/* ---- Where the data is. ------------------------------------------------------------------------------------------------ */

/* Appends to the buffers for the disk; what follows the last one becomes part of it. */
static void add_buffer(struct memory_data *data, void *address, size_t length)
{
    if (data->iov_count > 0) {
        struct iovec *last = &data->iov[data->iov_count - 1];
        if ((uint8_t *)last->iov_base + last->iov_len == address) {
            last->iov_len += length;
            return;
        }
    }
    data->iov[data->iov_count++] = (struct iovec){.iov_base = address, .iov_len = length};
}

static void put_pages(struct memory *memory, struct memory_data *data, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        mapcache_put(memory->cache, data->pages[i]);
}

/* All of the request's pages, or none. */
static bool bind_pages(struct memory *memory, struct memory_data *data)
{
    for (unsigned i = 0; i < data->extent_count; i++) {
        data->pages[i] = mapcache_get(memory->cache, data->extents[i].gref);
        if (data->pages[i] == NULL) {
            put_pages(memory, data, i);
            return false;
        }
    }
    for (unsigned i = 0; i < data->extent_count; i++)
        add_buffer(data, (uint8_t *)mapcache_address(data->pages[i]) + data->extents[i].offset,
                   data->extents[i].length);
    return true;
}

static void free_chunks(struct memory *memory, struct memory_data *data)
{
    while (data->chunk_count > 0)
        memory->free_chunks[memory->free_count++] = data->chunks[--data->chunk_count];
}

/* Room for all of the request's data in chunks, or none. */
static bool bind_chunks(struct memory *memory, struct memory_data *data)
{
    size_t used = CHUNK_SIZE;

    for (unsigned i = 0; i < data->extent_count; i++) {
        const size_t length = data->extents[i].length;
        if (CHUNK_SIZE - used < length) {
            if (memory->free_count == 0) {
                free_chunks(memory, data);
                data->iov_count = 0;
                return false;
            }
            data->chunks[data->chunk_count++] = memory->free_chunks[--memory->free_count];
            used = 0;
        }
        add_buffer(data, data->chunks[data->chunk_count - 1] + used, length);
        used += length;
    }
    return true;
}

static void bind_buffer(struct memory *memory, unsigned index, struct memory_data *data)
{
    uint8_t *at = memory->buffers + index * BUFFER_SIZE;

    for (unsigned i = 0; i < data->extent_count; i++) {
        add_buffer(data, at, data->extents[i].length);
        at += data->extents[i].length;
    }
}

void memory_prepare(struct memory *memory, unsigned index, struct memory_data *data, unsigned count)
{
    struct room *room = count > BLKIF_DIRECT_SEGMENTS ? &memory->rooms[index] : NULL;

    data->iov = room != NULL ? room->iov : data->own.iov;
    data->extents = room != NULL ? room->extents : data->own.extents;
    data->pages = room != NULL ? room->pages : data->own.pages;
}

bool memory_bind(struct memory *memory, unsigned index, struct memory_data *data)
{
    data->failed = false;
    data->iov_count = 0;
    data->mapped = false;
    data->chunk_count = 0;
    if (data->extent_count == 0)
        return true;
    if (memory->cache != NULL) {
        data->mapped = bind_pages(memory, data);
        note_mapped(memory);
    }
    if (data->mapped) {
        memory->params.counters->requests_mapped++;
        return true;
    }
    if (data->extent_count > BLKIF_DIRECT_SEGMENTS)
        return bind_chunks(memory, data);
    bind_buffer(memory, index, data);
    return true;
}

void memory_release(struct memory *memory, struct memory_data *data)
{
    if (data->mapped)
        put_pages(memory, data, data->extent_count);
    data->mapped = false;
    free_chunks(memory, data);
}

/* ---- Copying. ------------------------------------------------------------------------------------------------------------ */

/* Lists the pieces of a request; returns how many there are now. Each is within one of the request's buffers. */
static unsigned add_pieces(struct memory *memory, struct memory_data *data, unsigned count)
{
    const struct iovec *iov = data->iov;
    size_t done = 0;

    for (unsigned i = 0; i < data->extent_count; i++) {
        const struct blkif_extent *extent = &data->extents[i];
        if (done == iov->iov_len) {
            iov++;
            done = 0;
        }
        memory->pieces[count] = (struct xendev_copy){
            .gref = extent->gref,
            .offset = extent->offset,
            .length = extent->length,
            .local = (uint8_t *)iov->iov_base + done,
        };
        memory->piece_datas[count++] = data;
        done += extent->length;
    }
    return count;
}

static void copy_pieces(struct memory *memory, enum xendev_copy_direction direction, unsigned count)
{
    if (count == 0 ||
        xendev_grants_copy(memory->params.grants, memory->params.domid, direction, memory->pieces, count) == 0)
        return;
    for (unsigned i = 0; i < count; i++) {
        if (memory->pieces[i].status != 0)
            memory->piece_datas[i]->failed = true;
    }
}

static void copy(struct memory *memory, enum xendev_copy_direction direction, struct memory_data *const *datas,
                 unsigned count)
{
    unsigned pieces = 0;

    for (unsigned i = 0; i < count; i++) {
        if (datas[i]->mapped)
            continue;
        if (datas[i]->extent_count > PIECES_MAX - pieces) {
            copy_pieces(memory, direction, pieces);
            pieces = 0;
        }
        pieces = add_pieces(memory, datas[i], pieces);
    }
    copy_pieces(memory, direction, pieces);
}

void memory_fetch(struct memory *memory, struct memory_data *const *datas, unsigned count)
{
    copy(memory, XENDEV_COPY_FROM_GUEST, datas, count);
}

void memory_deliver(struct memory *memory, struct memory_data *const *datas, unsigned count)
{
    copy(memory, XENDEV_COPY_TO_GUEST, datas, count);
}
