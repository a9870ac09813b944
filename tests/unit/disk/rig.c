/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t rig_seed(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const char *text = getenv("RINGBACK_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 20;
    print_message("RINGBACK_SEED=%llu\n", (unsigned long long)seed);
    return seed;
}

unsigned long rig_number(const char *variable, unsigned long standard)
{
    const char *text = getenv(variable);
    return text ? strtoul(text, NULL, 0) : standard;
}

/* ---- Files and programs. ------------------------------------------------------------------------------------------- */

static char folder[64];
static pid_t folder_owner;

static void folder_remove(void)
{
    if (getpid() != folder_owner)
        return;
    (void)rig_run("for m in %s/*; do mountpoint -q $m && umount $m; done; rm -rf --one-file-system %s", folder, folder);
}

const char *rig_path(const char *name)
{
    static char paths[8][160];
    static unsigned next;
    if (!folder[0]) {
        snprintf(folder, sizeof folder, "/tmp/ringback-disk.XXXXXX");
        assert_non_null(mkdtemp(folder));
        folder_owner = getpid();
        atexit(folder_remove);
    }
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

int rig_run(const char *format, ...)
{
    char command[1024];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(command, sizeof command - 20, format, args);
    va_end(args);
    assert_true(length > 0 && (size_t)length < sizeof command - 20);
    strcat(command, " >/dev/null 2>&1");
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool rig_has(const char *program)
{
    return rig_run("command -v %s", program) == 0;
}

/* ---- Disks. -------------------------------------------------------------------------------------------------------- */

/* Until it can be used. */
static int await_disk(struct disk **disk, struct disk_error *ret_error)
{
    struct disk_io *none;
    int ready;
    while ((ready = disk_ready(*disk, ret_error)) == 0) {
        struct pollfd readable = {.fd = disk_fd(*disk), .events = POLLIN};
        assert_int_equal(poll(&readable, 1, 30000), 1);
        assert_int_equal(disk_reap(*disk, &none, 1), 0);
    }
    if (ready < 0) {
        disk_close(*disk);
        *disk = NULL;
        return ready;
    }
    return 0;
}

int rig_try_open(const char *spec, bool read_only, struct disk **ret_disk, struct disk_error *ret_error)
{
    struct disk_source source;
    int result = disk_source_parse(spec, &source, ret_error);
    if (result < 0)
        return result;
    int fd = disk_source_open(&source, read_only, ret_error);
    if (fd < 0)
        return fd;
    struct disk_export server = {.size = 0};
    memcpy(server.name, source.export_name, sizeof server.name);
    struct disk_params params = {
        .kind = source.kind, .fd = fd, .server = &server, .fence_fd = -1, .read_only = read_only, .depth = RIG_DEPTH};
    result = disk_open(&params, ret_disk, ret_error);
    return result < 0 ? result : await_disk(ret_disk, ret_error);
}

struct disk *rig_open(const char *spec, bool read_only)
{
    struct disk *disk = NULL;
    struct disk_error error;
    if (rig_try_open(spec, read_only, &disk, &error) < 0)
        fail_msg("%s: %s", spec, error.text);
    return disk;
}

int rig_io(struct disk *disk, enum disk_op op, uint64_t offset, void *buffer, size_t length)
{
    struct iovec iov = {.iov_base = buffer, .iov_len = length};
    struct disk_io io = {.op = op, .offset = offset, .iov = &iov, .iov_count = op == DISK_FLUSH ? 0 : 1, .result = 1};
    struct disk_io *list = &io, *done = NULL;
    disk_submit(disk, &list, 1);
    while (disk_reap(disk, &done, 1) == 0) {
        struct pollfd ready = {.fd = disk_fd(disk), .events = POLLIN};
        if (ready.fd > 0)
            assert_int_equal(poll(&ready, 1, 20000), 1);
    }
    assert_ptr_equal(done, &io);
    return io.result;
}

uint8_t *rig_read_all(struct disk *disk)
{
    struct disk_info info;
    disk_get_info(disk, &info);
    uint8_t *bytes = rig_alloc((size_t)info.size);
    for (uint64_t at = 0; at < info.size;) {
        size_t length = info.size - at < (1u << 20) ? (size_t)(info.size - at) : 1u << 20;
        assert_int_equal(rig_io(disk, DISK_READ, at, bytes + at, length), 0);
        at += length;
    }
    return bytes;
}

void *rig_alloc(size_t length)
{
    void *bytes = NULL;
    if (posix_memalign(&bytes, 4096, length) != 0)
        abort();
    memset(bytes, 0, length);
    return bytes;
}

/* ---- Images in memory. --------------------------------------------------------------------------------------------- */

void rig_image_seal(struct rig_image *image)
{
    uint8_t bytes[VHD_HEADER_SIZE];
    vhd_footer_encode(&image->footer, bytes);
    log_image_write(&image->file, 0, bytes, VHD_FOOTER_SIZE);
    log_image_write(&image->file, image->end * DISK_SECTOR_SIZE, bytes, VHD_FOOTER_SIZE);
    vhd_header_encode(&image->header, bytes);
    log_image_write(&image->file, VHD_FOOTER_SIZE, bytes, VHD_HEADER_SIZE);
}

void rig_image_new(struct rig_image *image, uint64_t size, uint32_t block_size)
{
    *image = (struct rig_image){
        .footer = {.header_offset = VHD_FOOTER_SIZE,
                   .creator = {'w', 'i', 'n', ' '},
                   .original_size = size,
                   .current_size = size,
                   .geometry = vhd_geometry_for(size / DISK_SECTOR_SIZE),
                   .type = VHD_DYNAMIC,
                   .uuid = {1, 2, 3}},
        .header = {.table_offset = VHD_FOOTER_SIZE + VHD_HEADER_SIZE,
                   .max_entries = (uint32_t)((size + block_size - 1) / block_size),
                   .block_size = block_size},
    };
    image->blocks = image->header.max_entries;
    image->block_sectors = block_size / DISK_SECTOR_SIZE;
    image->bitmap_sectors = (image->block_sectors / 8 + DISK_SECTOR_SIZE - 1) / DISK_SECTOR_SIZE;
    uint32_t table = (4 * image->blocks + DISK_SECTOR_SIZE - 1) / DISK_SECTOR_SIZE;
    for (uint32_t i = 0; i < table * (DISK_SECTOR_SIZE / 4); i++)
        rig_image_set_entry(image, i, VHD_ABSENT);
    image->end = 3 + table;
    rig_image_seal(image);
}

void rig_image_set_entry(struct rig_image *image, uint32_t block, uint32_t sector)
{
    uint8_t bytes[4];
    vhd_put32(bytes, sector);
    log_image_write(&image->file, image->header.table_offset + 4ull * block, bytes, 4);
}

void rig_image_add(struct rig_image *image, uint32_t block, uint64_t sector, const uint8_t *bits, const uint8_t *data)
{
    uint64_t end = sector ? sector : image->end;
    rig_image_set_entry(image, block, (uint32_t)end);
    log_image_write(&image->file, end * DISK_SECTOR_SIZE, bits, (size_t)image->bitmap_sectors * DISK_SECTOR_SIZE);
    end += image->bitmap_sectors;
    log_image_write(&image->file, end * DISK_SECTOR_SIZE, data, (size_t)image->block_sectors * DISK_SECTOR_SIZE);
    end += image->block_sectors;
    if (end > image->end)
        image->end = end;
    rig_image_seal(image);
}
