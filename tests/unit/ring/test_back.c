/* SPDX-License-Identifier: MIT */
/* The back end's side of a ring: one behaviour a test. */
#include "rig.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static void refuses_impossible_layouts(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(4), RIG_START);

    static const struct ring_layout wrong[] = {
        {0, 16, 16, 8, 0xff},  {3, 16, 16, 8, 0xff},   {2048, 16, 16, 8, 0xff},
        {4, 16, 0, 8, 0xff},   {4, 116, 116, 8, 0xff}, {4, 16, 14, 8, 0xff},
        {4, 16, 16, 0, 0},     {4, 20, 16, 20, 0xff},  {4, 16, 16, 6, 0x3f},
        {4, 16, 16, 8, 0x100}, {4, 18, 16, 8, 0xff},   {4, 12, 16, 8, 0xff},
        {4, 4, 4, 8, 0xff},    {512, 16, 16, 8, 0xff}, {4, 0x80000000u, 16, 8, 0xff},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        rig.layout = wrong[i];
        assert_int_equal(rig_attach(&rig), -EINVAL);
        assert_int_equal(rig_recover(&rig), -EINVAL);
        assert_int_equal(ring_front_init(&rig.front, rig.pages, rig.pages_size, &rig.layout, 0), -EINVAL);
    }
    rig.layout = rig_layout(4);
    assert_int_equal(rig_attach(&rig), 0);
    rig_fini(&rig);
}

static void refuses_memory_that_does_not_fit(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(4), RIG_START);
    struct ring_back *back = &rig.back;

    assert_int_equal(ring_back_attach(back, rig.pages + 1, 4000, &rig.layout, rig.journal, rig.journal_size, 1),
                     -EINVAL);
    assert_int_equal(ring_back_attach(back, rig.pages, 64 + 4 * 16 - 1, &rig.layout, rig.journal, rig.journal_size, 1),
                     -EINVAL);
    assert_int_equal(
        ring_back_attach(back, rig.pages, rig.pages_size, &rig.layout, rig.journal + 4, rig.journal_size, 1), -EINVAL);
    assert_int_equal(
        ring_back_attach(back, rig.pages, rig.pages_size, &rig.layout, rig.journal, rig.journal_size - 1, 1), -EINVAL);
    assert_int_equal(ring_back_attach(back, rig.pages, rig.pages_size, &rig.layout, rig.journal, rig.journal_size, 0),
                     -EINVAL);
    assert_int_equal(ring_back_attach(back, rig.pages, 64 + 4 * 16, &rig.layout, rig.journal, rig.journal_size, 1), 0);
    rig_fini(&rig);
}

static void journal_size_is_whole_pages(void **state)
{
    (void)state;
    for (uint32_t slots = 1; slots <= RING_SLOTS_MAX; slots *= 2) {
        struct ring_layout layout = rig_layout(slots);
        size_t size = ring_journal_size(&layout);
        assert_int_equal(size % RING_PAGE_SIZE, 0);
        assert_true(size >= 128 + slots * 128 && size < 128 + slots * 128 + RING_PAGE_SIZE);
    }
}

static void attach_takes_over_at_rsp_prod(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(4), RIG_START);
    rig_submit(&rig, 0, 4);
    assert_int_equal(rig_attach(&rig), 0);

    uint32_t index;
    for (uint64_t id = 0; id < 4; id++)
        assert_int_equal(rig_consume(&rig, &index), id);
    rig_fini(&rig);
}

static void attach_refuses_impossible_indices(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(4), RIG_START);
    static const uint32_t ahead[] = {5, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof ahead / sizeof ahead[0]; i++) {
        rig_set_index(&rig, RIG_REQ_PROD, RIG_START + ahead[i]);
        assert_int_equal(rig_attach(&rig), -EPROTO);
    }
    rig_set_index(&rig, RIG_REQ_PROD, RIG_START + 4);
    assert_int_equal(rig_attach(&rig), 0);
    rig_fini(&rig);
}

