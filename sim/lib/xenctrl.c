/* SPDX-License-Identifier: MIT */
/*
 * The sliver of libxenctrl that xenstored and toolstack helpers use: which domains exist.
 *
 * Every other function of the real library is exported too, so that programs which bind all symbols at start can run; they
 * fail with ENOSYS (xenctrl_stubs.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xenctrl.h>

#include "client.h"

/* The library's one exported object: what set_xen_guest_handle takes for NULL. */
xc_hypercall_buffer_t XC__HYPERCALL_BUFFER_NAME(HYPERCALL_BUFFER_NULL) = {0};

struct xc_interface_core {
    struct sim_client client;
};

xc_interface *xc_interface_open(xentoollog_logger *logger, xentoollog_logger *dombuild_logger, unsigned open_flags)
{
    xc_interface *xch = calloc(1, sizeof(*xch));

    (void)logger, (void)dombuild_logger;
    if (!xch || (open_flags & XC_OPENFLAG_DUMMY))
        return xch;
    if (sim_client_open(&xch->client, SIM_KIND_CONTROL, 0, true, NULL, 0)) {
        free(xch);
        return NULL;
    }
    return xch;
}

int xc_interface_close(xc_interface *xch)
{
    if (!xch)
        return 0;
    if (xch->client.host)
        sim_client_close(&xch->client);
    free(xch);
    return 0;
}

int xc_domain_getinfo(xc_interface *xch, uint32_t first_domid, unsigned int max_doms, xc_dominfo_t *info)
{
    unsigned int n = 0;

    if (!xch->client.host)
        return 0;
    for (uint32_t domid = first_domid; domid < SIM_DOMID_MAX && n < max_doms; domid++) {
        const struct sim_domain *domain = sim_client_domain(&xch->client, domid);

        if (!domain)
            continue;
        memset(&info[n], 0, sizeof(info[n]));
        info[n].domid = domid;
        info[n].dying = atomic_load(&domain->state) == SIM_DOMAIN_DYING;
        info[n].running = !info[n].dying;
        info[n].nr_pages = SIM_GRANTS;
        info[n].max_memkb = (unsigned long)SIM_GRANTS * (SIM_PAGE / 1024);
        info[n].nr_online_vcpus = 1;
        memcpy(info[n].handle, domain->uuid, sizeof(info[n].handle));
        n++;
    }
    if (!n && max_doms) {
        errno = ESRCH;
        return -1;
    }
    return (int)n;
}
