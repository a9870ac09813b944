/* SPDX-License-Identifier: MIT */
/*
 * The granting side, for our own guests.
 *
 * Theory of operation. libxengnttab does it all: the kernel allocates pages, grants them and maps them here. A page
 * stays granted until its other side has let it go too, whatever we do; freeing ours is therefore always safe.
 */
#include <xendev/grant.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <xengnttab.h>

#include "quiet.h"

struct xendev_share {
    xengntshr_handle *handle;
};

int xendev_share_open(struct xendev_share **ret_share)
{
    struct xendev_share *share = calloc(1, sizeof(*share));
    if (share == NULL)
        return -ENOMEM;
    share->handle = xengntshr_open(xendev_quiet_logger(), 0);
    if (share->handle == NULL) {
        int error = errno;
        free(share);
        return -error;
    }
    *ret_share = share;
    return 0;
}

void xendev_share_close(struct xendev_share *share)
{
    if (share == NULL)
        return;
    xengntshr_close(share->handle);
    free(share);
}

int xendev_share_pages(struct xendev_share *share, uint32_t domid, unsigned count, uint32_t *ret_grefs,
                       void **ret_address)
{
    if (count == 0 || count > INT_MAX)
        return -EINVAL;

    const int writable = 1;
    void *address = xengntshr_share_pages(share->handle, domid, (int)count, ret_grefs, writable);
    if (address == NULL)
        return -errno;
    memset(address, 0, (size_t)count * XENDEV_PAGE_SIZE);
    *ret_address = address;
    return 0;
}

void xendev_share_free(struct xendev_share *share, void *address, unsigned count)
{
    xengntshr_unshare(share->handle, address, count);
}
