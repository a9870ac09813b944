/* SPDX-License-Identifier: MIT */
/*
 * What POST /v1/devices/DOMID/N/capture of netbackd's control socket is answered with: records, one after the other, for as long as the
 * capture lasts. A record is 24 bytes, and what they say follows:
 *
 *   bytes   0-3   type
 *           4-7   CAPTURE_FRAME: direction; else 0
 *           8-15  CAPTURE_FRAME: nanoseconds since 1970; CAPTURE_DROPPED: how many; else 0
 *          16-19  CAPTURE_FRAME: the frame's length; else 0
 *          20-23  bytes that follow: of the frame, of which there may be less than its length; or of a sentence
 *
 * Numbers are in network order. The body ends with CAPTURE_END, which says why; or without, when netbackd has ended.
 */
#ifndef NETBACK_CAPTURE_STREAM_H
#define NETBACK_CAPTURE_STREAM_H

#include <stdint.h>

#define CAPTURE_RECORD_SIZE 24u
#define CAPTURE_FRAME_MAX   262144u /* bytes of a frame; more than any there is */
#define CAPTURE_REASON_MAX  255u    /* bytes of a sentence */

enum capture_record_type {
    CAPTURE_FRAME = 1,
    CAPTURE_DROPPED, /* frames for which there was no room, from the capture's beginning on; said when it has changed */
    CAPTURE_END,
};

enum capture_direction {
    CAPTURE_SENT = 1, /* by the guest */
    CAPTURE_RECEIVED,
};

struct capture_record {
    uint32_t type;
    uint32_t direction;
    uint64_t number;
    uint32_t length;
    uint32_t follow;
};

void capture_record_encode(const struct capture_record *record, uint8_t ret_bytes[CAPTURE_RECORD_SIZE]);
/* Returns 0, or -EPROTO for what cannot be. */
int capture_record_decode(const uint8_t bytes[CAPTURE_RECORD_SIZE], struct capture_record *ret_record);

#endif
