/* SPDX-License-Identifier: MIT */
/* Sources: what a configuration may say, and what must not be opened. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text, *kind, *path;
        uint64_t size;
    } good[] = {
        {"raw:/a", "raw", "/a", 0},
        {"/dev/vg/lv", "raw", "/dev/vg/lv", 0},
        {"vhd:/b:c", "vhd", "/b:c", 0},
        {"ram:512", "ram", "", 512},
        {"ram:64M", "ram", "", 64ull << 20},
        {"ram:3K", "ram", "", 3072},
        {"ram:1T", "ram", "", 1ull << 40},
        {"ram:2G", "ram", "", 2ull << 30},
        {"/with:colon", "raw", "/with:colon", 0},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct disk_source source;
        struct disk_error error;
        if (disk_source_parse(good[i].text, &source, &error) < 0)
            fail_msg("%s: %s", good[i].text, error.text);
        assert_string_equal(disk_kind_name(source.kind), good[i].kind);
        assert_ptr_equal(disk_kind_find(good[i].kind), source.kind);
        assert_string_equal(source.path, good[i].path);
        assert_int_equal(source.size, good[i].size);
    }
    assert_null(disk_kind_find("nothing"));
}

static void test_parse_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"", "neither"},
        {"a/b", "neither"},
        {"qcow2:/a", "\"qcow2\" is no kind of disk"},
        {":/a", "no kind of disk"},
        {"raw:a", "not absolute"},
        {"vhd:", "not absolute"},
        {"ram:", "is no size"},
        {"ram:M", "is no size"},
        {"ram:-1", "is no size"},
        {"ram:1Q", "is no size"},
        {"ram:1MB", "is no size"},
        {"ram:0", "not a positive multiple"},
        {"ram:100", "not a positive multiple"},
        {"ram:99999999999999999999", "too large"},
        {"ram:18446744073709551104", "too large"},
        {"ram:99999999T", "too large"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct disk_source source = {.size = 77};
        struct disk_error error = {""};
        assert_int_equal(disk_source_parse(bad[i].text, &source, &error), -EINVAL);
        if (!strstr(error.text, bad[i].reason))
            fail_msg("%s: \"%s\" does not say \"%s\"", bad[i].text, error.text, bad[i].reason);
        assert_int_equal(source.size, 77);
    }
    char *lengthy = malloc(PATH_MAX + 8);
    struct disk_source source;
    struct disk_error error;
    memset(lengthy, 'x', PATH_MAX + 7);
    lengthy[0] = '/';
    lengthy[PATH_MAX + 7] = 0;
    assert_int_equal(disk_source_parse(lengthy, &source, &error), -EINVAL);
    free(lengthy);
}

static int open_path(const char *path, bool read_only, struct disk_error *ret_error)
{
    struct disk_source source = {.kind = disk_kind_find("raw")};
    snprintf(source.path, sizeof source.path, "%s", path);
    return disk_source_open(&source, read_only, ret_error);
}

static void test_open_refused(void **state)
{
    (void)state;
    struct disk_error error;
    const char *fifo = rig_path("fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(open_path(fifo, false, &error), -EINVAL);
    assert_non_null(strstr(error.text, "neither a regular file nor a block device"));
    assert_int_equal(open_path("/dev/null", false, &error), -EINVAL);
    assert_int_equal(open_path(rig_path("."), false, &error), -EINVAL);
    assert_int_equal(open_path(rig_path("missing"), false, &error), -ENOENT);

    const char *link = rig_path("link");
    assert_int_equal(symlink(fifo, link), 0);
    assert_int_equal(open_path(link, true, &error), -EINVAL);
}

static void test_open_read_only(void **state)
{
    (void)state;
    struct disk_error error;
    const char *path = rig_path("plain");
    assert_int_equal(rig_run("truncate -s 4096 %s", path), 0);
    int fd = open_path(path, true, &error);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
    fd = open_path(path, false, &error);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDWR);
    close(fd);
}

static void test_lock(void **state)
{
    (void)state;
    struct disk_error error;
    const char *path = rig_path("locked");
    assert_int_equal(rig_run("truncate -s 4096 %s", path), 0);
    int a = open_path(path, true, &error), b = open_path(path, true, &error), c = open_path(path, false, &error);
    assert_int_equal(disk_source_lock(a, true), 0);
    assert_int_equal(disk_source_lock(b, true), 0);
    assert_int_equal(disk_source_lock(c, false), -EWOULDBLOCK);
    close(a);
    close(b);
    assert_int_equal(disk_source_lock(c, false), 0);
    close(c);
    assert_int_equal(disk_source_lock(c, false), -EBADF);
}

static int open_ram(const char *text, const char *path, bool read_only, struct disk_error *ret_error)
{
    struct disk_source source;
    assert_int_equal(disk_source_parse(text, &source, ret_error), 0);
    snprintf(source.path, sizeof source.path, "%s", path);
    source.create = true;
    return disk_source_open(&source, read_only, ret_error);
}

static void test_ram_file(void **state)
{
    (void)state;
    struct disk_error error;
    struct stat st;
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/ringback-test.%d", getpid());

    int fd = open_ram("ram:1M", path, true, &error); /* made also when it is opened to be read */
    assert_true(fd >= 0);
    close(fd);
    fd = open_ram("ram:1M", path, false, &error);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 1 << 20);
    assert_int_equal(st.st_blocks, 2048); /* all of its memory */
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(pwrite(fd, "kept", 4, 4096), 4);
    close(fd);

    char kept[4];
    fd = open_ram("ram:1024K", path, false, &error);
    assert_int_equal(pread(fd, kept, 4, 4096), 4);
    assert_memory_equal(kept, "kept", 4);
    close(fd);

    assert_int_equal(open_ram("ram:2M", path, false, &error), -EINVAL);
    assert_non_null(strstr(error.text, "holds a disk of 1048576 bytes, not of 2097152"));
    unlink(path);

    assert_int_equal(open_ram("ram:1M", "/nowhere/file", false, &error), -ENOENT);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(open_ram("ram:1M", path, false, &error), -EINVAL);
    unlink(path);
}

