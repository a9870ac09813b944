/* SPDX-License-Identifier: MIT */
/*
 * Power cuts. A seeded guest writes, discards and flushes an image over an engine that logs (logfile.h), with writes in
 * flight ending in any order. The image stands by itself or is the child of others of any size; meanwhile the disk may be made larger, and
 * a chain be coalesced. Then the file is put together as a crash at each point in time could have left it:
 * everything that had ended, only what was synced, and random combinations of sectors of the rest. Each image must
 * open and hold every write that was acknowledged before the last acknowledged flush; elsewhere it may hold any later
 * write or, where there was none, what was there before. A discard counts as a write of zeros, in the image of a child as one that
 * need not be there. One of these images is what the next generation of the same
 * test starts from: what it finds in the file is then what a crash left.
 *
 * RINGBACK_POWERCUT_IMAGES: how many images to check.
 */
#include "rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/vhd.h"

#define MAX_WRITES  512
#define MAX_IN_WORK 12
#define MAX_RUN     40 /* sectors in one write */
#define MAX_SECTORS 2400
#define MAX_SIZES   8

enum content {
    CONTENT_TAGS,
    CONTENT_ZEROS, /* a write of zeros, or a discard that must leave some */
    CONTENT_ANY,   /* a discard that may leave what was there */
};

struct guest_write {
    uint32_t sector, count;
    enum content content;
    uint64_t submitted, acked;
};

/* The disk is made larger, or lets go of its parents. */
struct guest_change {
    uint32_t sectors; /* 0: the latter */
    uint64_t submitted, acked;
};

struct guest_flush {
    uint64_t submitted, acked;
};

struct work {
    struct disk_io io; /* first */
    struct iovec iov[3];
    uint8_t *buffer;
    bool busy;
    uint32_t index;     /* of writes or flushes */
    uint64_t submitted; /* of reads */
};

struct world {
    uint64_t random, clock;
    uint32_t generation;
    uint32_t sectors;       /* of the disk, as its guest knows it */
    uint32_t first_sectors; /* as it was at the start */
    struct log_image base;  /* the file before */
    struct log_image parents[2];
    uint8_t uuids[2][16];
    unsigned parent_total;
    unsigned parent_count; /* the same, or 0 from when the image stands by itself */
    bool larger_parent;    /* of the nearest: it would show behind the disk's end */
    uint64_t pulled;
    struct guest_change changes[MAX_SIZES];
    unsigned change_count;
    bool changing;
    uint8_t *before; /* the disk before */
    bool ours;       /* the base was made here: the footer at the end is always there */
    struct log_file *log;
    struct disk *disk;
    struct guest_write writes[MAX_WRITES + 1]; /* from 1 */
    struct guest_flush flushes[MAX_WRITES];
    uint32_t write_count, flush_count;
    struct work work[MAX_IN_WORK];
    uint32_t *least;  /* by sector: the oldest write it may hold */
    uint32_t *latest; /* by sector: the last write submitted */
};

static unsigned long images_checked, images_shown_qemu;
static bool has_qemu;

static uint32_t pick(struct world *world, uint32_t below)
{
    return (uint32_t)(log_random(&world->random) % below);
}

/* ---- What sectors hold: generation, write and sector, over and over. ----------------------------------------------- */

static uint64_t tag_of(const struct world *world, uint32_t write, uint32_t sector)
{
    return (uint64_t)(world->generation + 1) << 48 | (uint64_t)write << 32 | sector;
}

static void sector_fill(uint8_t *bytes, uint64_t tag)
{
    for (size_t i = 0; i < DISK_SECTOR_SIZE; i += sizeof tag)
        memcpy(bytes + i, &tag, sizeof tag);
}

static bool sector_is(const uint8_t *bytes, uint64_t tag)
{
    uint64_t first;
    memcpy(&first, bytes, sizeof first);
    return first == tag && memcmp(bytes, bytes + sizeof tag, DISK_SECTOR_SIZE - sizeof tag) == 0;
}

/* ---- The guest. ---------------------------------------------------------------------------------------------------- */

