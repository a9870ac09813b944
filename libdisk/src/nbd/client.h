/* SPDX-License-Identifier: MIT */
/*
 * The engine under an NBD disk: the server's export as if it were a file. client.c has its states.
 */
#ifndef DISK_NBD_CLIENT_H
#define DISK_NBD_CLIENT_H

#include "kind.h"

/* What the export is, as the server says, or as it was known beforehand. */
struct nbd_about {
    uint64_t size;
    uint32_t physical_size;       /* the block the server prefers, a power of 2 */
    uint32_t discard_granularity; /* 0: it does not take discards */
};

/* Takes the connection over, also on failure. Returns 0, or -errno with `ret_error` filled. */
int nbd_client_open(const struct disk_params *params, struct file **ret_file, struct disk_error *ret_error);

/* As disk_ready(), disk_wants_connection() and disk_connect(). */
int nbd_client_ready(const struct file *file, struct nbd_about *ret_about, struct disk_error *ret_error);
bool nbd_client_wants_connection(struct file *file, struct disk_error *ret_why);
void nbd_client_connect(struct file *file, int fd);

/* Every operation that is not over fails, and the connection is closed. */
void nbd_client_abandon(struct file *file);

#endif
