/* SPDX-License-Identifier: MIT */
/*
 * The bridges there are: see served.h. What is saved of them is in tables.c.
 */
#include "served.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ports.h"
#include "shm.h"
#include "tables.h"
#include "tap.h"

#define GATHER_TICKS   5u  /* how long all wait for the ports of a client that does not come */
#define SAVE_TICKS     2u  /* between two looks whether a table has changed */
#define SAVE_ALL_TICKS 60u /* and for how long what was only seen again goes unsaved */

struct served_bridge *served_find(struct tapbridge *tapbridge, const char *name)
{
    struct served_bridge *served;

    TAILQ_FOREACH (served, &tapbridge->bridges, next)
        if (strcmp(served->bridge.name, name) == 0)
            return served;
    return NULL;
}

uint32_t served_group(const struct served_bridge *served, uint32_t flags, uint32_t group)
{
    return served->config.isolated || (flags & PORT_ISOLATED) ? SERVED_GROUP_ISOLATED : group;
}

void served_restore(struct served_bridge *served, struct bridge_port *port)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < served->waiting_count; i++) {
        const struct saved_entry *entry = &served->waiting[i];
        if (strcmp(entry->port, port->name) != 0)
            served->waiting[left++] = *entry;
        else if (port->filter.any_mac) /* others send from their own only, which is known */
            fdb_learn(served->bridge.fdb, &port->fdb, entry->mac, entry->seen);
    }
    served->waiting_count = left;
}

/* ---- Taps. -------------------------------------------------------------------------------------------------------- */

/* The next name of a list, or false. */
static bool next_name(const char **at, char name[TAP_NAME_SIZE], bool *ret_valid)
{
    *at += strspn(*at, " \t");
    const size_t length = strcspn(*at, " \t");
    if (length == 0)
        return false;
    *ret_valid = length < TAP_NAME_SIZE;
    if (*ret_valid) {
        memcpy(name, *at, length);
        name[length] = '\0';
        *ret_valid = tap_name_is_valid(name);
    }
    *at += length;
    return true;
}

const char *served_check_taps(const char *text)
{
    char name[TAP_NAME_SIZE];
    unsigned count = 0;
    bool valid;

    if (strcmp(text, "none") == 0)
        return NULL;
    for (const char *at = text; next_name(&at, name, &valid); count++)
        if (!valid)
            return "not a list of names of devices, with blanks between";
    return count > TAPBRIDGE_TAPS_MAX ? "too many taps" : NULL;
}

/* Puts a tap that can be had on its bridge. */
static void open_tap(struct served_bridge *served, struct tap_port *tap)
{
    int err = tap_open(tap, served->tapbridge->base);

    if (err == 0) {
        err = switch_port_add(&served->bridge, &tap->port);
        if (err < 0)
            tap_close(tap);
    }
    if (err < 0) {
        if (err != tap->error)
            log_error(&tap->log, "%s: %s, tried again until it works", served->bridge.name,
                      err == -EBUSY ? "somebody else has this tap open" : strerror(-err));
    } else {
        log_info(&tap->log, "a port of %s", served->bridge.name);
        served_restore(served, &tap->port);
        if (!served->tapbridge->gathering)
            tap_begin(tap);
    }
    tap->error = err;
}

static void shut_tap(struct tap_port *tap)
{
    if (tap->fd < 0)
        return;
    switch_port_remove(&tap->port);
    tap_close(tap);
}

static void want_tap(struct served_bridge *served, const char *name, uint32_t group)
{
    struct tap_port *tap;

    TAILQ_FOREACH (tap, &served->taps, next)
        if (strcmp(tap->port.name, name) == 0)
            break;
    if (tap == NULL) {
        tap = calloc(1, sizeof(*tap));
        if (tap == NULL) {
            log_error(NULL, "%s: no memory for tap %s", served->bridge.name, name);
            return;
        }
        tap->fd = -1;
        tap->port.filter.any_mac = true;
        snprintf(tap->port.name, sizeof(tap->port.name), "%s", name);
        log_source_init(&tap->log, "tap %s", name);
        TAILQ_INSERT_TAIL(&served->taps, tap, next);
    }
    tap->wanted = true;
    tap->port.group = group;
}

static void want_taps(struct served_bridge *served, const char *list, uint32_t group)
{
    char name[TAP_NAME_SIZE];
    bool valid;

    if (strcmp(list, "none") == 0)
        return;
    for (const char *at = list; next_name(&at, name, &valid);)
        want_tap(served, name, group);
}

static void drop_tap(struct served_bridge *served, struct tap_port *tap)
{
    shut_tap(tap);
    TAILQ_REMOVE(&served->taps, tap, next);
    free(tap);
}

static void drop_unwanted_taps(struct served_bridge *served)
{
    struct tap_port *tap = TAILQ_FIRST(&served->taps), *after;

    for (; tap != NULL; tap = after) {
        after = TAILQ_NEXT(tap, next);
        if (!tap->wanted)
            drop_tap(served, tap);
        else
            tap->wanted = false;
    }
}

