/* SPDX-License-Identifier: MIT */
/*
 * A disk: something that reads, writes, flushes and discards sectors, asynchronously.
 *
 * Every kind (ram, raw, vhd, nbd) implements one table, struct disk_kind, in a folder of its own; nothing here knows
 * of Xen, rings or daemons. Work is split between two processes:
 *
 *   - one that may open files: disk_source_parse(), disk_source_open(), disk_source_lock(). It never reads an image.
 *   - one that may only use descriptors it was given: disk_open() and all that follows. It never opens a path.
 *
 * A disk belongs to one thread. None of these functions calls back into its caller: completions are fetched by
 * disk_reap().
 */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#define DISK_SECTOR_SIZE 512u

/* Why something was refused, as a sentence for the operator: names the thing and the reason, no trailing newline. */
struct disk_error {
    char text[256];
};

/* ---- Sources: what a configuration string names. ------------------------------------------------------------------- */

struct disk_kind;

/* Of an export, as its server calls it: bytes, the end included. */
#define DISK_EXPORT_NAME_SIZE 256u

struct disk_source {
    const struct disk_kind *kind;
    char path
        [PATH_MAX]; /* file or block device; for ram the file that holds its content, filled in by the caller; nbd: the URI */
    char export_name[DISK_EXPORT_NAME_SIZE]; /* nbd: which of the server's disks; "" is its default one */
    uint64_t size;                           /* bytes; only for kinds whose size the source states (ram), else 0 */
    bool create; /* ram: the file may be made; set by the caller, and never where content is to be continued */
};

/* Parses `ram:64M`, `raw:/path`, `vhd:/path`, `nbd:URI` (nbd/uri.h); a plain absolute path means raw. The kind is never probed from content.
 * Sizes take K, M, G, T (powers of 1024) and must be multiples of 512. Returns 0, or -EINVAL with
 * `ret_error` filled. */
int disk_source_parse(const char *text, struct disk_source *ret_source, struct disk_error *ret_error);

/* Opens the file of a source: O_RDONLY when `read_only`, else O_RDWR; always O_CLOEXEC, never following into a FIFO
 * or character device. A ram source's file is continued when it exists with that size; when it is missing it is
 * created if `create` says so (mode 0600, with all of its memory: a third of a second a GiB), else refused. Its folder
 * should be on a tmpfs. A server is connected to (nbd: within 10 s); the connection is good for one disk_open() or
 * disk_connect(). O_DIRECT is set when the file system takes it and the kind can use it. The content is not read. May take long, and may be called in
 * any thread. Returns a descriptor the caller owns, or -errno with `ret_error` filled. */
int disk_source_open(const struct disk_source *source, bool read_only, struct disk_error *ret_error);

/* Takes the image, a file or block device, for its user: shared for readers, exclusive for writers (flock). Does not wait. Returns 0;
 * -EWOULDBLOCK when somebody else holds it; another -errno. Released when every copy of `fd` is closed; an io_uring's
 * is closed by the kernel some milliseconds after disk_close(). */
int disk_source_lock(int fd, bool read_only);

/* ---- Disks. -------------------------------------------------------------------------------------------------------- */

struct disk;

/* What is known beforehand of a disk that a server has (nbd). */
struct disk_export {
    char name[DISK_EXPORT_NAME_SIZE];
    /* As it was found to be; a server that says less is not believed to have the same disk. All 0: not known, disk_ready() tells. */
    uint64_t size;                 /* bytes */
    uint32_t physical_sector_size; /* bytes */
    uint32_t discard_granularity;  /* bytes */
    /* A request that waits so long for the server fails, and then every other until the server is back; 0: for ever. */
    uint32_t patience_s;
};

struct disk_params {
    const struct disk_kind *kind;
    int fd; /* from disk_source_open(); the disk takes it over, also when disk_open() fails; -1: it is to come (disk_connect) */
    const struct disk_export *server; /* nbd's; copied */
    const int *
        parents; /* of a child image, all of its chain, the nearest first: read-only, taken over as `fd` is (parent.h) */
    unsigned parent_count;
    int fence_fd; /* registered with every io_uring, so that it stays open until the kernel's last I/O ended; -1: none */
    bool read_only; /* `fd` is O_RDONLY */
    bool plain; /* no io_uring, which keeps a file, and the lock on it, for a moment after it was closed: for tools */
    unsigned depth; /* most requests in flight at once: 1..4096 */
};

struct disk_info {
    uint64_t size; /* bytes, a multiple of DISK_SECTOR_SIZE */
    uint32_t
        sector_size; /* bytes: logical; what reads, writes and discards are multiples of: 512, or a block device's */
    uint32_t physical_sector_size; /* bytes: what writes should be aligned to */
    bool read_only;
    uint32_t discard_granularity; /* bytes: what a discard should cover to have an effect; 0: the disk takes none */
    bool discard_secure;          /* see disk_kind_discards_securely() */
    unsigned parents;             /* images below it whose content shows through */
    const char *engine;           /* how I/O reaches the file: "io_uring", "pread", "mmap", "libnbd" */
};

