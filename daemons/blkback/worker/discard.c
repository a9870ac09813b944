/* SPDX-License-Identifier: MIT */
/*
 * A request to discard is answered when its last piece is done. One that is executed again, after the death of a worker, begins anew: what it
 * discards a second time nobody can have written meanwhile, since it was not answered.
 */
#include "discard.h"

#define PIECE_MAX (UINT64_C(64) << 20)

static bool fill(const struct blkif_job *job, uint64_t offset, struct disk_io *ret_io)
{
    const uint64_t left = job->offset + job->length - offset; /* both are on the disk, whose size in bytes fits */

    ret_io->offset = offset;
    ret_io->length = left < PIECE_MAX ? left : PIECE_MAX;
    return left > 0;
}

enum blkif_fault discard_judge(const struct blkif_job *job, bool secure)
{
    return job->code == BLKIF_CODE_DISCARD && job->secure && !secure ? BLKIF_FAULT_OPERATION : BLKIF_FAULT_NONE;
}

bool discard_begin(const struct blkif_job *job, struct disk_io *ret_io)
{
    return fill(job, job->offset, ret_io);
}

bool discard_next(const struct blkif_job *job, struct disk_io *io)
{
    return fill(job, io->offset + io->length, io);
}
