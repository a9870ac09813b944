/* SPDX-License-Identifier: MIT */
/* Connections to NBD servers, made by the process that may open files. Nothing is said or heard over them here. */
#ifndef DISK_NBD_DIAL_H
#define DISK_NBD_DIAL_H

#include "nbd/uri.h"

/* Connects, waiting for each address for 10 s at most, and for the answer of who knows names. Returns a non-blocking socket the caller owns, or
 * -errno with `ret_error` filled. */
int nbd_dial(const struct nbd_uri *uri, struct disk_error *ret_error);

#endif
