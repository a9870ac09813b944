/* SPDX-License-Identifier: MIT */
/*
 * The forwarding table of one bridge: behind which port an address was seen last. Pure: no system call; the time, in milliseconds
 * of any clock that does not go back, and the key of the hash come from the caller.
 *
 * Anybody may send from any number of addresses. So there is a most of entries, for the table and for each port, and who has the
 * most pays: a new address beyond its port's most takes the place of that port's oldest; beyond the table's, of the oldest of the port
 * that has the most entries. A port that floods the table with addresses thus has them displace each other, and never those of ports
 * with fewer.
 *
 * A port may own one address, the only one it may send from. That entry does not age, is not displaced and counts for no limit; other
 * ports cannot learn it, unless they own it too (a guest that migrates to its own host): then the last one that sent has it,
 * and when that one goes, another. So what a port owns is always in the table.
 *
 * Which bucket an address falls into is decided by a keyed hash, so that nobody outside can choose addresses that collide.
 */
#ifndef BRIDGE_FDB_H
#define BRIDGE_FDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define FDB_MAC_SIZE 6u
#define FDB_KEY_SIZE 16u

struct fdb;
struct fdb_entry;

TAILQ_HEAD(fdb_entries, fdb_entry);

/* A port as the table knows it; embedded by its user, the fields private but `arg` and the counts. */
struct fdb_port {
    TAILQ_ENTRY(fdb_port) next; /* fdb.ports */
    struct fdb_entries entries; /* learnt, the one that was seen longest ago first */
    unsigned count;             /* of these */
    uint64_t displaced;         /* how many of its entries had to give way to new ones */
    struct fdb_entry *own;      /* its own address, when the table has that for it */
    uint8_t mac[FDB_MAC_SIZE];  /* its own address */
    bool owns;
    void *arg;
};

struct fdb_limits {
    unsigned entries_max;  /* at least 1 */
    unsigned per_port_max; /* at least 1 */
    int64_t ageing;        /* milliseconds; an entry that was not seen for so long is gone */
};

int fdb_new(const uint8_t key[FDB_KEY_SIZE], const struct fdb_limits *limits, struct fdb **ret_fdb);
/* The ports must be gone. Takes NULL. */
void fdb_free(struct fdb *fdb);
/* Other limits from now on; entries beyond are displaced at once. */
void fdb_set_limits(struct fdb *fdb, const struct fdb_limits *limits);

/* Adds a port. With `mac` it owns that; NULL: it owns none. Returns 0, -ENOMEM. */
int fdb_port_add(struct fdb *fdb, struct fdb_port *port, const uint8_t *mac, void *arg);
/* Removes it with all its entries; its own address stays when another port owns it too. */
void fdb_port_remove(struct fdb *fdb, struct fdb_port *port);
/* Another address, or none, of its own from now on. What it learnt and may no longer send from is forgotten. Returns 0, -ENOMEM. */
int fdb_port_own(struct fdb *fdb, struct fdb_port *port, const uint8_t *mac);

/* `mac` sent through `port`. Returns 1 when it is new there, 0 when it was known to be, -EPERM when it is the address of another port,
 * -ENOMEM. */
int fdb_learn(struct fdb *fdb, struct fdb_port *port, const uint8_t mac[FDB_MAC_SIZE], int64_t now);
/* The port behind which `mac` is, or NULL. */
struct fdb_port *fdb_find(struct fdb *fdb, const uint8_t mac[FDB_MAC_SIZE], int64_t now);
/* Forgets what is too old. Returns how many entries that were. */
unsigned fdb_age(struct fdb *fdb, int64_t now);

/* Learnt entries; each port's own address is none. */
unsigned fdb_count(const struct fdb *fdb);
/* Changes with every entry that comes, goes or moves. */
uint64_t fdb_changes(const struct fdb *fdb);

struct fdb_seen {
    uint8_t mac[FDB_MAC_SIZE];
    bool own;     /* its port's own address */
    int64_t seen; /* when last; 0 for a port's own */
    const struct fdb_port *port;
};
/* Calls `each` for every entry, port by port, in each the oldest first and its own address last. The table must not be changed meanwhile. */
void fdb_each(const struct fdb *fdb, void (*each)(void *arg, const struct fdb_seen *entry), void *arg);

#endif