static bool overlaps(const struct world *world, uint32_t sector, uint32_t count)
{
    for (int i = 0; i < MAX_IN_WORK; i++) {
        const struct work *work = &world->work[i];
        const struct guest_write *write = &world->writes[work->index];
        if (work->busy && (work->io.op == DISK_WRITE || work->io.op == DISK_DISCARD) &&
            sector < write->sector + write->count && write->sector < sector + count)
            return true;
    }
    return false;
}

/* Cuts the buffer into up to three pieces, so that requests begin and end within them. */
static void cut(struct world *world, struct work *work, uint32_t count)
{
    uint32_t done = 0;
    work->io.iov = work->iov;
    work->io.iov_count = 0;
    while (done < count) {
        uint32_t part = work->io.iov_count == 2 ? count - done : 1 + pick(world, count - done);
        work->iov[work->io.iov_count++] = (struct iovec){.iov_base = work->buffer + (size_t)done * DISK_SECTOR_SIZE,
                                                         .iov_len = (size_t)part * DISK_SECTOR_SIZE};
        done += part;
    }
}

static void note_write(struct world *world, struct work *work, uint32_t sector, uint32_t count, enum content content)
{
    work->index = ++world->write_count;
    world->writes[work->index] = (struct guest_write){
        .sector = sector, .count = count, .content = content, .submitted = ++world->clock, .acked = LOG_NEVER};
    for (uint32_t i = 0; i < count; i++)
        world->latest[sector + i] = work->index;
}

/* Discards anything from a sector to all of the disk. */
static bool prepare_discard(struct world *world, struct work *work, uint32_t sector)
{
    uint32_t count = 1 + pick(world, pick(world, 2) ? 16 : world->sectors - sector);
    if (count > world->sectors - sector)
        count = world->sectors - sector;
    if (world->write_count == MAX_WRITES || overlaps(world, sector, count))
        return false;
    work->io = (struct disk_io){.op = DISK_DISCARD,
                                .offset = (uint64_t)sector * DISK_SECTOR_SIZE,
                                .length = (uint64_t)count * DISK_SECTOR_SIZE};
    note_write(world, work, sector, count, world->parent_count > 0 ? CONTENT_ANY : CONTENT_ZEROS);
    return true;
}

/* The next step of coalescing, or a larger disk. */
static bool prepare_change(struct world *world, struct work *work)
{
    uint64_t size = (uint64_t)world->sectors * DISK_SECTOR_SIZE, part = DISK_SECTOR_SIZE * (1 + pick(world, 300));
    if (world->changing || world->change_count == MAX_SIZES)
        return false;
    work->io = (struct disk_io){.op = DISK_RESIZE};
    if (world->parent_count > 0 && pick(world, 8)) {
        work->io.op = world->pulled < size ? DISK_PULL : DISK_SETTLE;
        work->io.offset = world->pulled < size ? world->pulled : 0;
        work->io.length = part < size - world->pulled ? part : size - world->pulled;
        world->pulled += work->io.length;
    }
    if (work->io.op == DISK_RESIZE) {
        work->io.offset = size + (pick(world, 4) ? part / 8 / DISK_SECTOR_SIZE * DISK_SECTOR_SIZE : part);
        if (work->io.offset > MAX_SECTORS * DISK_SECTOR_SIZE || (world->parent_count > 0 && world->larger_parent))
            return false;
    }
    world->changing = true;
    work->index = world->change_count;
    if (work->io.op != DISK_PULL)
        world->changes[world->change_count++] = (struct guest_change){
            .sectors = (uint32_t)(work->io.offset / DISK_SECTOR_SIZE), .submitted = ++world->clock, .acked = LOG_NEVER};
    return true;
}

