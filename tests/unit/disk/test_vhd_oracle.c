/* SPDX-License-Identifier: MIT */
/* VHD both ways: QEMU's images are read and written here, ours are read and written by QEMU and read by libvhdi. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *options;
    uint64_t size;
} by_qemu[] = {
    {"subformat=dynamic", 1u << 20},
    {"subformat=dynamic", 300u << 20},
    {"subformat=dynamic,force_size=on", (33u << 20) + 512},
    {"subformat=dynamic,force_size=on", (2u << 20) - 512},
    {"subformat=fixed", 5u << 20},
    {"subformat=fixed,force_size=on", (9u << 20) + 3 * 512},
};

static const struct {
    const char *type;
    uint64_t size;
} by_us[] = {
    {"dynamic", 512},           {"dynamic", 2u << 20}, {"dynamic", (64u << 20) + 7 * 512}, {"dynamic", 1ull << 40},
    {"dynamic", 2040ull << 30}, {"fixed", 512},        {"fixed", (3u << 20) + 512},        {"fixed", 64u << 20},
};

/* The number that a program prints where `pattern` has its parentheses. */
static uint64_t number_from(const char *tool, const char *path, const char *pattern)
{
    char command[512], line[64] = "";
    assert_true(snprintf(command, sizeof command, "%s %s | sed -n 's/.*%s.*/\\1/p'", tool, path, pattern) <
                (int)sizeof command);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    (void)!fgets(line, sizeof line, pipe);
    pclose(pipe);
    return strtoull(line, NULL, 10);
}

static uint64_t qemu_size(const char *path)
{
    return number_from("qemu-img info -f vpc --output=json", path, "\"virtual-size\": \\([0-9]*\\)");
}

static uint64_t vhdi_size(const char *path)
{
    return number_from("vhdiinfo", path, "Media size.*(\\([0-9]*\\) bytes)");
}

static uint64_t disk_size(const struct disk *disk)
{
    struct disk_info info;
    disk_get_info(disk, &info);
    return info.size;
}

/* The same random writes to a disk and to a raw file; half of what is read back is checked at once. */
static void write_both(struct disk *disk, const char *raw, unsigned count, uint64_t *random)
{
    uint64_t size = disk_size(disk);
    uint8_t *bytes = rig_alloc(1 << 20), *back = rig_alloc(1 << 20);
    int fd = open(raw, O_RDWR);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < count; i++) {
        uint64_t sectors = size / 512, at = log_random(random) % sectors * 512;
        size_t length = 512 * (1 + (size_t)(log_random(random) % (i % 4 ? 64 : 2048)));
        if (i == 0)
            at = size - 512; /* the last sector, and the first */
        else if (i == 1)
            at = 0;
        if (length > size - at)
            length = (size_t)(size - at);
        for (size_t k = 0; k < length; k += 8) {
            uint64_t value = log_random(random);
            memcpy(bytes + k, &value, 8);
        }
        assert_int_equal(rig_io(disk, DISK_WRITE, at, bytes, length), 0);
        assert_int_equal(pwrite(fd, bytes, length, (off_t)at), length);
        at = log_random(random) % sectors * 512;
        if (length > size - at)
            length = (size_t)(size - at);
        assert_int_equal(rig_io(disk, DISK_READ, at, back, length), 0);
        assert_int_equal(pread(fd, bytes, length, (off_t)at), length);
        assert_memory_equal(bytes, back, length);
    }
    assert_int_equal(rig_io(disk, DISK_FLUSH, 0, NULL, 0), 0);
    close(fd);
    free(bytes);
    free(back);
}

static void compare(const char *vhd, const char *raw)
{
    assert_int_equal(rig_run("qemu-img compare -f vpc -F raw %s %s", vhd, raw), 0);
}

/* Opens, writes to both, compares; three times, so that what was written is written over by another process's view of
 * it. */
