/* SPDX-License-Identifier: MIT */
/* The front end's side of a ring: one behaviour a test. */
#include "rig.h"

#include <errno.h>

/* Our places are Xen's. */
#include <xen/xen.h>
#include <xen/io/ring.h>

DEFINE_RING_TYPES(rig, uint64_t, uint64_t);

_Static_assert(offsetof(struct rig_sring, req_prod) == RIG_REQ_PROD, "req_prod");
_Static_assert(offsetof(struct rig_sring, req_event) == RIG_REQ_EVENT, "req_event");
_Static_assert(offsetof(struct rig_sring, rsp_prod) == RIG_RSP_PROD, "rsp_prod");
_Static_assert(offsetof(struct rig_sring, rsp_event) == RIG_RSP_EVENT, "rsp_event");
_Static_assert(offsetof(struct rig_sring, ring) == RING_HEADER_SIZE, "slots");

static void starts_empty_as_xen_does(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, rig_layout(128), RIG_START);
    memset(rig.pages, 0xaa, rig.pages_size);
    assert_int_equal(ring_front_init(&rig.front, rig.pages, rig.pages_size, &rig.layout, 0), 0);

    union {
        struct rig_sring ring;
        uint8_t bytes[RING_HEADER_SIZE];
    } expected;
    SHARED_RING_INIT(&expected.ring);
    assert_memory_equal(rig.pages, expected.bytes, RING_HEADER_SIZE);
    assert_int_equal(ring_front_room(&rig.front), 128);
    rig_fini(&rig);
}

static void requests_show_only_when_published(void **state)
{
    (void)state;
    struct rig rig;
    uint64_t request[2] = {1, 2};
    rig_init(&rig, rig_layout(4), RIG_START);
    assert_int_equal(ring_front_request(&rig.front, request), 0);
    assert_int_equal(rig_index(&rig, RIG_REQ_PROD), RIG_START);
    ring_front_publish(&rig.front);
    assert_int_equal(rig_index(&rig, RIG_REQ_PROD), RIG_START + 1);
    assert_memory_equal(rig_slot(&rig, RIG_START), request, sizeof request);
    rig_fini(&rig);
}

static void a_full_ring_takes_no_more(void **state)
{
    (void)state;
    struct rig rig;
    uint64_t request[2] = {0};
    uint32_t index;
    rig_init(&rig, rig_layout(2), RIG_START);
    rig_submit(&rig, 0, 2);
    assert_int_equal(ring_front_request(&rig.front, request), -ENOSPC);
    rig_consume(&rig, &index);
    ring_back_respond(&rig.back, index, &(uint64_t){0});
    ring_back_publish(&rig.back);
    assert_int_equal(ring_front_request(&rig.front, request), -ENOSPC);
    rig_collect(&rig);
    assert_int_equal(ring_front_request(&rig.front, request), 0);
    rig_fini(&rig);
}

static void publish_tells_when_the_back_end_waits(void **state)
{
    (void)state;
    for (uint32_t batch = 1; batch <= 4; batch++)
        for (int32_t wanted = -2; wanted <= 6; wanted++) {
            struct rig rig;
            uint64_t request[2] = {0};
            rig_init(&rig, rig_layout(4), 0xfffffffeu);
            assert_false(ring_front_publish(&rig.front));
            for (uint32_t i = 0; i < batch; i++)
                assert_int_equal(ring_front_request(&rig.front, request), 0);
            rig_set_index(&rig, RIG_REQ_EVENT, 0xfffffffeu + (uint32_t)wanted);
            assert_int_equal(ring_front_publish(&rig.front), wanted >= 1 && wanted <= (int32_t)batch);
            assert_false(ring_front_publish(&rig.front));
            rig_fini(&rig);
        }
}

static void rearm_asks_and_looks_again(void **state)
{
    (void)state;
    struct rig rig;
    uint32_t index;
    rig_init(&rig, rig_layout(2), RIG_START);
    rig_submit(&rig, 0, 2);
    assert_false(ring_front_rearm(&rig.front));
    assert_int_equal(rig_index(&rig, RIG_RSP_EVENT), RIG_START + 1);
    rig_consume(&rig, &index);
    ring_back_respond(&rig.back, index, &(uint64_t){0});
    assert_true(ring_back_publish(&rig.back));
    assert_true(ring_front_rearm(&rig.front));
    rig_collect(&rig);
    assert_false(ring_front_rearm(&rig.front));
    assert_int_equal(rig_index(&rig, RIG_RSP_EVENT), RIG_START + 2);
    rig_fini(&rig);
}

/* A back end answers what was published, no more: not what is only written, and never backwards. */
static void consume_refuses_impossible_producers(void **state)
{
    (void)state;
    struct rig rig;
    uint64_t response, request[2] = {0};
    rig_init(&rig, rig_layout(4), RIG_START);
    rig_submit(&rig, 0, 2);
    assert_int_equal(ring_front_request(&rig.front, request), 0);
    static const uint32_t wrong[] = {3, 4, 5, 0x7fffffff, 0x80000000, 0xffffffff};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        rig_set_index(&rig, RIG_RSP_PROD, RIG_START + wrong[i]);
        assert_int_equal(ring_front_consume(&rig.front, &response), -EPROTO);
    }
    rig_set_index(&rig, RIG_RSP_PROD, RIG_START);
    assert_int_equal(ring_front_consume(&rig.front, &response), 0);
    rig_set_index(&rig, RIG_RSP_PROD, RIG_START + 2);
    assert_int_equal(ring_front_consume(&rig.front, &response), 1);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty_as_xen_does),   cmocka_unit_test(requests_show_only_when_published),
        cmocka_unit_test(a_full_ring_takes_no_more),  cmocka_unit_test(publish_tells_when_the_back_end_waits),
        cmocka_unit_test(rearm_asks_and_looks_again), cmocka_unit_test(consume_refuses_impossible_producers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
