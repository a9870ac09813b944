/* SPDX-License-Identifier: MIT */
/*
 * xenstore on an event loop: typed reads, transactions with a bounded number of retries, watches.
 *
 * A node is named by its directory and key; key NULL names the directory itself. `txn` is XENDEV_NO_TXN outside a
 * transaction. Calls block for one round trip to xenstored. One thread: the loop's.
 */
#ifndef XENDEV_STORE_H
#define XENDEV_STORE_H

#include <stdbool.h>
#include <stdint.h>

struct event_base;

struct xendev_store;
struct xendev_watch;

typedef uint32_t xendev_txn;
#define XENDEV_NO_TXN    ((xendev_txn)0)
#define XENDEV_VALUE_MAX 4096u /* bytes of a value, xenstored's own limit */

/* Connects. `lost` (may be NULL) is called once from the loop when the connection broke, with the first call that fails
 * for it or else within a second; close the store (from within `lost`, if you like) and open another. Until then every
 * call returns -ENOTCONN. Returns 0 or -errno. */
int xendev_store_open(struct event_base *base, void (*lost)(void *arg), void *arg, struct xendev_store **ret_store);
/* Removes the watches that are left. Takes NULL. */
void xendev_store_close(struct xendev_store *store);

/* The value as a string the caller frees. -ENOENT, -EACCES, -EINVAL (holds a NUL byte), another -errno. */
int xendev_store_read(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key, char **ret_value);
/* Strict decimal; -ERANGE when too large, -EINVAL when not a number. */
int xendev_store_read_u32(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key,
                          uint32_t *ret_value);
int xendev_store_read_u64(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key,
                          uint64_t *ret_value);
int xendev_store_write(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key, const char *format,
                       ...) __attribute__((format(printf, 5, 6)));
/* Removes a node and all below it; a missing one is no error. */
int xendev_store_remove(struct xendev_store *store, xendev_txn txn, const char *dir, const char *key);
/* The children's names in a NULL-terminated array freed by one free(). Returns their number; errors as read. */
int xendev_store_list(struct xendev_store *store, xendev_txn txn, const char *dir, char ***ret_names);

/* Gives a node, and what is created below it later, to `owner`, readable by `reader` too. */
int xendev_store_set_owner(struct xendev_store *store, xendev_txn txn, const char *dir, uint32_t owner,
                           uint32_t reader);

/* Runs `body` in a transaction: committed when it returns 0, else aborted and its value returned. Run again when
 * xenstored found a conflict, XENDEV_TXN_RETRIES times at most, then -EAGAIN. */
#define XENDEV_TXN_RETRIES 32
int xendev_store_transact(struct xendev_store *store,
                          int (*body)(struct xendev_store *store, xendev_txn txn, void *arg), void *arg);

/* Calls `changed` from the loop after `path` or anything below it changed, with the path that did, and once after it
 * was set. Events are drained from xenstored first and then delivered once for each different path; when there are more
 * of those than a watch holds (64), once with the watched path itself, which therefore always means "look at
 * everything". `changed` may add and remove watches, this one included, and close the store. */
int xendev_watch_add(struct xendev_store *store, const char *path, void (*changed)(void *arg, const char *path),
                     void *arg, struct xendev_watch **ret_watch);
/* Takes NULL. No call of `changed` follows. */
void xendev_watch_remove(struct xendev_watch *watch);

/* Whether the domain is known to xenstored (alive). Returns 1, 0 or -errno. */
int xendev_domain_exists(struct xendev_store *store, uint32_t domid);

/* Domain ids are reused; this tells two lives of one number apart: the uuid in the domain's `vm`, made of letters,
 * digits and '-'. A domain without one has "none". Returns 0 or -errno. */
#define XENDEV_IDENTITY_SIZE 48
int xendev_domain_identity(struct xendev_store *store, uint32_t domid, char ret_identity[XENDEV_IDENTITY_SIZE]);

#endif
