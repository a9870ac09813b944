/* SPDX-License-Identifier: MIT */
/*
 * What the commands share that change a disk under its guest: the daemon takes a wish and goes on by itself; its report of the disk tells how that ends.
 */
#ifndef RINGCTL_WISH_H
#define RINGCTL_WISH_H

#include <jansson.h>

#include "domain.h"
#include "ringctl.h"

struct wish {
    const struct ringctl_options *options;
    const char *text; /* the disk, as given */
    struct target target;
    char path[80]; /* of the disk, at the daemon */
    char missing[128];
};

/* Finds out which disk is meant; `why_not` is what is wrong with a network card. RINGCTL_OK, or another status after saying why, as all of these. */
enum ringctl_exit wish_open(struct wish *wish, const struct ringctl_options *options, const char *text,
                            const char *why_not);

/* Says it; `body`, which may be NULL, is taken over. `ret_answer` is to be freed. */
enum ringctl_exit wish_say(const struct wish *wish, const char *verb, json_t *body, json_t **ret_answer);

/* Looks at the disk again and again, for `seconds` at most or, with 0, for as long as it takes, until `judge` says that it is done, or what is wrong.
 * RINGCTL_TIMEOUT, of which nothing is said, when it does neither in time. */
enum ringctl_exit wish_await(const struct wish *wish, unsigned seconds,
                             enum ringctl_exit (*judge)(void *arg, const json_t *device, bool *ret_done), void *arg);

#endif
