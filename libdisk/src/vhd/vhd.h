/* SPDX-License-Identifier: MIT */
/*
 * The vhd kind, inside. Theory of operation.
 *
 * Two kinds of blocks. A block is FULL when every bit of its bitmap is known to be set: reads and writes go straight
 * to the file, there is no metadata to keep, and that is the hot path. What is written otherwise depends on what is below.
 *
 * Without a parent, a block is made full before it is first written:
 *
 *   - a block that is absent takes a place from the pool, which reads as zeros on stable storage; its bitmap of ones and its
 *     entry in the table are written, then it is full (slot.c, bat.c);
 *   - a block of another writer, or one of which a part was discarded, with clear bits in its bitmap has the sectors of those bits
 *     zeroed, the file is synced, then its bitmap of ones is written, and it is full (slot.c, scrub.c).
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
 * With a parent, a clear bit means what the parent holds, and a sector must never read as anything but that or what was written:
 *
 *   - a block that is absent takes a place, whose bitmap is zeros on stable storage, and its entry is written;
 *   - data for sectors whose bits are clear is written to its place, the file is synced, then the bits are set in the file, and only
 *     then is the write acknowledged (commit.c). A sync serves all writes that wait for one. Data for sectors whose bits are set is
 *     written and acknowledged.
 *
 *   entry or bitmap lost   The sectors read as the parent's: no flush had acknowledged them.
 *   data lost              Impossible: it was synced before its bit was written.
 *
 * An acknowledged write has all three written, so a flush is one fdatasync(), and the death of the process loses none.
 *
 * The pool (pool.c) extends the file ahead of need: the new footer is written at the new end and synced, and only then
 * does anything touch what was the end before, or an entry point behind it. So the footer at the end is always valid.
 *
 * A discard (discard.c) of whole blocks without a parent takes their entries from the table; a place goes back to the pool after every
 * transfer that may still be under way in it has ended (reclaim.c), and is used again after a sync. Of a part of a block it clears the bits. In the image of a child
 * it only makes holes under bits that stay set: a discard must not bring back what the parent holds.
 *
 * What parents hold is found by chain.c, with the pages of tables and bitmaps that were used last in memory (cache.c). Nothing of a parent is
 * ever written. A pull (pull.c) copies it into the image, and a change of the metadata (change.c) ends the dependence.
 *
 * A slot holds what is going on with one block that is not full: its bitmap, and the requests that wait. There are
 * enough for every request to wait in one of its own; those at rest keep the bitmaps that were read last.
 */
#ifndef DISK_VHD_VHD_H
#define DISK_VHD_VHD_H

#include "kind.h"
#include "vhd/image.h"
#include "vhd/parent.h"
#include "vhd/scrub.h"

#define VHD_AHEAD      64u /* most places made at once */
#define VHD_AHEAD_SIZE (32u << 20)
#define VHD_BAT_PAGE   1024u /* entries written at once */
#define VHD_SLOTS_IDLE 128u  /* slots beyond one per request */

enum vhd_slot_state {
    VHD_SLOT_EMPTY,      /* of no block; in vhd_disk.idle */
    VHD_SLOT_READY,      /* its bitmap is known and not all ones; in vhd_disk.idle, unless it is pinned */
    VHD_SLOT_LOADING,    /* its bitmap is being read */
    VHD_SLOT_ALLOCATING, /* waits in pool.waiting for a place, then for bitmap and entry to be written */
    VHD_SLOT_FILLING, /* clear bits are being made zeros, or what parents hold: in filler.queue, the first being worked on */
    VHD_SLOT_DISCARDING, /* bits are being cleared, or the entry removed */
    VHD_SLOT_DRAINING,   /* pinned: READY when it is not any more, for those that need it to themselves */
    VHD_SLOT_BROKEN,     /* pinned: what is in the file is not known, EMPTY when it is not any more */
};