static void write_and_compare(const char *vhd, const char *raw, uint64_t *random)
{
    char spec[256];
    snprintf(spec, sizeof spec, "vhd:%s", vhd);
    for (unsigned i = 0; i < 3; i++) {
        struct disk *disk = rig_open(spec, false);
        write_both(disk, raw, 30, random);
        disk_close(disk);
        compare(vhd, raw);
    }
}

static void test_written_by_qemu(void **state)
{
    (void)state;
    uint64_t random = rig_seed();
    for (size_t i = 0; i < sizeof by_qemu / sizeof *by_qemu; i++) {
        const char *vhd = rig_path("q.vhd"), *raw = rig_path("q.raw");
        char spec[256];
        unlink(vhd);
        unlink(raw);
        assert_int_equal(rig_run("qemu-img create -f vpc -o %s %s %" PRIu64, by_qemu[i].options, vhd, by_qemu[i].size),
                         0);
        uint64_t size = qemu_size(vhd), middle = size / 8192 * 4096;
        assert_true(size >= by_qemu[i].size);
        if (strstr(by_qemu[i].options, "force_size"))
            assert_int_equal(size, by_qemu[i].size);
        snprintf(spec, sizeof spec, "vhd:%s", vhd);
        struct disk *disk = rig_open(spec, true);
        assert_int_equal(disk_size(disk), size);
        disk_close(disk);
        assert_int_equal(rig_run("truncate -s %" PRIu64 " %s", size, raw), 0);
        write_and_compare(vhd, raw, &random);

        /* What QEMU adds in between is read here, and what is added here by QEMU. */
        assert_int_equal(rig_run("qemu-io -f vpc -c 'write -P 0x5a %" PRIu64 " 4096' %s", middle, vhd), 0);
        assert_int_equal(rig_run("qemu-io -f raw -c 'write -P 0x5a %" PRIu64 " 4096' %s", middle, raw), 0);
        write_and_compare(vhd, raw, &random);
    }
}

/* An image QEMU filled from a raw file with holes is read byte for byte. */
static void test_converted_by_qemu(void **state)
{
    (void)state;
    uint64_t random = rig_seed();
    static const char *const options[] = {"subformat=dynamic,force_size=on", "subformat=fixed,force_size=on"};
    for (size_t i = 0; i < 2; i++) {
        const char *vhd = rig_path("c.vhd"), *raw = rig_path("c.raw");
        uint64_t size = (21u << 20) + 512 * (1 + log_random(&random) % 4000);
        uint8_t *bytes = rig_alloc(size), *read;
        for (unsigned k = 0; k < 40; k++)
            memset(bytes + log_random(&random) % (size - 70000), (int)(1 + k), 1 + log_random(&random) % 70000);
        int fd = open(raw, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(fd, bytes, size), size);
        close(fd);
        assert_int_equal(rig_run("qemu-img convert -f raw -O vpc -o %s %s %s", options[i], raw, vhd), 0);
        char spec[256];
        snprintf(spec, sizeof spec, "vhd:%s", vhd);
        struct disk *disk = rig_open(spec, true);
        assert_int_equal(disk_size(disk), size);
        read = rig_read_all(disk);
        assert_memory_equal(read, bytes, size);
        disk_close(disk);
        free(read);
        free(bytes);
    }
}

static void make(const char *type, uint64_t size, const char *path)
{
    struct disk_error error;
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (vhd_create(fd, strcmp(type, "fixed") == 0 ? VHD_FIXED : VHD_DYNAMIC, size, &error) < 0)
        fail_msg("%s", error.text);
    close(fd);
}

static void test_made_by_us(void **state)
{
    (void)state;
    uint64_t random = rig_seed();
    bool has_vhdi = rig_has("vhdiinfo");
    for (size_t i = 0; i < sizeof by_us / sizeof *by_us; i++) {
        const char *vhd = rig_path("o.vhd"), *raw = rig_path("o.raw");
        make(by_us[i].type, by_us[i].size, vhd);
        assert_int_equal(qemu_size(vhd), by_us[i].size);
        if (has_vhdi)
            assert_int_equal(vhdi_size(vhd), by_us[i].size);
        if (by_us[i].size > 1u << 30)
            continue; /* QEMU would compare for hours */
        unlink(raw);
        assert_int_equal(rig_run("truncate -s %" PRIu64 " %s", by_us[i].size, raw), 0);
        write_and_compare(vhd, raw, &random);
        assert_int_equal(qemu_size(vhd), by_us[i].size);
        if (has_vhdi)
            assert_int_equal(vhdi_size(vhd), by_us[i].size);
    }
}

