/* SPDX-License-Identifier: MIT */
/* Recovery from a journal that is whole, stale or damaged, with a peer that is honest or not. Kills between stores are
 * in crash.c. */
#include "rig.h"

#include <errno.h>

#include "journal.h"

static struct ring_journal *journal_of(struct rig *rig)
{
    return (struct ring_journal *)rig->journal;
}

/* A ring of 8 with requests 0..5 consumed, 0 and 1 answered and published, 4 and 2 answered; 3 and 5 in flight, 6
 * waiting. */
static void rig_busy(struct rig *rig)
{
    uint32_t index[6];
    rig_init(rig, rig_layout(8), RIG_START);
    rig_submit(rig, 0, 7);
    for (uint64_t id = 0; id < 6; id++)
        assert_int_equal(rig_consume(rig, &index[id]), id);
    for (uint64_t id = 0; id < 2; id++)
        ring_back_respond(&rig->back, index[id], &id);
    ring_back_publish(&rig->back);
    for (uint64_t id = 4; id >= 2; id -= 2)
        ring_back_respond(&rig->back, index[id], &id);
}

/* Recovery must fail with this and leave ring and journal as they are. */
static void assert_refused(struct rig *rig, int expected)
{
    uint8_t pages[RING_PAGE_SIZE];
    uint8_t *journal = malloc(rig->journal_size);
    memcpy(pages, rig->pages, sizeof pages);
    memcpy(journal, rig->journal, rig->journal_size);
    assert_int_equal(rig_recover(rig), expected);
    assert_memory_equal(pages, rig->pages, sizeof pages);
    assert_memory_equal(journal, rig->journal, rig->journal_size);
    free(journal);
}

static uint64_t replay_id(struct rig *rig, struct ring_request *ret_request)
{
    uint64_t id;
    assert_int_equal(ring_back_replay(&rig->back, false, ret_request), 1);
    memcpy(&id, ret_request->bytes, sizeof id);
    return id;
}

static void continues_where_the_other_died(void **state)
{
    (void)state;
    struct rig rig;
    struct ring_request request;
    rig_busy(&rig);
    assert_int_equal(rig_recover(&rig), 0);

    static const uint64_t published[] = {0, 1, 4, 2};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(rig_collect(&rig), published[i]);

    assert_int_equal(replay_id(&rig, &request), 3);
    assert_int_equal(request.crashes, 0);
    ring_back_respond(&rig.back, request.index, &(uint64_t){3});
    assert_int_equal(replay_id(&rig, &request), 5);
    ring_back_respond(&rig.back, request.index, &(uint64_t){5});
    assert_int_equal(ring_back_replay(&rig.back, false, &request), 0);

    uint32_t index;
    assert_int_equal(rig_consume(&rig, &index), 6);
    ring_back_respond(&rig.back, index, &(uint64_t){6});
    ring_back_publish(&rig.back);
    for (uint64_t id = 3; id <= 6; id += id == 3 ? 2 : 1)
        assert_int_equal(rig_collect(&rig), id);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(ring_back_replay(&rig.back, false, &request), 0);
    rig_fini(&rig);
}

/* Replays the next one, which must be `id` with so many crashes. */
static void assert_replays(struct rig *rig, bool alone, uint64_t id, uint32_t crashes, bool proved)
{
    struct ring_request peeked, request;
    uint64_t found;
    assert_int_equal(ring_back_peek(&rig->back, &peeked), 1);
    assert_int_equal(ring_back_replay(&rig->back, alone, &request), 1);
    memcpy(&found, request.bytes, sizeof found);
    assert_int_equal(found, id);
    assert_int_equal(request.crashes, crashes);
    assert_int_equal(request.proved, proved);
    assert_true(peeked.index == request.index && peeked.crashes == crashes && peeked.proved == proved);
}

static void a_crash_is_held_against_what_was_started(void **state)
{
    (void)state;
    struct rig rig;
    struct ring_request request, listed[4];
    rig_busy(&rig);
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_int_equal(ring_back_suspects(&rig.back), 2);
    assert_int_equal(ring_back_suspects_list(&rig.back, listed, 4), 2);
    assert_true(listed[0].crashes == 1 && listed[1].crashes == 1);
    assert_int_equal(ring_back_suspects_list(&rig.back, listed, 1), 1);
    assert_replays(&rig, true, 3, 1, false); /* and kills it */

    /* What it had not started is not to blame, and goes first. */
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_int_equal(ring_back_suspects(&rig.back), 2);
    assert_replays(&rig, true, 5, 1, false);
    ring_back_respond(&rig.back, 5, &(uint64_t){5});
    assert_int_equal(ring_back_suspects(&rig.back), 1);
    assert_replays(&rig, true, 3, 2, true);
    assert_int_equal(ring_back_suspects(&rig.back), 0);
    assert_int_equal(ring_back_peek(&rig.back, &request), 0);
    assert_int_equal(ring_back_replay(&rig.back, true, &request), 0);

    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_replays(&rig, true, 3, 3, true);
    rig_fini(&rig);
}

