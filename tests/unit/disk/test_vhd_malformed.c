/* SPDX-License-Identifier: MIT */
/* Images that must be refused, each with its reason; checksums are always right, so that what is wrong is what is
 * tested. */
#include "rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhd.h"

#define BLOCK  4096u
#define BLOCKS 6u

/* A disk of six blocks of which 0, 2, and 5 are there: footer 0, header 1-2, table 3, blocks of 9 sectors at 4, 13,
 * 22, footer 31. */
static void make(struct rig_image *image)
{
    uint8_t bits[512], data[BLOCK];
    static const uint32_t present[] = {0, 2, 5};
    rig_image_new(image, BLOCKS * BLOCK - 512, BLOCK);
    memset(bits, 0xff, sizeof bits);
    for (uint32_t i = 0; i < 3; i++) {
        memset(data, (int)present[i] + 1, sizeof data);
        rig_image_add(image, present[i], 0, bits, data);
    }
    assert_int_equal(image->end, 31);
}

static int try_open(const struct log_image *image, struct disk **ret_disk, struct disk_error *ret_error)
{
    static uint64_t random, clock;
    struct log_file *log = log_file_new(image, &random, &clock);
    return vhd_open_file(&log->file, false, 4, ret_disk, ret_error);
}

static void check_content(struct disk *disk)
{
    static const uint8_t expected[BLOCKS] = {1, 0, 3, 0, 0, 6};
    struct disk_info info;
    disk_get_info(disk, &info);
    assert_int_equal(info.size, BLOCKS * BLOCK - 512);
    uint8_t *bytes = rig_read_all(disk);
    for (uint64_t i = 0; i < info.size; i++)
        assert_int_equal(bytes[i], expected[i / BLOCK]);
    free(bytes);
}

/* ---- The table. ---------------------------------------------------------------------------------------------------- */

#define CASE(name, code)                      \
    static void name(struct rig_image *image) \
    {                                         \
        code;                                 \
        rig_image_seal(image);                \
    }

CASE(block_size_zero, image->header.block_size = 0)
CASE(block_size_sign, image->header.block_size = 0x80000000u)
CASE(block_size_huge, image->header.block_size = 32u << 20)
CASE(block_size_tiny, image->header.block_size = 512)
CASE(block_size_odd, image->header.block_size = 3u << 20)
CASE(entries_zero, image->header.max_entries = 0)
CASE(entries_few, image->header.max_entries = BLOCKS - 1)
CASE(entries_all, image->header.max_entries = UINT32_MAX)
CASE(table_in_footer, image->header.table_offset = 0)
CASE(table_in_header, image->header.table_offset = 1024)
CASE(table_odd, image->header.table_offset = 1537)
CASE(table_far, image->header.table_offset = 1ull << 40)
CASE(table_top, image->header.table_offset = UINT64_MAX - 511)
CASE(table_long, image->header.max_entries = 4000)
CASE(table_at_end, image->header.table_offset = image->end * 512)
CASE(header_zero, image->footer.header_offset = 0)
CASE(header_odd, image->footer.header_offset = 700)
CASE(header_far, image->footer.header_offset = 1ull << 50)
CASE(header_none, image->footer.header_offset = UINT64_MAX)
CASE(header_elsewhere, image->footer.header_offset = 2048)
CASE(header_at_end, image->footer.header_offset = (image->end - 1) * 512)
CASE(size_zero, image->footer.current_size = 0)
CASE(size_odd, image->footer.current_size = 1000)
CASE(size_huge, image->footer.current_size = 2041ull << 30)
CASE(size_beyond_table, image->footer.current_size = (BLOCKS + 1) * BLOCK)
CASE(type_none, image->footer.type = 0)
CASE(type_child, image->footer.type = VHD_DIFFERENCING)
CASE(too_many_blocks, image->footer.current_size = 2040ull << 30; image->header.max_entries = UINT32_MAX)
CASE(entry_zero, rig_image_set_entry(image, 1, 0))
CASE(entry_header, rig_image_set_entry(image, 1, 2))
CASE(entry_table, rig_image_set_entry(image, 1, 3))
CASE(entry_end, rig_image_set_entry(image, 1, 23))
CASE(entry_footer, rig_image_set_entry(image, 1, 31))
CASE(entry_past, rig_image_set_entry(image, 1, 1000))
CASE(entry_top, rig_image_set_entry(image, 1, 0xfffffffe))
CASE(entry_wrap, rig_image_set_entry(image, 1, 0x80000000))
CASE(entry_twice, rig_image_set_entry(image, 1, 13))
CASE(entry_overlap, rig_image_set_entry(image, 1, 21))
CASE(entry_unread, image->footer.current_size = 5 * BLOCK; rig_image_set_entry(image, 5, 1000))

