/* SPDX-License-Identifier: MIT */
/*
 * All devices of one kind: discovery, and the events that make a device be looked at.
 *
 * Theory of operation. One watch on backend/KIND sees every device come, change and go; its first event, which comes
 * without any change, makes us look at all there is: devices that are older than this process are found the same way as
 * new ones. What we and others write into a device's directory besides the few keys that steer it is ignored. Each
 * device has a watch on its front end's state; one on @releaseDomain tells when some domain died.
 *
 * When xenstored cannot answer (transactions that keep colliding, no memory) the device stays queued and is looked at
 * again a second later.
 */
#include "backend_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

static struct xendev_backend *bus_find(struct xendev_bus *bus, uint32_t domid, uint32_t devid)
{
    struct xendev_backend *device = NULL;

    TAILQ_FOREACH (device, &bus->devices, link) {
        if (device->domid == domid && device->devid == devid)
            return device;
    }
    return NULL;
}

/* Takes a device in, if its directory says what it should; when it does not yet, an event follows when it does. 0 or
 * -errno. */
static int bus_take_in(struct xendev_bus *bus, uint32_t domid, uint32_t devid)
{
    char path[BUS_PATH_SIZE + 32];
    char *front;
    uint32_t front_domid;

    snprintf(path, sizeof(path), "%s/%u/%u", bus->root, domid, devid);
    int result = xendev_store_read(bus->store, XENDEV_NO_TXN, path, "frontend", &front);
    if (result < 0)
        return result == -ENOENT || result == -EINVAL ? 0 : result;

    result = xendev_store_read_u32(bus->store, XENDEV_NO_TXN, path, "frontend-id", &front_domid);
    if (result == -ENOENT || result == -EINVAL || result == -ERANGE)
        result = 0;
    else if (result == 0 && front_domid == domid && parse_front_path_valid(front, domid))
        result = backend_new(bus, domid, devid, path, front) != NULL ? 0 : -ENOMEM;
    free(front);
    return result;
}

/* Has one device looked at, known or not. */
static int bus_look(struct xendev_bus *bus, uint32_t domid, uint32_t devid)
{
    struct xendev_backend *device = bus_find(bus, domid, devid);

    if (device == NULL)
        return bus_take_in(bus, domid, devid);
    device->own_dirty = true;
    backend_queue(device);
    return 0;
}

static int bus_scan_domain(struct xendev_bus *bus, uint32_t domid)
{
    char path[BUS_PATH_SIZE + 16];
    char **names;
    uint32_t devid;

    snprintf(path, sizeof(path), "%s/%u", bus->root, domid);
    int result = xendev_store_list(bus->store, XENDEV_NO_TXN, path, &names);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    result = 0;
    for (char **name = names; result == 0 && *name != NULL; name++) {
        if (parse_path_number(*name, strlen(*name), UINT32_MAX, &devid))
            result = bus_look(bus, domid, devid);
    }
    free(names);
    return result;
}

static int bus_scan(struct xendev_bus *bus)
{
    struct xendev_backend *device = NULL;
    char **names;
    uint32_t domid;

    /* The ones that are gone are in no list. */
    TAILQ_FOREACH (device, &bus->devices, link) {
        device->own_dirty = true;
        backend_queue(device);
    }

    int result = xendev_store_list(bus->store, XENDEV_NO_TXN, bus->root, &names);
    if (result < 0)
        return result == -ENOENT ? 0 : result;
    result = 0;
    for (char **name = names; result == 0 && *name != NULL; name++) {
        if (parse_path_number(*name, strlen(*name), PARSE_DOMID_LIMIT - 1, &domid))
            result = bus_scan_domain(bus, domid);
    }
    free(names);
    return result;
}

void bus_schedule(struct xendev_bus *bus, bool later)
{
    static const struct timeval second = {.tv_sec = 1};

    if (later)
        event_add(bus->run, &second);
    else
        event_active(bus->run, EV_TIMEOUT, 0);
}

