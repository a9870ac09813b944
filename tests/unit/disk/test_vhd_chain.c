/* SPDX-License-Identifier: MIT */
/*
 * What the power cuts do not look at: where things are in the file after discards, what zeros cost, which parents are taken, tapdisk's map of
 * full blocks, and what is refused of changes.
 */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhd.h"

#define BLOCK  4096u
#define BLOCKS 8u

struct fixture {
    uint64_t random, clock;
    struct rig_image image;
    struct log_image parents[2];
    unsigned parent_count;
    struct log_file *log;
    struct disk *disk;
    uint8_t *bytes; /* of all of the disk, to write from and read into */
};

static void setup_image(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->random = 1;
    f->bytes = rig_alloc(2 * BLOCKS * BLOCK);
    rig_image_new(&f->image, BLOCKS * BLOCK, BLOCK);
}

static int try_open(struct fixture *f, bool read_only, struct disk_error *ret_error)
{
    f->log = log_file_new_child(&f->image.file, f->parents, f->parent_count, &f->random, &f->clock);
    f->disk = NULL;
    return vhd_open_file(&f->log->file, read_only, 8, &f->disk, ret_error);
}

static void open_disk(struct fixture *f)
{
    struct disk_error error;
    if (try_open(f, false, &error) < 0)
        fail_msg("%s", error.text);
}

/* Lets the background work of the disk come to an end, and takes the file as it is then for the image. */
static void settle_file(struct fixture *f)
{
    while (f->disk->file->in_flight > 0)
        file_poll(f->disk->file, true);
    log_image_copy(&f->log->image, &f->image.file);
}

static void teardown(struct fixture *f)
{
    disk_close(f->disk);
    for (unsigned i = 0; i < f->parent_count; i++)
        log_image_free(&f->parents[i]);
    log_image_free(&f->image.file);
    free(f->bytes);
}

static int request(struct fixture *f, enum disk_op op, uint64_t offset, uint64_t length)
{
    struct disk_io io = {.op = op, .offset = offset, .length = length}, *list = &io;
    disk_submit(f->disk, &list, 1);
    while (disk_reap(f->disk, &list, 1) == 0)
        ;
    return io.result;
}

static void write_block(struct fixture *f, uint32_t block, int value)
{
    memset(f->bytes, value, BLOCK);
    assert_int_equal(rig_io(f->disk, DISK_WRITE, (uint64_t)block * BLOCK, f->bytes, BLOCK), 0);
}

static void check_range(struct fixture *f, uint64_t offset, size_t length, int value)
{
    assert_int_equal(rig_io(f->disk, DISK_READ, offset, f->bytes, length), 0);
    for (size_t i = 0; i < length; i++)
        assert_int_equal(f->bytes[i], value);
}

/* What the file's table says. */
static uint32_t entry(const struct fixture *f, uint32_t block)
{
    return vhd_get32(f->log->image.bytes + f->image.header.table_offset + 4ull * block);
}

static const uint8_t *at_sector(const struct fixture *f, uint64_t sector)
{
    return f->log->image.bytes + sector * DISK_SECTOR_SIZE;
}

