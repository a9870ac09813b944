/* SPDX-License-Identifier: MIT */
/*
 * What a disk may hold: for each sector the last version whose write was acknowledged, and the last one that was sent.
 *
 * Versions count from 1 in each sector; 0 is what was there before. A write that was not acknowledged (it failed, or its connection ended) leaves
 * its sector anywhere between the two, until the next write of it is acknowledged. The guest never has two writes of a sector in flight.
 *
 * A sector that was discarded holds zeros or what it held before, or some of both, until the next write of it is acknowledged; never anything older.
 */
#ifndef GUEST_MODEL_H
#define GUEST_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct model;

struct model_params {
    const char *path; /* a file that keeps the model from one run to the next, or NULL: in memory */
    /* Of a new model; a file that exists keeps its own. */
    uint64_t seed;  /* of what is written */
    uint64_t first; /* sectors first..first+count-1 are ours */
    uint64_t count;
    bool blank; /* version 0 is known to be zeroes; else anything that is not ours */
};

/* Returns 0; -EINVAL when the file is of another kind; another -errno. */
int model_open(const struct model_params *params, struct model **ret_model);
/* Opens a file as it stands. */
int model_open_existing(const char *path, struct model **ret_model);
/* Takes NULL. */
void model_close(struct model *model);

uint64_t model_first(const struct model *model);
uint64_t model_count(const struct model *model);

/* Whether a write or discard of one of these sectors is in flight. */
bool model_busy(const struct model *model, uint64_t sector, unsigned count);

/* Starts a write of one sector: gives it its next version and content. */
void model_write(struct model *model, uint64_t sector, void *ret_bytes);
/* Ends it: acknowledged, or not. */
void model_written(struct model *model, uint64_t sector, bool acknowledged);

/* Starts a discard of one sector, and ends it, however it was answered. */
void model_discard(struct model *model, uint64_t sector);
void model_discarded(struct model *model, uint64_t sector);

/* The oldest version that a read sent now may return. */
uint32_t model_floor(const struct model *model, uint64_t sector);

/* Whether a read of `sector`, sent when model_floor() was `floor`, may return `bytes`. If not, `ret_why` holds the reason. Words of different
 * versions may mix while the sector is being written. */
bool model_check(const struct model *model, uint64_t sector, uint32_t floor, const void *bytes, char *ret_why,
                 size_t why_size);

#endif