static void open_missing_taps(struct served_bridge *served)
{
    struct tap_port *tap;

    TAILQ_FOREACH (tap, &served->taps, next) {
        /* It was taken out of its list, by the link to the one before, which clang 14 does not see. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        if (tap->fd >= 0 && tap->port.closed)
            shut_tap(tap);
        if (tap->fd < 0)
            open_tap(served, tap);
    }
}

/* ---- Bridges. ----------------------------------------------------------------------------------------------------- */

static struct fdb_limits limits_of(const struct served_config *config)
{
    return (struct fdb_limits){
        .entries_max = (unsigned)config->entries_max,
        .per_port_max = (unsigned)config->entries_per_port_max,
        .ageing = (int64_t)config->ageing * 1000,
    };
}

static int make(struct tapbridge *tapbridge, const char *name, const struct served_config *config,
                struct served_bridge **ret_served)
{
    const struct fdb_limits limits = limits_of(config);
    struct served_bridge *served = calloc(1, sizeof(*served));

    if (served == NULL)
        return -ENOMEM;
    if (switch_init(&served->bridge, name, tapbridge->key, &limits) < 0) {
        free(served);
        return -ENOMEM;
    }
    served->tapbridge = tapbridge;
    log_source_init(&served->log, "bridge %s", name);
    TAILQ_INIT(&served->shms);
    TAILQ_INIT(&served->taps);
    tables_load(served);
    TAILQ_INSERT_TAIL(&tapbridge->bridges, served, next);
    *ret_served = served;
    return 0;
}

static void drop(struct tapbridge *tapbridge, struct served_bridge *served)
{
    while (!TAILQ_EMPTY(&served->shms))
        ports_detach(TAILQ_FIRST(&served->shms));
    while (!TAILQ_EMPTY(&served->taps))
        /* It was taken out of its list, by the link to the one before, which clang 14 does not see. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        drop_tap(served, TAILQ_FIRST(&served->taps));
    TAILQ_REMOVE(&tapbridge->bridges, served, next);
    switch_fini(&served->bridge);
    free(served->waiting);
    free(served);
}

static void change(struct served_bridge *served, const struct served_config *config)
{
    const struct fdb_limits limits = limits_of(config);
    struct shm_port *port;

    fdb_set_limits(served->bridge.fdb, &limits);
    served->config = *config;
    served->config.taps = served->config.uplinks = NULL;
    TAILQ_FOREACH (port, &served->shms, next)
        port->port.group = served_group(served, port->flags, port->group);
    want_taps(served, config->taps, 0);
    want_taps(served, config->uplinks, SERVED_GROUP_UPLINKS);
    drop_unwanted_taps(served);
    open_missing_taps(served);
}

static bool is_configured(const struct tapbridge *tapbridge, const char *name)
{
    for (unsigned i = 0; i < tapbridge->family.count; i++)
        if (strcmp(config_family_name(&tapbridge->family, i), name) == 0)
            return true;
    return false;
}

bool served_apply(struct tapbridge *tapbridge)
{
    struct served_bridge *served = TAILQ_FIRST(&tapbridge->bridges), *after;
    bool other = false;

    for (; served != NULL; served = after) {
        after = TAILQ_NEXT(served, next);
        if (is_configured(tapbridge, served->bridge.name))
            continue;
        log_info(NULL, "bridge %s is gone", served->bridge.name);
        tables_forget(served);
        drop(tapbridge, served);
        other = true;
    }
    for (unsigned i = 0; i < tapbridge->family.count; i++) {
        const struct served_config *config = tapbridge->family.tables[i].values;
        const char *name = config_family_name(&tapbridge->family, i);
        served = served_find(tapbridge, name);
        if (served == NULL) {
            if (make(tapbridge, name, config, &served) < 0) {
                log_error(NULL, "bridge %s: out of memory", name);
                continue;
            }
            log_info(NULL, "bridge %s serves", name);
            other = true;
        }
        change(served, config);
    }
    return other;
}

void served_free_all(struct tapbridge *tapbridge)
{
    struct served_bridge *served;

    while ((served = TAILQ_FIRST(&tapbridge->bridges)) != NULL) {
        /* It was taken out of its list, by the link to the one before, which clang 14 does not see. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        tables_save(served);
        drop(tapbridge, served);
    }
}

void served_gathered(struct tapbridge *tapbridge)
{
    struct served_bridge *served;
    struct shm_port *port;
    struct tap_port *tap;

    if (!tapbridge->gathering)
        return;
    tapbridge->gathering = false;
    TAILQ_FOREACH (served, &tapbridge->bridges, next) {
        TAILQ_FOREACH (port, &served->shms, next)
            shm_begin(port);
        TAILQ_FOREACH (tap, &served->taps, next)
            tap_begin(tap);
    }
}

void served_tick(struct tapbridge *tapbridge)
{
    const int64_t now = tapbridge_now();
    struct served_bridge *served;

    if (++tapbridge->ticks == GATHER_TICKS)
        served_gathered(tapbridge);
    TAILQ_FOREACH (served, &tapbridge->bridges, next) {
        fdb_age(served->bridge.fdb, now);
        open_missing_taps(served);
        if (tapbridge->ticks % SAVE_ALL_TICKS == 0 ||
            (tapbridge->ticks % SAVE_TICKS == 0 && fdb_changes(served->bridge.fdb) != served->changes_saved))
            tables_save(served);
    }
}
