/* SPDX-License-Identifier: MIT */
/*
 * The back end killed at every instruction.
 *
 * libring's real objects, optimised and not instrumented, run in a child that is traced and single-stepped. Ring,
 * journal and the front end's state lie in memory shared with the tracer, the "world". A SIGKILL after n instructions
 * leaves the world as it is after n steps: so after each step the world is compared with the step before, and each
 * state not seen yet is one that a kill can leave. From every such state a successor is run: recover, replay, serve the
 * rest, and two requests more. Each successor is stepped in the same way and its states are recovered from by a third
 * process; with an argument, deeper still.
 *
 * Demanded of each: every request is answered exactly once, with its own id and payload; none is executed after its
 * response was announced; replay goes in the order of consumption, what saw fewer crashes first; crashes count the
 * processes that started a request and crashed, not one more or less, and none that was killed; nothing is left behind.
 * So all of it is done twice: with processes that crash, and with processes that are killed.
 *
 * Some scenarios answer in order and recover in order (ring_back_recover_in_order). There it is demanded as well that
 * what a recovery leaves announced ends where a process published, never within a group.
 *
 * That it can fail was tried by breaking libring: with respond's commit before its slot store, publish's batch after
 * rsp_prod, FREE before rsp_prod, IN_FLIGHT before the copy or before the first attempt, DONE and its index in two
 * stores, no batch, a drained mark before the last publication or taken away before a format is complete, or a replay
 * that does not count or not sort, a recovery that does not free or not publish, that starts its sequence anew, does not
 * settle, or settles in two stores, it fails. So it does with a recovery in order that takes nothing back, the earliest
 * first, or by numbers in disorder.
 *
 * Exit status 77 where tracing is not allowed.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <ring/back.h>
#include <ring/front.h>

#include "stepper.h"

#define START      0xfffffff0u
#define GENERATION 7u
#define REQUESTS   16u
#define SLOTS_MAX  4u

struct request {
    uint32_t id, seal, payload[2];
};

struct response {
    uint32_t id, seal;
};

/* Everything that outlives the worker. Compared, saved and restored as bytes. */
struct world {
    _Alignas(64) uint8_t pages[RING_HEADER_SIZE + SLOTS_MAX * sizeof(struct request)];
    _Alignas(64) uint8_t journal[RING_PAGE_SIZE];
    struct ring_front front;
    uint32_t submitted; /* ids below were put on the ring */
    uint32_t kills;     /* how many processes died so far */
    uint64_t ends;      /* bit n: a process was about to publish so far that START + n is next */
    /* How often libring was called to hand each out; one that is killed in there may have started it. */
    uint8_t entered[REQUESTS + 1];
    uint8_t executed[REQUESTS]; /* how often each was handed out */
    uint8_t answered[REQUESTS]; /* how often the front end got its response */
    bool stepping;              /* whether this process is inside libring, single-stepped */
};

/* The worker's own memory: dies with it. */
struct worker {
    struct ring_back back;
    uint32_t index_of[REQUESTS]; /* of each request in flight */
    bool in_flight[REQUESTS];
};

static struct world *world;
static struct ring_layout layout = {.request_size = 16, .slot_size = 16, .response_size = 8, .response_mask = 0xff};
static bool crashing; /* processes crash; else somebody kills them */
static bool in_order; /* the ring is answered and recovered in order */

static unsigned long states_total;

/* ---- The front end: it lives on while workers die. --------------------------------------------------------------- */

static void front_submit(void)
{
    uint32_t id = world->submitted;
    struct request request = {.id = id, .seal = ~id, .payload = {id * 3, id * 5}};
    demand(ring_front_request(&world->front, &request) == 0);
    world->submitted++;
    ring_front_publish(&world->front);
}

static void front_collect(void)
{
    struct response response;
    int rc;
    while ((rc = ring_front_consume(&world->front, &response)) == 1) {
        demand(response.id < world->submitted && response.seal == (response.id ^ 0xa5a5a5a5u));
        world->answered[response.id]++;
        demand(world->answered[response.id] == 1);
    }
    demand(rc == 0);
}

