/* SPDX-License-Identifier: MIT */
/*
 * What netbackd has beside its cards: the host's network devices, which it follows, and its connection to tapbridged.
 */
#include "netback.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include <service/log.h>
#include <service/service.h>
#include <supervise/rundir.h>

#include "leftover.h"
#include "netdev.h"
#include "switch.h"
#include "vif.h"
#include "waiting.h"

static void on_netdevs_changed(void *arg)
{
    struct netback *netback = arg;

    if (netback->taps_held && netback->backend.store != NULL) /* while xenstore is away nobody can be said to be gone */
        (void)leftover_forget_gone(netback->taps_dir, &netback->backend);
    vif_netdevs_changed(netback);
}

int netback_start(struct service *service, void *arg)
{
    struct netback *netback = arg;
    int err;

    netback->taps_dir = -1;
    netback->run_dir = rundir_open(service_run_dir(service));
    if (netback->run_dir >= 0)
        netback->taps_dir = leftover_open(service_run_dir(service));
    err = netback->run_dir < 0 ? netback->run_dir : netback->taps_dir < 0 ? netback->taps_dir : 0;
    if (err < 0)
        log_error(NULL, "%s cannot be used: %s", service_run_dir(service), strerror(-err));
    if (err == 0) {
        err = netdev_watch_new(service_base(service), on_netdevs_changed, netback, &netback->netdevs);
        if (err < 0)
            log_error(NULL, "the network devices of this host cannot be followed: %s", strerror(-err));
    }
    if (err == 0) {
        netback->backend.base = service_base(service);
        err = switch_open(netback);
        if (err == 0)
            err = waiting_open(netback);
    }
    if (err == 0)
        err = backend_start(&netback->backend, &vif_kind, &netback->config.backend, service);
    if (err < 0)
        netback_stop(netback);
    return err;
}

bool netback_goes_on(void *arg)
{
    const struct netback *netback = arg;

    return backend_goes_on(&netback->backend);
}

void netback_stop(void *arg)
{
    struct netback *netback = arg;

    waiting_close(netback);
    switch_close(netback);
    backend_stop(&netback->backend);
    netdev_watch_free(netback->netdevs);
    netback->netdevs = NULL;
    if (netback->taps_dir >= 0)
        close(netback->taps_dir);
    if (netback->run_dir >= 0)
        close(netback->run_dir);
}
