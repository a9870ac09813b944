/* SPDX-License-Identifier: MIT */
/*
 * The locks of a disk's image and its parents: nobody else uses what a guest writes to, and nobody writes to what shows through.
 */
#ifndef BLKBACK_LOCK_H
#define BLKBACK_LOCK_H

#include <stdbool.h>

#include <event2/util.h>

struct vbd;

/* Goes on by vbd_locked() if the image, which is open with those of its parents that are known, is ours, else tries again later; gives the device up when it cannot be, or is not
 * wanted any more. */
void lock_image(struct vbd *vbd);
/* Tries no longer. */
void lock_stop(struct vbd *vbd);
/* Whether it waits until nobody else uses its image. */
bool lock_is_waited_for(const struct vbd *vbd);

/* Of the disk's timer. */
void lock_on_timer(evutil_socket_t fd, short what, void *arg);

#endif
