/* SPDX-License-Identifier: MIT */
#include "nodes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum owner { DOM0_ONLY, GUEST_READS, GUEST_OWNS };

/* Write a node with the permissions xl gives it; false and errno. */
static bool node_write(struct xs_handle *xs, uint32_t domid, enum owner owner, const char *value, const char *format,
                       ...) __attribute__((format(printf, 5, 6)));

static bool node_write(struct xs_handle *xs, uint32_t domid, enum owner owner, const char *value, const char *format,
                       ...)
{
    struct xs_permissions perms[2] = {{.id = 0, .perms = XS_PERM_NONE}, {.id = domid, .perms = XS_PERM_READ}};
    char path[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(path, sizeof(path), format, arguments);
    va_end(arguments);
    if (owner == GUEST_OWNS)
        perms[0].id = domid;
    return (value ? xs_write(xs, XBT_NULL, path, value, (unsigned)strlen(value)) : xs_mkdir(xs, XBT_NULL, path)) &&
           xs_set_permissions(xs, XBT_NULL, path, perms, owner == GUEST_READS ? 2 : 1);
}

int nodes_dom0_write(struct xs_handle *xs)
{
    static const char uuid[] = "00000000-0000-0000-0000-000000000000";
    bool good = node_write(xs, 0, DOM0_ONLY, "Domain-0", "/vm/%s/name", uuid) &&
                node_write(xs, 0, DOM0_ONLY, uuid, "/vm/%s/uuid", uuid) &&
                node_write(xs, 0, DOM0_ONLY, "/vm/00000000-0000-0000-0000-000000000000", "/local/domain/0/vm") &&
                node_write(xs, 0, DOM0_ONLY, "0", "/local/domain/0/domid") &&
                node_write(xs, 0, DOM0_ONLY, "Domain-0", "/local/domain/0/name") &&
                node_write(xs, 0, DOM0_ONLY, NULL, "/local/domain/0/backend") &&
                node_write(xs, 0, DOM0_ONLY, NULL, "/libxl/0");

    return good ? 0 : -errno;
}

int nodes_domain_write(struct xs_handle *xs, uint32_t domid, uint32_t port, const char *uuid, const char *name)
{
    static const struct {
        const char *name;
        enum owner owner;
    } directory[] = {
        {"cpu", GUEST_READS},     {"memory", GUEST_READS}, {"device", GUEST_READS},
        {"control", GUEST_READS}, {"data", GUEST_OWNS},    {"drivers", GUEST_OWNS},
        {"feature", GUEST_OWNS},  {"attr", GUEST_OWNS},    {"error", GUEST_OWNS},
    };
    char value[64], vm[64];
    bool good;

    snprintf(vm, sizeof(vm), "/vm/%s", uuid);
    good = node_write(xs, domid, GUEST_READS, NULL, "/local/domain/%u", domid) &&
           node_write(xs, domid, GUEST_READS, NULL, "%s", vm) &&
           node_write(xs, domid, GUEST_READS, name, "%s/name", vm) &&
           node_write(xs, domid, GUEST_READS, uuid, "%s/uuid", vm);
    snprintf(value, sizeof(value), "%lld.00", (long long)time(NULL));
    good = good && node_write(xs, domid, GUEST_READS, value, "%s/start_time", vm) &&
           node_write(xs, domid, GUEST_READS, vm, "/local/domain/%u/vm", domid) &&
           node_write(xs, domid, GUEST_READS, name, "/local/domain/%u/name", domid);
    snprintf(value, sizeof(value), "%u", domid);
    good = good && node_write(xs, domid, GUEST_READS, value, "/local/domain/%u/domid", domid);
    for (size_t i = 0; good && i < sizeof(directory) / sizeof(directory[0]); i++)
        good = node_write(xs, domid, directory[i].owner, NULL, "/local/domain/%u/%s", domid, directory[i].name);
    good = good && node_write(xs, domid, GUEST_OWNS, "", "/local/domain/%u/control/shutdown", domid) &&
           node_write(xs, domid, DOM0_ONLY, NULL, "/libxl/%u", domid) && xs_introduce_domain(xs, domid, 0, port);
    return good ? 0 : -errno;
}

/* Call @visit for each backend node of @domid. */
static void backends_visit(struct xs_handle *xs, uint32_t domid,
                           void (*visit)(struct xs_handle *xs, const char *path, void *context), void *context)
{
    unsigned kinds, devices;
    char **kind = xs_directory(xs, XBT_NULL, "/local/domain/0/backend", &kinds), path[512];

    for (unsigned i = 0; kind && i < kinds; i++) {
        char **device;

        snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u", kind[i], domid);
        device = xs_directory(xs, XBT_NULL, path, &devices);
        for (unsigned j = 0; device && j < devices; j++) {
            snprintf(path, sizeof(path), "/local/domain/0/backend/%s/%u/%s", kind[i], domid, device[j]);
            visit(xs, path, context);
        }
        free(device);
    }
    free(kind);
}

static unsigned state_read(struct xs_handle *xs, const char *backend)
{
    char path[600], *value;
    unsigned state;

    snprintf(path, sizeof(path), "%s/state", backend);
    value = xs_read(xs, XBT_NULL, path, NULL);
    state = value ? (unsigned)strtoul(value, NULL, 10) : 6;
    free(value);
    return state;
}

static void backend_close(struct xs_handle *xs, const char *backend, void *context)
{
    char path[600], *front;

    (void)context;
    snprintf(path, sizeof(path), "%s/frontend", backend);
    front = xs_read(xs, XBT_NULL, path, NULL);
    if (front)
        (void)xs_rm(xs, XBT_NULL, front);
    free(front);
    if (state_read(xs, backend) >= 5)
        return;
    snprintf(path, sizeof(path), "%s/online", backend);
    (void)xs_write(xs, XBT_NULL, path, "0", 1);
    snprintf(path, sizeof(path), "%s/state", backend);
    (void)xs_write(xs, XBT_NULL, path, "5", 1);
}

static void backend_count_open(struct xs_handle *xs, const char *backend, void *context)
{
    if (state_read(xs, backend) != 6)
        ++*(unsigned *)context;
}

static void backend_remove(struct xs_handle *xs, const char *backend, void *context)
{
    (void)context;
    (void)xs_rm(xs, XBT_NULL, backend);
}

void nodes_backends_close(struct xs_handle *xs, uint32_t domid, unsigned seconds)
{
    unsigned open = 1;

    backends_visit(xs, domid, backend_close, NULL);
    for (unsigned i = 0; open && i < seconds * 100; i++) {
        open = 0;
        backends_visit(xs, domid, backend_count_open, &open);
        if (open)
            usleep(10000);
    }
    backends_visit(xs, domid, backend_remove, NULL);
}

void nodes_domain_remove(struct xs_handle *xs, uint32_t domid)
{
    char path[64], *vm;

    snprintf(path, sizeof(path), "/local/domain/%u/vm", domid);
    vm = xs_read(xs, XBT_NULL, path, NULL);
    if (vm && !strncmp(vm, "/vm/", 4))
        (void)xs_rm(xs, XBT_NULL, vm);
    free(vm);
    snprintf(path, sizeof(path), "/local/domain/%u", domid);
    (void)xs_rm(xs, XBT_NULL, path);
    snprintf(path, sizeof(path), "/libxl/%u", domid);
    (void)xs_rm(xs, XBT_NULL, path);
}
