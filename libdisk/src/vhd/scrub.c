/* SPDX-License-Identifier: MIT */
/* Zeroing, run by run: read, and write zeros only over what is not zero. */
#include "vhd/scrub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/format.h"

#define SCRUB_SECTORS 256u /* of the buffer */

static bool scrub_is_zero(const uint8_t *bytes, size_t length)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, length - 1) == 0;
}

static bool scrub_is_set(const struct vhd_scrub *scrub, uint32_t sector)
{
    return scrub->bits && vhd_bit(scrub->bits, sector);
}

static void scrub_transfer(struct vhd_scrub *scrub, enum file_op op, void (*done)(struct file_io *))
{
    file_io_single(&scrub->io, op, (scrub->data + scrub->at) * DISK_SECTOR_SIZE, scrub->buffer,
                   (size_t)scrub->run * DISK_SECTOR_SIZE);
    scrub->io.done = done;
    file_start(scrub->file, &scrub->io);
}

static void scrub_read(struct file_io *io);

/* Reads the next run of clear bits, if there is one. */
static bool scrub_next(struct vhd_scrub *scrub)
{
    scrub->at += scrub->run;
    scrub->run = 0;
    while (scrub->at < scrub->sectors && scrub_is_set(scrub, scrub->at))
        scrub->at++;
    while (scrub->at + scrub->run < scrub->sectors && scrub->run < SCRUB_SECTORS &&
           !scrub_is_set(scrub, scrub->at + scrub->run))
        scrub->run++;
    if (scrub->run == 0)
        return false;
    scrub_transfer(scrub, FILE_READ, scrub_read);
    return true;
}

static void scrub_written(struct file_io *io)
{
    struct vhd_scrub *scrub = (struct vhd_scrub *)io;
    if (io->result < 0 || !scrub_next(scrub))
        scrub->done(scrub, io->result);
}

static void scrub_read(struct file_io *io)
{
    struct vhd_scrub *scrub = (struct vhd_scrub *)io;
    size_t length = (size_t)scrub->run * DISK_SECTOR_SIZE;
    if (io->result < 0 || scrub_is_zero(scrub->buffer, length)) {
        scrub_written(io);
        return;
    }
    memset(scrub->buffer, 0, length);
    scrub_transfer(scrub, FILE_WRITE, scrub_written);
}

int vhd_scrub_init(struct vhd_scrub *scrub, struct file *file, void *owner, void (*done)(struct vhd_scrub *, int))
{
    void *buffer;
    if (posix_memalign(&buffer, 4096, (size_t)SCRUB_SECTORS * DISK_SECTOR_SIZE) != 0)
        return -ENOMEM;
    *scrub = (struct vhd_scrub){.file = file, .buffer = buffer, .owner = owner, .done = done};
    return 0;
}

void vhd_scrub_fini(struct vhd_scrub *scrub)
{
    free(scrub->buffer);
}

void vhd_scrub_start(struct vhd_scrub *scrub, uint64_t data, uint32_t sectors, const uint8_t *bits)
{
    scrub->data = data;
    scrub->sectors = sectors;
    scrub->bits = bits;
    scrub->at = 0;
    scrub->run = 0;
    (void)scrub_next(scrub);
}