static void submit_one(struct world *world, struct work *work)
{
    struct disk_io *io = &work->io;
    uint32_t kind = pick(world, 10), count = 1 + pick(world, pick(world, 3) ? 8 : MAX_RUN);
    uint32_t sector = pick(world, pick(world, 2) ? world->sectors : (world->sectors + 3) / 4);
    if (count > world->sectors - sector)
        count = world->sectors - sector;
    if (kind < 7 && overlaps(world, sector, count))
        return;
    if (pick(world, 10) == 0) {
        if (pick(world, 2) ? !prepare_discard(world, work, sector) : !prepare_change(world, work))
            return;
        work->busy = true;
        disk_submit(world->disk, &io, 1);
        return;
    }
    *io = (struct disk_io){.offset = (uint64_t)sector * DISK_SECTOR_SIZE};
    if (kind < 7 && world->write_count < MAX_WRITES) {
        io->op = DISK_WRITE;
        bool zeros = pick(world, 6) == 0;
        note_write(world, work, sector, count, zeros ? CONTENT_ZEROS : CONTENT_TAGS);
        for (uint32_t i = 0; i < count; i++)
            sector_fill(work->buffer + (size_t)i * DISK_SECTOR_SIZE,
                        zeros ? 0 : tag_of(world, work->index, sector + i));
        cut(world, work, count);
    } else if (kind < 9 || world->flush_count == MAX_WRITES) {
        io->op = DISK_READ;
        work->submitted = ++world->clock;
        cut(world, work, count);
    } else {
        io->op = DISK_FLUSH;
        io->offset = 0;
        work->index = world->flush_count++;
        world->flushes[work->index] = (struct guest_flush){.submitted = ++world->clock, .acked = LOG_NEVER};
    }
    work->busy = true;
    disk_submit(world->disk, &io, 1);
}

/* A read sees what was written last, unless that is not certain. */
static void check_read(const struct world *world, const struct work *work)
{
    uint32_t first = (uint32_t)(work->io.offset / DISK_SECTOR_SIZE), count = 0;
    for (int i = 0; i < work->io.iov_count; i++)
        count += (uint32_t)(work->io.iov[i].iov_len / DISK_SECTOR_SIZE);
    for (uint32_t sector = first; sector < first + count; sector++) {
        const uint8_t *bytes = work->buffer + (size_t)(sector - first) * DISK_SECTOR_SIZE;
        uint32_t index = world->latest[sector];
        const struct guest_write *write = &world->writes[index];
        if (index == 0)
            assert_memory_equal(bytes, world->before + (size_t)sector * DISK_SECTOR_SIZE, DISK_SECTOR_SIZE);
        else if (write->acked < work->submitted && write->content != CONTENT_ANY &&
                 !sector_is(bytes, write->content == CONTENT_TAGS ? tag_of(world, index, sector) : 0))
            fail_msg("sector %u was read as %016llx, not of write %u", sector,
                     (unsigned long long)*(const uint64_t *)bytes, index);
    }
}

static void note_changed(struct world *world, const struct work *work)
{
    struct disk_info info;
    disk_get_info(world->disk, &info);
    world->changing = false;
    if (work->io.op != DISK_PULL)
        world->changes[work->index].acked = ++world->clock;
    if (work->io.op == DISK_SETTLE)
        world->parent_count = 0;
    assert_int_equal(info.parents, world->parent_count);
    world->sectors = (uint32_t)(info.size / DISK_SECTOR_SIZE);
}

static void reap_some(struct world *world)
{
    struct disk_io *done[MAX_IN_WORK];
    unsigned count = disk_reap(world->disk, done, MAX_IN_WORK);
    for (unsigned i = 0; i < count; i++) {
        struct work *work = (struct work *)done[i];
        assert_int_equal(done[i]->result, 0);
        work->busy = false;
        if (done[i]->op == DISK_READ)
            check_read(world, work);
        else if (done[i]->op >= DISK_PULL)
            note_changed(world, work);
        else if (done[i]->op == DISK_WRITE || done[i]->op == DISK_DISCARD)
            world->writes[work->index].acked = ++world->clock;
        else if (done[i]->op == DISK_FLUSH)
            world->flushes[work->index].acked = ++world->clock;
    }
}

static void run_guest(struct world *world, unsigned steps)
{
    for (unsigned i = 0; i < steps; i++) {
        struct work *work = &world->work[pick(world, MAX_IN_WORK)];
        if (!work->busy && pick(world, 2))
            submit_one(world, work);
        else
            reap_some(world);
    }
    if (pick(world, 2)) /* else the crash finds requests in flight */
        while (disk_in_flight(world->disk) > 0)
            reap_some(world);
}

/* ---- The checks. --------------------------------------------------------------------------------------------------- */

