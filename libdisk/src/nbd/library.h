/* SPDX-License-Identifier: MIT */
/*
 * libnbd, loaded when it is needed: it brings libraries for TLS and XML along, of which processes that serve no such disk want to know nothing.
 */
#ifndef DISK_NBD_LIBRARY_H
#define DISK_NBD_LIBRARY_H

#include <disk/disk.h>

#include <libnbd.h>

#define NBD_LIBRARY_FUNCTIONS(X)          \
    X(nbd_create)                         \
    X(nbd_close)                          \
    X(nbd_get_error)                      \
    X(nbd_get_errno)                      \
    X(nbd_set_export_name)                \
    X(nbd_set_request_structured_replies) \
    X(nbd_set_pread_initialize)           \
    X(nbd_is_read_only)                   \
    X(nbd_can_flush)                      \
    X(nbd_can_trim)                       \
    X(nbd_get_size)                       \
    X(nbd_get_block_size)                 \
    X(nbd_aio_connect_socket)             \
    X(nbd_aio_pread)                      \
    X(nbd_aio_pwrite)                     \
    X(nbd_aio_flush)                      \
    X(nbd_aio_trim)                       \
    X(nbd_aio_disconnect)                 \
    X(nbd_aio_get_fd)                     \
    X(nbd_aio_get_direction)              \
    X(nbd_aio_notify_read)                \
    X(nbd_aio_notify_write)               \
    X(nbd_aio_is_ready)                   \
    X(nbd_aio_is_processing)              \
    X(nbd_aio_is_dead)                    \
    X(nbd_aio_is_closed)

/* Its functions, by their names. */
struct nbd_library {
#define X(name) __typeof__(name) *(name);
    NBD_LIBRARY_FUNCTIONS(X)
#undef X
};

/* All NULL until nbd_library_load() has succeeded. */
extern struct nbd_library nbd_library;

bool nbd_library_is_loaded(void);
/* As disk_kind_load(). */
int nbd_library_load(struct disk_error *ret_error);

#endif
