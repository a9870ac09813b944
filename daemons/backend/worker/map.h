/* SPDX-License-Identifier: MIT */
/*
 * The files of a device that outlive its worker, in the worker's memory.
 */
#ifndef BACKEND_WORKER_MAP_H
#define BACKEND_WORKER_MAP_H

#include <stddef.h>

#include <backend/protocol.h>

/* Maps the first `size` bytes of a file, shared; the descriptor stays the caller's. Returns NULL with `ret_reason` filled, which says `what` the
 * file is: also when the file is shorter. */
void *worker_map(int fd, size_t size, const char *what, char ret_reason[BACKEND_REASON_SIZE]);

#endif
