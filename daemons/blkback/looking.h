/* SPDX-License-Identifier: MIT */
/*
 * An image on its way to be used: opened, locked (lock.c), and looked at by the worker, with as many parents as it turns out to have (chain.c). Which of
 * these steps are taken, and what is next, follows from the state of its device (vbd.c).
 */
#ifndef BLKBACK_LOOKING_H
#define BLKBACK_LOOKING_H

#include "vbd.h"

/* Opens the image as it will be used, and goes on from there. A RAM disk is made for a new connection only: one that is resumed without its content
 * must not go on with zeros. */
void looking_open(struct vbd *vbd);
/* Lets go of it, its parents and their locks. */
void looking_close(struct vbd *vbd);

/* As the worker is told of it. */
struct blkback_image looking_describe(const struct vbd *vbd);

/* ---- For lock.c and chain.c. ---- */

/* Nobody else uses the image, nor writes its parents. */
void looking_locked(struct vbd *vbd);
/* There is one more of these, not locked yet. */
void looking_parent_opened(struct vbd *vbd);

/* ---- The worker. ---- */

/* Has it look: backend_kind.ask. */
void looking_ask(struct device *device);
/* Its answers: what the image is, or that it has one more parent. Return 0, or -EPROTO. */
int looking_checked(struct vbd *vbd, const struct blkback_message *message);
int looking_parent(struct vbd *vbd, const struct blkback_message *message);

#endif