/* Of a power cut, or of the death of the process alone, which loses nothing that was acknowledged. */
static void find_least(struct world *world, uint64_t time, enum log_survival survival)
{
    uint64_t flushed = survival == LOG_ALL ? time : 0; /* what was acknowledged before this must be there */
    for (uint32_t i = 0; i < world->flush_count; i++)
        if (world->flushes[i].acked < time && world->flushes[i].submitted > flushed)
            flushed = world->flushes[i].submitted;
    memset(world->least, 0, MAX_SECTORS * sizeof *world->least);
    for (uint32_t i = 1; i <= world->write_count; i++)
        if (world->writes[i].acked < flushed && world->writes[i].content != CONTENT_ANY)
            for (uint32_t k = 0; k < world->writes[i].count; k++)
                world->least[world->writes[i].sector + k] = i;
}

/* Whether zeros may be what a write, or a discard, left of a sector. */
static bool zeros_are_allowed(const struct world *world, uint32_t sector, uint64_t time)
{
    for (uint32_t i = world->least[sector] ? world->least[sector] : 1; i <= world->write_count; i++) {
        const struct guest_write *write = &world->writes[i];
        if (write->content != CONTENT_TAGS && write->submitted < time && sector >= write->sector &&
            sector < write->sector + write->count)
            return true;
    }
    return false;
}

static bool sector_is_allowed(const struct world *world, const uint8_t *bytes, uint32_t sector, uint64_t time)
{
    if (world->least[sector] == 0 &&
        memcmp(bytes, world->before + (size_t)sector * DISK_SECTOR_SIZE, DISK_SECTOR_SIZE) == 0)
        return true;
    uint64_t tag;
    memcpy(&tag, bytes, sizeof tag);
    if (sector_is(bytes, 0) && zeros_are_allowed(world, sector, time))
        return true;
    uint32_t index = (uint32_t)(tag >> 32) & 0xffff;
    if (index == 0 || index > world->write_count || index < world->least[sector])
        return false;
    const struct guest_write *write = &world->writes[index];
    return write->content == CONTENT_TAGS && sector_is(bytes, tag_of(world, index, sector)) &&
           write->submitted < time && sector >= write->sector && sector < write->sector + write->count;
}

/* Whether an image has let go of its parents. */
static bool is_settled(const struct log_image *image)
{
    struct vhd_footer footer;
    struct disk_error error;
    return vhd_footer_decode(image->bytes, &footer, &error) == 0 && footer.type != VHD_DIFFERENCING;
}

static struct log_file *open_log(struct world *world, const struct log_image *image, uint64_t *clock)
{
    unsigned count = is_settled(image) ? 0 : world->parent_total;
    return log_file_new_child(image, world->parents, count, &world->random, clock);
}

/* Opens a file as a disk; what it holds, with zeros behind it up to the largest there can be. The caller frees. */
static uint8_t *read_image(struct world *world, const struct log_image *image, uint32_t *ret_sectors)
{
    struct disk *disk = NULL;
    struct disk_error error;
    struct disk_info info;
    uint64_t clock = 0;
    struct log_file *log = open_log(world, image, &clock);
    if (vhd_open_file(&log->file, true, 4, &disk, &error) < 0)
        fail_msg("the image does not open: %s", error.text);
    disk_get_info(disk, &info);
    uint8_t *bytes = rig_read_all(disk);
    disk_close(disk);
    uint8_t *larger = realloc(bytes, MAX_SECTORS * DISK_SECTOR_SIZE);
    assert_non_null(larger);
    bytes = larger;
    memset(bytes + info.size, 0, MAX_SECTORS * DISK_SECTOR_SIZE - info.size);
    *ret_sectors = (uint32_t)(info.size / DISK_SECTOR_SIZE);
    return bytes;
}