static bool is_filled(const uint8_t *bytes, int value, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* ---- Discards. ----------------------------------------------------------------------------------------------------- */

static void test_freed_block_is_used_again(void **state)
{
    (void)state;
    struct fixture f;
    setup_image(&f);
    open_disk(&f);
    for (uint32_t block = 0; block < BLOCKS; block++)
        write_block(&f, block, 0x11 + (int)block);
    settle_file(&f);
    uint32_t place = entry(&f, 3);
    size_t size = f.log->image.size;
    assert_int_equal(request(&f, DISK_DISCARD, 3 * BLOCK, BLOCK), 0);
    settle_file(&f);
    assert_int_equal(entry(&f, 3), VHD_ABSENT);
    assert_true(is_filled(at_sector(&f, place), 0, BLOCK + DISK_SECTOR_SIZE)); /* a hole */
    check_range(&f, 3 * BLOCK, BLOCK, 0);

    assert_int_equal(request(&f, DISK_DISCARD, 5 * BLOCK, BLOCK), 0);
    settle_file(&f);
    for (unsigned round = 0; round < 20;
         round++) { /* which of the two places is whose may change: the file does not grow */
        write_block(&f, 3, 0x33);
        assert_int_equal(request(&f, DISK_DISCARD, 3 * BLOCK, BLOCK), 0);
        settle_file(&f);
    }
    write_block(&f, 3, 0x44);
    write_block(&f, 5, 0x55);
    settle_file(&f);
    assert_int_equal(f.log->image.size, size);
    for (uint32_t block = 0; block < BLOCKS; block++)
        check_range(&f, block * BLOCK, BLOCK, block == 3 ? 0x44 : block == 5 ? 0x55 : 0x11 + (int)block);
    teardown(&f);
}

static void test_part_of_a_block(void **state)
{
    (void)state;
    struct fixture f;
    setup_image(&f);
    open_disk(&f);
    write_block(&f, 2, 0x22);
    assert_int_equal(request(&f, DISK_DISCARD, 2 * BLOCK + 1024, 1024), 0);
    settle_file(&f);
    const uint8_t *bits = at_sector(&f, entry(&f, 2));
    assert_int_equal(bits[0], 0xcf); /* sectors 2 and 3 */
    assert_true(is_filled(at_sector(&f, entry(&f, 2) + 1 + 2), 0, 1024));
    check_range(&f, 2 * BLOCK, 1024, 0x22);
    check_range(&f, 2 * BLOCK + 1024, 1024, 0);
    check_range(&f, 2 * BLOCK + 2048, 2048, 0x22);

    /* Written again it is full again. */
    memset(f.bytes, 0x77, 512);
    assert_int_equal(rig_io(f.disk, DISK_WRITE, 2 * BLOCK + 1024, f.bytes, 512), 0);
    settle_file(&f);
    assert_int_equal(at_sector(&f, entry(&f, 2))[0], 0xff);
    check_range(&f, 2 * BLOCK + 1024, 512, 0x77);
    check_range(&f, 2 * BLOCK + 1536, 512, 0);

    /* Piece by piece it goes. */
    for (uint32_t at = 0; at < BLOCK; at += 1024) {
        assert_int_not_equal(entry(&f, 2), VHD_ABSENT);
        assert_int_equal(request(&f, DISK_DISCARD, 2 * BLOCK + at, 1024), 0);
    }
    settle_file(&f);
    assert_int_equal(entry(&f, 2), VHD_ABSENT);
    assert_int_equal(request(&f, DISK_DISCARD, 0, BLOCKS * BLOCK), 0); /* what is absent */
    assert_int_equal(request(&f, DISK_DISCARD, 0, BLOCKS * BLOCK + 512), -EINVAL);
    assert_int_equal(request(&f, DISK_DISCARD, 100, 512), -EINVAL);
    assert_int_equal(request(&f, DISK_DISCARD, 0, 0), -EINVAL);
    teardown(&f);
}

/* A write that is under way while its block is discarded must not end up in the block that gets the place. */
static void test_late_write_stays_away(void **state)
{
    (void)state;
    struct fixture f;
    setup_image(&f);
    open_disk(&f);
    for (uint32_t block = 0; block < BLOCKS - 1; block++)
        write_block(&f, block, 0x11);
    settle_file(&f);
    write_block(&f, BLOCKS - 1, 0x11); /* no place is left ready */
    settle_file(&f);
    uint8_t *late = rig_alloc(BLOCK);
    memset(late, 0xee, BLOCK);
    struct iovec iov = {.iov_base = late, .iov_len = BLOCK};
    struct disk_io io = {.op = DISK_WRITE, .offset = 2 * BLOCK, .iov = &iov, .iov_count = 1}, *list = &io, *done;
    f.log->held = &iov;
    disk_submit(f.disk, &list, 1);
    assert_int_equal(request(&f, DISK_DISCARD, 2 * BLOCK, BLOCK), 0);
    for (unsigned i = 0; i < 100; i++)
        file_poll(f.disk->file, false);            /* whatever the disk does next, but for the write */
    for (uint32_t block = 3; block < 6; block++) { /* each gets a place that was another's */
        assert_int_equal(request(&f, DISK_DISCARD, (uint64_t)block * BLOCK, BLOCK), 0);
        write_block(&f, block, 0x33);
    }
    f.log->held = NULL;
    while (disk_reap(f.disk, &done, 1) == 0)
        ;
    settle_file(&f);
    check_range(&f, 3 * BLOCK, 3 * BLOCK, 0x33);
    free(late);
    teardown(&f);
}

/* A raw parent of 0xaa. */
static void add_raw_parent(struct fixture *f, size_t size)
{
    uint8_t *bytes = rig_alloc(size);
    memset(bytes, 0xaa, size);
    log_image_write(&f->parents[0], 0, bytes, size);
    f->parent_count = 1;
    f->image.footer.type = VHD_DIFFERENCING;
    rig_image_seal(&f->image);
    free(bytes);
}

static void test_discard_in_child(void **state)
{
    (void)state;
    struct fixture f;
    setup_image(&f);
    add_raw_parent(&f, BLOCKS * BLOCK);
    open_disk(&f);
    memset(f.bytes, 0x11, 1024);
    assert_int_equal(rig_io(f.disk, DISK_WRITE, BLOCK + 512, f.bytes, 1024), 0);
    assert_int_equal(request(&f, DISK_DISCARD, 0, 3 * BLOCK), 0);
    settle_file(&f);
    assert_int_equal(at_sector(&f, entry(&f, 1))[0], 0x60); /* its bits stay, or the parent would show */
    check_range(&f, BLOCK, 512, 0xaa);
    check_range(&f, BLOCK + 512, 1024, 0);
    check_range(&f, BLOCK + 1536, BLOCK - 1536, 0xaa);
    check_range(&f, 0, BLOCK, 0xaa);
    write_block(&f, 4, 0x44); /* a full one */
    assert_int_equal(request(&f, DISK_DISCARD, 4 * BLOCK, BLOCK), 0);
    check_range(&f, 4 * BLOCK, BLOCK, 0);
    teardown(&f);
}

/* Two writes to the same sector of a child at once: the first of them that is acknowledged has the sector's bit in the file, or the death
 * of the process would bring back what the parent holds. */
static void test_bits_before_acknowledgement(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct fixture f;
        setup_image(&f);
        add_raw_parent(&f, BLOCKS * BLOCK);
        f.random = seed;
        open_disk(&f);
        write_block(&f, 0, 0x11); /* so that there are places ready */
        memset(f.bytes, 0x22, 512);
        struct iovec iov = {.iov_base = f.bytes, .iov_len = 512};
        struct disk_io ios[2], *list[2] = {&ios[0], &ios[1]}, *done;
        ios[0] = ios[1] = (struct disk_io){.op = DISK_WRITE, .offset = BLOCK, .iov = &iov, .iov_count = 1};
        unsigned acked = 0;
        disk_submit(f.disk, &list[0], 1);
        for (uint64_t i = 0; i < seed % 12; i++)
            file_poll(f.disk->file, true);
        disk_submit(f.disk, &list[1], 1);
        while (acked < 2)
            if (disk_reap(f.disk, &done, 1) == 1) {
                assert_int_equal(done->result, 0);
                assert_int_equal(at_sector(&f, entry(&f, 1))[0], 0x80);
                acked++;
            }
        teardown(&f);
    }
}

