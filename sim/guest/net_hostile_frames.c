/* SPDX-License-Identifier: MIT */
/*
 * What a guest may say of a frame it sends: slots that do not fit together, pieces of any size and number, extras of any kind, references of any value.
 */
#include <string.h>

#include "net_hostile.h"

#define SLOTS_KEPT \
    20u /* a frame of so many is answered, whatever it says; source: NETIF_TX_MORE_FATAL and ring/netif_tx.h */
#define SLOTS_FATAL 22u /* from so many on the guest sends no frames */

/* ---- Malformed frames (XSA-90): the device is closed, once. --------------------------------------------------------- */

enum malformed {
    MALFORMED_CUT_SHORT,
    MALFORMED_EXTRA_MISSING,
    MALFORMED_ENDLESS,
    MALFORMED_PAGE,
    MALFORMED_PAGE_LATER,
    MALFORMED_EXTRA_UNKNOWN,
    MALFORMED_EXTRA_ZERO,
    MALFORMED_EXTRA_TWICE,
    MALFORMED_GSO_SIZE,
    MALFORMED_GSO_TYPE,
};

static void put(struct net_hostile *hostile, unsigned page, uint32_t offset, uint32_t size, unsigned flags)
{
    struct netif_tx_request_slot slot = net_hostile_slot(hostile, page, size, flags);

    slot.offset = (uint16_t)offset;
    net_hostile_put(hostile, &slot);
}

static void put_with_extra(struct net_hostile *hostile, const struct netif_extra_slot *extra, bool twice)
{
    struct netif_extra_slot first = *extra;

    put(hostile, 0, 0, HOSTILE_LENGTH, NETIF_TX_EXTRA_INFO);
    first.flags = twice ? NETIF_EXTRA_MORE : 0;
    net_hostile_put_extra(hostile, &first);
    if (twice)
        net_hostile_put_extra(hostile, extra);
}

static void put_malformed(struct net_hostile *hostile, enum malformed how)
{
    switch (how) {
    case MALFORMED_CUT_SHORT:
        put(hostile, 0, 0, HOSTILE_LENGTH, NETIF_TX_MORE_DATA);
        break;
    case MALFORMED_EXTRA_MISSING:
        put(hostile, 0, 0, HOSTILE_LENGTH, NETIF_TX_EXTRA_INFO);
        break;
    case MALFORMED_ENDLESS:
        for (unsigned i = 0; i < 64; i++)
            put(hostile, i % HOSTILE_PAGES, 0, i == 0 ? 64 : 1, NETIF_TX_MORE_DATA);
        break;
    case MALFORMED_PAGE:
        put(hostile, 0, 4090, HOSTILE_LENGTH, 0);
        break;
    case MALFORMED_PAGE_LATER:
        put(hostile, 0, 0, 2 * HOSTILE_LENGTH, NETIF_TX_MORE_DATA);
        put(hostile, 1, 4090, HOSTILE_LENGTH, 0);
        break;
    case MALFORMED_EXTRA_UNKNOWN:
        put_with_extra(hostile, &(struct netif_extra_slot){.type = 99}, false);
        break;
    case MALFORMED_EXTRA_ZERO:
        put_with_extra(hostile, &(struct netif_extra_slot){.type = 0}, false);
        break;
    case MALFORMED_EXTRA_TWICE:
        put_with_extra(hostile, &(struct netif_extra_slot){.type = NETIF_EXTRA_GSO, .gso = {1448, NETIF_GSO_TCPV4}},
                       true);
        break;
    case MALFORMED_GSO_SIZE:
        put_with_extra(hostile, &(struct netif_extra_slot){.type = NETIF_EXTRA_GSO, .gso = {0, NETIF_GSO_TCPV4}},
                       false);
        break;
    case MALFORMED_GSO_TYPE:
        put_with_extra(hostile, &(struct netif_extra_slot){.type = NETIF_EXTRA_GSO, .gso = {1448, 77}}, false);
        break;
    }
}

static enum net_hostile_result run_malformed(struct net_hostile *hostile, const void *param)
{
    const enum malformed *how = param;