/* A change is there when it was acknowledged, and may be when it was asked for. Returns the sectors the disk may be read to. */
static void check_changes(const struct world *world, const struct log_image *image, uint32_t sectors, uint64_t time)
{
    uint32_t least = world->first_sectors, most = least;
    bool must_stand = false, may_stand = world->parent_total == 0 || is_settled(&world->base);
    for (unsigned i = 0; i < world->change_count; i++) {
        const struct guest_change *change = &world->changes[i];
        bool acked = change->acked < time, asked = change->submitted < time;
        least = acked && change->sectors > least ? change->sectors : least;
        most = asked && change->sectors > most ? change->sectors : most;
        must_stand |= acked && change->sectors == 0;
        may_stand |= asked && change->sectors == 0;
    }
    if (sectors != least && sectors != most)
        fail_msg("the disk has %u sectors, not %u or %u", sectors, least, most);
    if (must_stand || !may_stand)
        assert_int_equal(is_settled(image), must_stand);
}

static void check_content(const struct world *world, const uint8_t *content, uint32_t sectors, uint64_t time)
{
    for (uint32_t sector = 0; sector < sectors; sector++) {
        const uint8_t *bytes = content + (size_t)sector * DISK_SECTOR_SIZE;
        if (!sector_is_allowed(world, bytes, sector, time))
            fail_msg("sector %u holds %016llx, of write %u at least", sector,
                     (unsigned long long)*(const uint64_t *)bytes, world->least[sector]);
    }
}

/* QEMU ignores bitmaps: where one was lost it sees the data that was not, which is allowed too, but another content
 * than ours. */
static void check_with_qemu(const struct world *world, const struct log_image *image, uint64_t time)
{
    const char *vhd = rig_path("cut.vhd"), *raw = rig_path("cut.raw");
    size_t length = (size_t)world->sectors * DISK_SECTOR_SIZE;
    uint8_t *content = malloc(length);
    int fd = open(vhd, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, image->bytes, image->size), image->size);
    close(fd);
    assert_int_equal(rig_run("qemu-img convert -f vpc -O raw %s %s", vhd, raw), 0);
    fd = open(raw, O_RDONLY);
    assert_int_equal(read(fd, content, length), length);
    close(fd);
    check_content(world, content, world->sectors, time);
    free(content);
    images_shown_qemu++;
}

static uint8_t *check_image(struct world *world, const struct log_image *image, uint64_t time)
{
    uint32_t sectors;
    uint8_t *content = read_image(world, image, &sectors);
    check_changes(world, image, sectors, time);
    check_content(world, content, sectors, time);
    if (world->ours) {
        struct vhd_footer footer;
        struct disk_error error;
        assert_int_equal(vhd_footer_decode(image->bytes + image->size - VHD_FOOTER_SIZE, &footer, &error), 0);
    }
    images_checked++;
    return content;
}

/* ---- Worlds. ------------------------------------------------------------------------------------------------------- */

/* An image as another writer leaves it: blocks in any order and alignment, some sectors valid, the others garbage. What it changes of
 * what is below it is changed in `content`. */
static void make_foreign(struct world *world, struct rig_image *image, uint64_t tag, uint8_t *content)
{
    uint8_t *data = calloc(image->block_sectors, DISK_SECTOR_SIZE);
    uint8_t *bits = calloc(image->bitmap_sectors, DISK_SECTOR_SIZE);
    uint32_t sectors = (uint32_t)(image->footer.current_size / DISK_SECTOR_SIZE);
    for (uint32_t block = 0; block < image->blocks; block++) {
        uint32_t kind = pick(world, 4);
        if (kind == 0)
            continue;
        memset(bits, kind == 1 ? 0xff : 0, (size_t)image->bitmap_sectors * DISK_SECTOR_SIZE);
        for (uint32_t i = 0; i < image->block_sectors; i++) {
            uint32_t sector = block * image->block_sectors + i;
            uint8_t *bytes = data + (size_t)i * DISK_SECTOR_SIZE;
            if (kind > 1 && pick(world, 3) == 0)
                bits[i / 8] |= (uint8_t)(0x80 >> i % 8);
            sector_fill(bytes, pick(world, 3) ? tag : 0);
            if (vhd_bit(bits, i) && sector < sectors)
                memcpy(content + (size_t)sector * DISK_SECTOR_SIZE, bytes, DISK_SECTOR_SIZE);
        }
        rig_image_add(image, block, 0, bits, data);
        image->end += pick(world, 3) ? 0 : pick(world, 3 * (image->block_sectors + 1));
    }
    rig_image_seal(image);
    free(data);
    free(bits);
}