/* ---- Zeros. -------------------------------------------------------------------------------------------------------- */

static void test_zeros(void **state)
{
    (void)state;
    struct fixture f;
    setup_image(&f);
    open_disk(&f);
    write_block(&f, 0, 0);
    assert_int_equal(f.log->event_count, 0); /* not even a write */
    write_block(&f, 0, 0x11);
    write_block(&f, 0, 0);
    check_range(&f, 0, BLOCK, 0);
    memset(f.bytes, 0, 2 * BLOCK);
    f.bytes[2 * BLOCK - 1] = 1; /* across two blocks: only the second is needed */
    assert_int_equal(rig_io(f.disk, DISK_WRITE, 2 * BLOCK, f.bytes, 2 * BLOCK), 0);
    settle_file(&f);
    assert_int_equal(entry(&f, 2), VHD_ABSENT);
    assert_int_not_equal(entry(&f, 3), VHD_ABSENT);
    teardown(&f);

    setup_image(&f);
    add_raw_parent(&f, BLOCKS * BLOCK);
    open_disk(&f);
    write_block(&f, 0, 0); /* hides what the parent holds */
    check_range(&f, 0, BLOCK, 0);
    teardown(&f);
}

/* ---- Parents. ------------------------------------------------------------------------------------------------------ */

/* A dynamic parent whose blocks 0, 1 and 2 hold 0xb0, 0xb1 and 0xb2. */
static void add_parent(struct fixture *f, unsigned index, uint32_t type)
{
    struct rig_image parent;
    uint8_t bits[512], data[BLOCK];
    rig_image_new(&parent, BLOCKS * BLOCK, BLOCK);
    parent.footer.uuid[0] = (uint8_t)(0x50 + index);
    parent.footer.type = type;
    memset(bits, 0xff, sizeof bits);
    for (uint32_t block = 0; block < 3; block++) {
        memset(data, 0xb0 + (int)block, sizeof data);
        rig_image_add(&parent, block, 0, bits, data);
    }
    memcpy(index == 0 ? f->image.header.parent_uuid : parent.header.parent_uuid, parent.footer.uuid, 16);
    f->parents[index] = parent.file;
    f->parent_count = index + 1;
    f->image.footer.type = VHD_DIFFERENCING;
    rig_image_seal(&f->image);
}