/* Content that is to be continued is not made up. */
static void test_ram_continued(void **state)
{
    (void)state;
    struct disk_error error;
    struct disk_source source;
    assert_int_equal(disk_source_parse("ram:1M", &source, &error), 0);
    assert_false(source.create);
    snprintf(source.path, sizeof source.path, "/dev/shm/ringback-test.%d", getpid());

    assert_int_equal(disk_source_open(&source, false, &error), -ENOENT);
    assert_non_null(strstr(error.text, "cannot continue"));
    assert_int_equal(access(source.path, F_OK), -1);
    close(open(source.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(disk_source_open(&source, false, &error), -EINVAL);
    assert_int_equal(truncate(source.path, 1 << 20), 0);
    int fd = disk_source_open(&source, false, &error);
    assert_true(fd >= 0);
    close(fd);
    unlink(source.path);
}

/* A full tmpfs refuses the disk instead of failing the guest later. */
static void test_ram_no_memory(void **state)
{
    (void)state;
    struct disk_error error;
    const char *folder = rig_path("small");
    mkdir(folder, 0700);
    if (rig_run("mount -t tmpfs -o size=1M none %s", folder) != 0)
        skip();
    char path[256];
    snprintf(path, sizeof path, "%s/ram", folder);
    int refused = open_ram("ram:8M", path, false, &error);
    int taken = open_ram("ram:512K", path, false, &error);
    close(taken);
    rig_run("umount %s", folder);
    assert_int_equal(refused, -ENOSPC);
    assert_true(taken >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),         cmocka_unit_test(test_parse_refused),
        cmocka_unit_test(test_open_refused),  cmocka_unit_test(test_open_read_only),
        cmocka_unit_test(test_lock),          cmocka_unit_test(test_ram_file),
        cmocka_unit_test(test_ram_continued), cmocka_unit_test(test_ram_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
