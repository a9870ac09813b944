/* SPDX-License-Identifier: MIT */
/*
 * Which domains there are, and which life of a domain id this is.
 *
 * Theory of operation. xenstored knows a domain from its introduction to its death. A number comes again after the
 * others are used up, so it is paired with what only one life has: the uuid of the virtual machine (/local/domain/D/vm
 * names /vm/UUID, both the toolstack's, read-only to the guest) and the time this domain was started, which differs
 * when the same machine is started again.
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
    char home[64], uuid[48], start[24];
    char *vm = NULL, *start_time = NULL;

    snprintf(home, sizeof(home), "/local/domain/%u", domid);
    int result = xendev_store_read(store, XENDEV_NO_TXN, home, "vm", &vm);
    if (result == 0)
        result = xendev_store_read(store, XENDEV_NO_TXN, vm, "start_time", &start_time);
    if (result < 0 && result != -ENOENT && result != -EINVAL)
        goto out;

    if (result == 0 && strncmp(vm, "/vm/", 4) == 0 && parse_identity_part(vm + 4, false, sizeof(uuid), uuid) &&
        parse_identity_part(start_time, true, sizeof(start), start))
        snprintf(ret_identity, XENDEV_IDENTITY_SIZE, "%s.%s", uuid, start);
    else
        snprintf(ret_identity, XENDEV_IDENTITY_SIZE, "none");
    result = 0;
out:
    free(vm);
    free(start_time);
    return result;
}