static void check_refused(struct fixture *f, int code, const char *reason)
{
    struct disk_error error = {""};
    assert_int_equal(try_open(f, true, &error), code);
    if (!strstr(error.text, reason))
        fail_msg("\"%s\" does not say \"%s\"", error.text, reason);
}

static void test_wrong_parents(void **state)
{
    (void)state;
    struct fixture f;
    setup_image(&f);
    add_parent(&f, 0, VHD_DYNAMIC);
    open_disk(&f);
    check_range(&f, 2 * BLOCK, BLOCK, 0xb2);
    check_range(&f, 3 * BLOCK, BLOCK, 0);
    disk_close(f.disk);

    f.image.header.parent_uuid[5] ^= 1;
    rig_image_seal(&f.image);
    check_refused(&f, -EINVAL, "its child is of");
    f.image.header.parent_uuid[5] ^= 1;
    memcpy(f.image.footer.uuid, f.image.header.parent_uuid, 16);
    rig_image_seal(&f.image);
    check_refused(&f, -ELOOP, "the same identifier");
    f.image.footer.uuid[0] = 1;
    rig_image_seal(&f.image);
    f.parent_count = 0;
    check_refused(&f, -EINVAL, "the parent of image 0 of the chain is missing");
    f.parent_count = 2;
    log_image_copy(&f.parents[0], &f.parents[1]);
    check_refused(&f, -EINVAL, "image 1 of the chain stands by itself");
    f.parents[0].bytes[600] ^= 1;
    f.parent_count = 1;
    check_refused(&f, -EINVAL, "parent 1: the dynamic header's checksum");
    memset(f.image.header.parent_uuid, 0, 16);
    rig_image_seal(&f.image);
    f.parents[0].size--;
    check_refused(&f, -EINVAL, "parent 1 is raw and has");
    f.parents[0].size++;
    f.parent_count = 2;
    check_refused(&f, -EINVAL, "image 1 of the chain stands by itself");
    struct disk_error error;
    f.parent_count = 1;
    assert_int_equal(try_open(&f, true, &error), 0);
    f.parent_count = 2;
    teardown(&f);
}

/* An entry of a parent's that leads nowhere spoils its own block, and no other. */
static void test_malformed_parent(void **state)
{
    (void)state;
    static const uint32_t entries[] = {0, 1, 3, 1000, 0xfffffffe, 0x80000000};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        struct fixture f;
        setup_image(&f);
        add_parent(&f, 0, VHD_DYNAMIC);
        vhd_put32(f.parents[0].bytes + 3 * DISK_SECTOR_SIZE + 4, entries[i]);
        open_disk(&f);
        assert_int_equal(rig_io(f.disk, DISK_READ, BLOCK, f.bytes, BLOCK), -EIO);
        assert_int_equal(request(&f, DISK_PULL, BLOCK, BLOCK), -EIO);
        check_range(&f, 0, BLOCK, 0xb0);
        check_range(&f, 2 * BLOCK, BLOCK, 0xb2);
        write_block(&f, 1, 0x77);
        check_range(&f, BLOCK, BLOCK, 0x77);
        assert_int_equal(request(&f, DISK_SETTLE, 0, 0), -EBUSY);
        teardown(&f);
    }
}

/* ---- tapdisk's map of full blocks. --------------------------------------------------------------------------------- */

/* An image of tapdisk's in which the map says that block 0 is full, and its bitmap says nothing of the kind. */
static void make_batmap(struct fixture *f)
{
    uint8_t header[512] = {0}, map[512] = {0x80}, bits[512] = {0}, data[BLOCK];
    setup_image(f);
    memcpy(f->image.footer.creator, "tap", 4);
    f->image.end += 2;
    memset(data, 0x99, sizeof data);
    rig_image_add(&f->image, 0, 0, bits, data);
    const struct vhd_batmap_header batmap = {
        .offset = 5 * 512, .sectors = 1, .version = VHD_BATMAP_VERSION, .checksum = vhd_checksum(map, 512, 512)};
    vhd_batmap_encode(&batmap, header);
    header[100] = 0x5a; /* of a later version, for instance */
    log_image_write(&f->image.file, 4 * 512, header, 512);
    log_image_write(&f->image.file, 5 * 512, map, 512);
}

