/* SPDX-License-Identifier: MIT */
/*
 * The fence between a dead worker and its successor: a FIFO in the guest's run directory.
 *
 * A worker holds the write end and registers it with every io_uring it makes, so that it stays open until the kernel has ended the last
 * I/O of the process, which can be long after the process was reaped. Only then may a successor start: else a late write of the dead could land
 * on top of a newer one. Because the FIFO has a name, the fence holds for a supervisor that was restarted meanwhile as well.
 */
#ifndef SUPERVISE_FENCE_H
#define SUPERVISE_FENCE_H

struct event_base;
struct fence;

/* Opens the fence called `name` in the directory `dir`, made if it is missing. Returns 0 or -errno. */
int fence_open(struct event_base *base, int dir, const char *name, struct fence **ret_fence);
/* Ends a wait, whose callback is not called then. Takes NULL. */
void fence_close(struct fence *fence);

/* Calls `passed` from the loop, once, as soon as nobody holds the write end. One wait at a time. Returns 0 or -errno. */
int fence_wait(struct fence *fence, void (*passed)(void *arg), void *arg);

/* A write end for the next worker: close-on-exec, the caller's. Returns the descriptor or -errno. */
int fence_writer(const struct fence *fence);

#endif
