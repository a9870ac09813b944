/* SPDX-License-Identifier: MIT */
#include "logfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct log_pending {
    struct file_io *io;
    size_t event; /* of writes and syncs */
};

uint64_t log_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull); /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static void *grow(void *array, size_t *capacity, size_t wanted, size_t size)
{
    if (wanted <= *capacity)
        return array;
    size_t more = *capacity ? *capacity : 64;
    while (more < wanted)
        more *= 2;
    array = realloc(array, more * size);
    if (!array)
        abort();
    *capacity = more;
    return array;
}

/* ---- Images. ------------------------------------------------------------------------------------------------------- */

void log_image_write(struct log_image *image, uint64_t offset, const void *bytes, size_t length)
{
    size_t end = offset + length;
    image->bytes = grow(image->bytes, &image->capacity, end, 1);
    if (end > image->size) {
        memset(image->bytes + image->size, 0, end - image->size);
        image->size = end;
    }
    memcpy(image->bytes + offset, bytes, length);
}

void log_image_copy(const struct log_image *from, struct log_image *ret_image)
{
    ret_image->bytes = grow(ret_image->bytes, &ret_image->capacity, from->size ? from->size : 1, 1);
    ret_image->size = from->size;
    memcpy(ret_image->bytes, from->bytes, from->size);
}

void log_image_free(struct log_image *image)
{
    free(image->bytes);
    *image = (struct log_image){0};
}

/* Does to an image what a part of an event does. */
static void event_apply(const struct log_event *event, size_t at, size_t length, struct log_image *image)
{
    uint64_t offset = event->offset + at;
    if (event->op == FILE_PUNCH) {
        if (offset >= image->size)
            return;
        if (length > image->size - offset)
            length = (size_t)(image->size - offset);
    }
    if (event->op != FILE_SYNC && length > 0)
        log_image_write(image, offset, event->bytes + at, length);
}

/* ---- The engine. --------------------------------------------------------------------------------------------------- */

static void log_start(struct file *file, struct file_io *io)
{
    struct log_file *log = (struct log_file *)file;
    size_t event = 0;
    if (io->op != FILE_READ) {
        log->events = grow(log->events, &log->event_capacity, log->event_count + 1, sizeof *log->events);
        event = log->event_count++;
        log->events[event] = (struct log_event){
            .op = io->op,
            .started = ++*log->clock,
            .ended = LOG_NEVER,
            .offset = io->offset,
            .bytes = malloc(io->length ? io->length : 1),
            .length = io->length,
        };
        uint8_t *to = log->events[event].bytes;
        size_t skip = io->skip, left = io->op == FILE_WRITE ? io->length : 0;
        memset(to, 0, io->length);
        for (const struct iovec *iov = io->iov; left > 0; iov++, skip = 0) {
            size_t part = iov->iov_len - skip < left ? iov->iov_len - skip : left;
            memcpy(to, (char *)iov->iov_base + skip, part);
            to += part;
            left -= part;
        }
    }
    log->pending = grow(log->pending, &log->pending_capacity, log->pending_count + 1, sizeof *log->pending);
    log->pending[log->pending_count++] = (struct log_pending){.io = io, .event = event};
}

static int64_t log_read(struct log_file *log, struct file_io *io)
{
    const struct log_image *image = io->member == 0 ? &log->image : &log->parents[io->member - 1];
    if (io->offset >= image->size)
        return 0;
    int count;
    const struct iovec *iov = file_io_next(io, &count);
    uint64_t left = image->size - io->offset;
    size_t length = iov->iov_len < left ? iov->iov_len : (size_t)left;
    memcpy(iov->iov_base, image->bytes + io->offset, length);
    return (int64_t)length;
}

static void log_carry_out(struct log_file *log, struct log_pending *pending)
{
    struct file_io *io = pending->io;
    int fate = log->fate ? log->fate(log, io) : 0;
    struct log_event *event = io->op == FILE_READ ? NULL : &log->events[pending->event];
    if (fate < 0) {
        (void)file_io_account(io, fate);
        if (event)
            event->length = 0; /* it left nothing */
        return;
    }
    if (io->op == FILE_READ) {
        log->reads[io->member % 8]++;
        while (!file_io_account(io, log_read(log, io)))
            ;
        return;
    }
    event_apply(event, 0, event->length, &log->image);
    event->ended = ++*log->clock;
    log->ended = grow(log->ended, &log->ended_capacity, log->ended_count + 1, sizeof *log->ended);
    log->ended[log->ended_count++] = pending->event;
    (void)file_io_account(io, (int64_t)event->length);
}

static void log_kick(struct file *file)
{
    (void)file;
}

