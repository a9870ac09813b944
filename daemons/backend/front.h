/* SPDX-License-Identifier: MIT */
/*
 * Keys of a front end, in a part of xenstore that belongs to its guest. Everything there is hostile.
 */
#ifndef BACKEND_FRONT_H
#define BACKEND_FRONT_H

#include <stdbool.h>
#include <stdint.h>

struct backend_error;
struct xendev_store;

#define FRONT_PREFIX_SIZE 24

/* Where the keys are, and where it is said what is wrong with them. */
struct front {
    struct xendev_store *store;
    const char *directory;
    struct backend_error *error;
    char prefix[FRONT_PREFIX_SIZE]; /* of all keys: "queue-1/"; else "" */
};

/* Says that a key is not what it must be. Returns `err`. */
int front_refuse(const struct front *front, int err, const char *key, const char *reason);
/* Returns 0, or -errno with the reason: -ENOENT for a key that is missing. */
int front_read_number(const struct front *front, const char *key, uint32_t *ret_value);
/* The same for an event channel: a number that one can have, else -EINVAL. */
int front_read_channel(const struct front *front, const char *key, uint32_t *ret_channel);
/* How many queues the front end asks for, as the public headers of blkif and netif have it: 1 when it says nothing. Returns 0, or -errno with the reason: it
 * is none, or more than `queues_max`. */
int front_read_queue_count(const struct front *front, uint32_t queues_max, uint32_t *ret_count);
/* Where the keys of one of `count` queues are: of several, each has a directory of its own. */
struct front front_queue(const struct front *front, uint32_t index, uint32_t count);
/* Whether the key is 1; what is missing, or nonsense, declines. */
bool front_says_yes(const struct front *front, const char *key);

#endif
