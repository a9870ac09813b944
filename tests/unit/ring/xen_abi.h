/* SPDX-License-Identifier: MIT */
/* Where Xen's structs of xen/io/blkif.h have their fields, as this file's includer compiles them. */
#ifndef TESTS_UNIT_RING_XEN_ABI_H
#define TESTS_UNIT_RING_XEN_ABI_H

#include <stddef.h>

struct xen_abi {
    size_t request_size, response_size, slots_of_a_page, slots_of_16_pages;
    size_t segments, handle, id, sector, segment, segment_size, segment_first, segment_last;
    size_t discard_flag, discard_handle, discard_id, discard_sector, discard_count;
    size_t indirect_inner, indirect_segments, indirect_id, indirect_sector, indirect_handle, indirect_grefs;
    size_t response_id, response_operation, response_status;
};

#define XEN_ABI                                                                                                    \
    {                                                                                                              \
        .request_size = sizeof(union blkif_sring_entry), .response_size = sizeof(struct blkif_response),           \
        .slots_of_a_page = __CONST_RING_SIZE(blkif, 4096), .slots_of_16_pages = __CONST_RING_SIZE(blkif, 65536),   \
        .segments = offsetof(struct blkif_request, nr_segments), .handle = offsetof(struct blkif_request, handle), \
        .id = offsetof(struct blkif_request, id), .sector = offsetof(struct blkif_request, sector_number),         \
        .segment = offsetof(struct blkif_request, seg), .segment_size = sizeof(struct blkif_request_segment),      \
        .segment_first = offsetof(struct blkif_request_segment, first_sect),                                       \
        .segment_last = offsetof(struct blkif_request_segment, last_sect),                                         \
        .discard_flag = offsetof(struct blkif_request_discard, flag),                                              \
        .discard_handle = offsetof(struct blkif_request_discard, handle),                                          \
        .discard_id = offsetof(struct blkif_request_discard, id),                                                  \
        .discard_sector = offsetof(struct blkif_request_discard, sector_number),                                   \
        .discard_count = offsetof(struct blkif_request_discard, nr_sectors),                                       \
        .indirect_inner = offsetof(struct blkif_request_indirect, indirect_op),                                    \
        .indirect_segments = offsetof(struct blkif_request_indirect, nr_segments),                                 \
        .indirect_id = offsetof(struct blkif_request_indirect, id),                                                \
        .indirect_sector = offsetof(struct blkif_request_indirect, sector_number),                                 \
        .indirect_handle = offsetof(struct blkif_request_indirect, handle),                                        \
        .indirect_grefs = offsetof(struct blkif_request_indirect, indirect_grefs),                                 \
        .response_id = offsetof(struct blkif_response, id),                                                        \
        .response_operation = offsetof(struct blkif_response, operation),                                          \
        .response_status = offsetof(struct blkif_response, status),                                                \
    }

extern const struct xen_abi xen_abi_x86_32;

#endif
