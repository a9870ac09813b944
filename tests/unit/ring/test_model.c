/* SPDX-License-Identifier: MIT */
/*
 * Random lives of a ring against a model of what a ring is: first with an honest peer, then with one that scribbles
 * over everything it can write. In both the back end dies between two calls now and then, and a successor recovers.
 */
#include "rig.h"

#include <errno.h>

#define SLOTS_MAX 64u

/* What must be true: the requests submitted, each in one place, in order where order is promised. */
struct model {
    struct rig rig;
    uint64_t seed;
    uint64_t submitted, consumed;     /* ids below were submitted (and shown), consumed */
    uint64_t written;                 /* ids below were written by the front end */
    unsigned in_flight, done, shown;  /* sizes of the following */
    uint64_t in_flight_id[SLOTS_MAX]; /* in order of consumption */
    uint32_t in_flight_index[SLOTS_MAX];
    uint32_t in_flight_crashes[SLOTS_MAX];
    uint64_t done_id[SLOTS_MAX];    /* in order of ring_back_respond() */
    uint64_t shown_id[SLOTS_MAX];   /* published, not read by the front end */
    bool back_sleeps, front_sleeps; /* rearm said there is nothing: the next publication must wake */
    unsigned deaths;
};

static void model_submit(struct model *model)
{
    uint32_t count = rig_below(&model->seed, ring_front_room(&model->rig.front) + 1);
    for (uint32_t i = 0; i < count; i++, model->written++) {
        uint64_t request[2] = {model->written, ~model->written};
        assert_int_equal(ring_front_request(&model->rig.front, request), 0);
    }
    assert_int_equal(ring_front_room(&model->rig.front), model->rig.layout.slots - (model->written - model->submitted) -
                                                             (model->submitted - model->consumed) - model->in_flight -
                                                             model->done - model->shown);
}

static void model_show_requests(struct model *model)
{
    bool wake = ring_front_publish(&model->rig.front);
    if (model->back_sleeps && model->written > model->submitted) {
        assert_true(wake);
        model->back_sleeps = false;
    }
    model->submitted = model->written;
}

static void model_consume(struct model *model)
{
    struct ring_request request;
    int rc = ring_back_consume(&model->rig.back, &request);
    assert_int_equal(rc, model->consumed < model->submitted);
    if (rc == 0)
        return;
    uint64_t id;
    memcpy(&id, request.bytes, sizeof id);
    assert_int_equal(id, model->consumed);
    assert_int_equal(request.crashes, 0);
    model->in_flight_id[model->in_flight] = model->consumed++;
    model->in_flight_index[model->in_flight] = request.index;
    model->in_flight_crashes[model->in_flight++] = 0;
}

static void model_respond(struct model *model)
{
    if (model->in_flight == 0)
        return;
    uint32_t which = rig_below(&model->seed, model->in_flight);
    ring_back_respond(&model->rig.back, model->in_flight_index[which], &model->in_flight_id[which]);
    model->done_id[model->done++] = model->in_flight_id[which];
    model->in_flight--;
    for (uint32_t i = which; i < model->in_flight; i++) {
        model->in_flight_id[i] = model->in_flight_id[i + 1];
        model->in_flight_index[i] = model->in_flight_index[i + 1];
        model->in_flight_crashes[i] = model->in_flight_crashes[i + 1];
    }
}

static void model_shown(struct model *model)
{
    for (unsigned i = 0; i < model->done; i++)
        model->shown_id[model->shown++] = model->done_id[i];
    model->done = 0;
}

static void model_publish(struct model *model)
{
    bool wake = ring_back_publish(&model->rig.back);
    if (model->front_sleeps && model->done > 0) {
        assert_true(wake);
        model->front_sleeps = false;
    }
    model_shown(model);
}

static void model_collect(struct model *model)
{
    uint64_t id;
    int rc = ring_front_consume(&model->rig.front, &id);
    assert_int_equal(rc, model->shown > 0);
    if (rc == 0)
        return;
    assert_int_equal(id, model->shown_id[0]);
    model->shown--;
    memmove(model->shown_id, model->shown_id + 1, model->shown * sizeof model->shown_id[0]);
}

static void model_die(struct model *model)
{
    bool crashed = rig_below(&model->seed, 2) == 0;
    assert_int_equal(rig_recover_after(&model->rig, crashed), 0);
    model->deaths++;
    model->back_sleeps = false; /* the successor scans by itself */
    if (model->done > 0)
        model->front_sleeps = false; /* and notifies, unconditionally */
    model_shown(model);

    /* Everything was started by the dead one. The fewest crashes first, then in order. */
    struct ring_request request;
    for (unsigned i = 0; i < model->in_flight; i++)
        model->in_flight_crashes[i] += crashed;
    bool replayed[SLOTS_MAX] = {false};
    for (unsigned n = 0; n < model->in_flight; n++) {
        uint64_t id;
        unsigned next = 0;
        while (next + 1 < model->in_flight && replayed[next])
            next++;
        for (unsigned i = next; i < model->in_flight; i++)
            if (!replayed[i] && model->in_flight_crashes[i] < model->in_flight_crashes[next])
                next = i;
        replayed[next] = true;
        assert_int_equal(ring_back_replay(&model->rig.back, n % 2 == 0, &request), 1);
        memcpy(&id, request.bytes, sizeof id);
        assert_int_equal(id, model->in_flight_id[next]);
        assert_int_equal(request.index, model->in_flight_index[next]);
        assert_int_equal(request.crashes, model->in_flight_crashes[next]);
    }
    assert_int_equal(ring_back_replay(&model->rig.back, false, &request), 0);
}