static void check_batmap_empty(const struct fixture *f)
{
    struct vhd_batmap_header header;
    assert_true(vhd_batmap_decode(at_sector(f, 4), &header));
    assert_int_equal(header.checksum, 0xffffffff);
    assert_int_equal(at_sector(f, 4)[100], 0x5a);
    assert_true(is_filled(at_sector(f, 5), 0, 512));
}

static void test_batmap(void **state)
{
    (void)state;
    struct fixture f;
    make_batmap(&f);
    open_disk(&f);
    check_range(&f, 0, BLOCK, 0x99); /* it is believed */
    write_block(&f, 1, 0x11);
    assert_int_equal(at_sector(&f, 5)[0], 0x80);
    assert_int_equal(request(&f, DISK_DISCARD, BLOCK + 512, 512), 0);
    settle_file(&f);
    check_batmap_empty(&f);
    check_range(&f, 0, BLOCK, 0x99); /* what is known stays known */
    teardown(&f);

    make_batmap(&f); /* torn: not believed, and mended before anything is written */
    f.image.file.bytes[5 * 512 + 1] = 1;
    open_disk(&f);
    check_range(&f, 0, BLOCK, 0);
    check_batmap_empty(&f);
    teardown(&f);

    make_batmap(&f); /* of a block that is absent: it must not be believed when that comes */
    rig_image_set_entry(&f.image, 0, VHD_ABSENT);
    open_disk(&f);
    check_batmap_empty(&f);
    teardown(&f);

    make_batmap(&f); /* not tapdisk's: nobody's */
    memcpy(f.image.footer.creator, "win ", 4);
    rig_image_seal(&f.image);
    open_disk(&f);
    check_range(&f, 0, BLOCK, 0);
    teardown(&f);
}

/* ---- Changes. ------------------------------------------------------------------------------------------------------ */

static void test_changes_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct disk_info info;
    setup_image(&f);
    add_raw_parent(&f, 2 * BLOCKS * BLOCK);
    open_disk(&f);
    assert_int_equal(request(&f, DISK_SETTLE, 0, 0), -EBUSY);
    assert_int_equal(request(&f, DISK_PULL, BLOCK, (BLOCKS - 1) * BLOCK), 0);
    assert_int_equal(request(&f, DISK_SETTLE, 0, 0), -EBUSY); /* the first block is not there */
    assert_int_equal(request(&f, DISK_RESIZE, BLOCKS * BLOCK + 512, 0), -ENOTSUP);
    assert_int_equal(request(&f, DISK_RESIZE, 512, 0), -EINVAL);
    assert_int_equal(request(&f, DISK_RESIZE, BLOCKS * BLOCK + 100, 0), -EINVAL);
    assert_int_equal(request(&f, DISK_RESIZE, VHD_MAX_SIZE + 512, 0), -EINVAL);
    assert_int_equal(request(&f, DISK_RESIZE, VHD_MAX_SIZE, 0), -ENOTSUP);
    assert_int_equal(request(&f, DISK_PULL, 0, BLOCK), 0);
    assert_int_equal(request(&f, DISK_PULL, 0, BLOCKS * BLOCK), 0);
    assert_int_equal(request(&f, DISK_SETTLE, 0, 0), 0);
    assert_int_equal(request(&f, DISK_SETTLE, 0, 0), 0);
    assert_int_equal(request(&f, DISK_RESIZE, BLOCKS * BLOCK + 512, 0), 0);
    assert_int_equal(request(&f, DISK_RESIZE, VHD_MAX_SIZE, 0), -EFBIG); /* too many blocks of this size */
    disk_get_info(f.disk, &info);
    assert_int_equal(info.size, BLOCKS * BLOCK + 512);
    assert_int_equal(info.parents, 0);
    check_range(&f, 0, BLOCKS * BLOCK, 0xaa);
    check_range(&f, BLOCKS * BLOCK, 512, 0);
    settle_file(&f);
    disk_close(f.disk);
    f.parent_count = 0;
    struct disk_error error;
    assert_int_equal(try_open(&f, true, &error), 0);
    check_range(&f, 0, BLOCKS * BLOCK, 0xaa);
    assert_int_equal(request(&f, DISK_RESIZE, 1 << 20, 0), -EROFS);
    assert_int_equal(request(&f, DISK_DISCARD, 0, 512), -EROFS);
    f.parent_count = 1;
    teardown(&f);
}

static unsigned fails_at;