static uint32_t pick_block_size(struct world *world)
{
    static const uint32_t block_sizes[] = {VHD_MIN_BLOCK, VHD_MIN_BLOCK, 8192, 32768};
    return block_sizes[pick(world, 4)];
}

/* The parents, the farthest first: raw or dynamic, then a child of it, each of a size of its own. */
static void make_parents(struct world *world, uint8_t *content)
{
    static const uint8_t none[16];
    const uint8_t *below = none;
    for (unsigned i = world->parent_total; i-- > 0;) {
        bool last = i + 1 == world->parent_total;
        struct rig_image image;
        uint32_t sectors = pick(world, 3) ? world->sectors : 100 + pick(world, 1500);
        memset(content + (size_t)sectors * DISK_SECTOR_SIZE, 0, (size_t)(MAX_SECTORS - sectors) * DISK_SECTOR_SIZE);
        if (last && pick(world, 2)) {
            for (uint32_t sector = 0; sector < sectors; sector++)
                sector_fill(content + (size_t)sector * DISK_SECTOR_SIZE, pick(world, 4) ? 0xaaaaull << 48 | sector : 0);
            log_image_write(&world->parents[i], 0, content, (size_t)sectors * DISK_SECTOR_SIZE);
        } else {
            rig_image_new(&image, (uint64_t)sectors * DISK_SECTOR_SIZE, pick_block_size(world));
            image.footer.uuid[15] = (uint8_t)(10 + i);
            image.footer.type = last ? VHD_DYNAMIC : VHD_DIFFERENCING;
            memcpy(image.header.parent_uuid, below, 16);
            make_foreign(world, &image, 0xcccc000000000000ull | i, content);
            world->parents[i] = image.file;
            memcpy(world->uuids[i], image.footer.uuid, 16);
            below = world->uuids[i];
        }
        world->larger_parent = sectors > world->sectors;
    }
    memcpy(world->uuids[0], below, 16);
}

static void world_make(struct world *world, uint64_t seed)
{
    struct rig_image image;
    uint32_t sectors;
    uint8_t *content = calloc(MAX_SECTORS, DISK_SECTOR_SIZE);
    memset(world, 0, sizeof *world);
    world->random = seed;
    world->sectors = 200 + pick(world, 1400);
    world->ours = pick(world, 2);
    world->parent_total = pick(world, 2) ? 0 : 1 + pick(world, 2);
    make_parents(world, content);
    memset(content + (size_t)world->sectors * DISK_SECTOR_SIZE, 0,
           (size_t)(MAX_SECTORS - world->sectors) * DISK_SECTOR_SIZE);
    rig_image_new(&image, (uint64_t)world->sectors * DISK_SECTOR_SIZE, pick_block_size(world));
    if (world->parent_total > 0) {
        image.footer.type = VHD_DIFFERENCING;
        memcpy(image.header.parent_uuid, world->uuids[0], 16);
        rig_image_seal(&image);
    }
    if (!world->ours)
        make_foreign(world, &image, 0xbad0bad0bad0bad0ull, content);
    world->base = image.file;
    world->before = read_image(world, &world->base, &sectors);
    assert_int_equal(sectors, world->sectors);
    assert_memory_equal(world->before, content, MAX_SECTORS * DISK_SECTOR_SIZE);
    free(content);
    world->least = calloc(MAX_SECTORS, sizeof *world->least);
    world->latest = calloc(MAX_SECTORS, sizeof *world->latest);
    for (int i = 0; i < MAX_IN_WORK; i++)
        world->work[i].buffer = rig_alloc(MAX_RUN * DISK_SECTOR_SIZE);
}

static void world_free(struct world *world)
{
    for (int i = 0; i < MAX_IN_WORK; i++)
        free(world->work[i].buffer);
    log_image_free(&world->base);
    for (unsigned i = 0; i < world->parent_total; i++)
        log_image_free(&world->parents[i]);
    free(world->before);
    free(world->least);
    free(world->latest);
}