static void entry_into_header(struct rig_image *image)
{
    /* The header behind the blocks, and a block that runs into it. */
    image->footer.header_offset = 31 * 512;
    image->end = 33;
    uint8_t bytes[VHD_HEADER_SIZE];
    rig_image_seal(image);
    vhd_header_encode(&image->header, bytes);
    log_image_write(&image->file, 31 * 512, bytes, sizeof bytes);
    rig_image_set_entry(image, 5, 23);
}

static void footers_disagree(struct rig_image *image)
{
    uint8_t bytes[VHD_FOOTER_SIZE];
    image->footer.uuid[0] ^= 1;
    vhd_footer_encode(&image->footer, bytes);
    log_image_write(&image->file, image->end * 512, bytes, sizeof bytes);
}

static void both_footers_bad(struct rig_image *image)
{
    image->file.bytes[100] ^= 1;
    image->file.bytes[image->end * 512 + 64] ^= 1;
}

static void version_two(struct rig_image *image)
{
    for (int i = 0; i < 2; i++) {
        uint8_t *footer = image->file.bytes + (i ? image->end * 512 : 0);
        footer[13] = 2;
        vhd_put32(footer + 64, vhd_checksum(footer, 512, 64));
    }
}

static void header_version_two(struct rig_image *image)
{
    uint8_t *header = image->file.bytes + 512;
    header[25] = 2;
    vhd_put32(header + 36, vhd_checksum(header, 1024, 36));
}

static void header_checksum(struct rig_image *image)
{
    image->file.bytes[512 + 900] ^= 1;
}

static void nothing_there(struct rig_image *image)
{
    image->file.size = 0;
}

static void all_zeros(struct rig_image *image)
{
    memset(image->file.bytes, 0, image->file.size);
}

static void cut_at_table(struct rig_image *image)
{
    image->file.size = 3 * 512 + 8;
}

static void fixed_too_short(struct rig_image *image)
{
    image->footer.type = VHD_FIXED;
    image->footer.current_size = image->end * 512 + 512;
    rig_image_seal(image);
}

static void fixed_in_front(struct rig_image *image)
{
    image->footer.type = VHD_FIXED;
    rig_image_seal(image);
    image->file.size = image->end * 512;
}