/* XSA-39: at any number of requests consumed, the producer may be ahead by what is left of the ring and not by one
 * more. */
static void consume_refuses_impossible_producers(void **state)
{
    (void)state;
    static const uint32_t wrong[] = {5, 6, 4 + 4, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};
    for (uint32_t consumed = 0; consumed <= 4; consumed++)
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
            struct rig rig;
            struct ring_request request;
            uint32_t index;
            rig_init(&rig, rig_layout(4), RIG_START);
            rig_submit(&rig, 0, consumed);
            for (uint32_t n = 0; n < consumed; n++)
                rig_consume(&rig, &index);

            rig_set_index(&rig, RIG_REQ_PROD, RIG_START + wrong[i]);
            assert_int_equal(ring_back_consume(&rig.back, &request), -EPROTO);
            if (consumed > 0) { /* back over what was consumed */
                rig_set_index(&rig, RIG_REQ_PROD, RIG_START + consumed - 1);
                assert_int_equal(ring_back_consume(&rig.back, &request), -EPROTO);
            }
            rig_set_index(&rig, RIG_REQ_PROD, RIG_START + 4);
            assert_int_equal(ring_back_consume(&rig.back, &request), consumed < 4 ? 1 : 0);
            rig_fini(&rig);
        }
}

/* XSA-155: what is handed out is a private copy. */
static void consume_reads_a_slot_once(void **state)
{
    (void)state;
    struct rig rig;
    struct ring_request request;
    rig_init(&rig, rig_layout(2), RIG_START);
    rig_submit(&rig, 7, 1);
    assert_int_equal(ring_back_consume(&rig.back, &request), 1);
    memset(rig_slot(&rig, RIG_START), 0xff, 16);

    uint64_t id[2];
    memcpy(id, request.bytes, sizeof id);
    assert_true(id[0] == 7 && id[1] == ~UINT64_C(7));
    assert_true(request.crashes == 0 && !request.proved);
    rig_fini(&rig);
}

static void consume_says_when_there_is_none(void **state)
{
    (void)state;
    struct rig rig;
    struct ring_request request;
    uint32_t index;
    rig_init(&rig, rig_layout(2), RIG_START);
    assert_int_equal(ring_back_consume(&rig.back, &request), 0);
    rig_submit(&rig, 0, 2);
    rig_consume(&rig, &index);
    rig_consume(&rig, &index);
    assert_int_equal(ring_back_consume(&rig.back, &request), 0);
    rig_fini(&rig);
}

/* The response to request 1 goes into slot 0 while request 0 is in flight. */
static void a_response_may_replace_a_request_in_flight(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(2), RIG_START);
    rig_submit(&rig, 0, 2);
    struct ring_request first;
    uint32_t second;
    assert_int_equal(ring_back_consume(&rig.back, &first), 1);
    assert_int_equal(rig_consume(&rig, &second), 1);

    uint64_t response = 1;
    ring_back_respond(&rig.back, second, &response);
    ring_back_publish(&rig.back);
    assert_int_equal(rig_collect(&rig), 1);

    uint64_t id;
    memcpy(&id, first.bytes, sizeof id);
    assert_int_equal(id, 0);
    response = 0;
    ring_back_respond(&rig.back, first.index, &response);
    ring_back_publish(&rig.back);
    assert_int_equal(rig_collect(&rig), 0);
    rig_fini(&rig);
}

static void responses_show_only_when_published(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t index[3];
    uint64_t response;
    rig_init(&rig, rig_layout(4), RIG_START);
    rig_submit(&rig, 0, 3);
    for (uint64_t id = 0; id < 3; id++)
        rig_consume(&rig, &index[id]);
    for (response = 3; response-- > 0;) {
        ring_back_respond(&rig.back, index[response], &response);
        assert_int_equal(rig_index(&rig, RIG_RSP_PROD), RIG_START);
    }
    ring_back_publish(&rig.back);
    assert_int_equal(rig_index(&rig, RIG_RSP_PROD), RIG_START + 3);
    for (response = 3; response-- > 0;)
        assert_int_equal(rig_collect(&rig), response);
    rig_fini(&rig);
}

