/* SPDX-License-Identifier: MIT */
/*
 * The block protocol's messages: decoded from private memory into one native form, checked, and encoded.
 *
 * Source: xen/io/blkif.h. The ABIs differ by the padding before 64-bit fields: x86_32 aligns them to 4 bytes, x86_64
 * and arm to 8.
 */
#ifndef RING_BLKIF_H
#define RING_BLKIF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ring/layout.h>

#define BLKIF_SECTOR_SIZE       512u
#define BLKIF_SECTORS_PER_PAGE  8u
#define BLKIF_DIRECT_SEGMENTS   11u  /* most in a request itself */
#define BLKIF_INDIRECT_SEGMENTS 256u /* most in an indirect request */
#define BLKIF_INDIRECT_PAGES    8u
#define BLKIF_SEGMENT_SIZE      8u   /* bytes of one in an indirect page */
#define BLKIF_SEGMENTS_PER_PAGE 512u /* of an indirect page */
#define BLKIF_RING_ORDER_MAX    4u

enum blkif_abi { BLKIF_ABI_X86_32, BLKIF_ABI_X86_64, BLKIF_ABI_ARM, BLKIF_ABIS };

/* What this program itself was compiled for. */
enum blkif_abi blkif_abi_native(void);
/* "x86_32-abi", "x86_64-abi", "arm-abi". */
const char *blkif_abi_name(enum blkif_abi abi);
/* Returns 0, or -EINVAL for an unknown name. */
int blkif_abi_parse(const char *name, enum blkif_abi *ret_abi);
/* The ring of 2^order pages, order <= BLKIF_RING_ORDER_MAX. */
struct ring_layout blkif_layout(enum blkif_abi abi, unsigned order);

/* Operation codes of the protocol (BLKIF_OP_* of xen/io/blkif.h). */
enum blkif_code {
    BLKIF_CODE_READ = 0,
    BLKIF_CODE_WRITE = 1,
    BLKIF_CODE_BARRIER = 2,
    BLKIF_CODE_FLUSH = 3,
    BLKIF_CODE_DISCARD = 5,
    BLKIF_CODE_INDIRECT = 6,
};

/* Response statuses (BLKIF_RSP_*). */
enum blkif_status {
    BLKIF_STATUS_OKAY = 0,
    BLKIF_STATUS_ERROR = -1,
    BLKIF_STATUS_UNSUPPORTED = -2,
};

struct blkif_segment {
    uint32_t gref;
    uint8_t first_sector; /* within the page, inclusive */
    uint8_t last_sector;  /* within the page, inclusive */
};

/* Any request, exactly as the guest sent it: nothing here is validated. */
struct blkif_message {
    uint8_t code;  /* enum blkif_code, or anything */
    uint8_t inner; /* the operation inside an indirect request, else 0 */
    uint16_t handle;
    uint16_t segment_count; /* as claimed */
    uint8_t discard_flag;
    uint64_t id;
    uint64_t sector;
    uint64_t discard_sectors;
    struct blkif_segment segments[BLKIF_DIRECT_SEGMENTS];
    uint32_t indirect_grefs[BLKIF_INDIRECT_PAGES];
};

/* What a request says that it is: enum blkif_code, or anything. In every ABI its first byte. */
uint8_t blkif_code_of(const void *bytes);
/* Decodes `layout.request_size` bytes. Cannot fail: what is impossible is for blkif_validate(). */
void blkif_decode(enum blkif_abi abi, const void *bytes, struct blkif_message *ret_message);
/* The inverse, for front ends; bytes outside the fields are left alone. */
void blkif_encode(enum blkif_abi abi, const struct blkif_message *message, void *ret_bytes);

/* Decodes `count` segments of a private copy of one indirect page (count <= BLKIF_SEGMENTS_PER_PAGE), and the
 * inverse. */
void blkif_segments_decode(const void *bytes, unsigned count, struct blkif_segment *ret_segments);
void blkif_segments_encode(const struct blkif_segment *segments, unsigned count, void *ret_bytes);

/* Writes the response to a request: its id, the operation it named (the inner one of an indirect request), a status. */
void blkif_response_encode(enum blkif_abi abi, uint64_t id, uint8_t code, int16_t status, void *ret_bytes);
void blkif_response_decode(enum blkif_abi abi, const void *bytes, uint64_t *ret_id, uint8_t *ret_code,
                           int16_t *ret_status);
/* The operation a response must name. */
uint8_t blkif_response_code(const struct blkif_message *message);

/* ---- Validation. ------------------------------------------------------------------------------------------------- */

/* Why a request was refused; each has a counter. */
enum blkif_fault {
    BLKIF_FAULT_NONE,
    BLKIF_FAULT_OPERATION,     /* unknown, or not offered: answered BLKIF_STATUS_UNSUPPORTED */
    BLKIF_FAULT_SEGMENT_COUNT, /* none, or more than allowed */
    BLKIF_FAULT_SEGMENT,       /* first > last, or last past the page */
    BLKIF_FAULT_RANGE,         /* past the end of the disk, or wraps */
    BLKIF_FAULT_READ_ONLY,     /* a write, barrier, flush or discard on a read-only disk */
    BLKIF_FAULT_GRANT,         /* a grant copy failed (set by the back end) */
    BLKIF_FAULT_IO,            /* the disk failed (set by the back end) */
    BLKIF_FAULTS
};
const char *blkif_fault_name(enum blkif_fault fault); /* "operation", "segment-count", ... */
enum blkif_status blkif_fault_status(enum blkif_fault fault);

/* What the back end offered, and the disk it serves. */
struct blkif_limits {
    uint64_t sectors; /* of BLKIF_SECTOR_SIZE bytes */
    bool read_only;
    bool flush, barrier, discard; /* offered */
    uint16_t indirect_segments;   /* most offered, 0: none */
};

/* One piece of guest memory, within one page. */
struct blkif_extent {
    uint32_t gref;
    uint16_t offset; /* bytes into the page, multiple of 512 */
    uint16_t length; /* bytes, 512..4096 */
};

/* A checked request: safe to execute as it stands. */
struct blkif_job {
    enum blkif_code code; /* READ, WRITE, BARRIER, FLUSH or DISCARD */
    uint64_t offset;      /* bytes */
    uint64_t length;      /* bytes: the extents' sum, or what to discard */
    uint16_t extent_count;
    bool secure; /* discard only */
};

/* Checks a request with its segments: `segments` are the message's own, or the decoded indirect ones. For an indirect
 * request, first check its head with blkif_indirect_pages(). `ret_extents` has room for BLKIF_DIRECT_SEGMENTS, or
 * `limits->indirect_segments`. A barrier may carry segments, which it writes; a flush carries none. A discard of 0
 * sectors is allowed.
 * Returns BLKIF_FAULT_NONE, or why not, with the outputs untouched. */
enum blkif_fault blkif_validate(const struct blkif_message *message, const struct blkif_segment *segments,
                                const struct blkif_limits *limits, struct blkif_job *ret_job,
                                struct blkif_extent *ret_extents);

/* How many indirect pages must be fetched for this request: 1..BLKIF_INDIRECT_PAGES, or 0 with `ret_fault` set. */
unsigned blkif_indirect_pages(const struct blkif_message *message, const struct blkif_limits *limits,
                              enum blkif_fault *ret_fault);

#endif