enum disk_op {
    DISK_READ,
    DISK_WRITE,
    DISK_FLUSH, /* everything acknowledged before this was submitted is on stable storage when it completes */

    /* These have a `length` and no buffers. */
    DISK_DISCARD, /* the range is of no use to its writer: it reads as zeros or as before (nbd: as its server likes), and may take no room any more */
    DISK_PULL,    /* what parents hold of the range is copied into the image; see vhd.h for this and the next two */

    /* And these have neither. */
    DISK_SETTLE, /* the image, which has been given all they hold, lets go of its parents */
    DISK_RESIZE, /* the disk gets `offset` bytes: more than it had; vhd: all zeros; raw: no more than its file has by now */
    DISK_OPS
};

/* One request. Filled by the caller, who owns it and the buffers until disk_reap() hands it back. */
struct disk_io {
    enum disk_op op;
    uint64_t offset; /* bytes, multiple of the disk's sector size; 0 for flush */
    uint64_t length; /* bytes, the same: of a range without buffers */
    const struct iovec *
        iov; /* reads and writes: each base 512-byte aligned and each length a multiple of 512 bytes, all together of the disk's sectors */
    int iov_count;
    int result;      /* out: 0 or -errno; a short transfer is never success */
    uint64_t copied; /* out: bytes that DISK_PULL has copied, also when it failed */

    TAILQ_ENTRY(disk_io) entry; /* the disk's, while it holds the request */
};

/* Returns 0, or -errno with `ret_error` filled: the image is malformed, of another kind, too short, ... */
int disk_open(const struct disk_params *params, struct disk **ret_disk, struct disk_error *ret_error);

/* Waits for what is in flight, then lets go; what is in flight to a server is not waited for, which may carry it out later. Does not flush.
 * Takes NULL. */
void disk_close(struct disk *disk);

void disk_get_info(const struct disk *disk, struct disk_info *ret_info);

/* Starts `count` requests; those that cannot be started complete with an error. A range beyond the disk, or of parts of its sectors, is -EINVAL, a
 * change of a read-only disk -EROFS, what its kind does not do -EOPNOTSUPP. Overlapping requests in flight together have no defined order. One system call a
 * batch at most where the engine allows. */
void disk_submit(struct disk *disk, struct disk_io *const *ios, unsigned count);

/* Fetches up to `max` completed requests, in no particular order; returns how many. Call it after disk_submit(), and
 * whenever disk_fd() is readable. When it returns less than `max`, nothing else is complete. */
unsigned disk_reap(struct disk *disk, struct disk_io **ret_ios, unsigned max);

/* Readable when something may be ready to reap; -1 for a disk that completes everything within disk_submit(), as
 * those do whose file system would only hand io_uring's requests to threads. */
int disk_fd(const struct disk *disk);

/* Requests submitted and not yet reaped. */
unsigned disk_in_flight(const struct disk *disk);

/* ---- Disks behind a connection. What is not one is always ready, and wants nothing. -------------------------------------- */

/* 1: what disk_get_info() says is so; a disk whose size was not known beforehand takes no requests until then. 0: ask again when disk_fd() was
 * readable and disk_reap() was called. Or -errno, with `ret_error` filled: it will not be. */
int disk_ready(struct disk *disk, struct disk_error *ret_error);

/* Whether the disk has lost its connection, or never had one, and needs another by disk_connect(): true once for each. `ret_why` says what
 * happened to the last one. disk_fd() is readable until it is asked. Requests that were not answered wait, and are sent again. */
bool disk_wants_connection(struct disk *disk, struct disk_error *ret_why);

/* Gives the disk a connection from disk_source_open(), which it takes over. What was sent over the last one must not be able to reach the
 * server's disk any more. */
void disk_connect(struct disk *disk, int fd);

/* ---- Kinds. -------------------------------------------------------------------------------------------------------- */

/* The kind called `name` ("ram", "raw", "vhd", "nbd"), or NULL. */
const struct disk_kind *disk_kind_find(const char *name);
const char *disk_kind_name(const struct disk_kind *kind);
/* Whether what is discarded of such a disk is overwritten in the one place where it was. */
bool disk_kind_discards_securely(const struct disk_kind *kind);

/* Loads what a kind needs and most processes do not, while files can still be opened. Returns 0, also when there is nothing to load; or -ENOPKG with
 * `ret_error` filled. Not before that can such a disk be opened. */
int disk_kind_load(const struct disk_kind *kind, struct disk_error *ret_error);

/* Closes all descriptors that `params` would hand over. */
void disk_params_close(const struct disk_params *params);

#endif