static void other_deaths_are_not_held_against_anything(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    for (unsigned deaths = 0; deaths < 50; deaths++) {
        assert_int_equal(rig_recover(&rig), 0);
        assert_int_equal(ring_back_suspects(&rig.back), 0);
        assert_replays(&rig, deaths % 2 == 0, 3, 0, false);
        assert_replays(&rig, false, 5, 0, false);
    }
    assert_int_equal(rig_recover_after(&rig, true), 0);
    for (unsigned deaths = 0; deaths < 50; deaths++) {
        assert_replays(&rig, true, 3, 1, false);
        assert_int_equal(rig_recover(&rig), 0);
        assert_int_equal(ring_back_suspects(&rig.back), 2);
    }
    /* It died before it started anything: nothing is to blame. */
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_replays(&rig, true, 3, 1, false);
    rig_fini(&rig);
}

static void a_crash_in_company_proves_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    for (uint32_t crashes = 1; crashes < 6; crashes++) {
        assert_int_equal(rig_recover_after(&rig, true), 0);
        assert_replays(&rig, false, 3, crashes, false);
        assert_replays(&rig, false, 5, crashes, false);
    }
    rig_fini(&rig);
}

static void crashes_are_forgotten_when_told_to(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_replays(&rig, true, 3, 1, false);
    assert_int_equal(rig_recover_after(&rig, true), 0);
    ring_back_pardon(&rig.back);
    assert_int_equal(ring_back_suspects(&rig.back), 0);
    assert_int_equal(rig_recover_after(&rig, true), 0); /* kept, and nothing was started since */
    assert_int_equal(ring_back_suspects(&rig.back), 0);
    assert_replays(&rig, false, 3, 0, false);
    assert_replays(&rig, false, 5, 0, false);
    rig_fini(&rig);
}

static void crashes_do_not_wrap(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    for (unsigned i = 0; i < 8; i++)
        atomic_store(&journal_of(&rig)->entries[i].attempts,
                     journal_attempts(JOURNAL_CRASHES_MAX, false, JOURNAL_START_TOGETHER));
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_replays(&rig, true, 3, JOURNAL_CRASHES_MAX, false);
    rig_fini(&rig);
}

/* Journals made before crashes were counted: each start was counted in the lower half. */
static void an_older_journal_has_no_crashes(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    for (unsigned i = 0; i < 8; i++)
        atomic_store(&journal_of(&rig)->entries[i].attempts, 7);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(ring_back_suspects(&rig.back), 0);
    for (unsigned i = 0; i < 8; i++)
        atomic_store(&journal_of(&rig)->entries[i].attempts, 7);
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_replays(&rig, true, 3, 1, false);
    rig_fini(&rig);
}

static bool is_three(const struct ring_request *request, void *arg)
{
    uint64_t id;
    memcpy(&id, request->bytes, sizeof id);
    ++*(unsigned *)arg;
    return id == 3;
}

