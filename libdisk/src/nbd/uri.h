/* SPDX-License-Identifier: MIT */
/*
 * Where an NBD server is, as a URI says it (https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md):
 *
 *     nbd+unix:///EXPORT?socket=PATH
 *     nbd://HOST[:PORT][/EXPORT]        HOST: a name, an IPv4 address, or an IPv6 address in []
 *
 * Anything may be percent-encoded. What the document has beside these (TLS, vsock, ssh, users) is refused.
 */
#ifndef DISK_NBD_URI_H
#define DISK_NBD_URI_H

#include <disk/disk.h>

#include <sys/un.h>

struct nbd_uri {
    char socket[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* absolute; "": by TCP */
    char host[256];                                           /* no brackets */
    char port[6];                                             /* decimal, 1 to 65535 */
    char export_name[DISK_EXPORT_NAME_SIZE];
};

/* Returns 0, or -EINVAL with `ret_error` filled. */
int nbd_uri_parse(const char *text, struct nbd_uri *ret_uri, struct disk_error *ret_error);

#endif
