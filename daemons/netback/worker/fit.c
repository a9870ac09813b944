/* SPDX-License-Identifier: MIT */
/*
 * A frame is passed on as it is, if the guest takes that; its checksum is filled in; or it is cut into segments, each with its checksum, when it
 * is laid over the guest's pages.
 */
#include "fit.h"

static unsigned drop(enum netback_rx_drop reason)
{
    return (unsigned)reason + 1;
}

static bool takes_gso(enum netif_gso gso, uint32_t features)
{
    return (features & (gso == NETIF_GSO_TCPV4 ? NETBACK_TAKES_GSO_TCPV4 : NETBACK_TAKES_GSO_TCPV6)) != 0 &&
           (features & NETBACK_TAKES_SG) != 0;
}

static bool takes_blank(const struct frame *frame, uint32_t features)
{
    const uint32_t both = NETBACK_TAKES_CSUM_IPV4 | NETBACK_TAKES_CSUM_IPV6;
    struct offload_headers headers;

    if ((features & both) == both)
        return true;
    if ((features & both) == 0)
        return false;
    offload_parse(frame->bytes, frame->length, &headers);
    return (headers.version == 6) == ((features & NETBACK_TAKES_CSUM_IPV6) != 0);
}

static uint32_t length_max(uint32_t features)
{
    return features & NETBACK_TAKES_SG ? NETIF_RX_LENGTH_MAX : RING_PAGE_SIZE;
}

static unsigned begin_to_cut(struct frame *frame, uint32_t features)
{
    if (offload_segment_init(&frame->segments, frame->bytes, frame->length, &frame->meta) != OFFLOAD_FAULT_NONE ||
        frame->segments.count > FIT_SEGMENTS_MAX)
        return drop(NETBACK_RX_DROP_OFFLOAD);
    if (frame->segments.size_max > length_max(features))
        return drop(NETBACK_RX_DROP_LARGE);
    frame->cut = true;
    return 0;
}

unsigned fit_frame(struct frame *frame, uint32_t features)
{
    frame->cut = false;
    if (frame->length < NETIF_LENGTH_MIN)
        return drop(NETBACK_RX_DROP_OFFLOAD);
    if (frame->meta.gso != NETIF_GSO_NONE && !takes_gso(frame->meta.gso, features))
        return begin_to_cut(frame, features);
    if (frame->length > length_max(features))
        return drop(NETBACK_RX_DROP_LARGE);
    if (frame->meta.gso != NETIF_GSO_NONE || !frame->meta.csum_blank || takes_blank(frame, features))
        return 0;
    if (offload_checksum(frame->bytes, frame->length) != OFFLOAD_FAULT_NONE)
        return drop(NETBACK_RX_DROP_OFFLOAD);
    frame->meta.csum_blank = false;
    return 0;
}
