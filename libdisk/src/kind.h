/* SPDX-License-Identifier: MIT */
/*
 * What a kind of disk implements, and what disk.c does for all of them.
 *
 * A kind is one folder and one static table. Its disk embeds struct disk as the first member. disk.c checks each
 * request, gives it a struct disk_request from a pool made at open, and hands it to the kind's start(); the kind ends
 * it with disk_request_finish(), at once or from the completion of some struct file_io. No kind allocates memory per
 * request.
 */
#ifndef DISK_KIND_H
#define DISK_KIND_H

#include <disk/parent.h>

#include "file/file.h"

struct disk_request {
    struct file_io file_io; /* first; also the cursor through the caller's buffers */
    struct disk *disk;
    struct disk_io *io;
    uint64_t length;                 /* bytes asked for */
    uint64_t done;                   /* bytes of them that are complete */
    unsigned layer;                  /* vhd's, from here: the image of the chain in which is looked next */
    uint32_t place;                  /* sector of the block there, or 0 when that is to be looked up */
    uint64_t extent;                 /* bytes of the piece under way */
    struct vhd_slot *slot;           /* whose bits its write is to set, or NULL */
    unsigned epoch;                  /* of its transfer */
    TAILQ_ENTRY(disk_request) entry; /* disk.free_requests, or a list of the kind's */
};

TAILQ_HEAD(disk_request_list, disk_request);
TAILQ_HEAD(disk_io_list, disk_io);

struct disk {
    const struct disk_kind *kind;
    struct disk_info info;
    struct file *file;
    unsigned in_flight; /* submitted and not reaped */
    struct disk_request *requests;
    struct disk_request_list free_requests;
    struct disk_io_list done; /* finished and not reaped */
};

struct disk_kind {
    const char *name;
    /* As disk_kind_load(). NULL: there is nothing to load. */
    int (*load)(struct disk_error *ret_error);
    unsigned ops;           /* bits of enum disk_op: what it does beside reads, writes and flushes */
    bool discards_securely; /* see disk.h */
    /* Fills path or size of `source` from what follows "kind:". Returns 0 or -EINVAL. */
    int (*source_parse)(const char *text, struct disk_source *source, struct disk_error *ret_error);
    int (*source_open)(const struct disk_source *source, bool read_only, struct disk_error *ret_error);
    /* As disk_parent_read(). NULL: images of this kind have none. */
    int (*parent_read)(int fd, struct disk_parent *ret_parent, struct disk_error *ret_error);
    int (*open)(const struct disk_params *params, struct disk **ret_disk, struct disk_error *ret_error);
    /* Called when nothing is in flight; calls disk_fini() and frees the rest. */
    void (*close)(struct disk *disk);
    /* Starts a checked request; may finish it at once. */
    void (*start)(struct disk *disk, struct disk_request *request);

    /* As disk_ready(), disk_wants_connection() and disk_connect(). NULL, all of them: it needs no connection. */
    int (*ready)(struct disk *disk, struct disk_error *ret_error);
    bool (*wants_connection)(struct disk *disk, struct disk_error *ret_why);
    void (*connect)(struct disk *disk, int fd);
};

extern const struct disk_kind disk_kind_ram;
extern const struct disk_kind disk_kind_raw;
extern const struct disk_kind disk_kind_vhd;
extern const struct disk_kind disk_kind_nbd;

/* Fills `ret_error`; its value is `code`, so that a refusal is one statement. A macro, so that static analysis knows
 * the code. */
#define disk_refuse(ret_error, code, ...)          \
    ({                                             \
        int disk_refuse_code = (code);             \
        disk_error_fill((ret_error), __VA_ARGS__); \
        disk_refuse_code;                          \
    })

void disk_error_fill(struct disk_error *ret_error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Makes the part of a disk that all kinds share; `file` belongs to the disk from then on. Returns 0 or -ENOMEM. */
int disk_init(struct disk *disk, const struct disk_kind *kind, struct file *file, bool read_only, unsigned depth);

/* Closes the file too. */
void disk_fini(struct disk *disk);

/* Ends a request with 0 or -errno. The request goes back to the pool. */
void disk_request_finish(struct disk_request *request, int result);

/* Passes a whole request to the disk's file, at the same offset. */
void disk_request_pass(struct disk_request *request);

/* For kinds whose source is a path. */
int disk_path_parse(const char *text, struct disk_source *source, struct disk_error *ret_error);
int disk_path_open(const struct disk_source *source, bool read_only, struct disk_error *ret_error);

#endif