static const struct {
    const char *name;
    void (*damage)(struct rig_image *image);
    const char *reason;
} cases[] = {
#define ROW(name, reason)   \
    {                       \
#name, name, reason \
    }
    ROW(block_size_zero, "block size of 0 bytes"),
    ROW(block_size_sign, "block size of 2147483648 bytes"),
    ROW(block_size_huge, "block size of 33554432 bytes"),
    ROW(block_size_tiny, "block size of 512 bytes"),
    ROW(block_size_odd, "not a power of two"),
    ROW(entries_zero, "the table has 0 entries, the disk has 6 blocks"),
    ROW(entries_few, "the table has 5 entries, the disk has 6 blocks"),
    ROW(entries_all, "the table has 4294967295 entries: more than 4177920"),
    ROW(table_in_footer, "table's offset 0 is inside the footer's copy"),
    ROW(table_in_header, "the table at byte 1024 overlaps the dynamic header"),
    ROW(table_odd, "table's offset 1537 is not a multiple"),
    ROW(table_far, "lies past the end of the file"),
    ROW(table_top, "lies past the end of the file"),
    ROW(table_long, "the table of 4000 entries at byte 1536 lies past the end"),
    ROW(table_at_end, "lies past the end of the file"),
    ROW(header_zero, "header's offset 0 is not a sector behind"),
    ROW(header_odd, "header's offset 700"),
    ROW(header_far, "lies past the end of the file"),
    ROW(header_none, "is not a sector behind"),
    ROW(header_elsewhere, "does not begin with \"cxsparse\""),
    ROW(header_at_end, "lies past the end of the file"),
    ROW(size_zero, "size of 0 bytes"),
    ROW(size_odd, "size of 1000 bytes is not a positive multiple"),
    ROW(size_huge, "exceeds 2040 GiB"),
    ROW(size_beyond_table, "the table has 6 entries, the disk has 7 blocks"),
    ROW(type_none, "disk type is 0"),
    ROW(type_child, "differencing image: the parent of image 0 of the chain is missing"),
    ROW(too_many_blocks, "more than 4177920"),
    ROW(entry_zero, "BAT entry 1 points at sector 0, inside the footer's copy"),
    ROW(entry_header, "BAT entry 1 points at sector 2, inside the header"),
    ROW(entry_table, "BAT entry 1 points at sector 3, inside the table"),
    ROW(entry_end, "BAT entry 1 points at sector 23: its block ends at sector 32, past the end of the data at 31"),
    ROW(entry_footer, "past the end of the data"),
    ROW(entry_past, "past the end of the data"),
    ROW(entry_top, "BAT entry 1 points at sector 4294967294"),
    ROW(entry_wrap, "BAT entry 1 points at sector 2147483648"),
    ROW(entry_twice, "BAT entries 1 and 2 point at overlapping blocks, at sectors 13 and 13"),
    ROW(entry_overlap, "BAT entries 2 and 1 point at overlapping blocks, at sectors 13 and 21"),
    ROW(entry_unread, "BAT entry 5 points at sector 1000"),
    ROW(entry_into_header, "BAT entry 5 points at sector 23: its block overlaps the header"),
    ROW(footers_disagree, "disagree"),
    ROW(both_footers_bad, "checksum"),
    ROW(version_two, "footer's version is 00020000"),
    ROW(header_version_two, "header's version is 00020000"),
    ROW(header_checksum, "header's checksum"),
    ROW(nothing_there, "too short"),
    ROW(all_zeros, "does not begin with \"conectix\""),
    ROW(cut_at_table, "the table of 6 entries at byte 1536 lies past the end of the file"),
    ROW(fixed_too_short, "precede the footer"),
    ROW(fixed_in_front, "does not begin with \"conectix\""),
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig_image image;
        struct disk *disk = NULL;
        struct disk_error error = {""};
        make(&image);
        assert_int_equal(try_open(&image.file, &disk, &error), 0); /* as it is made, it is good */
        check_content(disk);
        disk_close(disk);
        disk = NULL;
        cases[i].damage(&image);
        int result = try_open(&image.file, &disk, &error);
        if (result >= 0)
            fail_msg("%s is not refused", cases[i].name);
        if (!strstr(error.text, cases[i].reason))
            fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].name, error.text, cases[i].reason);
        assert_null(disk);
        log_image_free(&image.file);
    }
    print_message("%zu kinds of damage refused\n", sizeof cases / sizeof *cases);
}

/* A file that lost its end is refused, or is what it was: when all blocks and the footer's copy are there. */
static void test_truncated(void **state)
{
    (void)state;
    struct rig_image image;
    make(&image);
    size_t full = image.file.size;
    unsigned opened = 0;
    for (image.file.size = 0; image.file.size < full; image.file.size++) {
        struct disk *disk = NULL;
        struct disk_error error = {""};
        if (try_open(&image.file, &disk, &error) == 0) {
            assert_true(image.file.size >= 31 * 512);
            check_content(disk);
            disk_close(disk);
            opened++;
        } else {
            assert_true(error.text[0]);
        }
    }
    print_message("%zu lengths, %u of them whole but for the footer at the end\n", full, opened);
    log_image_free(&image.file);
}