    put_malformed(hostile, *how);
    net_hostile_push(hostile);
    return net_hostile_is_closed(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* With good frames before it, in the same batch, and more behind. */
static enum net_hostile_result run_malformed_amid(struct net_hostile *hostile, const void *param)
{
    const enum malformed *how = param;

    for (unsigned i = 0; i < 16; i++)
        put(hostile, i, 0, HOSTILE_LENGTH, 0);
    put_malformed(hostile, *how);
    net_hostile_push(hostile);
    for (unsigned i = 0; i < 16; i++)
        put(hostile, i, 0, HOSTILE_LENGTH, 0);
    net_hostile_push(hostile);
    return net_hostile_is_closed(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* Every fatal path, and the guest closes by itself at once (XSA-374). */
static enum net_hostile_result run_malformed_closing(struct net_hostile *hostile, const void *param)
{
    (void)param;
    for (unsigned how = MALFORMED_CUT_SHORT; how <= MALFORMED_GSO_TYPE; how++) {
        put_malformed(hostile, how);
        net_hostile_push(hostile);
        if (net_hostile_restart(hostile) < 0)
            return HOSTILE_FAILED;
    }
    net_hostile_see(hostile, "%u new lives", MALFORMED_GSO_TYPE + 1);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Frames that are dropped, and cost the device nothing. ---------------------------------------------------------- */

enum dropped {
    DROPPED_EMPTY,
    DROPPED_RUNT,
    DROPPED_TOO_LITTLE, /* the pieces are longer than the frame */
    DROPPED_BOTH_FILTERS,
};

static enum net_hostile_result run_dropped(struct net_hostile *hostile, const void *param)
{
    const enum dropped *how = param;
    unsigned slots = 1;
    struct netif_extra_slot extra = {.type = NETIF_EXTRA_MULTICAST_ADD, .flags = NETIF_EXTRA_MORE};

    switch (*how) {
    case DROPPED_EMPTY:
        put(hostile, 0, 0, 0, 0);
        break;
    case DROPPED_RUNT:
        put(hostile, 0, 0, NETIF_LENGTH_MIN - 1, 0);
        break;
    case DROPPED_TOO_LITTLE:
        put(hostile, 0, 0, HOSTILE_LENGTH, NETIF_TX_MORE_DATA);
        put(hostile, 1, 0, HOSTILE_LENGTH + 1, 0);
        slots = 2;
        break;
    case DROPPED_BOTH_FILTERS:
        put(hostile, 0, 0, 0, NETIF_TX_EXTRA_INFO);
        net_hostile_put_extra(hostile, &extra);
        extra = (struct netif_extra_slot){.type = NETIF_EXTRA_MULTICAST_DEL};
        net_hostile_put_extra(hostile, &extra);
        break;
    }
    net_hostile_push(hostile);
    if (net_hostile_drain(hostile) < 0)
        return HOSTILE_FAILED;
    net_hostile_see(hostile, "%u of %u slots refused", (unsigned)hostile->errors, slots);
    bool right = hostile->errors == slots;
    return net_hostile_is_served(hostile) && right ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- References (XSA-361, 362, 365, 367). --------------------------------------------------------------------------- */

/* One frame of many has a bad one, each in turn; the others are taken. */
static enum net_hostile_result run_bad_reference(struct net_hostile *hostile, const void *param)
{
    const unsigned frames = 16;

    (void)param;
    for (unsigned bad = 0; bad < frames; bad++) {
        hostile->okay = hostile->errors = 0;
        for (unsigned i = 0; i < frames; i++) {
            struct netif_tx_request_slot slot = net_hostile_slot(hostile, i, HOSTILE_LENGTH, 0);
            if (i == bad)
                slot.gref = bad % 2 == 0 ? HOSTILE_BAD_GREF : UINT32_MAX;
            net_hostile_put(hostile, &slot);
        }
        net_hostile_push(hostile);
        if (net_hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
        if (hostile->errors != 1 || hostile->okay != frames - 1) {
            net_hostile_see(hostile, "frame %u is bad: %u refused, %u taken", bad, (unsigned)hostile->errors,
                            (unsigned)hostile->okay);
            return HOSTILE_FAILED;
        }
    }
    net_hostile_see(hostile, "1 of %u refused, each in turn", frames);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* One piece of a frame has a bad one, each in turn: the frame is refused as a whole. */
static enum net_hostile_result run_bad_piece(struct net_hostile *hostile, const void *param)
{
    const unsigned pieces = 8;

    (void)param;
    for (unsigned bad = 0; bad < pieces; bad++) {
        hostile->errors = 0;
        for (unsigned i = 0; i < pieces; i++) {
            struct netif_tx_request_slot slot =
                net_hostile_slot(hostile, i, i == 0 ? 100 * pieces : 100, i + 1 < pieces ? NETIF_TX_MORE_DATA : 0);
            if (i == bad)
                slot.gref = HOSTILE_BAD_GREF;
            net_hostile_put(hostile, &slot);
        }
        net_hostile_push(hostile);
        if (net_hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
        if (hostile->errors != pieces) {
            net_hostile_see(hostile, "piece %u is bad: %u slots refused", bad, (unsigned)hostile->errors);
            return HOSTILE_FAILED;
        }
    }
    net_hostile_see(hostile, "all %u slots refused, whichever is bad", pieces);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* ---- Sizes and numbers of pieces. ----------------------------------------------------------------------------------- */

/* So many pieces of one size; the first slot tells their sum, as far as its 16 bits go. */
static void put_pieces(struct net_hostile *hostile, unsigned count, uint32_t size)
{
    for (unsigned i = 0; i < count; i++)
        put(hostile, i, 0, i == 0 ? count * size : size, i + 1 < count ? NETIF_TX_MORE_DATA : 0);
    net_hostile_push(hostile);
}

static enum net_hostile_result run_sizes(struct net_hostile *hostile, const void *param)
{
    static const uint32_t sizes[] = {0, 1, 2, 13, 14, 15, 60, 255, 1514, 2048, 4094, 4095, 4096};
    unsigned tried = 0;

    (void)param;
    for (unsigned count = 1; count <= SLOTS_KEPT; count++) {
        for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++, tried++) {
            put_pieces(hostile, count, sizes[i]);
            if (net_hostile_drain(hostile) < 0) {
                net_hostile_see(hostile, "%u slots of %u bytes", count, sizes[i]);
                return HOSTILE_FAILED;
            }
        }
    }
    net_hostile_see(hostile, "%u shapes answered: %u slots taken, %u refused", tried, (unsigned)hostile->okay,
                    (unsigned)hostile->errors);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

static enum net_hostile_result run_too_many(struct net_hostile *hostile, const void *param)
{
    (void)param;
    put_pieces(hostile, SLOTS_FATAL - 1, HOSTILE_LENGTH);
    if (!net_hostile_is_survived(hostile))
        return HOSTILE_FAILED;
    put_pieces(hostile, SLOTS_FATAL, HOSTILE_LENGTH);
    return net_hostile_is_closed(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* Ethernet, IP and TCP headers a byte a slot. */
static enum net_hostile_result run_split_headers(struct net_hostile *hostile, const void *param)
{
    (void)param;
    for (unsigned bytes = 1; bytes <= 17; bytes++) {
        unsigned rest = 400;
        for (unsigned i = 0; i <= bytes; i++)
            put(hostile, 0, i, i == 0 ? bytes + rest : i < bytes ? 1 : rest, i < bytes ? NETIF_TX_MORE_DATA : 0);
        net_hostile_push(hostile);
        if (net_hostile_drain(hostile) < 0) {
            net_hostile_see(hostile, "%u slots of a byte", bytes);
            return HOSTILE_FAILED;
        }
    }
    net_hostile_see(hostile, "%u slots taken, %u refused", (unsigned)hostile->okay, (unsigned)hostile->errors);
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* Pieces without bytes, whose references lead nowhere (XSA-448): first, in the middle, last, all. */
static enum net_hostile_result run_empty_pieces(struct net_hostile *hostile, const void *param)
{
    const unsigned pieces = 5;

    (void)param;
    for (unsigned empty = 0; empty <= pieces; empty++) {
        bool all = empty == pieces;
        hostile->okay = 0;
        for (unsigned i = 0; i < pieces; i++) {
            bool none = all || i == empty;
            uint32_t size = i > 0 ? (none ? 0 : 100) : all ? 0 : 100 * (pieces - 1);
            struct netif_tx_request_slot slot =
                net_hostile_slot(hostile, i, size, i + 1 < pieces ? NETIF_TX_MORE_DATA : 0);
            if (none)
                slot.gref = HOSTILE_BAD_GREF;
            net_hostile_put(hostile, &slot);
        }
        net_hostile_push(hostile);
        if (net_hostile_drain(hostile) < 0)
            return HOSTILE_FAILED;
        /* The first slot's own share is what the others leave; a frame may also be refused for beginning with none. */
        if (!all && empty > 0 && hostile->okay != pieces) {
            net_hostile_see(hostile, "piece %u is empty: only %u slots taken", empty, (unsigned)hostile->okay);
            return HOSTILE_FAILED;
        }
    }
    net_hostile_see(hostile, "answered, references of empty pieces untouched");
    return net_hostile_is_served(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

/* Anything at all, again and again; whatever closes the device is followed by a new life. */
static enum net_hostile_result run_random(struct net_hostile *hostile, const void *param)
{
    struct random *random = &hostile->random;
    unsigned lives = 0;

    (void)param;
    for (uint64_t i = 0; i < hostile->count && !hostile->net->guest.stop; i++) {
        unsigned slots = 1 + (unsigned)random_below(random, 4);
        for (unsigned s = 0; s < slots; s++) {
            unsigned flags = (unsigned)random_below(random, 8) & (s + 1 < slots ? 7u : 3u);
            struct netif_tx_request_slot slot =
                net_hostile_slot(hostile, s, (uint32_t)random_below(random, 5000), flags);
            slot.offset = (uint16_t)(random_below(random, 4) == 0 ? random_below(random, 5000) : 0);
            if (random_below(random, 8) == 0)
                slot.gref = (uint32_t)random_next(random);
            net_hostile_put(hostile, &slot);
        }
        net_hostile_push(hostile);
        if (net_hostile_settle(hostile) < 0)
            return HOSTILE_FAILED;
        if (hostile->front->device.lost) {
            lives++;
            if (net_hostile_restart(hostile) < 0)
                return HOSTILE_FAILED;
        }
    }
    net_hostile_see(hostile, "%u times closed", lives);
    return net_hostile_is_survived(hostile) ? HOSTILE_OK : HOSTILE_FAILED;
}

#define MALFORMED(how)                     \
    run_malformed, &(const enum malformed) \
    {                                      \
        how                                \
    }
#define AMID(how)                               \
    run_malformed_amid, &(const enum malformed) \
    {                                           \
        how                                     \
    }
#define DROPPED(how)                   \
    run_dropped, &(const enum dropped) \
    {                                  \
        how                            \
    }

const struct net_hostile_case net_hostile_frame_cases[] = {
    {"cut-short", "a slot promises another that is not there (XSA-90)", MALFORMED(MALFORMED_CUT_SHORT)},
    {"extra-missing", "a slot promises an extra that is not there (XSA-90)", MALFORMED(MALFORMED_EXTRA_MISSING)},
    {"endless", "a frame of 64 slots and no end (XSA-39, 90)", MALFORMED(MALFORMED_ENDLESS)},
    {"page-left", "a piece that leaves its page (XSA-90)", MALFORMED(MALFORMED_PAGE)},
    {"page-left-later", "a later piece that leaves its page (XSA-90)", MALFORMED(MALFORMED_PAGE_LATER)},
    {"extra-unknown", "an extra of an unknown type (XSA-90)", MALFORMED(MALFORMED_EXTRA_UNKNOWN)},
    {"extra-zero", "an extra of type 0 (XSA-90)", MALFORMED(MALFORMED_EXTRA_ZERO)},
    {"extra-twice", "two extras of one type (XSA-90)", MALFORMED(MALFORMED_EXTRA_TWICE)},
    {"gso-size-zero", "segments of no bytes (XSA-90)", MALFORMED(MALFORMED_GSO_SIZE)},
    {"gso-type", "segmentation of an unknown kind (XSA-90)", MALFORMED(MALFORMED_GSO_TYPE)},
    {"malformed-amid", "a malformed frame amid good ones (XSA-90)", AMID(MALFORMED_PAGE)},
    {"malformed-closing", "each malformed frame, and Closing at once (XSA-374)", run_malformed_closing, NULL},
    {"empty", "a frame of no bytes", DROPPED(DROPPED_EMPTY)},
    {"runt", "a frame shorter than a header", DROPPED(DROPPED_RUNT)},
    {"too-little", "pieces longer than their frame", DROPPED(DROPPED_TOO_LITTLE)},
    {"filter-both", "an address both added to the filter and taken from it", DROPPED(DROPPED_BOTH_FILTERS)},
    {"bad-reference", "one bad reference among good ones (XSA-361, 367)", run_bad_reference, NULL},
    {"bad-piece", "one bad reference in a frame (XSA-361, 367)", run_bad_piece, NULL},
    {"sizes", "1 to 20 slots of 0 to 4096 bytes (XSA-432)", run_sizes, NULL},
    {"too-many-slots", "21 slots, and 22 (XSA-432)", run_too_many, NULL},
    {"split-headers", "headers a byte a slot (XSA-423)", run_split_headers, NULL},
    {"empty-pieces", "pieces of no bytes (XSA-448)", run_empty_pieces, NULL},
    {"random-slots", "slots that say anything", run_random, NULL},
    {0},
};
