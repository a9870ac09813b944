/* SPDX-License-Identifier: MIT */
/*
 * Work with files that may take long, done away from the loop: making a RAM disk of many GiB, or opening a file on a file system that does not
 * answer, and the other disks cannot wait for it.
 */
#ifndef BLKBACK_ERRAND_H
#define BLKBACK_ERRAND_H

#include <disk/disk.h>

struct errand;
struct event_base;

/* What is to be done, in a thread of its own, with a job that is nobody else's. */
struct errand_work {
    /* Returns 0, with what is handed over in `ret_fd`, which is -1; or -errno with `ret_error` filled. */
    int (*run)(void *job, int *ret_fd, struct disk_error *ret_error);
    /* (optional) Nobody wants any more what was done. A descriptor is closed afterwards. */
    void (*undo)(void *job);
    /* Frees the job. */
    void (*free)(void *job);
};

/* Called once, from the loop: `fd` is the callee's, or -1; `result` is 0, or -errno with the reason in `error`. The errand is freed. */
typedef void (*errand_done)(void *arg, int result, int fd, const struct disk_error *error);

/* Starts it. The job is the errand's from then on, also on failure. Returns 0 or -errno. */
int errand_start(struct event_base *base, const struct errand_work *work, void *job, errand_done done, void *arg,
                 struct errand **ret_errand);
/* Waits for nothing and calls nobody: what is done later is undone. Takes NULL. */
void errand_cancel(struct errand *errand);

#endif