/* Whether the front end can see a response to this request, read or not yet read. */
static bool announced(uint32_t id)
{
    if (world->answered[id])
        return true;
    uint32_t rsp_prod;
    memcpy(&rsp_prod, world->pages + 8, sizeof rsp_prod);
    for (uint32_t i = world->front.rsp_cons; i != rsp_prod; i++) {
        struct response response;
        memcpy(&response, world->pages + RING_HEADER_SIZE + (i & (layout.slots - 1)) * layout.slot_size,
               sizeof response);
        if (response.id == id)
            return true;
    }
    return false;
}

/* ---- The worker. ------------------------------------------------------------------------------------------------- */

static uint32_t execute(struct worker *worker, const struct ring_request *handed)
{
    struct request request;
    memcpy(&request, handed->bytes, sizeof request);
    uint32_t id = request.id;
    demand(id < world->submitted && request.seal == ~id && request.payload[0] == id * 3 &&
           request.payload[1] == id * 5);
    demand(!announced(id));
    /* By others than this process. */
    demand(handed->crashes < (crashing ? world->entered[id] : 1));
    demand(!crashing || world->executed[id] <= handed->crashes);
    demand(handed->index < layout.slots && !worker->in_flight[id]);
    world->executed[id]++;
    worker->in_flight[id] = true;
    worker->index_of[id] = handed->index;
    return id;
}

static bool worker_consume(struct worker *worker)
{
    struct ring_request handed;
    uint32_t next = 0;
    while (next < world->submitted && world->executed[next] > 0)
        next++;
    world->entered[next]++;
    enter();
    int rc = ring_back_consume(&worker->back, &handed);
    leave();
    demand(rc >= 0);
    if (rc == 1) {
        uint32_t id = execute(worker, &handed);
        demand(handed.crashes == 0);
        for (uint32_t later = id + 1; later < world->submitted; later++)
            demand(world->executed[later] == 0);
    }
    return rc == 1;
}

/* Nothing is consumed until it was recalled. */
static void worker_set_aside(struct worker *worker)
{
    uint32_t id = world->submitted;
    while (id-- > 0 && !worker->in_flight[id])
        ;
    worker->in_flight[id] = false;
    world->executed[id]--;
    enter();
    ring_back_set_aside(&worker->back, worker->index_of[id]);
    leave();
}

static void worker_recall(struct worker *worker)
{
    struct ring_request handed;
    for (uint32_t id = 0; id < world->submitted; id++)
        if (world->executed[id] == 0)
            world->entered[id]++;
    enter();
    int recalled = ring_back_recall(&worker->back);
    int rc = ring_back_replay(&worker->back, false, &handed);
    leave();
    demand(recalled == 1 && rc == 1);
    execute(worker, &handed);
}

static void worker_respond(struct worker *worker, uint32_t id)
{
    struct response response = {.id = id, .seal = id ^ 0xa5a5a5a5u};
    demand(worker->in_flight[id]);
    worker->in_flight[id] = false;
    enter();
    ring_back_respond(&worker->back, worker->index_of[id], &response);
    leave();
}

static void worker_publish(struct worker *worker)
{
    world->ends |= UINT64_C(1) << (worker->back.rsp_prod + worker->back.done_count - START);
    enter();
    ring_back_publish(&worker->back);
    leave();
}

/* One life by a script: S submit, c consume, 0-9 respond to that request, p publish, r rearm, f the front end reads, d drain, u undrain.
 * a set aside what was consumed last, R recall and replay that. One that begins with o is for a ring in order. */
static void live(const char *script)
{
    static struct worker worker;
    memset(&worker, 0, sizeof worker);
    demand(ring_back_attach(&worker.back, world->pages, sizeof world->pages, &layout, world->journal,
                            sizeof world->journal, GENERATION) == 0);

    for (; *script; script++)
        switch (*script) {
        case 'o':
            break;
        case 'S':
            front_submit();
            break;
        case 'c':
            demand(worker_consume(&worker));
            break;
        case 'p':
            worker_publish(&worker);
            break;
        case 'a':
            worker_set_aside(&worker);
            break;
        case 'R':
            worker_recall(&worker);
            break;
        case 'r':
            enter();
            ring_back_rearm(&worker.back);
            leave();
            break;
        case 'f':
            front_collect();
            break;
        case 'd':
            enter();
            demand(ring_back_drain(&worker.back) == 0);
            leave();
            break;
        case 'u':
            enter();
            ring_back_undrain(&worker.back);
            leave();
            break;
        default:
            worker_respond(&worker, (uint32_t)(*script - '0'));
        }
}

