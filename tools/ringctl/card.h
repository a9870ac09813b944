/* SPDX-License-Identifier: MIT */
/*
 * What a network card is to be like: xl's words for it.
 *
 * Source: xl-network-configuration(5).
 */
#ifndef RINGCTL_CARD_H
#define RINGCTL_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include "rate.h"

#define CARD_SCRIPTS "/etc/xen/scripts"

struct card {
    char bridge[64];
    char mac[18];     /* "" : to be made up */
    char script[256]; /* its path; "": none */
    char ip[256];     /* a list, separated by spaces */
    char vifname[16]; /* what Linux takes for a name */
    struct rate rate; /* bytes 0: no limit */
    uint32_t mtu;     /* 0: nothing is said */
    bool has_devid;   /* else the next free one */
    uint32_t devid;
};

/* Reads operands, up to a NULL, each KEY=VALUE or several with commas between. A script without a path is one of xl's;
 * when none is given it is vif-bridge. Returns 0, or -EINVAL with a sentence for people in `ret_reason`. */
#define CARD_REASON_SIZE 256
int card_parse(const char *const *operands, struct card *ret_card, char ret_reason[CARD_REASON_SIZE]);

/* A MAC address of Xen's prefix, from three random bytes. */
void card_make_mac(struct card *card, const uint8_t random[3]);

#endif