static void test_truncated_fixed(void **state)
{
    (void)state;
    struct rig_image image;
    rig_image_new(&image, 4096, BLOCK);
    image.footer.type = VHD_FIXED;
    image.footer.header_offset = VHD_NO_OFFSET;
    uint8_t data[4096 + 512];
    memset(data, 7, sizeof data);
    vhd_footer_encode(&image.footer, data + 4096);
    log_image_free(&image.file);
    log_image_write(&image.file, 0, data, sizeof data);
    for (size_t size = 0; size <= sizeof data; size++) {
        struct disk *disk = NULL;
        struct disk_error error = {""};
        image.file.size = size;
        int result = try_open(&image.file, &disk, &error);
        if (size >= sizeof data - 1) { /* 511 bytes of footer are enough */
            assert_int_equal(result, 0);
            uint8_t *bytes = rig_read_all(disk);
            assert_memory_equal(bytes, data, 4096);
            free(bytes);
            disk_close(disk);
        } else {
            assert_true(result < 0 && error.text[0]);
        }
    }
    log_image_free(&image.file);
}

/* ---- Images that look odd, and are good. --------------------------------------------------------------------------- */

static void test_crashed_footer(void **state)
{
    (void)state;
    struct rig_image image;
    struct disk *disk = NULL;
    struct disk_error error;
    make(&image);
    memset(image.file.bytes + image.end * 512, 0xdb, 512); /* growth was cut short */
    assert_int_equal(try_open(&image.file, &disk, &error), 0);
    check_content(disk);
    uint8_t *data = rig_alloc(BLOCK);
    data[0] = 1;                                                       /* zeros would not need a block */
    assert_int_equal(rig_io(disk, DISK_WRITE, BLOCK, data, BLOCK), 0); /* and it can grow again */
    data[0] = 0;
    assert_int_equal(rig_io(disk, DISK_WRITE, BLOCK, data, BLOCK), 0);
    check_content(disk);
    disk_close(disk);
    free(data);
    log_image_free(&image.file);

    make(&image);
    memset(image.file.bytes, 0xdb, 512); /* the copy is damaged */
    assert_int_equal(try_open(&image.file, &disk, &error), 0);
    check_content(disk);
    disk_close(disk);
    log_image_free(&image.file);
}

/* Footers of 511 bytes at the end, as Virtual PC once wrote them. */
static void test_short_footer(void **state)
{
    (void)state;
    struct rig_image image;
    struct disk *disk = NULL;
    struct disk_error error;
    make(&image);
    image.file.size--;
    assert_int_equal(try_open(&image.file, &disk, &error), 0);
    check_content(disk);
    uint8_t *data = rig_alloc(BLOCK);
    data[0] = 1;
    assert_int_equal(rig_io(disk, DISK_WRITE, BLOCK, data, BLOCK), 0);
    data[0] = 0;
    assert_int_equal(rig_io(disk, DISK_WRITE, BLOCK, data, BLOCK), 0);
    check_content(disk);
    disk_close(disk);
    free(data);
    log_image_free(&image.file);
}

/* A guest writes a dynamic disk's metadata into the first sectors of its fixed disk: they stay data. */
static void test_guest_writes_footer(void **state)
{
    (void)state;
    struct rig_image image;
    struct disk *disk = NULL;
    struct disk_error error;
    make(&image);
    image.footer.type = VHD_FIXED;
    image.footer.header_offset = VHD_NO_OFFSET;
    image.footer.current_size = image.end * 512;
    uint8_t footer[512];
    vhd_footer_encode(&image.footer, footer);
    log_image_write(&image.file, image.end * 512, footer, sizeof footer);
    assert_int_equal(try_open(&image.file, &disk, &error), 0);
    struct disk_info info;
    disk_get_info(disk, &info);
    assert_int_equal(info.size, image.end * 512);
    uint8_t *bytes = rig_read_all(disk);
    assert_memory_equal(bytes, image.file.bytes, image.end * 512);
    free(bytes);
    disk_close(disk);
    log_image_free(&image.file);
}

