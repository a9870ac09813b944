/* SPDX-License-Identifier: MIT */
/* Bytes to structures and back, and the rules for sizes. */
#include "rig.h"

#include <errno.h>
#include <string.h>

static void test_round_trip(void **state)
{
    (void)state;
    uint64_t random = rig_seed();
    for (unsigned i = 0; i < 1000; i++) {
        struct vhd_footer footer = {
            .header_offset = log_random(&random),
            .timestamp = (uint32_t)log_random(&random),
            .creator_version = (uint32_t)log_random(&random),
            .original_size = log_random(&random),
            .current_size = log_random(&random),
            .geometry = {(uint16_t)log_random(&random), (uint8_t)log_random(&random), (uint8_t)log_random(&random)},
            .type = 2 + (uint32_t)(log_random(&random) % 3)};
        struct vhd_header header = {.table_offset = log_random(&random),
                                    .max_entries = (uint32_t)log_random(&random),
                                    .block_size = VHD_MIN_BLOCK << log_random(&random) % 13};
        for (unsigned k = 0; k < 16; k++)
            footer.uuid[k] = (uint8_t)log_random(&random);
        memcpy(footer.creator, footer.uuid, 4);
        memcpy(footer.creator_host, footer.uuid + 4, 4);

        uint8_t bytes[VHD_HEADER_SIZE], again[VHD_HEADER_SIZE];
        struct vhd_footer footer_back;
        struct vhd_header header_back;
        struct disk_error error;
        vhd_footer_encode(&footer, bytes);
        assert_int_equal(vhd_footer_decode(bytes, &footer_back, &error), 0);
        assert_true(vhd_footer_agrees(&footer, &footer_back));
        vhd_footer_encode(&footer_back, again);
        assert_memory_equal(bytes, again, VHD_FOOTER_SIZE);

        vhd_header_encode(&header, bytes);
        assert_int_equal(vhd_header_decode(bytes, &header_back, &error), 0);
        vhd_header_encode(&header_back, again);
        assert_memory_equal(bytes, again, VHD_HEADER_SIZE);
    }
}

/* One wrong bit anywhere is one too many. */
static void test_every_bit_counts(void **state)
{
    (void)state;
    struct rig_image image;
    struct disk_error error;
    rig_image_new(&image, 1 << 20, 4096);
    uint8_t *footer = image.file.bytes, *header = footer + VHD_FOOTER_SIZE;
    for (unsigned bit = 0; bit < 8 * VHD_HEADER_SIZE; bit++) {
        struct vhd_footer footer_back = {.type = 77};
        struct vhd_header header_back = {.block_size = 77};
        if (bit < 8 * VHD_FOOTER_SIZE) {
            footer[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_int_equal(vhd_footer_decode(footer, &footer_back, &error), -EINVAL);
            assert_int_equal(footer_back.type, 77);
            footer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        header[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(vhd_header_decode(header, &header_back, &error), -EINVAL);
        assert_int_equal(header_back.block_size, 77);
        header[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    log_image_free(&image.file);
}

static void test_footers_agree(void **state)
{
    (void)state;
    const struct vhd_footer one = {.type = VHD_DYNAMIC, .current_size = 512};
    struct vhd_footer others[] = {one, one}, later[] = {one, one, one, one};
    others[0].type = VHD_FIXED;
    others[1].uuid[15] = 1;
    later[0].type = VHD_DIFFERENCING; /* a change in between: the same disk, at another time */
    later[1].current_size = 1024;
    later[2].header_offset = 512;
    later[3].geometry.sectors = 17;
    assert_true(vhd_footer_agrees(&one, &one));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(vhd_footer_agrees(&one, &others[i]));
    for (size_t i = 0; i < sizeof later / sizeof *later; i++)
        assert_true(vhd_footer_agrees(&one, &later[i]));
}

static void test_disk_size(void **state)
{
    (void)state;
    const uint64_t chs = 100ull * 16 * 63 * 512, field = 60ull << 20;
    static const struct {
        char creator[5];
        bool chs;
    } creators[] = {{"vpc ", true},
                    {"qemu", true},
                    {"win ", false},
                    {"qem2", false},
                    {"d2v ", false},
                    {"CTXS", false},
                    {{'t', 'a', 'p', 0}, false},
                    {"vbox", false}};
    struct disk_error error;
    uint64_t size;
    for (size_t i = 0; i < sizeof creators / sizeof *creators; i++) {
        struct vhd_footer footer = {.current_size = field, .geometry = {100, 16, 63}};
        memcpy(footer.creator, creators[i].creator, 4);
        assert_int_equal(vhd_footer_disk_size(&footer, &size, &error), 0);
        assert_int_equal(size, creators[i].chs ? chs : field);
    }
    struct vhd_footer largest = {
        .creator = {'v', 'p', 'c', ' '}, .current_size = 2040ull << 30, .geometry = {65535, 16, 255}};
    assert_int_equal(vhd_footer_disk_size(&largest, &size, &error), 0);
    assert_int_equal(size, 2040ull << 30);

    static const uint64_t bad[] = {0, 511, 513, (2040ull << 30) + 512, UINT64_MAX - 511};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct vhd_footer footer = {.creator = {'w', 'i', 'n', ' '}, .current_size = bad[i]};
        assert_int_equal(vhd_footer_disk_size(&footer, &size, &error), -EINVAL);
    }
    struct vhd_footer nothing = {.creator = {'v', 'p', 'c', ' '}, .current_size = 1 << 20};
    assert_int_equal(vhd_footer_disk_size(&nothing, &size, &error), -EINVAL);
}

/* Values worked out by hand from the specification's appendix. */
static void test_geometry(void **state)
{
    (void)state;
    static const struct {
        uint64_t sectors;
        struct vhd_geometry geometry;
    } known[] = {
        {2048, {30, 4, 17}},                     /* 1 MiB: at least 4 heads */
        {131072, {963, 8, 17}},                  /* 64 MiB */
        {278528, {561, 16, 31}},                 /* 16 heads of 17 would need 1024 cylinders */
        {1048576, {1040, 16, 63}},               /* 512 MiB: 31 would need 2114 */
        {65535ull * 16 * 63, {16191, 16, 255}},  /* from here on 255 a track */
        {65535ull * 16 * 255, {65535, 16, 255}}, /* the largest */
        {2040ull << 21, {65535, 16, 255}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct vhd_geometry geometry = vhd_geometry_for(known[i].sectors);
        assert_memory_equal(&geometry, &known[i].geometry, sizeof geometry);
    }
    uint64_t random = rig_seed();
    for (unsigned i = 0; i < 100000; i++) { /* never more than there is, never much less */
        uint64_t sectors = 68 + log_random(&random) % (65535ull * 16 * 255);
        struct vhd_geometry geometry = vhd_geometry_for(sectors);
        uint64_t product = (uint64_t)geometry.cylinders * geometry.heads * geometry.sectors;
        assert_true(product > 0 && product <= sectors);
        assert_true(sectors - product < 16 * 255);
        assert_true(geometry.heads <= 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_footers_agree), cmocka_unit_test(test_disk_size),
        cmocka_unit_test(test_geometry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
