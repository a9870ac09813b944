/* SPDX-License-Identifier: MIT */
/*
 * Recovery in order: of a ring whose requests belong together in groups, each published as a whole. What no publication
 * speaks of is in progress again, in its old order.
 */
#include "rig.h"

#include <errno.h>

#include "journal.h"

static int recover_in_order(struct rig *rig, bool crashed)
{
    memset(&rig->back, 0xee, sizeof rig->back);
    return ring_back_recover_in_order(&rig->back, rig->pages, rig->pages_size, &rig->layout, rig->journal,
                                      rig->journal_size, RIG_GENERATION, crashed);
}

/* Consumes `count` requests, numbered from `first`, and answers as many of them as `answers` says. */
static void serve(struct rig *rig, uint64_t first, unsigned count, unsigned answers)
{
    uint32_t index[8];
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(rig_consume(rig, &index[i]), first + i);
    for (unsigned i = 0; i < answers; i++) {
        const uint64_t id = first + i;
        ring_back_respond(&rig->back, index[i], &id);
    }
}

static uint32_t expect_replay(struct rig *rig, uint64_t id, uint32_t crashes)
{
    struct ring_request request;
    uint64_t got;
    assert_int_equal(ring_back_replay(&rig->back, false, &request), 1);
    memcpy(&got, request.bytes, sizeof got);
    assert_int_equal(got, id);
    assert_int_equal(request.crashes, crashes);
    return request.index;
}

static void what_was_not_published_is_in_progress_again(void **state)
{
    (void)state;
    for (unsigned answers = 0; answers <= 4; answers++) {
        struct rig rig;
        struct ring_request request;
        rig_init(&rig, rig_layout(8), RIG_START + 12); /* over the wrap */
        rig_submit(&rig, 0, 6);
        serve(&rig, 0, 2, 2);
        ring_back_publish(&rig.back);
        serve(&rig, 2, 4, answers);

        assert_int_equal(recover_in_order(&rig, false), 0);
        assert_int_equal(rig_index(&rig, RIG_RSP_PROD), RIG_START + 14);
        struct ring_indices indices;
        ring_back_indices(&rig.back, &indices);
        assert_int_equal(indices.in_flight, 4);
        assert_int_equal(indices.req_cons, RIG_START + 18);
        for (uint64_t id = 2; id < 6; id++)
            ring_back_respond(&rig.back, expect_replay(&rig, id, 0), &id);
        assert_int_equal(ring_back_replay(&rig.back, false, &request), 0);
        ring_back_publish(&rig.back);
        for (uint64_t id = 0; id < 6; id++)
            assert_int_equal(rig_collect(&rig), id);

        rig_submit(&rig, 6, 3);
        serve(&rig, 6, 3, 3);
        ring_back_publish(&rig.back);
        for (uint64_t id = 6; id < 9; id++)
            assert_int_equal(rig_collect(&rig), id);
        rig_fini(&rig);
    }
}

/* Whatever of it is answered each time. The numbers of what was taken back stay apart from those of what comes later. */
static void the_order_stays_through_many_deaths(void **state)
{
    (void)state;
    for (unsigned answers = 0; answers <= 4; answers++) {
        struct rig rig;
        uint32_t index[7];
        rig_init(&rig, rig_layout(8), RIG_START);
        rig_submit(&rig, 0, 6);
        serve(&rig, 0, 3, 3);
        for (uint64_t known = 3; known < 6; known++) {
            assert_int_equal(recover_in_order(&rig, false), 0);
            for (uint64_t id = 0; id < known; id++)
                index[id] = expect_replay(&rig, id, 0);
            assert_int_equal(rig_consume(&rig, &index[known]), known);
            for (uint64_t id = 0; id < answers; id++)
                ring_back_respond(&rig.back, index[id], &id);
        }
        for (uint64_t id = answers; id < 6; id++)
            ring_back_respond(&rig.back, index[id], &id);
        ring_back_publish(&rig.back);
        for (uint64_t id = 0; id < 6; id++)
            assert_int_equal(rig_collect(&rig), id);
        rig_fini(&rig);
    }
}

static void crashes_are_counted_and_change_no_order(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(8), RIG_START);
    rig_submit(&rig, 0, 3);
    serve(&rig, 0, 2, 1);
    assert_int_equal(recover_in_order(&rig, true), 0);
    assert_int_equal(ring_back_suspects(&rig.back), 2);
    expect_replay(&rig, 0, 1);
    expect_replay(&rig, 1, 1);
    serve(&rig, 2, 1, 0);
    assert_int_equal(recover_in_order(&rig, true), 0);
    expect_replay(&rig, 0, 2);
    expect_replay(&rig, 1, 2);
    expect_replay(&rig, 2, 1);
    rig_fini(&rig);
}

static void a_publication_begun_is_completed(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(8), RIG_START);
    rig_submit(&rig, 0, 4);
    serve(&rig, 0, 4, 2);
    struct ring_journal *journal = (struct ring_journal *)rig.journal;
    journal_commit(&journal->batch, journal_batch(RIG_START, RIG_START + 2)); /* and killed */
    assert_int_equal(recover_in_order(&rig, false), 0);
    assert_int_equal(rig_index(&rig, RIG_RSP_PROD), RIG_START + 2);
    assert_int_equal(rig_collect(&rig), 0);
    assert_int_equal(rig_collect(&rig), 1);
    expect_replay(&rig, 2, 0);
    expect_replay(&rig, 3, 0);
    rig_fini(&rig);
}

static void numbers_that_leave_no_room_are_damage(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(8), RIG_START);
    rig_submit(&rig, 0, 4);
    serve(&rig, 0, 3, 2);
    struct ring_journal *journal = (struct ring_journal *)rig.journal;
    for (uint32_t i = 0; i < 8; i++)
        if (journal_word_state(journal_load(&journal->entries[i].word)) == JOURNAL_IN_FLIGHT)
            journal_commit(&journal->entries[i].word, journal_word(JOURNAL_IN_FLIGHT, 2));
    static uint8_t before[2 * RING_PAGE_SIZE];
    memcpy(before, rig.journal, rig.journal_size);
    assert_int_equal(recover_in_order(&rig, false), -EBADMSG);
    assert_memory_equal(before, rig.journal, rig.journal_size);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_not_published_is_in_progress_again),
        cmocka_unit_test(the_order_stays_through_many_deaths),
        cmocka_unit_test(crashes_are_counted_and_change_no_order),
        cmocka_unit_test(a_publication_begun_is_completed),
        cmocka_unit_test(numbers_that_leave_no_room_are_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