static void world_start(struct world *world)
{
    struct disk_error error;
    struct disk_info info;
    world->write_count = world->flush_count = world->change_count = 0;
    world->changing = false;
    world->pulled = 0;
    world->parent_count = is_settled(&world->base) ? 0 : world->parent_total;
    memset(world->latest, 0, MAX_SECTORS * sizeof *world->latest);
    for (int i = 0; i < MAX_IN_WORK; i++)
        world->work[i].busy = false;
    world->log = open_log(world, &world->base, &world->clock);
    if (vhd_open_file(&world->log->file, false, MAX_IN_WORK, &world->disk, &error) < 0)
        fail_msg("the image does not open: %s", error.text);
    disk_get_info(world->disk, &info);
    world->sectors = world->first_sectors = (uint32_t)(info.size / DISK_SECTOR_SIZE);
}

/* Crashes at points of the log a few apart, `each` times at random, twice by rule. Leaves one of the images in
 * `ret_next`. */
static void world_crash(struct world *world, unsigned each, unsigned long limit, struct log_image *ret_next,
                        uint8_t **ret_content)
{
    struct log_image image = {0};
    for (uint64_t time = 1; time <= world->clock + 1 && images_checked < limit; time += 1 + pick(world, 12)) {
        for (unsigned i = 0; i < 2 + each; i++) {
            enum log_survival survival = i == 0 ? LOG_ALL : i == 1 ? LOG_NONE : LOG_RANDOM;
            find_least(world, time, survival);
            log_crash(world->log, &world->base, time, survival, &world->random, &image);
            uint8_t *content = check_image(world, &image, time);
            if (world->ours && world->generation == 0 && world->parent_total == 0 && world->change_count == 0 &&
                has_qemu && images_checked % 200 == 0)
                check_with_qemu(world, &image, time);
            bool last = time >= world->clock && i == 1 + each;
            if (!*ret_content && (last || pick(world, 200) == 0)) {
                log_image_copy(&image, ret_next);
                *ret_content = content;
            } else {
                free(content);
            }
        }
    }
    log_image_free(&image);
}

static void test_random(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    unsigned long limit = rig_number("RINGBACK_POWERCUT_IMAGES", 8000), worlds = 0, generations = 0;
    static struct world world;
    has_qemu = rig_has("qemu-img");
    while (images_checked < limit) {
        world_make(&world, seed + worlds++);
        for (world.generation = 0; world.generation < 3 && images_checked < limit; world.generation++) {
            struct log_image next = {0};
            uint8_t *content = NULL;
            world.clock = 0;
            world_start(&world);
            run_guest(&world, 20 + pick(&world, 160));
            uint64_t end = world.clock;
            world_crash(&world, 2, limit, &next, &content);
            assert_int_equal(world.clock, end);
            disk_close(world.disk);
            generations++;
            if (!content)
                break;
            log_image_free(&world.base);
            free(world.before);
            world.base = next;
            world.before = content;
        }
        world_free(&world);
    }
    print_message("%lu images checked, of %lu runs on %lu disks; %lu of them by qemu-img\n", images_checked,
                  generations, worlds, images_shown_qemu);
}

/* Few writes, and every subset of those that were not synced, at up to sixty points in time. */
static void test_exhaustive(void **state)
{
    (void)state;
    static struct world world;
    unsigned long before = images_checked;
    uint64_t seed = rig_seed();
    for (unsigned round = 0; round < 3; round++) {
        world_make(&world, seed + 1000003 * round);
        world_start(&world);
        run_guest(&world, 24);
        while (disk_in_flight(world.disk) > 0)
            reap_some(&world);
        struct log_image image = {0};
        uint64_t step = 1 + world.clock / 60;
        for (uint64_t time = 1; time <= world.clock + 1; time += step) {
            find_least(&world, time, LOG_RANDOM);
            unsigned loose = log_crash_mask(world.log, &world.base, time, 0, &image);
            uint64_t masks = loose > 6 ? 64 : 1ull << loose;
            for (uint64_t mask = 0; mask < masks; mask++) {
                log_crash_mask(world.log, &world.base, time, loose > 6 ? log_random(&world.random) : mask, &image);
                free(check_image(&world, &image, time));
            }
        }
        log_image_free(&image);
        disk_close(world.disk);
        world_free(&world);
    }
    print_message("%lu images checked\n", images_checked - before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_exhaustive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
