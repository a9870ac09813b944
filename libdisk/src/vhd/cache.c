/* SPDX-License-Identifier: MIT */
/*
 * Pages of the metadata of parents, in bounded memory whatever the depth of the chain and the size of its images: sets of a few lines each,
 * in which the one that was used longest ago makes room. Requests wait in the line that is being read for them; when all lines of a set are
 * being read, in one of these, and look again.
 */
#include <errno.h>
#include <stdlib.h>

#include "vhd/vhd.h"

#define CACHE_SETS 32u

static void line_loaded(struct file_io *io)
{
    struct vhd_line *line = (struct vhd_line *)io;
    struct disk_request_list waiters = TAILQ_HEAD_INITIALIZER(waiters);
    struct disk_request *request;
    int result = io->result;
    line->loading = false;
    if (result < 0)
        line->member = 0;
    TAILQ_CONCAT(&waiters, &line->waiters, entry);
    while ((request = TAILQ_FIRST(&waiters))) {
        TAILQ_REMOVE(&waiters, request, entry);
        if (result < 0)
            vhd_fail(line->vhd, request, result);
        else
            vhd_step(line->vhd, request);
    }
}

/* The line of a page, or the one to make it. */
static struct vhd_line *cache_find(struct vhd_cache *cache, unsigned member, uint64_t offset)
{
    uint64_t hash = (offset / VHD_LINE_SIZE * 0x9e3779b97f4a7c15ull + member * 0xbf58476d1ce4e5b9ull) >> 32;
    struct vhd_line *set = &cache->lines[hash % cache->sets * VHD_LINE_WAYS], *oldest = &set[0];
    for (unsigned i = 0; i < VHD_LINE_WAYS; i++) {
        if (set[i].member == member && set[i].offset == offset)
            return &set[i];
        if (oldest->loading || (!set[i].loading && set[i].used < oldest->used))
            oldest = &set[i];
    }
    return oldest;
}

const uint8_t *vhd_cache_get(struct vhd_disk *vhd, unsigned member, uint64_t offset, struct disk_request *request,
                             size_t *ret_count)
{
    uint64_t start = offset / VHD_LINE_SIZE * VHD_LINE_SIZE;
    uint64_t size = file_size(vhd->disk.file, member) / DISK_SECTOR_SIZE * DISK_SECTOR_SIZE;
    struct vhd_line *line = cache_find(&vhd->cache, member, start);
    if (line->loading) {
        TAILQ_INSERT_TAIL(&line->waiters, request, entry);
        return NULL;
    }
    line->used = ++vhd->cache.clock;
    if (line->member == member && line->offset == start) {
        *ret_count = line->length - (size_t)(offset - start);
        return line->bytes + (offset - start);
    }
    /* What was checked when the parent was opened lies within the file as it was then. */
    line->member = member;
    line->offset = start;
    line->length = size - start < VHD_LINE_SIZE ? (size_t)(size - start) : VHD_LINE_SIZE;
    line->loading = true;
    TAILQ_INSERT_TAIL(&line->waiters, request, entry);
    file_io_single(&line->io, FILE_READ, start, line->bytes, line->length);
    line->io.member = member;
    line->io.done = line_loaded;
    file_start(vhd->disk.file, &line->io);
    return NULL;
}

int vhd_cache_init(struct vhd_disk *vhd, unsigned depth)
{
    struct vhd_cache *cache = &vhd->cache;
    unsigned sets = CACHE_SETS;
    while (sets * VHD_LINE_WAYS < 2 * depth)
        sets *= 2;
    unsigned count = sets * VHD_LINE_WAYS;
    void *buffers = NULL;
    cache->lines = calloc(count, sizeof *cache->lines);
    if (!cache->lines || posix_memalign(&buffers, 4096, (size_t)count * VHD_LINE_SIZE) != 0)
        return -ENOMEM;
    cache->buffers = buffers;
    cache->sets = sets;
    for (unsigned i = 0; i < count; i++) {
        cache->lines[i].vhd = vhd;
        cache->lines[i].bytes = cache->buffers + (size_t)i * VHD_LINE_SIZE;
        TAILQ_INIT(&cache->lines[i].waiters);
    }
    return 0;
}

void vhd_cache_fini(struct vhd_disk *vhd)
{
    free(vhd->cache.lines);
    free(vhd->cache.buffers);
}
