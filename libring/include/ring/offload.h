/* SPDX-License-Identifier: MIT */
/*
 * What a sender leaves to others: checksums not filled in, and TCP frames of many segments. Between two ways of saying so:
 * struct netif_meta on a Xen ring, and the virtio-net header in front of every frame of a tap (IFF_VNET_HDR). And for a
 * receiver that takes neither: both done here.
 *
 *   guest -> tap:    offload_to_virtio(), offload_virtio_encode()
 *   tap -> guest:    offload_virtio_decode(), offload_from_virtio()
 *   guest -> guest:  both; what goes with the frame from one process to the other is the virtio-net header
 *   to a guest without checksum offload: offload_checksum(); without segmentation offload: offload_segment_init(), _next()
 *
 * Xen's form tells neither where a checksum starts nor which one it is, so that is looked up in the frame. Frames are in
 * private memory, whole and in one piece, and come from anywhere. Of a length that a header states, and of what it says
 * to be the next one, nothing is believed.
 *
 * A checksum that is not filled in holds the sum of the pseudo header: Linux adds up what it finds from csum_start on. Front
 * ends are to put it there, and not all do; so it is made anew here, in both directions.
 */
#ifndef RING_OFFLOAD_H
#define RING_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/netif.h>

#define OFFLOAD_IP_HEADERS_MAX 256u /* bytes of one IP header and its extensions; Linux's limit for IPv6 */

/* Why a frame is to be dropped; each has a counter. */
enum offload_fault {
    OFFLOAD_FAULT_NONE,
    OFFLOAD_FAULT_HEADERS,  /* cut short, too long, or not to be stepped over */
    OFFLOAD_FAULT_FRAGMENT, /* of an IP packet: nothing can be done to it alone */
    OFFLOAD_FAULT_PROTOCOL, /* neither TCP nor UDP over IP; for segmentation, not TCP over the IP that was said */
    OFFLOAD_FAULT_LENGTH,   /* IP's or UDP's own contradicts the frame's */
    OFFLOAD_FAULT_GSO,      /* segments of 0 bytes, or of an unknown kind */
    OFFLOAD_FAULT_VIRTIO,   /* an unknown flag, or a checksum outside the frame or in the wrong place */
    OFFLOAD_FAULTS
};
const char *offload_fault_name(enum offload_fault fault); /* "headers", "fragment", ... */

/* ---- Where things are in an Ethernet frame. ---------------------------------------------------------------------- */

enum offload_transport { OFFLOAD_TRANSPORT_NONE, OFFLOAD_TRANSPORT_TCP, OFFLOAD_TRANSPORT_UDP };

struct offload_headers {
    unsigned
        version; /* 4 or 6, with that header there but for IPv4's options; else 0, and nothing below means anything */
    size_t l3;   /* where it is; two tags of VLANs, at most, are looked behind */
    size_t l4;   /* where what IP carries begins, at most the frame's size; 0 when that cannot be told */
    unsigned protocol; /* what that is, when l4 is not 0: IP's number */
    bool fragment;     /* one of several; what is at l4 is then no whole packet, or not the beginning of one */
    bool routed;       /* IPv6: not yet at its last destination, which stands elsewhere */
    enum offload_transport transport; /* with the fixed part of its header there; never of a fragment */
};

/* Looks at a frame, of which `size` bytes are given. IPv6's headers for the hops, routing, the destination, authentication
 * and fragments are stepped over. */
void offload_parse(const uint8_t *frame, size_t size, struct offload_headers *ret_headers);

/* ---- The header of a tap's frames (linux/virtio_net.h). ---------------------------------------------------------- */

#define OFFLOAD_VIRTIO_SIZE     10u
#define OFFLOAD_VIRTIO_SIZE_MAX 12u /* with num_buffers */

