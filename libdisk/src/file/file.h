/* SPDX-License-Identifier: MIT */
/*
 * The engine under every kind that keeps its bytes in a file: asynchronous reads, writes and syncs of one descriptor, and reads of
 * others that belong to it: the files of a chain of images are the members of one engine, so that there is one queue to hand over and
 * one descriptor to wait on.
 *
 * Three engines implement struct file_ops:
 *
 *   uring.c        io_uring, for block devices and file systems that serve it without threads;
 * *   sync.c         preadv() and pwritev() within file_kick(), for file systems that would only use threads (tmpfs);
 *   ../ram/map.c   memcpy(), for RAM disks.
 *
 * file_start() takes an operation, file_kick() gives what was taken to the kernel in one system call, file_poll() calls
 * done() of each operation that ended. done() is called from file_poll() alone, so it may start further operations.
 * An operation ends when all its bytes are transferred or an error stopped it: short transfers are continued here.
 */
#ifndef DISK_FILE_H
#define DISK_FILE_H

#include <disk/disk.h>

#include <stddef.h>

#define FILE_SLICE 16 /* most buffers in one system call, when an operation begins or ends in the middle of one */

enum file_op {
    FILE_READ,
    FILE_WRITE,
    FILE_SYNC,  /* what ended before it was started is on stable storage when it ends */
    FILE_PUNCH, /* `length` bytes read as zeros afterwards, and take no room; -EOPNOTSUPP where that cannot be */
};

struct file_io {
    enum file_op op;
    unsigned member;         /* which file: 0, or a parent's; those are only read */
    uint64_t offset;         /* bytes: where in the file what is left begins */
    const struct iovec *iov; /* what is left begins `skip` bytes into the first buffer */
    size_t skip;
    size_t length; /* bytes left */
    int result;    /* when done: 0 or -errno */
    void (*done)(struct file_io *io);

    unsigned retries;           /* the engine's from here */
    TAILQ_ENTRY(file_io) entry; /* file.ended */
    struct iovec single;        /* of file_io_single() */
    struct iovec slice[FILE_SLICE];
};

TAILQ_HEAD(file_io_list, file_io);

struct file;

struct file_ops {
    const char *name;
    void (*start)(struct file *file, struct file_io *io);
    void (*kick)(struct file *file);
    /* Calls done() of what ended; with `wait`, and something in flight, of one at least. Returns how many. */
    unsigned (*poll)(struct file *file, bool wait);
    void (*close)(struct file *file);
};

struct file {
    const struct file_ops *ops;
    int fd;                 /* of member 0; the engine's */
    uint64_t size;          /* bytes, when it was opened: of member 0, as the rest */
    uint32_t logical_size;  /* bytes: of a block device's sectors; 512 of a file */
    uint32_t physical_size; /* bytes: what writes should be aligned to */
    bool is_block_device;
    unsigned parent_count;  /* members beside 0 */
    uint64_t *parent_sizes; /* bytes, of members 1 and up; the file's */
    int poll_fd;        /* readable when file_poll() may find something; -1: it always finds all within file_kick() */
    unsigned in_flight; /* started and not done */
    struct file_io_list ended; /* of engines that carry operations out on the spot: to be announced */
};

/* Makes the engine for the descriptors of `params`, which it takes over also on failure. Returns 0, or -errno with `ret_error`
 * filled: parents must be regular files. */
int file_open(const struct disk_params *params, struct file **ret_file, struct disk_error *ret_error);

/* Nothing may be in flight. Takes NULL. */
void file_close(struct file *file);

void file_start(struct file *file, struct file_io *io);
void file_kick(struct file *file);
unsigned file_poll(struct file *file, bool wait);

/* Runs operations until none is in flight, those that completions start included. */
void file_drain(struct file *file);

/* The bytes a member had when it was opened. */
uint64_t file_size(const struct file *file, unsigned member);

/* The bytes member 0 has now, or -errno. */
int64_t file_measure(const struct file *file);

/* Makes `io` one operation of member 0 on one buffer. */
void file_io_single(struct file_io *io, enum file_op op, uint64_t offset, void *buffer, size_t length);

/* Transfers one buffer, or syncs, and waits for it. Nothing else may be in flight. Returns the bytes transferred,
 * fewer than `length` at the end of the file or at an error behind the first of them; or -errno. */
int64_t file_run(struct file *file, unsigned member, enum file_op op, uint64_t offset, void *buffer, size_t length);

/* ---- For engines. -------------------------------------------------------------------------------------------------- */

/* The buffers of the next system call for `io`: the caller's own array where it fits, else a slice of it. */
const struct iovec *file_io_next(struct file_io *io, int *ret_count);

/* Moves the cursor by `count` bytes, all within the buffers. */
void file_io_advance(struct file_io *io, size_t count);

/* What a system call returned for `io`. True when the operation has ended, its result set; false: there is more to
 * do. */
bool file_io_account(struct file_io *io, int64_t returned);

/* Ends an operation: leaves the count of those in flight, calls done(). */
void file_io_end(struct file *file, struct file_io *io);

/* kick of engines that carry an operation out within file_start(), and poll of these and of those that do so within
 * file_kick(). It waits in file.ended for file_poll(), so that a completion that starts the next operation does not
 * recurse. */
void file_kick_nothing(struct file *file);
unsigned file_poll_ended(struct file *file, bool wait);

/* True when what is left of `io`, of `length` bytes at most, is zeros. */
bool file_io_is_zero(const struct file_io *io, size_t length);

/* How FILE_PUNCH is to be asked of fallocate(). */
#define FILE_PUNCH_MODE (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

int file_open_sync(const struct disk_params *params, struct file **ret_file);
int file_open_uring(const struct disk_params *params, struct file **ret_file);

/* ---- For sources. -------------------------------------------------------------------------------------------------- */

/* Opens an existing regular file or block device, as disk_source_open() says. `flags`: O_RDONLY or O_RDWR. */
int file_open_path(const char *path, int flags, struct disk_error *ret_error);

/* Sets O_DIRECT where it takes 512-byte aligned transfers. Reads nothing. */
void file_set_direct(int fd, bool is_block_device);

#endif