/* XSA-216, for every mask there is. */
static void padding_of_responses_is_not_written(void **state)
{
    (void)state;
    struct rig rig;
    uint8_t response[17];
    rig_init(&rig, (struct ring_layout){1, 20, 16, 16, 0}, RIG_START);
    memset(response, 0x11, sizeof response);

    for (uint32_t mask = 0; mask < 0x10000; mask++) {
        rig.layout.response_mask = mask;
        assert_int_equal(rig_attach(&rig), 0);
        uint32_t request[4] = {0}, index;
        struct ring_request handed;
        assert_int_equal(ring_front_request(&rig.front, request), 0);
        ring_front_publish(&rig.front);
        assert_int_equal(ring_back_consume(&rig.back, &handed), 1);
        index = handed.index;
        uint8_t *slot = rig_slot(&rig, 0);
        memset(slot, 0xee, 20);
        ring_back_respond(&rig.back, index, response + 1); /* misaligned, too */
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(slot[i], i < 16 && mask >> i & 1 ? 0x11 : 0xee);
        ring_back_publish(&rig.back);
        uint8_t got[16];
        assert_int_equal(ring_front_consume(&rig.front, got), 1);
    }
    rig_fini(&rig);
}

/* The rule of xen/io/ring.h: an event exactly when the producer passes the index the peer waits for. */
static void publish_tells_when_the_peer_waits(void **state)
{
    (void)state;
    for (uint32_t batch = 1; batch <= 4; batch++)
        for (int32_t wanted = -2; wanted <= 6; wanted++) {
            struct rig rig;
            uint64_t response = 0;
            rig_init(&rig, rig_layout(4), 0xfffffffeu);
            rig_submit(&rig, 0, batch);
            for (uint32_t i = 0; i < batch; i++) {
                uint32_t index;
                rig_consume(&rig, &index);
                ring_back_respond(&rig.back, index, &response);
            }
            rig_set_index(&rig, RIG_RSP_EVENT, 0xfffffffeu + (uint32_t)wanted);
            assert_int_equal(ring_back_publish(&rig.back), wanted >= 1 && wanted <= (int32_t)batch);
            assert_false(ring_back_publish(&rig.back));
            rig_fini(&rig);
        }
}

static void rearm_asks_and_looks_again(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t index;
    rig_init(&rig, rig_layout(4), RIG_START);
    assert_false(ring_back_rearm(&rig.back));
    assert_int_equal(rig_index(&rig, RIG_REQ_EVENT), RIG_START + 1);
    rig_submit(&rig, 0, 1);
    assert_true(ring_back_rearm(&rig.back));
    rig_consume(&rig, &index);
    assert_false(ring_back_rearm(&rig.back));
    assert_int_equal(rig_index(&rig, RIG_REQ_EVENT), RIG_START + 2);

    uint64_t request[2] = {0};
    assert_int_equal(ring_front_request(&rig.front, request), 0);
    assert_true(ring_front_publish(&rig.front));
    rig_fini(&rig);
}