/* VIRTIO_NET_HDR_F_*, VIRTIO_NET_HDR_GSO_*. */
enum offload_virtio_flag {
    OFFLOAD_VIRTIO_NEEDS_CSUM = 1,
    OFFLOAD_VIRTIO_DATA_VALID = 2,
};
enum offload_virtio_gso {
    OFFLOAD_VIRTIO_GSO_NONE = 0,
    OFFLOAD_VIRTIO_GSO_TCPV4 = 1,
    OFFLOAD_VIRTIO_GSO_TCPV6 = 4,
    OFFLOAD_VIRTIO_GSO_ECN = 0x80, /* added to one of the others */
};

struct offload_virtio {
    uint8_t flags;        /* enum offload_virtio_flag, or anything */
    uint8_t gso_type;     /* enum offload_virtio_gso, or anything */
    uint16_t hdr_len;     /* up to the payload; a hint */
    uint16_t gso_size;    /* most payload bytes of each segment */
    uint16_t csum_start;  /* from here to the frame's end is summed up, */
    uint16_t csum_offset; /* and the result goes to so many bytes behind csum_start */
    uint16_t num_buffers; /* means nothing to a tap */
};

/* Make or read the first `size` bytes of a header, OFFLOAD_VIRTIO_SIZE or OFFLOAD_VIRTIO_SIZE_MAX: as TUNSETVNETHDRSZ has
 * set it, in little endian. num_buffers is 0 when it is not there. */
void offload_virtio_encode(const struct offload_virtio *header, size_t size, uint8_t *ret_bytes);
void offload_virtio_decode(const uint8_t *bytes, size_t size, struct offload_virtio *ret_header);

/* ---- From one form to the other. --------------------------------------------------------------------------------- */

/* Each returns OFFLOAD_FAULT_NONE, or why the frame is to be dropped, with the output untouched. Of the frame they change
 * the TCP or UDP checksum, when it is not filled in; and of one that is to be segmented, the length in its IP header
 * (with that header's checksum), when it is not the frame's: Linux does not heed it there, but others do.
 *
 * A frame to be segmented has no checksum, whatever is said of it, as with Linux. One with no more payload than a single
 * segment is a frame without a checksum, and nothing else. */

/* What a guest sends, for a tap. One to be segmented says so when it has CWR: hardware may not know that this belongs into
 * the first segment only. One with bytes behind its TCP segment or UDP datagram (padding) has its checksum filled in: the
 * kernel would count them. */
enum offload_fault offload_to_virtio(uint8_t *frame, size_t size, const struct netif_meta *meta,
                                     struct offload_virtio *ret_header);

/* What comes from a tap, for a guest that takes both. A checksum that Xen's form has no words for (of a tunnel's inside) is
 * filled in. *ret_meta has neither hash nor multicast. */
enum offload_fault offload_from_virtio(uint8_t *frame, size_t size, const struct offload_virtio *header,
                                       struct netif_meta *ret_meta);

/* ---- Both, done here. -------------------------------------------------------------------------------------------- */

/* Fills in the TCP or UDP checksum of a frame that is not to be segmented. Returns as above. */
enum offload_fault offload_checksum(uint8_t *frame, size_t size);

/* A frame being cut into segments. `count`, `done` and `size_max` are for looking at; the other fields are private. */
struct offload_segments {
    const uint8_t *frame; /* the caller's; it does not change meanwhile */
    size_t size;
    struct offload_headers headers;
    size_t payload; /* where it begins */
    size_t step;    /* bytes of it in each segment but the last */
    uint32_t count; /* segments in all, 1 or more: up to 65,000 with a gso_size of 1 */
    uint32_t done;
    size_t size_max; /* bytes of the largest */
};

/* Begins to cut a frame with meta->gso. Returns as above. */
enum offload_fault offload_segment_init(struct offload_segments *segments, const uint8_t *frame, size_t size,
                                        const struct netif_meta *meta);

/* Makes the next segment: a frame with all its lengths, numbers, flags and checksums. Returns its bytes; 0 when there are no
 * more; or -ENOBUFS, with nothing done, when the buffer has less than it needs. */
int offload_segment_next(struct offload_segments *segments, uint8_t *buffer, size_t buffer_size);

#endif