struct vhd_slot {
    struct file_io io; /* of the bitmap; first, so that its completion finds the slot */
    struct vhd_disk *vhd;
    uint32_t block;
    enum vhd_slot_state state;
    struct disk_request_list waiters; /* to be stepped again when the state changes */
    uint8_t *bits;                    /* as they are in the file */
    uint8_t *next;                    /* as they are being written */
    unsigned pins;                    /* writes under way whose bits will have to be set */
    struct disk_request_list written; /* of these, those whose data is on stable storage */
    struct disk_request_list joined;  /* of these, those whose bits are being written */
    bool writing;
    struct disk_request *owner; /* filling, discarding: whom for, or NULL; it is moved on to the end of its piece */
    uint32_t place;             /* discarding: where the block was */
    uint32_t first, count;      /* discarding: sectors */
    unsigned parts;             /* writes of bitmap and entry that have not ended */
    int bitmap_result;
    int entry_result;
    TAILQ_ENTRY(vhd_slot) entry; /* vhd_disk.idle, pool.waiting, bat.queued, bat.joined, or filler.queue */
    TAILQ_ENTRY(vhd_slot) fill;  /* filler.queue */
};

TAILQ_HEAD(vhd_slot_list, vhd_slot);

/* Writes entries of the table, a page at a time; entries that come meanwhile share the next write. */
struct vhd_bat {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    struct vhd_slot_list queued;
    struct vhd_slot_list joined; /* in the write under way */
    bool busy;                   /* until each slot of a write knows of its end */
    bool lost;                   /* which table counts is not known: no entry can be written any more */
    uint8_t *page;
};