/* 16 pages, and many times around. */
static void a_ring_of_many_pages_turns(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, (struct ring_layout){512, 112, 112, 16, 0xdff}, RIG_START);
    assert_int_equal(rig.pages_size,
                     16 * RING_PAGE_SIZE - RING_PAGE_SIZE); /* 512 * 112 + 64: the last page stays empty */
    uint64_t next = 0;
    for (unsigned turn = 0; turn < 20; turn++) {
        for (unsigned i = 0; i < 512; i++) {
            uint64_t request[14] = {next + i, [13] = ~(next + i)};
            assert_int_equal(ring_front_request(&rig.front, request), 0);
        }
        assert_int_equal(ring_front_room(&rig.front), 0);
        ring_front_publish(&rig.front);
        for (unsigned i = 0; i < 512; i++) {
            struct ring_request handed;
            uint64_t request[14], response[2] = {0};
            assert_int_equal(ring_back_consume(&rig.back, &handed), 1);
            memcpy(request, handed.bytes, sizeof request);
            assert_true(request[0] == next + i && request[13] == ~request[0]);
            response[0] = request[0];
            ring_back_respond(&rig.back, handed.index, response);
        }
        ring_back_publish(&rig.back);
        for (unsigned i = 0; i < 512; i++) {
            uint64_t response[2];
            assert_int_equal(ring_front_consume(&rig.front, response), 1);
            assert_int_equal(response[0], next + i);
        }
        next += 512;
    }
    rig_fini(&rig);
}

static void indices_are_shown(void **state)
{
    (void)state;
    struct rig rig;
    struct ring_indices indices;
    uint32_t index;
    rig_init(&rig, rig_layout(4), RIG_START);
    rig_submit(&rig, 0, 3);
    rig_consume(&rig, &index);
    rig_consume(&rig, &index);
    ring_back_respond(&rig.back, index, &(uint64_t){1});
    ring_back_publish(&rig.back);
    ring_back_indices(&rig.back, &indices);
    assert_int_equal(indices.req_prod, RIG_START + 3);
    assert_int_equal(indices.req_event, RIG_START + 1);
    assert_int_equal(indices.rsp_prod, RIG_START + 1);
    assert_int_equal(indices.rsp_event, RIG_START + 1);
    assert_int_equal(indices.req_cons, RIG_START + 2);
    assert_int_equal(indices.in_flight, 1);
    rig_fini(&rig);
}

/* How a process ends that answers request `index` of a ring in which only request 0 was consumed, `times` times. */
static int status_after_responding(uint32_t index, unsigned times)
{
    pid_t child = fork();
    if (child == 0) {
        struct rig rig;
        uint32_t consumed;
        rig_init(&rig, rig_layout(2), RIG_START);
        rig_submit(&rig, 0, 1);
        rig_consume(&rig, &consumed);
        while (times-- > 0)
            ring_back_respond(&rig.back, index == 0 ? consumed : index, &(uint64_t){0});
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void a_wrong_answer_of_ours_aborts(void **state)
{
    (void)state;
    signal(SIGABRT, SIG_DFL); /* not cmocka's handler: the child must die of it */
    assert_int_equal(status_after_responding(0, 1), 0);
    assert_int_equal(WTERMSIG(status_after_responding(0, 2)), SIGABRT);
    assert_int_equal(WTERMSIG(status_after_responding(1, 1)), SIGABRT);
    assert_int_equal(WTERMSIG(status_after_responding(2, 1)), SIGABRT);
    assert_int_equal(WTERMSIG(status_after_responding(UINT32_MAX, 1)), SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_impossible_layouts),
        cmocka_unit_test(refuses_memory_that_does_not_fit),
        cmocka_unit_test(journal_size_is_whole_pages),
        cmocka_unit_test(attach_takes_over_at_rsp_prod),
        cmocka_unit_test(attach_refuses_impossible_indices),
        cmocka_unit_test(consume_refuses_impossible_producers),
        cmocka_unit_test(consume_reads_a_slot_once),
        cmocka_unit_test(consume_says_when_there_is_none),
        cmocka_unit_test(a_response_may_replace_a_request_in_flight),
        cmocka_unit_test(responses_show_only_when_published),
        cmocka_unit_test(padding_of_responses_is_not_written),
        cmocka_unit_test(publish_tells_when_the_peer_waits),
        cmocka_unit_test(rearm_asks_and_looks_again),
        cmocka_unit_test(a_ring_of_many_pages_turns),
        cmocka_unit_test(indices_are_shown),
        cmocka_unit_test(a_wrong_answer_of_ours_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
