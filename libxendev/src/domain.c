/* SPDX-License-Identifier: MIT */
/*
 * Which domains there are, and which life of a domain id this is.
 *
 * Theory of operation. xenstored knows a domain from its introduction to its death. A number comes again after the
 * others are used up, so it is paired with the uuid of the virtual machine: /local/domain/D/vm names /vm/UUID and is the
 * toolstack's, read-only to the guest. Only the name counts. What it names is not looked at, because it is shared by both
 * ends of a migration to the same host: it is made anew when one arrives and removed when the other one goes.
 */
#include "store_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xenstore.h>

#include "parse.h"

int xendev_domain_exists(struct xendev_store *store, uint32_t domid)
{
    if (store->broken)
        return -ENOTCONN;
    if (domid == 0)
        return 1; /* the one that runs us */
    errno = 0;
    if (xs_is_domain_introduced(store->xs, domid))
        return 1;
    /* "No" and "I could not ask" look the same but for errno, in which a signal may have left its mark though all went
     * well. */
    return errno == 0 || errno == EINTR ? 0 : store_error(store);
}

int xendev_domain_identity(struct xendev_store *store, uint32_t domid, char ret_identity[XENDEV_IDENTITY_SIZE])
{
    char home[64];
    char *vm = NULL;

    snprintf(home, sizeof(home), "/local/domain/%u", domid);
    int result = xendev_store_read(store, XENDEV_NO_TXN, home, "vm", &vm);
    if (result < 0 && result != -ENOENT && result != -EINVAL)
        return result;

    if (result < 0 || strncmp(vm, "/vm/", 4) != 0 || !parse_identity(vm + 4, XENDEV_IDENTITY_SIZE, ret_identity))
        snprintf(ret_identity, XENDEV_IDENTITY_SIZE, "none");
    free(vm);
    return 0;
}
