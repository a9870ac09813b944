/* SPDX-License-Identifier: MIT */
/*
 * The vhd kind, inside. Theory of operation.
 *
 * Two kinds of blocks. A block is FULL when every bit of its bitmap is known to be set: reads and writes go straight
 * to the file, there is no metadata to keep, and that is the hot path. Everything else is made full before it is first
 * written:
 *
 *   - a block that is absent takes a place from the pool, whose data area reads as zeros on stable storage; its bitmap
 *     of ones and its entry in the table are written, then it is full (slot.c, bat.c);
 *   - a block of another writer with clear bits in its bitmap has the sectors of those bits zeroed, the file is synced,
 *     then its bitmap of ones is written, and it is full (slot.c, scrub.c).
 *
 * Only then do the guest's writes start. An absent block reads as zeros, and so do sectors whose bit is clear.
 *
 * Why this survives. Between two syncs, entry, bitmap and data can each be on disk or lost, in any combination.
 *
 *   entry lost    The block reads as zeros: no flush had acknowledged it. Its place may hold data; the next open knows
 *                 the place as a gap, and zeroes it before it is used again.
 *   bitmap lost   The old one is there. Sectors of clear bits read as zeros, the others as what is in the file: zeros,
 *                 since a place enters the pool only after its zeros, and the end of the file behind it, were synced.
 *   data lost     Zeros, or what a full block had before: what any disk may do between two flushes.
 *
 * An acknowledged write has all three written, so a flush is one fdatasync(), and the death of the process loses none.
 *
 * The pool (pool.c) extends the file ahead of need: the new footer is written at the new end and synced, and only then
 * does anything touch what was the end before, or an entry point behind it. So the footer at the end is always valid.
 *
 * A slot holds what is going on with one block that is not full: its bitmap, and the requests that wait. There are
 * enough for every request to wait in one of its own; those at rest keep the bitmaps that were read last.
 */
#ifndef DISK_VHD_VHD_H
#define DISK_VHD_VHD_H

#include "kind.h"
#include "vhd/image.h"
#include "vhd/scrub.h"

#define VHD_AHEAD      64u /* most places made at once */
#define VHD_AHEAD_SIZE (32u << 20)
#define VHD_BAT_PAGE   1024u /* entries written at once */
#define VHD_SLOTS_IDLE 32u   /* slots beyond one per request */

enum vhd_slot_state {
    VHD_SLOT_EMPTY,      /* of no block; in vhd_disk.idle */
    VHD_SLOT_READY,      /* its bitmap is known and not all ones; in vhd_disk.idle */
    VHD_SLOT_LOADING,    /* its bitmap is being read */
    VHD_SLOT_ALLOCATING, /* waits in pool.waiting for a place, then for bitmap and entry to be written */
    VHD_SLOT_FILLING,    /* clear bits are being made zeros: in filler.queue, the first being worked on */
};

struct vhd_slot {
    struct file_io io; /* of the bitmap; first, so that its completion finds the slot */
    struct vhd_disk *vhd;
    uint32_t block;
    enum vhd_slot_state state;
    struct disk_request_list waiters; /* to be stepped again when the state changes */
    uint8_t *bits;
    unsigned parts; /* allocating: writes that have not ended */
    int bitmap_result;
    int entry_result;
    TAILQ_ENTRY(vhd_slot) entry; /* vhd_disk.idle, pool.waiting, bat.queued, bat.joined, or filler.queue */
};

TAILQ_HEAD(vhd_slot_list, vhd_slot);

/* Writes entries of the table, a page at a time; entries that come meanwhile share the next write. */
struct vhd_bat {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    struct vhd_slot_list queued;
    struct vhd_slot_list joined; /* in the write under way */
    bool busy;                   /* until each slot of a write knows of its end */
    uint8_t *page;
};

/* Places for new blocks. */
struct vhd_pool {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    uint32_t ready[VHD_AHEAD]; /* may be named by an entry */
    uint32_t ready_count;
    uint32_t gap_next;          /* of image.gaps */
    uint32_t making[VHD_AHEAD]; /* in the run under way */
    uint32_t making_count;
    uint32_t dirty;    /* all of them, when they are gaps, else none */
    uint32_t scrubbed; /* gaps that are zeros already */
    uint64_t new_end;
    bool busy;
    struct vhd_slot_list waiting;
    struct vhd_scrub scrub;
    uint8_t *footer;
};

/* Makes other writers' blocks full, one after the other. */
struct vhd_filler {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    struct vhd_slot_list queue;
    struct vhd_scrub scrub;
};

/* What vhd_disk.map says of a block; other values are a slot's index plus one. */
#define VHD_MAP_UNKNOWN 0u
#define VHD_MAP_FULL    0xffffu

struct vhd_disk {
    struct disk disk; /* first */
    struct vhd_image image;
    uint16_t *map; /* by block */
    struct vhd_slot *slots;
    unsigned slot_count;
    struct vhd_slot_list idle; /* empty ones, then those at rest, the longest first */
    uint8_t *buffers;          /* of all slots, aligned */
    struct vhd_bat bat;
    struct vhd_pool pool;
    struct vhd_filler filler;
};

/* Makes the disk over a file, which it takes over also on failure. */
int vhd_open_file(struct file *file, bool read_only, unsigned depth, struct disk **ret_disk,
                  struct disk_error *ret_error);

/* Moves a request on from where it is. It ends, starts its next I/O, or waits in a slot. */
void vhd_step(struct vhd_disk *vhd, struct disk_request *request);

/* ---- slot.c -------------------------------------------------------------------------------------------------------- */

int vhd_slots_init(struct vhd_disk *vhd, unsigned depth);
void vhd_slots_fini(struct vhd_disk *vhd);

/* The slot of a block, or NULL. */
struct vhd_slot *vhd_slot_find(struct vhd_disk *vhd, uint32_t block);

/* Makes `request` wait: for the bitmap to be read, for an absent block to be allocated, for a READY slot's block to be
 * made full. */
void vhd_slot_load(struct vhd_disk *vhd, uint32_t block, struct disk_request *request);
void vhd_slot_allocate(struct vhd_disk *vhd, uint32_t block, struct disk_request *request);
void vhd_slot_fill(struct vhd_slot *slot, struct disk_request *request);

/* From the pool: the place for a block that is being allocated, or why there is none. */
void vhd_slot_place(struct vhd_slot *slot, uint32_t sector);
void vhd_slot_fail(struct vhd_slot *slot, int result);

/* From the table: the entry is written, or not. */
void vhd_slot_entered(struct vhd_slot *slot, int result);

/* ---- bat.c --------------------------------------------------------------------------------------------------------- */

int vhd_bat_init(struct vhd_disk *vhd);
void vhd_bat_fini(struct vhd_disk *vhd);

/* Writes the entry of the slot's block as image.bat has it; ends with vhd_slot_entered(). */
void vhd_bat_write(struct vhd_disk *vhd, struct vhd_slot *slot);

/* ---- pool.c -------------------------------------------------------------------------------------------------------- */

int vhd_pool_init(struct vhd_disk *vhd);
void vhd_pool_fini(struct vhd_disk *vhd);

/* Finds a place for the slot's block: ends with vhd_slot_place() or vhd_slot_fail(), at once or later. */
void vhd_pool_take(struct vhd_disk *vhd, struct vhd_slot *slot);

#endif
