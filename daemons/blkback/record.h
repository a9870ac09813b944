/* SPDX-License-Identifier: MIT */
/*
 * What is recorded of a connection in its device's run directory, by this version or another: the connection and its journal.
 */
#ifndef BLKBACK_RECORD_H
#define BLKBACK_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol.h"

/* Reads the connection recorded in the device's directory. Returns 0; -EPROTONOSUPPORT for one of another version, of which only `version` and
 * `generation` are filled; -ENOENT; -EBADMSG when it is damaged. */
int record_load(int device_dir, struct blkback_connection *ret_connection);

/* What its journal is good for: as ring_journal_head_judge(), -ENOENT. `ret_version` is filled when it is a journal. */
int record_judge(int device_dir, uint64_t generation, uint32_t *ret_version);

/* The journal to continue the connection with, one of this version made when it was drained by another. Returns a descriptor, the caller's;
 * -errno as record_judge(), with `ret_version`; -EBADMSG for one of another size than the connection's. */
int record_open_journal(int device_dir, const struct blkback_connection *connection, uint32_t *ret_version);

/* Makes the journal of a new connection. Returns a descriptor, the caller's, or -errno. */
int record_make_journal(int device_dir, const struct blkback_connection *connection);

/* Whether every device of a guest that is recorded as connected has a drained journal. */
bool record_is_drained(int guest_dir);

#endif