static int fails_once(struct log_file *log, const struct file_io *io)
{
    (void)log;
    return io->op != FILE_READ && fails_at > 0 && --fails_at == 0 ? -EIO : 0;
}

/* Any operation of a change may fail: then, and after the next open, the disk is what it was, or larger, and can be written. */
static void test_changes_fail(void **state)
{
    (void)state;
    for (unsigned settle = 0; settle < 2; settle++)
        for (unsigned at = 1; at < 14; at++) {
            struct fixture f;
            struct disk_info info;
            setup_image(&f);
            if (settle)
                add_raw_parent(&f, BLOCKS * BLOCK);
            open_disk(&f);
            write_block(&f, 1, 0x11);
            if (settle)
                assert_int_equal(request(&f, DISK_PULL, 0, BLOCKS * BLOCK), 0);
            f.log->fate = fails_once;
            fails_at = at;
            (void)request(&f, settle ? DISK_SETTLE : DISK_RESIZE, settle ? 0 : 2 * BLOCKS * BLOCK, 0);
            fails_at = 0;
            memset(f.bytes, 0x22, BLOCK);
            (void)rig_io(f.disk, DISK_WRITE, 2 * BLOCK, f.bytes, BLOCK);
            bool written = rig_io(f.disk, DISK_WRITE, 2 * BLOCK, f.bytes, BLOCK) == 0;
            for (unsigned life = 0; life < 2; life++) {
                disk_get_info(f.disk, &info);
                assert_true(info.size == BLOCKS * BLOCK || info.size == 2 * BLOCKS * BLOCK);
                check_range(&f, BLOCK, BLOCK, 0x11);
                check_range(&f, 0, BLOCK, settle ? 0xaa : 0);
                if (written)
                    check_range(&f, 2 * BLOCK, BLOCK, 0x22);
                settle_file(&f);
                disk_close(f.disk);
                struct vhd_footer footer;
                struct disk_error error;
                assert_int_equal(vhd_footer_decode(f.image.file.bytes, &footer, &error), 0);
                f.parent_count = footer.type == VHD_DIFFERENCING;
                open_disk(&f);
            }
            write_block(&f, 3, 0x33);
            check_range(&f, 3 * BLOCK, BLOCK, 0x33);
            f.parent_count = settle;
            teardown(&f);
        }
}

static int fails_often(struct log_file *log, const struct file_io *io)
{
    (void)io;
    return log_random(log->random) % 9 == 0 ? -EIO : 0;
}

/* Any operation on a child may fail, reads of its parent too: what succeeded is there, now and after the next open. */
static void test_errors_in_child(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct fixture f;
        int least[BLOCKS] = {0}; /* what was written last with success */
        bool torn[BLOCKS] = {false};
        setup_image(&f);
        add_parent(&f, 0, VHD_DYNAMIC);
        f.random = seed;
        open_disk(&f);
        f.log->fate = fails_often;
        for (unsigned i = 1; i < 60; i++) {
            uint32_t block = (uint32_t)(log_random(&f.random) % BLOCKS);
            memset(f.bytes, (int)i, BLOCK);
            bool done = rig_io(f.disk, DISK_WRITE, (uint64_t)block * BLOCK, f.bytes, BLOCK) == 0;
            least[block] = done ? (int)i : least[block];
            torn[block] = !done;
            if (i % 5 == 0)
                (void)request(&f, DISK_PULL, (uint64_t)block * BLOCK, BLOCK);
            (void)rig_io(f.disk, DISK_READ, (uint64_t)block * BLOCK, f.bytes, BLOCK);
        }
        f.log->fate = NULL;
        for (unsigned life = 0; life < 2; life++) {
            for (uint32_t block = 0; block < BLOCKS; block++)
                if (least[block] && !torn[block])
                    check_range(&f, (uint64_t)block * BLOCK, BLOCK, least[block]);
            settle_file(&f);
            disk_close(f.disk);
            open_disk(&f);
        }
        teardown(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freed_block_is_used_again),
        cmocka_unit_test(test_late_write_stays_away),
        cmocka_unit_test(test_part_of_a_block),
        cmocka_unit_test(test_discard_in_child),
        cmocka_unit_test(test_bits_before_acknowledgement),
        cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_wrong_parents),
        cmocka_unit_test(test_malformed_parent),
        cmocka_unit_test(test_batmap),
        cmocka_unit_test(test_changes_refused),
        cmocka_unit_test(test_changes_fail),
        cmocka_unit_test(test_errors_in_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
