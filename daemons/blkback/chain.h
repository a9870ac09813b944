/* SPDX-License-Identifier: MIT */
/*
 * The parents of a disk's image: the chain whose content shows through it.
 */
#ifndef BLKBACK_CHAIN_H
#define BLKBACK_CHAIN_H

#include <limits.h>
#include <stdbool.h>

#include <jansson.h>

#include "protocol.h"

struct vbd;

struct chain {
    int parents[BLKBACK_PARENTS_MAX]; /* descriptors, the image's own parent first */
    unsigned count;
    unsigned locked;                   /* the first of them: against whoever would write them */
    bool complete;                     /* a worker has looked, and none is missing */
    char last_kind[BLKBACK_KIND_SIZE]; /* of the last image of the chain, while that is not complete */
};

/* Whether two descriptors are of one file. */
bool chain_is_same_file(int one, int other);
/* The path of an open file, as it is now; "" when that cannot be found out. */
void chain_path(int fd, char ret_path[PATH_MAX]);

/* The worker wants the parent of the last image: goes on by looking_parent_opened(), or gives the device up. Returns 0, or -EPROTO when the worker
 * cannot have meant it. */
int chain_want(struct vbd *vbd, const struct blkback_parent *parent);
/* Locks those parents that are not locked yet. Returns 0; -EWOULDBLOCK when somebody writes to one, whose path is in `ret_path` then; another
 * -errno. Does not wait. */
int chain_lock(struct vbd *vbd, char ret_path[PATH_MAX]);
/* Whether one of the disks writes to an image that is a parent of the other's, or may be. */
bool chain_clashes(const struct vbd *one, const struct vbd *other);

/* What a worker is told: as the last images are. */
void chain_describe(const struct vbd *vbd, struct blkback_check *ret_check);
/* Of what a worker holds: whether it can be an image, that is a file, a block device or a connection, opened to read, and its parents. The image's mode is compared with the
 * device's when that claims it. */
bool chain_held_check(const int *fds, unsigned fd_count);
/* Whether these parents are nobody else's to write. */
bool chain_held_is_own(const int *fds, unsigned count);
/* They are the disk's from then on. */
void chain_claim(struct vbd *vbd, const int *fds, unsigned count);

/* The image has become the parent of `child`, which is the image now; `parent` is its descriptor as one, not locked yet. Both are the disk's from then on, which
 * has fewer than BLKBACK_PARENTS_MAX of them. */
void chain_push(struct vbd *vbd, int child, int parent);

/* The image has no parents any more. */
void chain_settle(struct vbd *vbd);

/* Lets go of all of it, and of the locks; or of the descriptors alone, because a worker goes on with the chain. */
void chain_release(struct vbd *vbd);
void chain_forget(struct vbd *vbd);

/* The paths of the parents, as they are now. */
json_t *chain_report(const struct vbd *vbd);

#endif
