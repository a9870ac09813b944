/* SPDX-License-Identifier: MIT */
/*
 * The forwarding table: uthash, which grows with what is in it, over SipHash of libsodium; and for each port a list of its entries, the one
 * seen longest ago first. What is displaced is always the first one of a list; what is seen moves to the end of its own.
 */
#include "fdb.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

static_assert(FDB_KEY_SIZE == crypto_shorthash_KEYBYTES, "the key of SipHash");

struct fdb_entry {
    UT_hash_handle hh;            /* fdb.table */
    TAILQ_ENTRY(fdb_entry) older; /* fdb_port.entries, but for a port's own address */
    struct fdb_port *port;
    int64_t seen;
    uint8_t mac[FDB_MAC_SIZE];
};

struct fdb {
    uint8_t key[FDB_KEY_SIZE];
    struct fdb_limits limits;
    struct fdb_entry *table;
    TAILQ_HEAD(fdb_ports, fdb_port) ports;
    unsigned count;
    uint64_t changes;
};

static unsigned hash(const struct fdb *fdb, const uint8_t mac[FDB_MAC_SIZE])
{
    unsigned char out[crypto_shorthash_BYTES];
    unsigned value;

    crypto_shorthash(out, mac, FDB_MAC_SIZE, fdb->key);
    memcpy(&value, out, sizeof(value));
    return value;
}

static struct fdb_entry *find(const struct fdb *fdb, const uint8_t mac[FDB_MAC_SIZE])
{
    struct fdb_entry *entry;

    HASH_FIND_BYHASHVALUE(hh, fdb->table, mac, FDB_MAC_SIZE, hash(fdb, mac), entry);
    return entry;
}

static bool is_own(const struct fdb_entry *entry)
{
    return entry->port->own == entry;
}

static bool is_old(const struct fdb *fdb, const struct fdb_entry *entry, int64_t now)
{
    return !is_own(entry) && now - entry->seen >= fdb->limits.ageing;
}

/* Takes an entry from its port; it stays in the table. */
static void leave_port(struct fdb *fdb, struct fdb_entry *entry)
{
    struct fdb_port *port = entry->port;

    if (port->own == entry) {
        port->own = NULL;
    } else {
        TAILQ_REMOVE(&port->entries, entry, older);
        port->count--;
        fdb->count--;
    }
    entry->port = NULL;
    fdb->changes++;
}

/* Gives it to one, as its own address or as a learnt one. */
static void join_port(struct fdb *fdb, struct fdb_entry *entry, struct fdb_port *port, bool own, int64_t now)
{
    entry->port = port;
    entry->seen = now;
    if (own) {
        port->own = entry;
    } else {
        TAILQ_INSERT_TAIL(&port->entries, entry, older);
        port->count++;
        fdb->count++;
    }
    fdb->changes++;
}

static void forget(struct fdb *fdb, struct fdb_entry *entry)
{
    leave_port(fdb, entry);
    HASH_DELETE(hh, fdb->table, entry);
    free(entry);
}

/* ---- Limits. ------------------------------------------------------------------------------------------------------ */

static struct fdb_port *port_with_most(const struct fdb *fdb)
{
    struct fdb_port *most = NULL, *port;

    TAILQ_FOREACH (port, &fdb->ports, next)
        if (most == NULL || port->count > most->count)
            most = port;
    return most;
}

static void displace(struct fdb *fdb, struct fdb_port *port)
{
    port->displaced++;
    forget(fdb, TAILQ_FIRST(&port->entries));
}

/* Until `port` may have one more. */
static void make_room(struct fdb *fdb, struct fdb_port *port)
{
    while (port->count >= fdb->limits.per_port_max)
        displace(fdb, port);
    while (fdb->count >= fdb->limits.entries_max) {
        struct fdb_port *most = port_with_most(fdb);
        /* Who has as many as any has too many with one more. */
        displace(fdb, port->count >= most->count ? port : most);
    }
}

void fdb_set_limits(struct fdb *fdb, const struct fdb_limits *limits)
{
    struct fdb_port *port;

    fdb->limits = *limits;
    TAILQ_FOREACH (port, &fdb->ports, next)
        while (port->count > limits->per_port_max)
            displace(fdb, port);
    while (fdb->count > limits->entries_max)
        displace(fdb, port_with_most(fdb));
}

/* ---- Entries. ----------------------------------------------------------------------------------------------------- */

/* Returns 0, with an entry that has no port yet, or -ENOMEM. */
static int make(struct fdb *fdb, const uint8_t mac[FDB_MAC_SIZE], struct fdb_entry **ret_entry)
{
    struct fdb_entry *entry = calloc(1, sizeof(*entry));
    bool added = true;

    if (entry == NULL)
        return -ENOMEM;
    memcpy(entry->mac, mac, FDB_MAC_SIZE);
#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(element) added = false
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, fdb->table, entry->mac, FDB_MAC_SIZE, hash(fdb, mac), entry);
    if (!added) {
        free(entry);
        return -ENOMEM;
    }
    *ret_entry = entry;
    return 0;
}

static bool owns(const struct fdb_port *port, const uint8_t mac[FDB_MAC_SIZE])
{
    return port->owns && memcmp(port->mac, mac, FDB_MAC_SIZE) == 0;
}

