/* SPDX-License-Identifier: MIT */
/*
 * The forwarding table of a bridge as it is kept over a restart: a file RUN/tapbridged/BRIDGE, written now and then and at the end, read once at the
 * start. Pure: bytes in, entries out.
 *
 *   magic:64 version:32 count:32, then count times:
 *   seen:64 (milliseconds of CLOCK_BOOTTIME) mac:48 zero:16 port:PORT_NAME_SIZE bytes
 *
 * in the byte order of the machine, whose memory the run directory is. An entry waits for the port of its name to come back.
 */
#ifndef BRIDGE_SAVED_H
#define BRIDGE_SAVED_H

#include <stddef.h>
#include <stdint.h>

#include "port.h"

#define SAVED_VERSION     1u
#define SAVED_HEADER_SIZE 16u
#define SAVED_ENTRY_SIZE  (16u + PORT_NAME_SIZE)

struct saved_entry {
    int64_t seen;
    uint8_t mac[6];
    char port[PORT_NAME_SIZE];
};

/* Bytes of a file with so many entries. */
size_t saved_size(uint32_t count);
/* Writes the header, or an entry at its place, into `bytes` of saved_size(). */
void saved_encode_header(uint8_t *bytes, uint32_t count);
void saved_encode_entry(uint8_t *bytes, uint32_t index, const struct saved_entry *entry);

/* How many entries a file of `size` bytes has. Returns 0; -EPROTONOSUPPORT for another version; -EBADMSG. */
int saved_decode_header(const uint8_t *bytes, size_t size, uint32_t *ret_count);
/* Reads one of them. Returns 0; -EBADMSG for one that cannot be: no name, no address of a station, seen after `now`. */
int saved_decode_entry(const uint8_t *bytes, uint32_t index, int64_t now, struct saved_entry *ret_entry);

#endif