/* libvhdi honours bitmaps, which QEMU does not: a third reading of the same bytes. */
static void test_read_by_vhdi(void **state)
{
    (void)state;
    const char *vhd = rig_path("m.vhd"), *raw = rig_path("m.raw"), *mount = rig_path("mnt");
    uint64_t random = rig_seed(), size = (30u << 20) + 512;
    if (!rig_has("vhdimount"))
        skip();
    make("dynamic", size, vhd);
    assert_int_equal(rig_run("truncate -s %" PRIu64 " %s", size, raw), 0);
    write_and_compare(vhd, raw, &random);
    mkdir(mount, 0700);
    if (rig_run("vhdimount %s %s", vhd, mount) != 0)
        skip(); /* no FUSE here */
    int same = rig_run("cmp %s/vhdi1 %s", mount, raw);
    rig_run("umount %s", mount);
    assert_int_equal(same, 0);
}

/* The far end of the largest disk, where sector numbers come near 32 bits. */
static void test_largest(void **state)
{
    (void)state;
    const char *vhd = rig_path("l.vhd");
    char spec[256];
    make("dynamic", 2040ull << 30, vhd);
    snprintf(spec, sizeof spec, "vhd:%s", vhd);
    uint8_t *bytes = rig_alloc(8192), *back = rig_alloc(8192);
    const uint64_t at = (2040ull << 30) - 8192;
    memset(bytes, 0x42, 8192);
    for (unsigned i = 0; i < 2; i++) {
        struct disk *disk = rig_open(spec, false);
        if (i == 0)
            assert_int_equal(rig_io(disk, DISK_WRITE, at, bytes, 8192), 0);
        assert_int_equal(rig_io(disk, DISK_READ, at, back, 8192), 0);
        assert_memory_equal(bytes, back, 8192);
        disk_close(disk);
    }
    assert_int_equal(rig_run("qemu-io -f vpc -r -c 'read -P 0x42 %" PRIu64 " 8192' %s", at, vhd), 0);
    free(bytes);
    free(back);
}

static void test_create_refused(void **state)
{
    (void)state;
    struct disk_error error;
    static const uint64_t sizes[] = {0, 100, 513, (2040ull << 30) + 512, UINT64_MAX};
    const char *path = rig_path("r.vhd");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal(vhd_create(fd, VHD_DYNAMIC, sizes[i], &error), -EINVAL);
    assert_int_equal(vhd_create(fd, (enum vhd_type)4, 512, &error), -EINVAL);
    assert_int_equal(vhd_create(-1, VHD_FIXED, 512, &error), -EBADF);
    assert_int_equal(vhd_create(fd, VHD_FIXED, 512, &error), 0);
    assert_int_equal(vhd_create(fd, VHD_FIXED, 512, &error), -EEXIST);
    close(fd);
    unlink(path);
    fd = open(path, O_RDONLY | O_CREAT, 0600);
    assert_int_equal(vhd_create(fd, VHD_FIXED, 512, &error), -EBADF);
    assert_int_equal(vhd_create(fd, VHD_DYNAMIC, 512, &error), -EBADF);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_by_qemu), cmocka_unit_test(test_converted_by_qemu),
        cmocka_unit_test(test_made_by_us),      cmocka_unit_test(test_read_by_vhdi),
        cmocka_unit_test(test_largest),         cmocka_unit_test(test_create_refused),
    };
    if (!rig_has("qemu-img") || !rig_has("qemu-io")) {
        print_message("qemu-img and qemu-io are needed\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