/* Places for new blocks. */
struct vhd_pool {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    uint32_t ready[VHD_AHEAD]; /* may be named by an entry */
    uint32_t ready_count;
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

/* Makes blocks full, or gives them what parents hold, one after the other. */
struct vhd_filler {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    struct vhd_slot_list queue;
    struct vhd_scrub scrub;
    struct disk_request
        *starting; /* whose block is being begun with: when that ends at once, it is told by vhd_slot_pull() */
    int started;   /* how it ended */
};

/* Copies what parents hold of the filler's first block. */
struct vhd_puller {
    struct disk_request request; /* first; walks through the chain and carries the transfers */
    uint8_t *buffer;
    uint32_t at, run; /* sectors of the block: where it is, and how many are in the buffer */
    uint32_t end;
    bool copied, allocated;
};

/* Sets bits behind data: one sync for all that wait. */
struct vhd_commit {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    struct disk_request_list queued, syncing;
    bool busy;
};

/* Places of discarded blocks on their way back into the pool. */
struct vhd_reclaim {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    uint32_t *pending, *round; /* those of the next round, and of the one under way */
    uint32_t pending_count, pending_capacity, round_count, round_at;
    bool busy, draining;
};

/* Pages of the metadata of parents, the last used: a few in each set. */
#define VHD_LINE_SIZE 4096u
#define VHD_LINE_WAYS 8u

struct vhd_line {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    unsigned member; /* 0: empty */
    uint64_t offset;
    size_t length; /* bytes of it that the file has */
    bool loading;
    uint64_t used; /* when */
    struct disk_request_list waiters;
    uint8_t *bytes;
};

struct vhd_cache {
    struct vhd_line *lines;
    unsigned sets;
    uint64_t clock;
    uint8_t *buffers;
};

/* A change of what footer, header or table say. */
struct vhd_change {
    struct file_io io; /* first */
    struct vhd_disk *vhd;
    struct disk_request *request; /* NULL: none is under way */
    bool begun;                   /* pool and table are at rest */
    unsigned step;
    struct vhd_footer footer;
    struct vhd_header header;
    uint8_t footer_bytes[VHD_FOOTER_SIZE];
    bool moves; /* a table is written anew, with its header, behind the end */
    uint64_t new_end;
    uint32_t *bat;
    uint32_t bat_count, written;
    uint16_t *map;
    uint64_t size;
    uint8_t *buffer;
    struct vhd_scrub scrub;
};

/* What vhd_disk.map says of a block; other values are a slot's index plus one. */
#define VHD_MAP_UNKNOWN 0u
#define VHD_MAP_FULL    0xffffu

struct vhd_disk {
    struct disk disk; /* first */
    struct vhd_image image;
    struct vhd_layer *parents;
    unsigned layer_count;  /* of `parents` */
    unsigned parent_count; /* of these, those that show through: all, or none any more */
    uint64_t pulled;       /* bytes from the start that have been given all that parents hold */
    uint16_t *map;         /* by block */
    struct vhd_slot *slots;
    unsigned slot_count;
    struct vhd_slot_list idle; /* empty ones, then those at rest, the longest first */
    uint8_t *buffers;          /* of all slots, aligned */
    unsigned epoch;            /* that transfers begin in */
    unsigned transfers[2];     /* of blocks of this image that are under way, by the epoch they began in */
    struct vhd_bat bat;
    struct vhd_pool pool;
    struct vhd_filler filler;
    struct vhd_puller puller;
    struct vhd_commit commit;
    struct vhd_reclaim reclaim;
    struct vhd_cache cache;
    struct vhd_change change;
    struct file_io batmap_io, batmap_header_io;
    uint8_t *batmap_header;                  /* a sector, aligned */
    struct disk_request_list batmap_waiters; /* for the map of full blocks to be emptied */
    unsigned batmap_parts;
    int batmap_result;
};

/* Makes the disk over a file, which it takes over also on failure. */
int vhd_open_file(struct file *file, bool read_only, unsigned depth, struct disk **ret_disk,
                  struct disk_error *ret_error);

/* Moves a request on from where it is. It ends, starts its next I/O, or waits. */
void vhd_step(struct vhd_disk *vhd, struct disk_request *request);

/* Ends a request that cannot go on. */
void vhd_fail(struct vhd_disk *vhd, struct disk_request *request, int result);

/* Starts what `request->file_io` says, of this image, with its end at `done`; and what `done` must call first. */
void vhd_transfer(struct vhd_disk *vhd, struct disk_request *request, void (*done)(struct file_io *));
void vhd_transfer_ended(struct vhd_disk *vhd, const struct disk_request *request);

/* ---- chain.c and cache.c ------------------------------------------------------------------------------------------- */

/* What a request meets at its current place. */
enum vhd_extent {
    VHD_EXTENT_ABSENT, /* nothing */
    VHD_EXTENT_DATA,   /* is in a file */
    VHD_EXTENT_WAIT,   /* it waits */
    VHD_EXTENT_SKIP,   /* zeros are written over zeros */
    VHD_EXTENT_BAD,    /* a parent is malformed there */
};

/* What parents hold at byte `at`, where request->layer, from 1 on, and request->place say how far the search has come. Shortens
 * `length` to what is alike, and keeps it in request->extent. Of data tells where: request->layer is the file's member. */
enum vhd_extent vhd_chain_map(struct vhd_disk *vhd, struct disk_request *request, uint64_t at, uint64_t *length,
                              uint64_t *ret_offset);

/* The bits of a block from `sector` on that are alike: true when they are set, and in `length` how far, at most as far as it was. */
bool vhd_run_of_bits(const uint8_t *bits, uint32_t sector, uint64_t *length);

int vhd_cache_init(struct vhd_disk *vhd, unsigned depth);
void vhd_cache_fini(struct vhd_disk *vhd);

/* The bytes of a parent's metadata at `offset`, and how many there are in a row; or NULL: the request waits for them, or has failed. */
const uint8_t *vhd_cache_get(struct vhd_disk *vhd, unsigned member, uint64_t offset, struct disk_request *request,
                             size_t *ret_count);

/* ---- slot.c -------------------------------------------------------------------------------------------------------- */

int vhd_slots_init(struct vhd_disk *vhd, unsigned depth);
void vhd_slots_fini(struct vhd_disk *vhd);

/* The slot of a block, or NULL. */
struct vhd_slot *vhd_slot_find(struct vhd_disk *vhd, uint32_t block);

/* A slot for a block that has none, of all ones when it is full. */
struct vhd_slot *vhd_slot_get(struct vhd_disk *vhd, uint32_t block);

/* Makes `request` wait: for the bitmap to be read, for an absent block to be allocated, for a READY slot's block to be
 * made full, for a pinned slot. */
void vhd_slot_load(struct vhd_disk *vhd, uint32_t block, struct disk_request *request);
void vhd_slot_allocate(struct vhd_disk *vhd, uint32_t block, struct disk_request *request);
void vhd_slot_fill(struct vhd_slot *slot, struct disk_request *request);
void vhd_slot_drain(struct vhd_slot *slot, struct disk_request *request);

/* Gives the block of a slot that is not at rest what parents hold, for `owner`. True when that ended at once, and how; else the owner is
 * stepped at its end. */
bool vhd_slot_pull(struct vhd_slot *slot, struct disk_request *owner, int *ret_result);

/* Takes a READY slot out of the list of those at rest; gives it back by what its bits are, and moves those who wait on. */
void vhd_slot_take(struct vhd_slot *slot, enum vhd_slot_state state);
void vhd_slot_rest(struct vhd_slot *slot);

/* Ends the slot's work: its block is full, or it has none, or, after an error, nothing is known of it. */
void vhd_slot_release(struct vhd_slot *slot, uint16_t map, int result);

/* A READY slot's block is written where its bits are clear; and the end of that. */
void vhd_slot_pin(struct vhd_slot *slot);
void vhd_slot_unpin(struct vhd_slot *slot);

/* Reads the bitmap into `bits`, or writes `next`. */
void vhd_slot_start(struct vhd_slot *slot, enum file_op op, void (*done)(struct file_io *));
size_t vhd_slot_bytes(const struct vhd_disk *vhd);
bool vhd_slot_is_full(const struct vhd_slot *slot);

/* From the pool: the place for a block that is being allocated, or why there is none. */
void vhd_slot_place(struct vhd_slot *slot, uint32_t sector);
void vhd_slot_fail(struct vhd_slot *slot, int result);

/* From the table: the entry is written, or not. */
void vhd_slot_entered(struct vhd_slot *slot, int result);

/* Ends the work on the filler's first block. */
void vhd_filler_end(struct vhd_filler *filler, int result);

/* ---- pull.c, commit.c, discard.c, reclaim.c, change.c --------------------------------------------------------------- */

int vhd_pull_init(struct vhd_disk *vhd);
void vhd_pull_fini(struct vhd_disk *vhd);
void vhd_pull_request(struct vhd_disk *vhd, struct disk_request *request); /* from vhd_step() */
void vhd_pull_start(struct vhd_slot *slot);                                /* from the filler */
void vhd_pull_step(struct vhd_disk *vhd);                                  /* on from where it waited */
void vhd_pull_fail(struct vhd_disk *vhd, int result);
void vhd_pull_placed(struct vhd_slot *slot);
void vhd_pull_entered(struct vhd_slot *slot);

/* The data of a request is written, for sectors whose bits are yet to be set: ends by stepping it. */
void vhd_commit_add(struct vhd_disk *vhd, struct disk_request *request);
void vhd_commit_init(struct vhd_disk *vhd);

void vhd_discard_request(struct vhd_disk *vhd, struct disk_request *request); /* from vhd_step() */
void vhd_discard_entered(struct vhd_slot *slot);

void vhd_reclaim_init(struct vhd_disk *vhd);
void vhd_reclaim_fini(struct vhd_disk *vhd);
void vhd_reclaim_add(struct vhd_disk *vhd, uint32_t sector);
void vhd_reclaim_drained(struct vhd_disk *vhd); /* no transfer of the epoch before is left */

int vhd_change_init(struct vhd_disk *vhd);
void vhd_change_fini(struct vhd_disk *vhd);
void vhd_change_request(struct vhd_disk *vhd, struct disk_request *request);
void vhd_change_proceed(struct vhd_disk *vhd); /* pool or table may have come to rest */

/* ---- bat.c --------------------------------------------------------------------------------------------------------- */

int vhd_bat_init(struct vhd_disk *vhd);
void vhd_bat_fini(struct vhd_disk *vhd);

/* Writes the entry of the slot's block as image.bat has it; ends with vhd_slot_entered(). */
void vhd_bat_write(struct vhd_disk *vhd, struct vhd_slot *slot);
void vhd_bat_resume(struct vhd_disk *vhd);

/* ---- pool.c -------------------------------------------------------------------------------------------------------- */

int vhd_pool_init(struct vhd_disk *vhd);
void vhd_pool_fini(struct vhd_disk *vhd);

/* Finds a place for the slot's block: ends with vhd_slot_place() or vhd_slot_fail(), at once or later. */
void vhd_pool_take(struct vhd_disk *vhd, struct vhd_slot *slot);
void vhd_pool_resume(struct vhd_disk *vhd);

#endif
