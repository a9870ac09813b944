/* SPDX-License-Identifier: MIT */
/*
 * What blkbackd's supervisor and its workers say to each other, one fixed-size message a packet, over the worker's channel
 * (supervise/channel.h). Descriptors ride along as noted. Either end treats what the other says as hostile.
 *
 *   supervisor                                worker
 *   BLKBACK_SERVE  [fence]               ->   becomes that guest's worker, closes its sandbox
 *   BLKBACK_CHECK  [image]               ->   opens the disk, looks, closes it
 *                                        <-   BLKBACK_CHECKED
 *   BLKBACK_CONNECT [image, journal, counters] ->  attaches or recovers the ring, serves
 *                                        <-   BLKBACK_CONNECTED
 *                                        <-   BLKBACK_FAILED, at any time after that: the device cannot go on (protocol violation)
 *   BLKBACK_DISCONNECT                   ->   stops, waits for the disk, lets go of rings and files
 *                                        <-   BLKBACK_DISCONNECTED
 *
 * The worker answers messages of one device in order. When the channel closes, the worker goes on serving (its supervisor died; the next one
 * replaces it).
 */
#ifndef BLKBACK_PROTOCOL_H
#define BLKBACK_PROTOCOL_H

#include <stdint.h>

#include <disk/disk.h>
#include <ring/blkif.h>

#define BLKBACK_PROTOCOL_VERSION   2u /* of messages: a worker is of the same build as its supervisor */
#define BLKBACK_CONNECTION_VERSION 1u /* of recorded connections, which an upgraded supervisor continues */
#define BLKBACK_RING_PAGES_MAX     (1u << BLKIF_RING_ORDER_MAX)

enum blkback_message_type {
    BLKBACK_SERVE = 1,
    BLKBACK_CHECK,
    BLKBACK_CHECKED,
    BLKBACK_CONNECT,
    BLKBACK_CONNECTED,
    BLKBACK_FAILED,
    BLKBACK_DISCONNECT,
    BLKBACK_DISCONNECTED,
};

/* The image behind a device. */
struct blkback_image {
    char kind[16]; /* name of the disk kind */
    uint32_t read_only;
};

/* One connection, complete: all that is needed to serve it, and all that is needed to recover it. The file `connection` of the device's
 * run directory is exactly this struct, written before BLKBACK_CONNECT is first sent and unlinked before any state but Connected is written. */
struct blkback_connection {
    uint32_t version;    /* BLKBACK_CONNECTION_VERSION */
    uint32_t abi;        /* enum blkif_abi */
    uint64_t generation; /* of the journal; never 0, never reused */
    uint32_t ring_order;
    uint32_t ring_refs[BLKBACK_RING_PAGES_MAX]; /* 1 << ring_order of them */
    uint32_t event_channel;
    struct blkback_image image;
};

struct blkback_message {
    uint32_t version; /* BLKBACK_PROTOCOL_VERSION */
    uint32_t type;    /* enum blkback_message_type */
    uint32_t devid;   /* the device meant; 0 in SERVE */
    int32_t result;   /* answers: 0 or -errno */
    union {
        struct {
            uint32_t domid;
            uint32_t poll_time_us; /* struct poll_limits */
            uint32_t poll_percent;
        } serve;
        struct blkback_image check;
        struct {
            uint64_t sectors; /* of 512 bytes */
            uint32_t sector_size;
            uint32_t physical_sector_size;
        } checked;
        struct {
            struct blkback_connection connection;
            uint32_t recover; /* 1: the journal holds the requests of a dead worker */
        } connect;
        struct disk_error error; /* CHECKED and CONNECTED with a negative result, and FAILED: the reason */
    };
};

#endif