int fdb_learn(struct fdb *fdb, struct fdb_port *port, const uint8_t mac[FDB_MAC_SIZE], int64_t now)
{
    const bool own = owns(port, mac);
    struct fdb_entry *entry;
    int err;

    if (own && port->own != NULL)
        return 0; /* nearly every frame of a guest's */
    entry = find(fdb, mac);
    if (entry != NULL && entry->port == port) {
        if (!is_own(entry)) {
            entry->seen = now;
            TAILQ_REMOVE(&port->entries, entry, older);
            TAILQ_INSERT_TAIL(&port->entries, entry, older);
        }
        return 0;
    }
    if (entry != NULL) {
        if (is_own(entry) && !own)
            return -EPERM;
        leave_port(fdb, entry);
    } else {
        err = make(fdb, mac, &entry);
        if (err < 0)
            return err;
    }
    if (!own)
        make_room(fdb, port);
    join_port(fdb, entry, port, own, now);
    return 1;
}

struct fdb_port *fdb_find(struct fdb *fdb, const uint8_t mac[FDB_MAC_SIZE], int64_t now)
{
    const struct fdb_entry *entry = find(fdb, mac);

    return entry == NULL || is_old(fdb, entry, now) ? NULL : entry->port;
}

unsigned fdb_age(struct fdb *fdb, int64_t now)
{
    struct fdb_entry *entry;
    struct fdb_port *port;
    unsigned gone = 0;

    TAILQ_FOREACH (port, &fdb->ports, next)
        while ((entry = TAILQ_FIRST(&port->entries)) != NULL && is_old(fdb, entry, now)) {
            forget(fdb, entry);
            gone++;
        }
    return gone;
}

/* ---- Ports. ------------------------------------------------------------------------------------------------------- */

/* Its own address goes to another port that owns it too, or is forgotten. */
static void disown(struct fdb *fdb, const struct fdb_port *port)
{
    struct fdb_entry *entry = port->own;
    struct fdb_port *heir;

    if (entry == NULL)
        return;
    TAILQ_FOREACH (heir, &fdb->ports, next)
        if (heir != port && owns(heir, entry->mac)) {
            leave_port(fdb, entry);
            join_port(fdb, entry, heir, true, 0);
            return;
        }
    forget(fdb, entry);
}

int fdb_port_own(struct fdb *fdb, struct fdb_port *port, const uint8_t *mac)
{
    struct fdb_entry *entry = NULL, *learnt;
    int err;

    if (mac != NULL && owns(port, mac))
        return 0;
    if (mac != NULL) { /* first what can fail */
        entry = find(fdb, mac);
        err = entry == NULL ? make(fdb, mac, &entry) : 0;
        if (err < 0)
            return err;
    }
    disown(fdb, port);
    port->owns = mac != NULL;
    if (mac == NULL)
        return 0;
    memcpy(port->mac, mac, FDB_MAC_SIZE);
    /* One that another port owns stays there, until this one sends. */
    if (entry->port == NULL || !is_own(entry)) {
        if (entry->port != NULL)
            leave_port(fdb, entry);
        join_port(fdb, entry, port, true, 0);
    }
    while ((learnt = TAILQ_FIRST(&port->entries)) != NULL)
        forget(fdb, learnt);
    return 0;
}

int fdb_port_add(struct fdb *fdb, struct fdb_port *port, const uint8_t *mac, void *arg)
{
    int err;

    *port = (struct fdb_port){.arg = arg};
    TAILQ_INIT(&port->entries);
    err = fdb_port_own(fdb, port, mac);
    if (err < 0)
        return err;
    TAILQ_INSERT_TAIL(&fdb->ports, port, next);
    return 0;
}

void fdb_port_remove(struct fdb *fdb, struct fdb_port *port)
{
    struct fdb_entry *entry;

    while ((entry = TAILQ_FIRST(&port->entries)) != NULL)
        /* It was taken out of its list, by the link to the one before, which clang 14 does not see. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        forget(fdb, entry);
    disown(fdb, port);
    TAILQ_REMOVE(&fdb->ports, port, next);
}

/* ---- The whole. --------------------------------------------------------------------------------------------------- */

int fdb_new(const uint8_t key[FDB_KEY_SIZE], const struct fdb_limits *limits, struct fdb **ret_fdb)
{
    struct fdb *fdb = calloc(1, sizeof(*fdb));

    if (fdb == NULL)
        return -ENOMEM;
    memcpy(fdb->key, key, FDB_KEY_SIZE);
    fdb->limits = *limits;
    TAILQ_INIT(&fdb->ports);
    *ret_fdb = fdb;
    return 0;
}

void fdb_free(struct fdb *fdb)
{
    free(fdb);
}

unsigned fdb_count(const struct fdb *fdb)
{
    return fdb->count;
}

uint64_t fdb_changes(const struct fdb *fdb)
{
    return fdb->changes;
}

static void tell(const struct fdb_entry *entry, bool own, void (*each)(void *arg, const struct fdb_seen *entry),
                 void *arg)
{
    struct fdb_seen seen = {.own = own, .seen = own ? 0 : entry->seen, .port = entry->port};

    memcpy(seen.mac, entry->mac, FDB_MAC_SIZE);
    each(arg, &seen);
}

void fdb_each(const struct fdb *fdb, void (*each)(void *arg, const struct fdb_seen *entry), void *arg)
{
    const struct fdb_entry *entry;
    const struct fdb_port *port;

    TAILQ_FOREACH (port, &fdb->ports, next) {
        TAILQ_FOREACH (entry, &port->entries, older)
            tell(entry, false, each, arg);
        if (port->own != NULL)
            tell(port->own, true, each, arg);
    }
}
