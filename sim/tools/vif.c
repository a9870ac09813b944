/* SPDX-License-Identifier: MIT */
/*
 * What libxl 4.17 does for a network device, and in which order: the nodes of both ends in one transaction; a wait for the back end's state to be exactly
 * 2; the hotplug script, here a few lines or any command; on detach online=0 and state=5, a wait for 6, the script again, and the nodes go.
 */
#include "vif.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xenstore.h>

#define STATE_WAIT  10 /* seconds, libxl's own */
#define INIT_WAIT   2u
#define CLOSED      6u
#define DEVICES_MAX 1000u
#define VALUE_MAX   512u
#define DEFAULT_MTU "1500"

struct vif {
    uint32_t domid, devid;
    const char *kind; /* of back end */
    const char *mac, *ip, *bridge, *script, *rate, *mtu, *vifname, *gatewaydev;
    const char *hotplug;    /* a command; NULL: what a script that succeeds leaves */
    unsigned hotplug_delay; /* milliseconds */
    unsigned state_wait;    /* seconds */
    char made_mac[18];
    char back[128], front[128];
    struct xs_handle *xs;
};

/* ---- The command line. ---------------------------------------------------------------------------------------------- */

static bool number_parse(const char *text, unsigned long limit, uint32_t *ret_number)
{
    char *end;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;

    if (!text || end == text || *end || value >= limit)
        return false;
    *ret_number = (uint32_t)value;
    return true;
}

static bool option_parse(struct vif *vif, const char *name, const char *value)
{
    const struct {
        const char *name;
        const char **value;
    } texts[] = {
        {"--mac", &vif->mac},         {"--ip", &vif->ip},           {"--bridge", &vif->bridge},
        {"--script", &vif->script},   {"--rate", &vif->rate},       {"--mtu", &vif->mtu},
        {"--kind", &vif->kind},       {"--vifname", &vif->vifname}, {"--gatewaydev", &vif->gatewaydev},
        {"--hotplug", &vif->hotplug},
    };

    if (!value)
        return false;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!strcmp(texts[i].name, name)) {
            *texts[i].value = value;
            return strlen(value) < VALUE_MAX;
        }
    }
    if (!strcmp(name, "--hotplug-delay"))
        return number_parse(value, 3600000, &vif->hotplug_delay);
    if (!strcmp(name, "--wait"))
        return number_parse(value, 3600, &vif->state_wait);
    return false;
}

static bool vif_parse(struct vif *vif, char **argv)
{
    *vif = (struct vif){
        .kind = "vif", .bridge = "xenbr0", .script = "/etc/xen/scripts/vif-bridge", .state_wait = STATE_WAIT};
    if (!number_parse(argv[0], 0x7ff0, &vif->domid) || !number_parse(argv[1], DEVICES_MAX, &vif->devid))
        return false;
    for (argv += 2; *argv; argv += 2) {
        if (!option_parse(vif, argv[0], argv[1]))
            return false;
    }
    if (!vif->mac) {
        snprintf(vif->made_mac, sizeof(vif->made_mac), "00:16:3e:%02x:%02x:%02x", vif->domid >> 8 & 0x7f,
                 vif->domid & 0xff, vif->devid & 0xff);
        vif->mac = vif->made_mac;
    }
    snprintf(vif->back, sizeof(vif->back), "/local/domain/0/backend/%.32s/%u/%u", vif->kind, vif->domid, vif->devid);
    snprintf(vif->front, sizeof(vif->front), "/local/domain/%u/device/vif/%u", vif->domid, vif->devid);
    return true;
}

static int fail(const struct vif *vif, const char *what)
{
    fprintf(stderr, "simxen: vif %u/%u: %s\n", vif->domid, vif->devid, what);
    return 1;
}

/* ---- Nodes. --------------------------------------------------------------------------------------------------------- */

static bool node_put(const struct vif *vif, xs_transaction_t txn, bool front, const char *key, const char *value)
{
    struct xs_permissions perms[2] = {{.id = front ? vif->domid : 0, .perms = XS_PERM_NONE},
                                      {.id = front ? 0 : vif->domid, .perms = XS_PERM_READ}};
    char path[256];

    if (!value)
        return true;
    snprintf(path, sizeof(path), "%s%s%s", front ? vif->front : vif->back, *key ? "/" : "", key);
    return xs_write(vif->xs, txn, path, value, (unsigned)strlen(value)) &&
           xs_set_permissions(vif->xs, txn, path, perms, 2);
}

static bool nodes_put(const struct vif *vif, xs_transaction_t txn)
{
    char domid[16], handle[16];
    const struct {
        bool front;
        const char *key, *value;
    } nodes[] = {
        {true, "", ""},
        {true, "backend", vif->back},
        {true, "backend-id", "0"},
        {true, "state", "1"},
        {true, "handle", handle},
        {true, "mac", vif->mac},
        {true, "trusted", "1"},
        {true, "mtu", vif->mtu ? vif->mtu : DEFAULT_MTU},
        {false, "", ""},
        {false, "frontend", vif->front},
        {false, "frontend-id", domid},
        {false, "online", "1"},
        {false, "state", "1"},
        {false, "script", vif->script},
        {false, "vifname", vif->vifname},
        {false, "mac", vif->mac},
        {false, "ip", vif->ip},
        {false, "gatewaydev", vif->gatewaydev},
        {false, "rate", vif->rate},
        {false, "mtu", vif->mtu},
        {false, "bridge", vif->bridge},
        {false, "handle", handle},
        {false, "type", "vif"},
        {false, "hotplug-status", ""},
    };

    snprintf(domid, sizeof(domid), "%u", vif->domid);
    snprintf(handle, sizeof(handle), "%u", vif->devid);
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (!node_put(vif, txn, nodes[i].front, nodes[i].key, nodes[i].value))
            return false;
    }
    return true;
}