static void on_run(evutil_socket_t fd, short what, void *arg)
{
    struct xendev_bus *bus = arg;
    struct backend_list again = TAILQ_HEAD_INITIALIZER(again);
    bool later = false;

    (void)fd;
    (void)what;
    if (bus->rescan) {
        bus->rescan = bus_scan(bus) < 0;
        later = bus->rescan;
    }
    while (!TAILQ_EMPTY(&bus->ready)) {
        struct xendev_backend *device = TAILQ_FIRST(&bus->ready);

        TAILQ_REMOVE(&bus->ready, device, ready_link);
        device->queued = false;
        if (backend_run(device) < 0) {
            if (device->queued) /* once more, by an effect that ended at once */
                TAILQ_REMOVE(&bus->ready, device, ready_link);
            device->queued = true;
            TAILQ_INSERT_TAIL(&again, device, ready_link);
            later = true;
        }
    }
    TAILQ_CONCAT(&bus->ready, &again, ready_link);
    if (later)
        bus_schedule(bus, true);
}

static void on_own_changed(void *arg, const char *path)
{
    static const char *const steering[] = {"",       "state",    "online",     "hotplug-status",
                                           "script", "frontend", "frontend-id"};
    struct xendev_bus *bus = arg;
    struct parse_bus_path changed = parse_bus_path(bus->root, path);

    if (changed.what == PARSE_BUS_DEVICE) {
        for (unsigned i = 0; i < sizeof(steering) / sizeof(steering[0]); i++) {
            if (strcmp(changed.key, steering[i]) != 0)
                continue;
            if (bus_look(bus, changed.domid, changed.devid) == 0)
                return;
            changed.what = PARSE_BUS_ALL; /* xenstored would not answer */
            break;
        }
    }
    if (changed.what == PARSE_BUS_ALL) {
        bus->rescan = true;
        bus_schedule(bus, false);
    }
}

static void on_domain_released(void *arg, const char *path)
{
    struct xendev_bus *bus = arg;
    struct xendev_backend *device = NULL;

    (void)path;
    TAILQ_FOREACH (device, &bus->devices, link) {
        device->domain_dirty = true;
        backend_queue(device);
    }
}

int xendev_bus_open(struct xendev_store *store, const char *kind, const struct xendev_backend_ops *ops, void *owner,
                    struct xendev_bus **ret_bus)
{
    struct xendev_bus *bus = calloc(1, sizeof(*bus));
    if (bus == NULL)
        return -ENOMEM;
    bus->store = store;
    bus->ops = ops;
    bus->owner = owner;
    TAILQ_INIT(&bus->devices);
    TAILQ_INIT(&bus->ready);

    int result = -ENAMETOOLONG;
    if (snprintf(bus->root, sizeof(bus->root), XENBUS_HOME "/backend/%s", kind) >= (int)sizeof(bus->root))
        goto free_bus;
    result = -ENOMEM;
    bus->run = event_new(store_base(store), -1, 0, on_run, bus);
    if (bus->run == NULL)
        goto free_bus;
    result = xendev_watch_add(store, bus->root, on_own_changed, bus, &bus->own_watch);
    if (result < 0)
        goto free_run;
    result = xendev_watch_add(store, "@releaseDomain", on_domain_released, bus, &bus->domain_watch);
    if (result < 0)
        goto remove_own_watch;
    *ret_bus = bus;
    return 0;

remove_own_watch:
    xendev_watch_remove(bus->own_watch);
free_run:
    event_free(bus->run);
free_bus:
    free(bus);
    return result;
}

void xendev_bus_close(struct xendev_bus *bus)
{
    if (bus == NULL)
        return;
    while (!TAILQ_EMPTY(&bus->devices))
        backend_free(TAILQ_FIRST(&bus->devices));
    xendev_watch_remove(bus->domain_watch);
    xendev_watch_remove(bus->own_watch);
    event_free(bus->run);
    free(bus);
}

void *xendev_bus_owner(const struct xendev_bus *bus)
{
    return bus->owner;
}

struct xendev_store *xendev_bus_store(const struct xendev_bus *bus)
{
    return bus->store;
}

struct xendev_backend *xendev_bus_next(struct xendev_bus *bus, struct xendev_backend *device)
{
    return device == NULL ? TAILQ_FIRST(&bus->devices) : TAILQ_NEXT(device, link);
}