static void model_step(struct model *model)
{
    switch (rig_below(&model->seed, 32)) {
    case 0 ... 3:
        model_submit(model);
        break;
    case 4 ... 7:
        model_show_requests(model);
        break;
    case 8 ... 13:
        model_consume(model);
        break;
    case 14 ... 19:
        model_respond(model);
        break;
    case 20 ... 22:
        model_publish(model);
        break;
    case 23 ... 27:
        model_collect(model);
        break;
    case 28:
        model->back_sleeps = !ring_back_rearm(&model->rig.back);
        assert_int_equal(model->back_sleeps, model->consumed == model->submitted);
        break;
    case 29:
        model->front_sleeps = !ring_front_rearm(&model->rig.front);
        assert_int_equal(model->front_sleeps, model->shown == 0);
        break;
    default:
        model_die(model);
    }

    struct ring_indices indices;
    ring_back_indices(&model->rig.back, &indices);
    assert_int_equal(indices.in_flight, model->in_flight);
    assert_int_equal(indices.req_prod - indices.req_cons, model->submitted - model->consumed);
    assert_int_equal(indices.req_cons - indices.rsp_prod, model->in_flight + model->done);
}

static void an_honest_ring_follows_the_model(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    uint64_t consumed = 0;
    unsigned deaths = 0;
    for (unsigned life = 0; life < 60; life++) {
        struct model model = {.seed = rig_random(&seed)};
        uint32_t slots = 1u << life % 7;
        rig_init(&model.rig, rig_layout(slots), life % 3 == 0 ? (uint32_t)rig_random(&seed) : RIG_START);
        for (unsigned step = 0; step < 4000; step++)
            model_step(&model);
        consumed += model.consumed;
        deaths += model.deaths;
        rig_fini(&model.rig);
    }
    print_message("%llu requests, %u deaths\n", (unsigned long long)consumed, deaths);
    assert_true(consumed > 0 && deaths > 0);
}

/* ---- The hostile peer. ------------------------------------------------------------------------------------------- */

static void scribble(struct rig *rig, uint64_t *seed)
{
    static const uint32_t jumps[] = {0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe};
    uint32_t choice = rig_below(seed, 6);
    if (choice < 4) {
        uint32_t near = rig_index(rig, 4 * rig_below(seed, 4));
        uint32_t value = choice == 0 ? (uint32_t)rig_random(seed)
                                     : near + jumps[rig_below(seed, 8)] + rig_below(seed, 3) * rig->layout.slots;
        rig_set_index(rig, 4 * choice, value);
    } else {
        for (unsigned i = 0; i < 8; i++)
            rig->pages[RING_HEADER_SIZE + rig_below(seed, rig->layout.slots * rig->layout.slot_size)] =
                (uint8_t)rig_random(seed);
    }
}

/* Keeps what an owner of the ring may rely on, whatever the peer does: no more than the ring holds, each index once,
 * its own memory. */
static void a_hostile_peer_harms_nobody(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    unsigned refused = 0, served = 0, lost = 0, recovered = 0;
    for (unsigned life = 0; life < 3000; life++) {
        struct rig rig;
        struct ring_request request;
        bool busy[SLOTS_MAX] = {false};
        uint32_t in_flight = 0, slots = 1u << life % 7;
        rig_init(&rig, rig_layout(slots), RIG_START);

        for (unsigned step = 0; step < 200; step++) {
            if (rig_below(&seed, 4) == 0)
                scribble(&rig, &seed);
            else if (ring_front_room(&rig.front) > 0 && ring_front_room(&rig.front) <= slots)
                rig_submit(&rig, step, 1);

            int rc = 0;
            for (uint32_t turn = 0; rig_below(&seed, 8) && (rc = ring_back_consume(&rig.back, &request)) == 1; turn++) {
                assert_true(turn < slots && request.index < slots && !busy[request.index]);
                busy[request.index] = true;
                in_flight++;
                served++;
            }
            assert_true(rc == 0 || rc == 1 || rc == -EPROTO);
            refused += rc == -EPROTO;

            for (uint32_t i = 0; i < slots; i++)
                if (busy[i] && rig_below(&seed, 2)) {
                    ring_back_respond(&rig.back, i, &seed);
                    busy[i] = false;
                    in_flight--;
                }
            if (rig_below(&seed, 2))
                ring_back_publish(&rig.back);
            ring_back_rearm(&rig.back);
            uint64_t response;
            ring_front_consume(&rig.front, &response);

            if (rig_below(&seed, 8) == 0) {
                rc = rig_recover(&rig);
                assert_true(rc == 0 || rc == -EPROTO); /* nothing a peer does damages a journal */
                if (rc == -EPROTO) {
                    lost++;
                    break;
                }
                recovered++;
                uint32_t replayed = 0;
                for (; ring_back_replay(&rig.back, false, &request) == 1; replayed++)
                    assert_true(busy[request.index]);
                assert_int_equal(replayed, in_flight);
            }
        }
        rig_fini(&rig);
    }
    print_message("%u served, %u refused, %u recovered, %u lost\n", served, refused, recovered, lost);
    assert_true(served > 0 && refused > 0 && recovered > 0 && lost > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_ring_follows_the_model),
        cmocka_unit_test(a_hostile_peer_harms_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