/* Answers what is in flight, the latest first, so that responses land in slots of requests still in flight, unless the
 * ring is answered in order; a batch of two, then the rest. */
static void answer_all(struct worker *worker)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < world->submitted; i++) {
        const uint32_t id = in_order ? i : world->submitted - 1 - i;
        if (worker->in_flight[id]) {
            worker_respond(worker, id);
            if (++count == 2)
                worker_publish(worker);
        }
    }
    worker_publish(worker);
}

/* A new connection on an old journal. The parameter is there for trace(). */
static void attach_anew(const char *script)
{
    (void)script;
    static struct ring_back back;
    enter();
    int rc = ring_back_attach(&back, world->pages, sizeof world->pages, &layout, world->journal, sizeof world->journal,
                              GENERATION + 1);
    leave();
    demand(rc == 0);
}

/* The next life: from whatever a kill left to nothing in flight, and then some. */
static void succeed(const char *script)
{
    (void)script;
    static struct worker worker;
    memset(&worker, 0, sizeof worker);
    world->kills++;

    enter();
    int rc = (in_order ? ring_back_recover_in_order : ring_back_recover)(&worker.back, world->pages,
                                                                         sizeof world->pages, &layout, world->journal,
                                                                         sizeof world->journal, GENERATION, crashing);
    leave();
    demand(rc == 0);
    struct ring_indices indices;
    ring_back_indices(&worker.back, &indices);
    demand(!in_order || indices.rsp_prod == START || (world->ends >> (indices.rsp_prod - START) & 1) != 0);
    demand(indices.rsp_prod + indices.in_flight == indices.req_cons);

    struct ring_request handed;
    uint32_t crashes = 0;
    for (int64_t last = -1;;) {
        if (ring_back_peek(&worker.back, &handed) == 1)
            world->entered[((const struct request *)handed.bytes)->id]++;
        enter();
        rc = ring_back_replay(&worker.back, ring_back_suspects(&worker.back) > 0, &handed);
        leave();
        if (rc == 0)
            break;
        uint32_t id = execute(&worker, &handed);
        demand((!in_order && handed.crashes > crashes) ||
               ((in_order || handed.crashes == crashes) && (int64_t)id > last));
        crashes = handed.crashes;
        last = id;
    }
    demand(ring_back_suspects(&worker.back) == 0);
    while (worker_consume(&worker))
        ;
    answer_all(&worker);
    front_collect();

    uint32_t until = world->submitted + 2;
    while (world->submitted < until) {
        front_submit();
        demand(worker_consume(&worker));
    }
    answer_all(&worker);
    front_collect();

    for (uint32_t id = 0; id < world->submitted; id++)
        demand(world->answered[id] == 1 && world->executed[id] >= 1);
    ring_back_indices(&worker.back, &indices);
    demand(indices.in_flight == 0 && indices.rsp_prod == indices.req_prod && indices.req_cons == indices.req_prod);
    demand(indices.rsp_prod == START + world->submitted);
}

/* ---- The states. ------------------------------------------------------------------------------------------------- */

/* The states a run can be killed in, each once. */
struct states {
    struct world *list;
    size_t count, room;
};

static void states_add(struct states *states, const struct world *state)
{
    for (size_t i = states->count; i-- > 0;)
        if (memcmp(&states->list[i], state, sizeof *state) == 0)
            return;
    if (states->count == states->room) {
        states->room = states->room ? 2 * states->room : 64;
        states->list = realloc(states->list, states->room * sizeof *states->list);
        if (!states->list)
            abort();
    }
    states->list[states->count++] = *state;
}

static void see(void *states)
{
    states_add(states, world);
}

/* Runs one life in a child, step by step inside libring, and collects every state a kill can leave. */
static void trace(void (*life)(const char *), const char *script, struct states *ret_states)
{
    step_through(life, script, world, sizeof *world, see, ret_states);
    states_total += ret_states->count;
}

