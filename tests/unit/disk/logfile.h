/* SPDX-License-Identifier: MIT */
/*
 * An engine (struct file_ops) over memory that keeps a log of what a disk asks of its file: every write with its
 * bytes, when it was started and when it ended, every hole (a write of zeros that does not extend the file), and every sync. Operations end in a random order, as a device's do.
 * From the log, the file as any crash could have left it is put together.
 *
 * Time is a counter that moves with every start and end of an operation, and with every tick of the test's.
 */
#ifndef TEST_DISK_LOGFILE_H
#define TEST_DISK_LOGFILE_H

#include "file/file.h"

#define LOG_NEVER UINT64_MAX

struct log_event {
    enum file_op op; /* FILE_WRITE, FILE_PUNCH or FILE_SYNC */
    uint64_t started;
    uint64_t ended; /* LOG_NEVER: it has not */
    uint64_t offset;
    uint8_t *bytes;
    size_t length;
};

/* Bytes of a file; they may be longer than `size` is now. */
struct log_image {
    uint8_t *bytes;
    size_t size, capacity;
};

struct log_file {
    struct file file; /* first */
    uint64_t *random; /* state of the test's generator */
    uint64_t *clock;
    struct log_image image;
    struct log_event *events;
    size_t event_count, event_capacity;
    size_t *ended; /* indices of events, in the order they ended */
    size_t ended_count, ended_capacity;
    struct log_pending *pending;
    size_t pending_count, pending_capacity;
    const struct log_image *parents; /* members from 1 on, which are read in place; the caller's */
    unsigned long reads[8];          /* operations by member */
    const struct iovec *held; /* the write of these buffers does not end while there is anything else; NULL: none */
    /* Decides the fate of an operation before it is carried out: 0, or -errno. NULL: all succeed. */
    int (*fate)(struct log_file *log, const struct file_io *io);
};

/* How much of what was not synced survives a power cut. */
enum log_survival {
    LOG_ALL,    /* all that had ended: the process died, the machine did not */
    LOG_NONE,   /* only what was synced */
    LOG_RANDOM, /* any of it, in any combination of sectors */
};

uint64_t log_random(uint64_t *state);

/* A file with a copy of `image`. Closing the file frees it: take what is needed before. */
struct log_file *log_file_new(const struct log_image *image, uint64_t *random, uint64_t *clock);

/* The same with parents. */
struct log_file *log_file_new_child(const struct log_image *image, const struct log_image *parents,
                                    unsigned parent_count, uint64_t *random, uint64_t *clock);

/* The file after a crash at `time`, starting from `base`. */
void log_crash(const struct log_file *log, const struct log_image *base, uint64_t time, enum log_survival survival,
               uint64_t *random, struct log_image *ret_image);

/* As log_crash(), where bit i of `mask` says whether the i-th write that was not synced survives. Returns how many
 * such there are. */
unsigned log_crash_mask(const struct log_file *log, const struct log_image *base, uint64_t time, uint64_t mask,
                        struct log_image *ret_image);

void log_image_write(struct log_image *image, uint64_t offset, const void *bytes, size_t length);
void log_image_copy(const struct log_image *from, struct log_image *ret_image);
void log_image_free(struct log_image *image);

#endif