/* The disk ends where its geometry says, and another writer, who went by the size field, has blocks behind that end:
 * first and last in the file, and between. They are nobody's to give away. */
static void test_blocks_beyond_end_are_kept(void **state)
{
    (void)state;
    struct rig_image image;
    struct disk *disk = NULL;
    struct disk_error error;
    uint64_t random = 1, clock = 0;
    make(&image);
    memcpy(image.footer.creator, "qemu", 4);
    image.footer.geometry = (struct vhd_geometry){.cylinders = 1, .heads = 1, .sectors = 2 * BLOCK / 512};
    rig_image_seal(&image);
    for (uint32_t i = 0; i < BLOCKS; i++) /* blocks 3, 4 and 5 are there, 0 to 2 are not */
        rig_image_set_entry(&image, i, i < 3 ? VHD_ABSENT : 4 + 9 * (i - 3));
    size_t blocks = 4 * 512, length = 3 * 9 * 512;

    struct log_file *log = log_file_new(&image.file, &random, &clock);
    assert_int_equal(vhd_open_file(&log->file, false, 4, &disk, &error), 0);
    uint8_t *data = rig_alloc(2 * BLOCK);
    memset(data, 0xaa, 2 * BLOCK);
    assert_int_equal(rig_io(disk, DISK_WRITE, 0, data, 2 * BLOCK), 0);
    assert_memory_equal(log->image.bytes + blocks, image.file.bytes + blocks, length);
    const size_t entries = 3 * 512 + 3 * 4;
    assert_memory_equal(log->image.bytes + entries, image.file.bytes + entries, 3 * 4);
    free(data);
    disk_close(disk);
    log_image_free(&image.file);
}

/* tapdisk's map of full blocks lies behind the table, where an empty image would put its first block. */
static void test_batmap_is_kept(void **state)
{
    (void)state;
    struct rig_image image;
    struct disk_error error;
    uint8_t map[1024] = "tdbatmap";
    static const uint64_t sizes[] = {1, 1000};
    for (size_t i = 0; i < 2; i++) {
        rig_image_new(&image, BLOCKS * BLOCK, BLOCK);
        memset(map + 512, 0x77, 512);
        vhd_put64(map + 8, image.end * 512 + 512);
        vhd_put32(map + 16, (uint32_t)sizes[i]);
        uint64_t place = image.end * 512;
        log_image_write(&image.file, place, map, sizeof map);
        image.end += 200; /* and room for blocks behind it */
        rig_image_seal(&image);

        uint64_t random = 1, clock = 0;
        struct disk *disk = NULL;
        struct log_file *log = log_file_new(&image.file, &random, &clock);
        assert_int_equal(vhd_open_file(&log->file, false, 4, &disk, &error), 0);
        uint8_t *data = rig_alloc(BLOCK);
        memset(data, 0xaa, BLOCK);
        for (uint32_t block = 0; block < BLOCKS; block++)
            assert_int_equal(rig_io(disk, DISK_WRITE, (uint64_t)block * BLOCK, data, BLOCK), 0);
        assert_memory_equal(log->image.bytes + place, map, sizeof map);
        free(data);
        disk_close(disk);
        log_image_free(&image.file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_truncated_fixed), cmocka_unit_test(test_crashed_footer),
        cmocka_unit_test(test_short_footer),    cmocka_unit_test(test_guest_writes_footer),
        cmocka_unit_test(test_batmap_is_kept),  cmocka_unit_test(test_blocks_beyond_end_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
