/* SPDX-License-Identifier: MIT */
/*
 * What a toolstack says of a network card, and what is recorded of that for a supervisor that starts while xenstore is away.
 */
#ifndef NETBACK_CARD_H
#define NETBACK_CARD_H

#include <stdbool.h>
#include <stdint.h>

#include <bridge/port.h>
#include <ring/netif.h>

#include "rate.h"
#include "tap.h"

struct backend_error;
struct xendev_store;

struct card {
    char netdev[TAP_NAME_SIZE];    /* of its tap; and of its port on a bridge of ours */
    char bridge[BRIDGE_NAME_SIZE]; /* "" when none is named */
    uint8_t mac[NETIF_ADDRESS_LEN];
    bool
        switched; /* a port of tapbridged, by script=vif-ringback; else a tap, which another script puts into its bridge */
    bool isolated; /* of a switched port: by the key `isolated`, or "bridge=NAME:isolated" */
    struct rate rate;
    uint32_t mtu;           /* as the toolstack wants it; 0: it does not say */
    uint32_t address_count; /* addresses the guest may use; 0: any */
    struct port_address addresses[PORT_ADDRESSES_MAX];
};

/* Reads the back end's directory of card `devid` of domain `domid`. Returns 0, or -errno with the reason. */
int card_read(struct xendev_store *store, const char *directory, uint32_t domid, uint32_t devid, struct card *ret_card,
              struct backend_error *ret_error);
/* Reads what may change while the card is connected. What cannot be read is no limit; the reason is then there, else it is "". */
void card_read_rate(struct xendev_store *store, const char *directory, struct rate *ret_rate,
                    struct backend_error *ret_error);

/* Records the card that the connection of that generation is of, and whether its guest wants only the multicasts it asks for. Return 0 or -errno;
 * -EBADMSG for no record, or one of another version. */
int card_save(int device_dir, uint64_t generation, const struct card *card, bool multicast_control);
int card_load(int device_dir, uint64_t *ret_generation, struct card *ret_card, bool *ret_multicast_control);

/* "00:16:3e:01:02:03", and back: -EINVAL. */
#define CARD_MAC_TEXT_SIZE 18
void card_mac_text(const uint8_t mac[NETIF_ADDRESS_LEN], char ret_text[CARD_MAC_TEXT_SIZE]);
int card_mac_parse(const char *text, uint8_t ret_mac[NETIF_ADDRESS_LEN]);

#endif
