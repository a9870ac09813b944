/* SPDX-License-Identifier: MIT */
/* Greetings: see greeting.h, which is frozen. */
#include "greeting.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static_assert(sizeof(struct greeting) == 128 && offsetof(struct greeting, build) == 24, "frozen");

void greeting_make(enum greeting_order order, uint32_t channel_version, uint32_t journal_version, const char *build,
                   struct greeting *ret_greeting)
{
    *ret_greeting = (struct greeting){.magic = GREETING_MAGIC,
                                      .size = sizeof(*ret_greeting),
                                      .order = order,
                                      .channel_version = channel_version,
                                      .journal_version = journal_version};
    snprintf(ret_greeting->build, sizeof(ret_greeting->build), "%s", build);
}

int greeting_check(const struct greeting *greeting)
{
    if (greeting->magic != GREETING_MAGIC || greeting->size != sizeof(*greeting) ||
        memchr(greeting->build, '\0', sizeof(greeting->build)) == NULL)
        return -EPROTO;
    for (const char *at = greeting->build; *at != '\0'; at++) {
        if (!isgraph((unsigned char)*at))
            return -EPROTO;
    }
    return 0;
}
