/* SPDX-License-Identifier: MIT */
/*
 * Discards, a piece at a time: a guest may discard a whole disk with one request, and a disk that does what it is told on the spot would keep all
 * others waiting.
 */
#ifndef BLKBACK_WORKER_DISCARD_H
#define BLKBACK_WORKER_DISCARD_H

#include <stdbool.h>

#include <disk/disk.h>
#include <ring/blkif.h>

/* Why a discard that blkif_validate() lets through is not for the disk: BLKIF_FAULT_OPERATION when it is to be secure, and the disk's are not, which
 * must not be claimed. Else BLKIF_FAULT_NONE, also for other operations. */
enum blkif_fault discard_judge(const struct blkif_job *job, bool secure);
/* Fills the first piece. Returns false when there is nothing to discard. */
bool discard_begin(const struct blkif_job *job, struct disk_io *ret_io);
/* Fills the piece that follows the one that `io` has done. Returns false when that was the last. */
bool discard_next(const struct blkif_job *job, struct disk_io *io);

#endif