/* Ends some of what is pending, in any order. */
static unsigned log_poll(struct file *file, bool wait)
{
    struct log_file *log = (struct log_file *)file;
    unsigned ended = 0;
    while (log->pending_count > 0 && ((wait && ended == 0) || log_random(log->random) % 3 != 0)) {
        size_t chosen = log_random(log->random) % log->pending_count;
        if (log->held && log->pending[chosen].io->iov == log->held) {
            if (log->pending_count == 1)
                break;
            chosen = (chosen + 1) % log->pending_count;
        }
        struct log_pending pending = log->pending[chosen];
        log->pending[chosen] = log->pending[--log->pending_count];
        log_carry_out(log, &pending);
        file_io_end(file, pending.io);
        ended++;
    }
    return ended;
}

static void log_close(struct file *file)
{
    struct log_file *log = (struct log_file *)file;
    for (size_t i = 0; i < log->event_count; i++)
        free(log->events[i].bytes);
    free(log->events);
    free(log->ended);
    free(log->pending);
    log_image_free(&log->image);
    free(log);
}

static const struct file_ops log_ops = {
    .name = "log",
    .start = log_start,
    .kick = log_kick,
    .poll = log_poll,
    .close = log_close,
};

struct log_file *log_file_new_child(const struct log_image *image, const struct log_image *parents,
                                    unsigned parent_count, uint64_t *random, uint64_t *clock)
{
    struct log_file *log = log_file_new(image, random, clock);
    log->parents = parents;
    log->file.parent_count = parent_count;
    log->file.parent_sizes = calloc(parent_count + 1, sizeof *log->file.parent_sizes);
    for (unsigned i = 0; i < parent_count; i++)
        log->file.parent_sizes[i] = parents[i].size;
    return log;
}

struct log_file *log_file_new(const struct log_image *image, uint64_t *random, uint64_t *clock)
{
    struct log_file *log = calloc(1, sizeof *log);
    if (!log)
        abort();
    log->file = (struct file){.ops = &log_ops, .size = image->size, .physical_size = 4096, .poll_fd = 0};
    log->random = random;
    log->clock = clock;
    log_image_copy(image, &log->image);
    return log;
}

/* ---- Crashes. ------------------------------------------------------------------------------------------------------ */

/* What ended before this time is on stable storage at `time`: a sync that began then has ended. */
static uint64_t log_synced_until(const struct log_file *log, uint64_t time)
{
    uint64_t until = 0;
    for (size_t i = 0; i < log->event_count; i++) {
        const struct log_event *event = &log->events[i];
        if (event->op == FILE_SYNC && event->ended < time && event->started > until)
            until = event->started;
    }
    return until;
}

static void log_apply_torn(struct log_image *image, const struct log_event *event, uint64_t *random)
{
    for (size_t at = 0; at < event->length; at += DISK_SECTOR_SIZE)
        if (log_random(random) % 2)
            event_apply(event, at, DISK_SECTOR_SIZE, image);
}

/* Calls `apply` for each write that a crash at `time` could have left, overlapping ones in the order they ended. */
static void log_replay(const struct log_file *log, uint64_t time,
                       void (*apply)(const struct log_event *event, void *arg), void *arg)
{
    for (size_t i = 0; i < log->ended_count; i++) {
        const struct log_event *event = &log->events[log->ended[i]];
        if (event->op != FILE_SYNC && event->ended < time)
            apply(event, arg);
    }
    for (size_t i = 0; i < log->event_count && log->events[i].started < time; i++)
        if (log->events[i].op != FILE_SYNC && log->events[i].ended >= time)
            apply(&log->events[i], arg);
}

struct crash {
    uint64_t time, synced;
    enum log_survival survival;
    uint64_t *random;
    uint64_t mask;
    unsigned loose;
    struct log_image *image;
};

static void crash_apply(const struct log_event *event, void *arg)
{
    struct crash *crash = arg;
    uint64_t fate = log_random(crash->random) % 8;
    bool whole = event->ended < crash->synced || (crash->survival == LOG_ALL && event->ended < crash->time) ||
                 (crash->survival == LOG_RANDOM && fate < 3);
    bool gone = crash->survival == LOG_NONE || fate < 6;
    if (whole)
        event_apply(event, 0, event->length, crash->image);
    else if (!gone)
        log_apply_torn(crash->image, event, crash->random);
}

void log_crash(const struct log_file *log, const struct log_image *base, uint64_t time, enum log_survival survival,
               uint64_t *random, struct log_image *ret_image)
{
    struct crash crash = {.time = time,
                          .synced = log_synced_until(log, time),
                          .survival = survival,
                          .random = random,
                          .image = ret_image};
    log_image_copy(base, ret_image);
    log_replay(log, time, crash_apply, &crash);
}

static void mask_apply(const struct log_event *event, void *arg)
{
    struct crash *crash = arg;
    if (event->ended < crash->synced || (crash->mask >> (crash->loose++ % 64) & 1))
        event_apply(event, 0, event->length, crash->image);
}

unsigned log_crash_mask(const struct log_file *log, const struct log_image *base, uint64_t time, uint64_t mask,
                        struct log_image *ret_image)
{
    struct crash crash = {.synced = log_synced_until(log, time), .mask = mask, .image = ret_image};
    log_image_copy(base, ret_image);
    log_replay(log, time, mask_apply, &crash);
    return crash.loose;
}
