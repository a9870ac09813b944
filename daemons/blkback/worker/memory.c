/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. With persistent grants a request whose references can all be had from the cache of mapped pages (mapcache.h) is served
 * straight from or to the guest's memory: no copy, no call to the hypervisor. Any other has its data in a buffer of its slot, copied by grant
 * copy, a batch at a time; such a copy fails alone, with a status.
 *
 * The guest can change mapped pages at any time. What is written from them goes to the disk and nowhere else: nothing is decided by it.
 */
#include "memory.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <event2/event.h>

#include <xendev/grant.h>

#include "mapcache.h"

#define BUFFER_SIZE (BLKIF_DIRECT_SEGMENTS * (size_t)XENDEV_PAGE_SIZE)

/* Of the cache. */
static const struct timeval period = {.tv_sec = 10};

struct memory {
    struct memory_params params;
    uint8_t *buffers; /* BUFFER_SIZE a slot */
    size_t buffers_size;
    struct mapcache *cache; /* NULL: copy always */
    struct event *timer;
    struct xendev_copy *pieces;       /* of one batch */
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

int memory_open(const struct memory_params *params, struct memory **ret_memory)
{
    const size_t pieces = (size_t)params->batch * BLKIF_DIRECT_SEGMENTS;
    struct memory *memory = calloc(1, sizeof(*memory));
    int err = 0;

    if (memory == NULL)
        return -ENOMEM;
    memory->params = *params;
    memory->pieces = calloc(pieces, sizeof(*memory->pieces));
    memory->piece_datas = calloc(pieces, sizeof(void *));
    /* Touched only as far as the guest uses its ring, and has its data copied. */
    memory->buffers_size = params->slots * BUFFER_SIZE;
    void *buffers =
        mmap(NULL, memory->buffers_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    memory->buffers = buffers == MAP_FAILED ? NULL : buffers;
    if (memory->pieces == NULL || memory->piece_datas == NULL || memory->buffers == NULL)
        err = -ENOMEM;
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
    if (memory->buffers != NULL)
        munmap(memory->buffers, memory->buffers_size);
    free(memory->piece_datas);
    free(memory->pieces);
    free(memory);
}

/* ---- Where the data is. ------------------------------------------------------------------------------------------------ */

/* Appends to the buffers for the disk; what follows the last one becomes part of it. */
static void add_buffer(struct memory_data *data, void *address, size_t length)
{
    struct iovec *last = data->iov_count > 0 ? &data->iov[data->iov_count - 1] : NULL;

    if (last != NULL && (uint8_t *)last->iov_base + last->iov_len == address)
        last->iov_len += length;
    else
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

void memory_bind(struct memory *memory, unsigned index, struct memory_data *data)
{
    uint8_t *at;

    data->failed = false;
    data->iov_count = 0;
    data->mapped = false;
    data->buffer = memory->buffers + index * BUFFER_SIZE;
    if (data->extent_count == 0)
        return;
    data->mapped = memory->cache != NULL && bind_pages(memory, data);
    if (memory->cache != NULL)
        note_mapped(memory);
    if (data->mapped) {
        memory->params.counters->requests_mapped++;
        return;
    }
    at = data->buffer;
    for (unsigned i = 0; i < data->extent_count; i++) {
        add_buffer(data, at, data->extents[i].length);
        at += data->extents[i].length;
    }
}

void memory_release(struct memory *memory, struct memory_data *data)
{
    if (data->mapped)
        put_pages(memory, data, data->extent_count);
    data->mapped = false;
}

/* ---- Copying. ------------------------------------------------------------------------------------------------------------ */

/* Lists the pieces of a request; returns how many there are now. */
static unsigned add_pieces(struct memory *memory, struct memory_data *data, unsigned count)
{
    uint8_t *local = data->buffer;

    for (unsigned i = 0; i < data->extent_count; i++) {
        const struct blkif_extent *extent = &data->extents[i];
        memory->pieces[count] = (struct xendev_copy){
            .gref = extent->gref,
            .offset = extent->offset,
            .length = extent->length,
            .local = local,
        };
        memory->piece_datas[count++] = data;
        local += extent->length;
    }
    return count;
}

static void copy(struct memory *memory, enum xendev_copy_direction direction, struct memory_data *const *datas,
                 unsigned count)
{
    unsigned pieces = 0;

    for (unsigned i = 0; i < count; i++) {
        if (!datas[i]->mapped)
            pieces = add_pieces(memory, datas[i], pieces);
    }
    if (pieces == 0 ||
        xendev_grants_copy(memory->params.grants, memory->params.domid, direction, memory->pieces, pieces) == 0)
        return;
    for (unsigned i = 0; i < pieces; i++) {
        if (memory->pieces[i].status != 0)
            memory->piece_datas[i]->failed = true;
    }
}

void memory_fetch(struct memory *memory, struct memory_data *const *datas, unsigned count)
{
    copy(memory, XENDEV_COPY_FROM_GUEST, datas, count);
}

void memory_deliver(struct memory *memory, struct memory_data *const *datas, unsigned count)
{
    copy(memory, XENDEV_COPY_TO_GUEST, datas, count);
}
