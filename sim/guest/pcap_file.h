/* SPDX-License-Identifier: MIT */
/*
 * Files of captured Ethernet frames, as tcpdump writes them.
 */
#ifndef GUEST_PCAP_FILE_H
#define GUEST_PCAP_FILE_H

#include <stdint.h>

struct pcap_writer;
struct pcap_reader;

/* Makes a new file. Returns 0, or -errno after a message. */
int pcap_writer_open(const char *path, struct pcap_writer **ret_writer);
void pcap_writer_put(struct pcap_writer *writer, const uint8_t *frame, uint32_t length);
/* Takes NULL. Returns 0, or -EIO after a message when not everything was written. */
int pcap_writer_close(struct pcap_writer *writer);

/* Returns 0, or -errno after a message. */
int pcap_reader_open(const char *path, struct pcap_reader **ret_reader);
/* Reads the next frame, lent until the next call. Returns 1; 0 at the end; -EBADMSG after a message. */
int pcap_reader_next(struct pcap_reader *reader, const uint8_t **ret_frame, uint32_t *ret_length);
void pcap_reader_close(struct pcap_reader *reader); /* takes NULL */

#endif