static void what_is_set_aside_comes_last_and_is_not_blamed(void **state)
{
    (void)state;
    struct rig rig;
    struct ring_request request, listed[4];
    unsigned asked = 0;
    rig_busy(&rig);
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_int_equal(ring_back_set_aside_replays(&rig.back, is_three, &asked), 1);
    assert_int_equal(asked, 2);
    assert_int_equal(ring_back_suspects(&rig.back), 1);
    assert_int_equal(ring_back_suspects_list(&rig.back, listed, 4), 2);
    assert_replays(&rig, true, 5, 1, false);
    assert_int_equal(ring_back_suspects(&rig.back), 0);
    assert_int_equal(ring_back_replay(&rig.back, true, &request), 0);
    assert_int_equal(ring_back_drain(&rig.back), -EBUSY);

    /* It kills it: the other one was executed, and this one was not. */
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_int_equal(ring_back_set_aside_replays(&rig.back, is_three, &asked), 1);
    assert_replays(&rig, true, 5, 2, true);
    ring_back_respond(&rig.back, 5, &(uint64_t){5});
    assert_int_equal(ring_back_recall(&rig.back), 1);
    assert_int_equal(ring_back_recall(&rig.back), 0);
    assert_int_equal(ring_back_suspects(&rig.back), 1);
    assert_replays(&rig, true, 3, 1, false);

    /* One that came in just now, too; those set aside keep their order. */
    uint32_t index;
    assert_int_equal(rig_consume(&rig, &index), 6);
    ring_back_set_aside(&rig.back, index);
    assert_int_equal(rig_recover_after(&rig, true), 0);
    assert_replays(&rig, false, 6, 0, false);
    assert_replays(&rig, false, 3, 2, true);
    ring_back_set_aside(&rig.back, 3);
    ring_back_set_aside(&rig.back, index);
    assert_int_equal(ring_back_recall(&rig.back), 1);
    assert_replays(&rig, false, 3, 2, true);
    assert_int_equal(ring_back_recall(&rig.back), 1);
    assert_replays(&rig, false, 6, 0, false);
    rig_fini(&rig);
}

