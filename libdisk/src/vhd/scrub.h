/* SPDX-License-Identifier: MIT */
/*
 * Makes sectors of a block zero: all of them, or those whose bit is clear. What reads as zeros already is not
 * written, so that holes in the file stay holes.
 */
#ifndef DISK_VHD_SCRUB_H
#define DISK_VHD_SCRUB_H

#include "file/file.h"

struct vhd_scrub {
    struct file_io io; /* first */
    struct file *file;
    uint8_t *buffer;
    uint64_t data; /* sector of the block's data */
    uint32_t sectors;
    const uint8_t *bits;                               /* NULL: all are clear */
    uint32_t at;                                       /* sector of the block where the run under way begins */
    uint32_t run;                                      /* its sectors */
    void *owner;                                       /* the caller's */
    void (*done)(struct vhd_scrub *scrub, int result); /* 0 or -errno; the zeros are written, not synced */
};

/* Returns 0 or -ENOMEM. */
int vhd_scrub_init(struct vhd_scrub *scrub, struct file *file, void *owner, void (*done)(struct vhd_scrub *, int));
void vhd_scrub_fini(struct vhd_scrub *scrub);

/* `bits`, unless NULL, must have a clear bit and stay unchanged until done() is called, from a completion. */
void vhd_scrub_start(struct vhd_scrub *scrub, uint64_t data, uint32_t sectors, const uint8_t *bits);

#endif
