/* SPDX-License-Identifier: MIT */
/*
 * What is recorded of a connection in its device's run directory, by this version or another: the connection, and the journals of its rings, which
 * are one file: one after the other, each ring_journal_size() long.
 */
#ifndef BACKEND_RECORD_H
#define BACKEND_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include <backend/protocol.h>

struct backend_kind;

/* Reads the connection recorded in the device's directory, of kind->connection_size bytes. Returns 0; -EPROTONOSUPPORT for one of another version,
 * of which only struct backend_connection is filled; -ENOENT; -EBADMSG when it is damaged. */
int record_load(const struct backend_kind *kind, int device_dir, struct backend_connection *ret_connection);

/* What its journals are good for, all together: as ring_journal_head_judge(), -ENOENT. Of a connection of another version only struct
 * backend_connection is looked at. `ret_version` is filled when they are journals: with the one of those that cannot be continued, if there are. */
int record_judge(const struct backend_kind *kind, int device_dir, const struct backend_connection *connection,
                 uint32_t *ret_version);

/* The journals to continue the connection with, those of this version made when they were drained by another. Returns a descriptor, the caller's;
 * -errno as record_judge(), with `ret_version`; -EBADMSG for a file of another size than the connection's. */
int record_open_journal(const struct backend_kind *kind, int device_dir, const struct backend_connection *connection,
                        uint32_t *ret_version);

/* Makes the journals of a new connection. Returns a descriptor, the caller's, or -errno. */
int record_make_journal(const struct backend_kind *kind, int device_dir, const struct backend_connection *connection);

/* Whether every device of a guest that is recorded as connected has drained journals. */
bool record_is_drained(const struct backend_kind *kind, int guest_dir);

#endif