static void refuses_another_generation(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    assert_int_equal(ring_back_recover(&rig.back, rig.pages, rig.pages_size, &rig.layout, rig.journal, rig.journal_size,
                                       RIG_GENERATION + 1, false),
                     -ESTALE);
    assert_int_equal(
        ring_back_recover(&rig.back, rig.pages, rig.pages_size, &rig.layout, rig.journal, rig.journal_size, 0, false),
        -EINVAL);
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

static void refuses_a_retired_journal(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    ring_journal_retire(rig.journal, 16); /* too short to be one: left alone */
    assert_int_equal(rig_recover(&rig), 0);
    ring_journal_retire(rig.journal, rig.journal_size);
    assert_refused(&rig, -ESTALE);
    assert_int_equal(rig_attach(&rig), 0);
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

static void refuses_an_empty_file(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    memset(rig.journal, 0, rig.journal_size);
    assert_refused(&rig, -EBADMSG);
    rig_fini(&rig);
}

static void refuses_another_layout(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    rig.layout.slots = 4;
    assert_refused(&rig, -EBADMSG);
    rig.layout.slots = 8;
    rig.layout.response_mask = 0x7f;
    assert_refused(&rig, -EBADMSG);
    rig_fini(&rig);
}

static void refuses_every_damaged_bit_of_the_header(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    for (size_t bit = 0; bit < 8 * offsetof(struct ring_journal, batch); bit++) {
        rig.journal[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_refused(&rig, -EBADMSG);
        rig.journal[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

static void refuses_an_impossible_batch(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    atomic_store(&journal_of(&rig)->batch, journal_batch(RIG_START, RIG_START + 9));
    assert_refused(&rig, -EBADMSG);
    atomic_store(&journal_of(&rig)->batch, journal_batch(RIG_START + 1, RIG_START));
    assert_refused(&rig, -EBADMSG);
    rig_fini(&rig);
}

/* Each entry of the busy ring, in turn, gets each impossible word. */
static void refuses_impossible_entries(void **state)
{
    (void)state;
    const uint32_t rsp_prod = RIG_START + 2;
    const uint64_t wrong[] = {
        3,                                                         /* no such state */
        journal_word(JOURNAL_FREE, 1),                             /* free, but holds something */
        journal_word(JOURNAL_IN_FLIGHT, JOURNAL_SEQUENCE_MAX + 1), /* never counted that far */
        journal_word(JOURNAL_DONE, (uint32_t)(rsp_prod + 8)),      /* beyond the ring */
        journal_word(JOURNAL_DONE, (uint32_t)(rsp_prod - 3)),      /* before the batch */
        journal_word(JOURNAL_DONE, (uint32_t)(rsp_prod + 7)),      /* leaves a gap */
    };
    for (uint32_t i = 0; i < 8; i++)
        for (size_t n = 0; n < sizeof wrong / sizeof wrong[0]; n++) {
            struct rig rig;
            rig_busy(&rig);
            atomic_store(&journal_of(&rig)->entries[i].word, wrong[n]);
            assert_refused(&rig, -EBADMSG);
            rig_fini(&rig);
        }
}

/* An index has 32 bits; one that only ends like a good one is none. */
static void refuses_an_index_too_long(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    for (unsigned i = 0; i < 8; i++) {
        _Atomic uint64_t *word = &journal_of(&rig)->entries[i].word;
        uint64_t good = atomic_load(word);
        if (journal_word_state(good) != JOURNAL_DONE)
            continue;
        atomic_store(word, journal_word(JOURNAL_DONE, journal_word_number(good) + (UINT64_C(1) << 32)));
        assert_refused(&rig, -EBADMSG);
        atomic_store(word, good);
    }
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

static void refuses_doubled_entries(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    struct journal_entry *entries = journal_of(&rig)->entries;
    uint64_t words[8];
    for (unsigned i = 0; i < 8; i++)
        words[i] = atomic_load(&entries[i].word);
    for (unsigned i = 0; i < 8; i++)
        for (unsigned k = 0; k < 8; k++)
            if (i != k && words[k] != 0) {
                atomic_store(&entries[i].word, words[k]);
                assert_refused(&rig, -EBADMSG);
                atomic_store(&entries[i].word, words[i]);
            }
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

/* Only two values of rsp_prod can be there, and the former only with all of its batch. */
static void refuses_a_forged_rsp_prod(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    static const uint32_t moved[] = {1, 2, 3, 8, 0x80000000, 0xffffffff, 0xfffffffe, 0xfffffffd};
    for (size_t i = 0; i < sizeof moved / sizeof moved[0]; i++) {
        rig_set_index(&rig, RIG_RSP_PROD, RIG_START + 2 + moved[i]);
        assert_refused(&rig, -EPROTO);
    }
    rig_set_index(&rig, RIG_RSP_PROD, RIG_START + 2);
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

static void refuses_a_forged_rsp_prod_before_the_first_publication(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t index;
    rig_init(&rig, rig_layout(8), RIG_START);
    rig_submit(&rig, 0, 2);
    rig_consume(&rig, &index);
    for (uint32_t moved = 1; moved < 8; moved++) {
        rig_set_index(&rig, RIG_RSP_PROD, RIG_START - moved);
        assert_refused(&rig, -EPROTO);
        rig_set_index(&rig, RIG_RSP_PROD, RIG_START + moved);
        assert_refused(&rig, -EPROTO);
    }
    rig_set_index(&rig, RIG_RSP_PROD, RIG_START);
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

/* Taken back when the publication is complete and its entries are used for others: their slots must not be read
 * again. */
static void refuses_a_publication_taken_back(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t index[3];
    rig_init(&rig, rig_layout(8), RIG_START);
    rig_submit(&rig, 0, 3);
    for (uint64_t id = 0; id < 3; id++)
        rig_consume(&rig, &index[id]);
    ring_back_respond(&rig.back, index[1], &(uint64_t){1});
    ring_back_publish(&rig.back);
    rig_set_index(&rig, RIG_RSP_PROD, RIG_START);
    assert_refused(&rig, -EPROTO);
    rig_set_index(&rig, RIG_RSP_PROD, RIG_START + 1);
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

static void refuses_a_forged_req_prod(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    for (uint32_t ahead = 0; ahead < 16; ahead++) { /* of the start; 6 were consumed, 2 published */
        rig_set_index(&rig, RIG_REQ_PROD, RIG_START + ahead);
        if (ahead < 6 || ahead > 10)
            assert_refused(&rig, -EPROTO);
    }
    rig_set_index(&rig, RIG_REQ_PROD, RIG_START + 10);
    assert_int_equal(rig_recover(&rig), 0);
    rig_fini(&rig);
}

/* Answers and publishes what is in flight of a busy ring. */
static void rig_calm(struct rig *rig)
{
    struct ring_request request;
    rig_busy(rig);
    assert_int_equal(rig_recover(rig), 0);
    while (ring_back_replay(&rig->back, false, &request) == 1)
        ring_back_respond(&rig->back, request.index, request.bytes);
    ring_back_publish(&rig->back);
}

static int judge(struct rig *rig, uint64_t generation)
{
    return ring_journal_head_judge((struct ring_journal_head *)rig->journal, generation);
}

static void drains_only_what_is_at_rest(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    assert_int_equal(ring_back_drain(&rig.back), -EBUSY);
    assert_int_equal(judge(&rig, RIG_GENERATION), RING_JOURNAL_IN_USE);
    rig_fini(&rig);

    rig_calm(&rig);
    uint32_t index;
    assert_int_equal(rig_consume(&rig, &index), 6);
    assert_int_equal(ring_back_drain(&rig.back), -EBUSY);
    ring_back_respond(&rig.back, index, &(uint64_t){6});
    assert_int_equal(ring_back_drain(&rig.back), -EBUSY);
    ring_back_publish(&rig.back);
    assert_int_equal(ring_back_drain(&rig.back), 0);
    assert_int_equal(judge(&rig, RIG_GENERATION), RING_JOURNAL_DRAINED);
    rig_fini(&rig);
}

static void takes_over_a_drained_ring_of_any_version(void **state)
{
    (void)state;
    struct rig rig;
    struct ring_request request;
    uint32_t index;
    rig_calm(&rig);
    assert_int_equal(ring_back_drain(&rig.back), 0);
    journal_of(&rig)->version++;
    memset(journal_of(&rig)->entries, 0x5a, 8 * sizeof(struct journal_entry)); /* what another version may have there */
    assert_int_equal(judge(&rig, RIG_GENERATION), RING_JOURNAL_DRAINED);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(judge(&rig, RIG_GENERATION), RING_JOURNAL_IN_USE);
    assert_int_equal(ring_back_replay(&rig.back, false, &request), 0);
    assert_int_equal(rig_consume(&rig, &index), 6);
    rig_fini(&rig);

    /* and with a journal that was only given its head */
    rig_calm(&rig);
    memset(rig.journal, 0, rig.journal_size);
    ring_journal_head_drained(RIG_GENERATION, (struct ring_journal_head *)rig.journal);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(rig_consume(&rig, &index), 6);
    rig_fini(&rig);
}

static void a_drained_mark_is_for_its_generation_and_can_be_taken_back(void **state)
{
    (void)state;
    struct rig rig;
    struct ring_request request;
    uint32_t index;
    rig_calm(&rig);
    assert_int_equal(ring_back_drain(&rig.back), 0);
    assert_int_equal(judge(&rig, RIG_GENERATION + 1), RING_JOURNAL_IN_USE);
    assert_int_equal(judge(&rig, 0), RING_JOURNAL_IN_USE);
    ring_back_undrain(&rig.back);
    assert_int_equal(judge(&rig, RIG_GENERATION), RING_JOURNAL_IN_USE);
    assert_int_equal(rig_consume(&rig, &index), 6);
    assert_int_equal(rig_recover(&rig), 0);
    assert_int_equal(ring_back_replay(&rig.back, false, &request), 1); /* it was not lost */
    rig_fini(&rig);
}

static void requests_in_flight_of_another_version_are_not_guessed_at(void **state)
{
    (void)state;
    struct rig rig;
    rig_busy(&rig);
    journal_of(&rig)->version++;
    assert_int_equal(judge(&rig, RIG_GENERATION), -EPROTONOSUPPORT);
    assert_refused(&rig, -EBADMSG);
    journal_of(&rig)->version--;
    journal_of(&rig)->magic++;
    assert_int_equal(judge(&rig, RIG_GENERATION), -EBADMSG);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(continues_where_the_other_died),
        cmocka_unit_test(a_crash_is_held_against_what_was_started),
        cmocka_unit_test(other_deaths_are_not_held_against_anything),
        cmocka_unit_test(a_crash_in_company_proves_nothing),
        cmocka_unit_test(crashes_are_forgotten_when_told_to),
        cmocka_unit_test(crashes_do_not_wrap),
        cmocka_unit_test(an_older_journal_has_no_crashes),
        cmocka_unit_test(what_is_set_aside_comes_last_and_is_not_blamed),
        cmocka_unit_test(refuses_another_generation),
        cmocka_unit_test(refuses_a_retired_journal),
        cmocka_unit_test(refuses_an_empty_file),
        cmocka_unit_test(refuses_another_layout),
        cmocka_unit_test(refuses_every_damaged_bit_of_the_header),
        cmocka_unit_test(refuses_an_impossible_batch),
        cmocka_unit_test(refuses_impossible_entries),
        cmocka_unit_test(refuses_an_index_too_long),
        cmocka_unit_test(refuses_doubled_entries),
        cmocka_unit_test(refuses_a_forged_rsp_prod),
        cmocka_unit_test(refuses_a_forged_rsp_prod_before_the_first_publication),
        cmocka_unit_test(refuses_a_publication_taken_back),
        cmocka_unit_test(refuses_a_forged_req_prod),
        cmocka_unit_test(drains_only_what_is_at_rest),
        cmocka_unit_test(takes_over_a_drained_ring_of_any_version),
        cmocka_unit_test(a_drained_mark_is_for_its_generation_and_can_be_taken_back),
        cmocka_unit_test(requests_in_flight_of_another_version_are_not_guessed_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
