/* SPDX-License-Identifier: MIT */
/*
 * Discards in pieces: they cover the range, all of it and nothing else, whatever it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <blkback/worker/discard.h>

static void pieces_cover_the_range(void **state)
{
    static const struct {
        uint64_t offset, length;
    } ranges[] = {
        {0, 512},
        {512, UINT64_C(64) << 20},
        {UINT64_C(1) << 40, (UINT64_C(64) << 20) + 512},
        {1024, UINT64_C(10) << 30},
        {INT64_MAX - 511 - (UINT64_C(200) << 20), UINT64_C(200) << 20}, /* to the end of the largest disk */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        const struct blkif_job job = {
            .code = BLKIF_CODE_DISCARD, .offset = ranges[i].offset, .length = ranges[i].length};
        uint64_t at = ranges[i].offset, end = ranges[i].offset + ranges[i].length;
        struct disk_io io = {.op = DISK_DISCARD};
        bool more = discard_begin(&job, &io);
        while (more) {
            assert_true(io.offset == at && io.length > 0 && io.length % 512 == 0 && io.length <= end - at);
            assert_true(io.length <= UINT64_C(1) << 30); /* what a disk does at once is bounded */
            at += io.length;
            more = discard_next(&job, &io);
        }
        assert_true(at == end);
    }
}

static void nothing_has_no_pieces(void **state)
{
    const struct blkif_job job = {.code = BLKIF_CODE_DISCARD, .offset = 4096};
    struct disk_io io = {.op = DISK_DISCARD};

    (void)state;
    assert_false(discard_begin(&job, &io));
}

static void secure_ones_are_refused_where_they_are_not(void **state)
{
    (void)state;
    struct blkif_job job = {.code = BLKIF_CODE_DISCARD, .length = 512, .secure = true};

    assert_int_equal(discard_judge(&job, false), BLKIF_FAULT_OPERATION);
    assert_int_equal(discard_judge(&job, true), BLKIF_FAULT_NONE);
    job.secure = false;
    assert_int_equal(discard_judge(&job, false), BLKIF_FAULT_NONE);
    job = (struct blkif_job){.code = BLKIF_CODE_READ, .length = 512};
    assert_int_equal(discard_judge(&job, false), BLKIF_FAULT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_cover_the_range),
        cmocka_unit_test(nothing_has_no_pieces),
        cmocka_unit_test(secure_ones_are_refused_where_they_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