static bool nodes_remove(const struct vif *vif, xs_transaction_t txn)
{
    return (xs_rm(vif->xs, txn, vif->front) || errno == ENOENT) && (xs_rm(vif->xs, txn, vif->back) || errno == ENOENT);
}

static bool close_put(const struct vif *vif, xs_transaction_t txn)
{
    return node_put(vif, txn, false, "online", "0") && node_put(vif, txn, false, "state", "5");
}

/* All or nothing, again as long as others write in between. */
static bool transact(const struct vif *vif, bool (*body)(const struct vif *vif, xs_transaction_t txn))
{
    for (unsigned tries = 0; tries < 32; tries++) {
        xs_transaction_t txn = xs_transaction_start(vif->xs);

        if (txn == XBT_NULL)
            return false;
        if (!body(vif, txn)) {
            (void)xs_transaction_end(vif->xs, txn, true);
            return false;
        }
        if (xs_transaction_end(vif->xs, txn, false))
            return true;
        if (errno != EAGAIN)
            return false;
    }
    return false;
}

static unsigned state_read(const struct vif *vif)
{
    char path[256], *value;
    unsigned state;

    snprintf(path, sizeof(path), "%s/state", vif->back);
    value = xs_read(vif->xs, XBT_NULL, path, NULL);
    state = value ? (unsigned)strtoul(value, NULL, 10) : 0;
    free(value);
    return state;
}

/* Wait for exactly that state, or for the node to be gone (0) when that is `gone_too`. */
static bool state_await(const struct vif *vif, unsigned wanted, bool gone_too)
{
    for (unsigned i = 0; i <= vif->state_wait * 100; i++) {
        unsigned state = state_read(vif);

        if (state == wanted || (gone_too && state == 0))
            return true;
        usleep(10000);
    }
    return false;
}

/* ---- The hotplug script's part. ------------------------------------------------------------------------------------- */

static bool script_run(const struct vif *vif, const char *what)
{
    char line[VALUE_MAX + 64], name[32];
    int status = -1;

    if (vif->hotplug_delay)
        usleep(vif->hotplug_delay * 1000);
    if (!vif->hotplug)
        return strcmp(what, "online") != 0 || node_put(vif, XBT_NULL, false, "hotplug-status", "connected");

    snprintf(name, sizeof(name), "vif%u.%u", vif->domid, vif->devid);
    setenv("XENBUS_PATH", vif->back + strlen("/local/domain/0/"), 1);
    setenv("XENBUS_TYPE", "vif", 1);
    setenv("XENBUS_BASE_PATH", "backend", 1);
    setenv("script", vif->script, 1);
    setenv("netdev", vif->gatewaydev ? vif->gatewaydev : "", 1);
    setenv("vif", name, 1); /* which the script renames to vifname */
    snprintf(line, sizeof(line), "%s %s type_if=vif", vif->hotplug, what);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", line, NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- The commands. -------------------------------------------------------------------------------------------------- */

static int detach(const struct vif *vif)
{
    bool closed;

    if (!transact(vif, close_put))
        return fail(vif, strerror(errno));
    closed = state_await(vif, CLOSED, true);
    (void)script_run(vif, "offline");
    if (!transact(vif, nodes_remove))
        return fail(vif, strerror(errno));
    return closed ? 0 : fail(vif, "the back end did not close; removed all the same");
}

/* As libxl: with what the script left, or the back end before it. */
static void script_fail(const struct vif *vif)
{
    char path[256], what[VALUE_MAX];
    char *error;

    snprintf(path, sizeof(path), "%s/hotplug-error", vif->back);
    error = xs_read(vif->xs, XBT_NULL, path, NULL);
    snprintf(what, sizeof(what), "the hotplug script failed%s%s", error ? ": " : "", error ? error : "");
    (void)fail(vif, what);
    free(error);
}

static int attach(const struct vif *vif)
{
    if (state_read(vif) != 0)
        return fail(vif, "there is one already");
    if (!transact(vif, nodes_put))
        return fail(vif, strerror(errno));
    if (!state_await(vif, INIT_WAIT, false)) {
        (void)fail(vif, "the back end's state did not become 2");
        (void)transact(vif, nodes_remove);
        return 1;
    }
    if (!script_run(vif, "online")) {
        script_fail(vif);
        (void)detach(vif);
        return 1;
    }
    return 0;
}

static int run(char **argv, bool attaching)
{
    struct vif vif;
    int status;

    if (!argv[0] || !vif_parse(&vif, argv))
        return 2;
    vif.xs = xs_open(0);
    if (!vif.xs)
        return fail(&vif, "cannot open xenstore");
    if (attaching)
        status = attach(&vif);
    else
        status = state_read(&vif) == 0 ? fail(&vif, "there is none") : detach(&vif);
    xs_close(vif.xs);
    return status;
}

int vif_attach(char **argv)
{
    return run(argv, true);
}

int vif_detach(char **argv)
{
    return run(argv, false);
}