/* Recovers from each state: stepped while `depth` lasts, then straight through. */
static void recover_from_all(const struct states *states, unsigned depth)
{
    for (size_t i = 0; i < states->count; i++) {
        *world = states->list[i];
        if (depth == 0) {
            succeed(NULL);
            continue;
        }
        struct states next = {0};
        trace(succeed, NULL, &next);
        recover_from_all(&next, depth - 1);
        free(next.list);
    }
}

/* Killed while it formats the journal: either generation is whole and empty, or refused; never a mixture. Then it is
 * done again. */
static void attach_is_all_or_nothing(void)
{
    struct states states = {0};
    trace(attach_anew, NULL, &states);
    unsigned refused = 0;
    for (size_t i = 0; i < states.count; i++) {
        static struct worker worker;
        *world = states.list[i];
        int rc_old = ring_back_recover(&worker.back, world->pages, sizeof world->pages, &layout, world->journal,
                                       sizeof world->journal, GENERATION, false);
        int rc_new = ring_back_recover(&worker.back, world->pages, sizeof world->pages, &layout, world->journal,
                                       sizeof world->journal, GENERATION + 1, false);
        demand(rc_old == -ESTALE || (i == 0 && rc_old == 0));
        demand(rc_new == -ESTALE || (i == states.count - 1 && rc_new == 0));
        if (rc_new == 0) {
            struct ring_request handed;
            demand(ring_back_replay(&worker.back, false, &handed) == 0);
        }
        refused += rc_old < 0 && rc_new < 0;
        attach_anew(NULL);
    }
    demand(refused > 0);
    free(states.list);
}

struct scenario {
    const char *name;
    uint32_t slots;
    const char *script;
};

static const struct scenario scenarios[] = {
    {"one request", 2, "rSc0pf"},
    {"in order, one batch", 2, "SScc01pf"},
    {"a response in the slot of a request in flight", 2, "SScc1pfSc2pf0pf"},
    {"one stays while the ring turns", 2, "SScc1pfSc2pfSc3pfSc4pf0pf"},
    {"a batch of three, backwards, then one", 4, "SSSScccc321p0pf"},
    {"responses kept back while more is consumed", 4, "SSSScc1c2pfSSccc5p4p30pf"},
    {"drained, with requests waiting", 4, "SSScc01pfdS"},
    {"drained, and taken back", 2, "SScc10pfdSuc2pf"},
    {"responses not read by the front end", 4, "SSSScccc2p0p3p1pfSc4p"},
    {"the last waits until the others are answered", 4, "SSSccca1pf0pR2pf"},
    {"in order, a group in part, and more behind it", 4, "oSSScc0c1pfSc2SS3cpf"},
    {"in order, all answered and nothing published", 4, "oSSSScccc0123"},
};

static void report(const char *name, unsigned long points_before, unsigned long states_before)
{
    printf("%-50s %8lu kill points, %6lu states\n", name, kill_points - points_before, states_total - states_before);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    unsigned depth = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1;
    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED)
        return 1;

    for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
        unsigned long points_before = kill_points, states_before = states_total;
        layout.slots = scenarios[i].slots;
        in_order = scenarios[i].script[0] == 'o';
        memset(world, 0, sizeof *world);
        demand(ring_front_init(&world->front, world->pages, sizeof world->pages, &layout, START) == 0);

        struct states states = {0};
        trace(live, scenarios[i].script, &states);
        for (int how = 0; how < 2; how++) {
            crashing = how != 0;
            recover_from_all(&states, depth);
        }
        free(states.list);
        printf("%-50s %8lu kill points, %6lu states\n", scenarios[i].name, kill_points - points_before,
               states_total - states_before);
        fflush(stdout);
    }
    in_order = false;
    unsigned long points_before = kill_points, states_before = states_total;
    memset(world, 0, sizeof *world);
    demand(ring_front_init(&world->front, world->pages, sizeof world->pages, &layout, START) == 0);
    live("SScc1");
    attach_is_all_or_nothing();
    report("attach over a journal in use", points_before, states_before);
    printf("%lu kill points, %lu states recovered from, up to %u kills in a row\n", kill_points, states_total,
           depth + 1);
    return 0;
}
