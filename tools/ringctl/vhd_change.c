/* SPDX-License-Identifier: MIT */
/* `ringctl vhd coalesce` and `resize`: requests to the image's disk, as they could come while a guest uses it. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "vhd.h"

/* Sleeps until `bytes` may have been copied since `start`. */
static void keep_rate(const struct timespec *start, uint64_t bytes, unsigned rate)
{
    uint64_t due = bytes / rate * 1000 / 1048576; /* milliseconds */
    struct timespec until = {.tv_sec = start->tv_sec + (time_t)(due / 1000),
                             .tv_nsec = start->tv_nsec + (long)(due % 1000) * 1000000};
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!vhd_interrupted() && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

static enum ringctl_exit coalesce(struct disk *disk, uint64_t size, unsigned rate)
{
    struct timespec start;
    int result = 0;
    clock_gettime(CLOCK_MONOTONIC, &start);
    const uint64_t most = rate > 0 ? VHD_CHUNK : 32 * VHD_CHUNK; /* what is looked at between two looks at the clock */
    for (uint64_t at = 0; result == 0 && at < size;) {
        uint64_t length = size - at < most ? size - at : most;
        vhd_progress("copying", at, size);
        if (vhd_interrupted())
            return ringctl_fail(RINGCTL_REFUSED,
                                "interrupted: the image is as good as before, and what was copied need not be again");
        result = vhd_io(disk, DISK_PULL, at, length, NULL);
        at += length;
        if (rate > 0)
            keep_rate(&start, at, rate);
    }
    if (result == 0)
        result = vhd_io(disk, DISK_SETTLE, 0, 0, NULL);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "cannot copy from the parents: %s", strerror(-result));
    vhd_progress("copying", size, size);
    return RINGCTL_OK;
}

enum ringctl_exit vhd_run_coalesce(const struct vhd_options *options, char **operands)
{
    struct disk_source source;
    struct disk_info info;
    struct disk *disk;
    enum ringctl_exit status = vhd_parse_source(operands[0], "vhd", &source);
    if (status == RINGCTL_OK)
        status = vhd_open(&source, false, &disk);
    if (status != RINGCTL_OK)
        return status;
    disk_get_info(disk, &info);
    if (info.parents == 0)
        status = ringctl_fail(RINGCTL_REFUSED, "%s has no parent", source.path);
    else
        status = coalesce(disk, info.size, options->rate);
    vhd_progress_end();
    disk_close(disk);
    return status;
}

enum ringctl_exit vhd_run_resize(const struct vhd_options *options, char **operands)
{
    struct disk_source source;
    struct disk *disk;
    uint64_t size;
    (void)options;
    enum ringctl_exit status = vhd_parse_size(operands[1], &size);
    if (status == RINGCTL_OK)
        status = vhd_parse_source(operands[0], "vhd", &source);
    if (status == RINGCTL_OK)
        status = vhd_open(&source, false, &disk);
    if (status != RINGCTL_OK)
        return status;
    int result = vhd_io(disk, DISK_RESIZE, size, 0, NULL);
    disk_close(disk);
    if (result == -EINVAL)
        return ringctl_fail(RINGCTL_REFUSED, "%s: a disk can only be made larger, up to 2040 GiB", source.path);
    if (result == -ENOTSUP)
        return ringctl_fail(RINGCTL_REFUSED, "%s: its parent is larger and would show: coalesce it first", source.path);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s: cannot be made larger: %s", source.path, strerror(-result));
    return RINGCTL_OK;
}
