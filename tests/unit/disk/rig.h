/* SPDX-License-Identifier: MIT */
/* What several tests of libdisk need: files in a folder of the test's own, disks opened by specification, oracles
 * run. */
#ifndef TEST_DISK_RIG_H
#define TEST_DISK_RIG_H

#include <disk/vhd.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "logfile.h"
#include "vhd/format.h"

#define RIG_DEPTH 32

/* The seed of a test: RINGBACK_SEED, or one of the clock. Printed, so that a failure can be repeated. */
uint64_t rig_seed(void);

/* The number an environment variable gives, or `standard`. */
unsigned long rig_number(const char *variable, unsigned long standard);

/* A path in the test's folder, which goes when the program ends. The string is good for eight further calls. */
const char *rig_path(const char *name);

/* True when the program is on PATH. */
bool rig_has(const char *program);

/* Runs a shell command, its output unseen; returns its exit status. */
int rig_run(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Opens a disk of depth RIG_DEPTH by specification; fails the test, or with `ret_error` returns the error of
 * whichever step refused. */
struct disk *rig_open(const char *spec, bool read_only);
int rig_try_open(const char *spec, bool read_only, struct disk **ret_disk, struct disk_error *ret_error);

/* Carries out one request over one buffer and returns its result. */
int rig_io(struct disk *disk, enum disk_op op, uint64_t offset, void *buffer, size_t length);

/* Reads the whole disk. The caller frees. */
uint8_t *rig_read_all(struct disk *disk);

/* Memory aligned as requests need it, filled with zeros. */
void *rig_alloc(size_t length);

/* A dynamic image in memory. */
struct rig_image {
    struct log_image file;
    struct vhd_footer footer;
    struct vhd_header header;
    uint32_t blocks, block_sectors, bitmap_sectors;
    uint64_t end; /* sector where the footer is */
};

void rig_image_new(struct rig_image *image, uint64_t size, uint32_t block_size);

/* Appends a block at `sector` or, if 0, at the end: bitmap and data are given. */
void rig_image_add(struct rig_image *image, uint32_t block, uint64_t sector, const uint8_t *bits, const uint8_t *data);

/* Writes footers, header and table entry anew, with checksums, from what the structure says. */
void rig_image_seal(struct rig_image *image);
void rig_image_set_entry(struct rig_image *image, uint32_t block, uint32_t sector);

#endif
