/* SPDX-License-Identifier: MIT */
/*
 * A network back end killed at every instruction: libring's real objects, optimised and not instrumented, single-stepped
 * as in crash.c, one layer up. From every state that a kill can leave, the guest reads its rings, a successor recovers,
 * serves what is left, and then some. With an argument, recoveries are stepped through, too, and as many deep.
 *
 * Demanded of transmit: what the guest sees answered ends with a packet; the successor begins with the first packet that
 * the guest has not seen answered, and with each after it, whole and in order; every slot is answered once.
 * Of receive: the guest sees whole packets only; the pages of the others are there again, in order; each page comes back
 * once. All this of a successor, too, that gives the pages back to the ring before it goes on.
 *
 * That it can fail was tried by breaking libring: with a recovery that takes nothing back, with one that leaves out what
 * was in flight, and with an answer or a packet that is published in parts, it fails.
 *
 * Exit status 77 where tracing is not allowed.
 */
#include <stdint.h>
#include <sys/mman.h>

#include <ring/netif_front.h>
#include <ring/netif_rx.h>
#include <ring/netif_tx.h>

#include "stepper.h"

#define START      0xfffffff0u
#define GENERATION 7u
#define PACKETS    12u
#define PAGES      24u

/* Everything that outlives the worker. Compared, saved and restored as bytes. */
struct world {
    _Alignas(64) uint8_t pages[RING_PAGE_SIZE];
    _Alignas(64) uint8_t journal[9 * RING_PAGE_SIZE];
    struct netif_front_tx tx;
    struct netif_front_rx rx;
    uint32_t sent;             /* packets */
    uint32_t answered;         /* of these, by what the guest has read */
    uint32_t missing[PACKETS]; /* ids of each packet that are not answered */
    uint32_t posted;           /* page numbers below were posted */
    uint32_t received;         /* packets */
    uint8_t back[PAGES];       /* how often each page came back */
};

static struct world *world;

/* ---- Transmit. --------------------------------------------------------------------------------------------------- */

/* A packet's shape follows from its number: pieces, and whether there is an extra. Its ids are 4 * number and on. */
static uint32_t pieces_of(uint32_t number)
{
    return 1 + number % 3;
}

static struct netif_meta meta_of(uint32_t number)
{
    return (struct netif_meta){.gso = number % 2 ? NETIF_GSO_TCPV4 : NETIF_GSO_NONE, .gso_size = 1448};
}

static void guest_send(void)
{
    struct netif_piece pieces[3];
    uint16_t ids[3];
    const struct netif_meta meta = meta_of(world->sent);
    for (uint32_t i = 0; i < pieces_of(world->sent); i++) {
        ids[i] = (uint16_t)(4 * world->sent + i);
        pieces[i] = (struct netif_piece){.gref = 100u + ids[i], .offset = (uint16_t)(8 * i), .length = 20};
    }
    demand(netif_front_tx_send(&world->tx, pieces, ids, pieces_of(world->sent), &meta) == 0);
    world->missing[world->sent] = pieces_of(world->sent);
    world->sent++;
    ring_front_publish(&world->tx.ring);
}

static void guest_read_answers(void)
{
    uint16_t id;
    enum netif_status status;
    int rc;
    while ((rc = netif_front_tx_collect(&world->tx, &id, &status)) == 1) {
        demand(id / 4 == world->answered && id / 4u < world->sent && world->missing[id / 4] > 0);
        if (--world->missing[id / 4] == 0)
            world->answered++;
    }
    demand(rc == 0);
    demand(world->answered == world->sent || world->missing[world->answered] == pieces_of(world->answered));
}

/* Takes a packet and demands that it is this one. */
static void take(struct netif_tx *tx, uint32_t number)
{
    struct netif_packet packet;
    enter();
    int rc = netif_tx_next(tx, &packet);
    leave();
    demand(rc == 1 && packet.fault == NETIF_FAULT_NONE);
    demand(packet.length == 20 * pieces_of(number) && packet.piece_count == pieces_of(number));
    demand(packet.meta.gso == meta_of(number).gso);
    for (uint32_t i = 0; i < packet.piece_count; i++)
        demand(packet.pieces[i].gref == 100u + 4 * number + i && packet.pieces[i].offset == 8 * i);
}

static void answer(struct netif_tx *tx)
{
    enter();
    netif_tx_answer(tx, NETIF_STATUS_OKAY);
    leave();
}

static void publish(struct ring_back *back)
{
    enter();
    ring_back_publish(back);
    leave();
}

/* S the guest sends, t take, a answer, p publish, f the guest reads. */
static void transmit(const char *script)
{
    static struct netif_tx tx;
    uint32_t taken = 0;
    demand(netif_tx_attach(&tx, world->pages, sizeof world->pages, world->journal, sizeof world->journal, GENERATION) ==
           0);
    for (; *script; script++)
        switch (*script) {
        case 'S':
            guest_send();
            break;
        case 't':
            take(&tx, taken++);
            break;
        case 'a':
            answer(&tx);
            break;
        case 'p':
            publish(&tx.ring);
            break;
        default:
            guest_read_answers();
        }
}

static void transmit_on(const char *script)
{
    (void)script;
    static struct netif_tx tx;
    struct netif_packet packet;
    guest_read_answers();
    enter();
    int rc = netif_tx_recover(&tx, world->pages, sizeof world->pages, world->journal, sizeof world->journal, GENERATION,
                              false);
    leave();
    demand(rc == 0);
    guest_read_answers(); /* a publication that was begun */
    uint32_t next = world->answered;
    for (guest_send(); next < world->sent; next++)
        take(&tx, next);
    demand(netif_tx_next(&tx, &packet) == 0);
    for (uint32_t i = world->answered; i < world->sent; i++)
        answer(&tx);
    publish(&tx.ring);
    guest_read_answers();
    demand(world->answered == world->sent && world->tx.extras == 0);
    demand(ring_front_room(&world->tx.ring) == NETIF_RING_SLOTS);
}

/* ---- Receive. ---------------------------------------------------------------------------------------------------- */

static void guest_post(void)
{
    demand(netif_front_rx_post(&world->rx, (uint16_t)world->posted, 100 + world->posted) == 0);
    world->posted++;
    ring_front_publish(&world->rx.ring);
}

static void guest_read_packets(void)
{
    struct netif_received received;
    int rc;
    while ((rc = netif_front_rx_collect(&world->rx, &received)) == 1) {
        demand(!received.failed && received.length == (received.spare_count > 0 ? 4100 : 100));
        for (uint32_t i = 0; i < received.piece_count; i++)
            world->back[received.pieces[i].id]++;
        for (uint32_t i = 0; i < received.spare_count; i++)
            world->back[received.spare[i]]++;
        world->received++;
    }
    demand(rc == 0);
    bool gone = true;
    for (uint32_t i = 0; i < world->posted; i++) { /* in order, each once */
        demand(world->back[i] == gone || (gone && world->back[i] == 0));
        gone = world->back[i] == 1;
    }
}

static void fill(struct netif_rx *rx)
{
    enter();
    int rc = netif_rx_fill(rx);
    leave();
    demand(rc >= 0);
}

/* Lays a packet over one slot, or over three: two pages and an extra. */
static void lay(struct netif_rx *rx, uint32_t slots, struct netif_lay *ret_lay)
{
    const struct netif_meta meta = {.hashed = slots > 1};
    enter();
    int rc = netif_rx_lay(rx, slots > 1 ? 4100 : 100, &meta, ret_lay);
    leave();
    demand(rc == 0);
}

static void finish(struct netif_rx *rx, const struct netif_lay *laid)
{
    enter();
    netif_rx_finish(rx, laid);
    leave();
}

/* P the guest posts a page, i fill, 1 and 3 lay a packet over as many slots, d finish, p publish, f the guest reads, z
 * drain, u undrain. */
static void receive(const char *script)
{
    static struct netif_rx rx;
    static struct netif_lay lays[PACKETS];
    uint32_t laid = 0, finished = 0;
    demand(netif_rx_attach(&rx, world->pages, sizeof world->pages, world->journal, sizeof world->journal, GENERATION) ==
           0);
    for (; *script; script++)
        switch (*script) {
        case 'P':
            guest_post();
            break;
        case 'i':
            fill(&rx);
            break;
        case '1':
        case '3':
            lay(&rx, (uint32_t)(*script - '0'), &lays[laid++]);
            break;
        case 'd':
            finish(&rx, &lays[finished++]);
            break;
        case 'p':
            publish(&rx.ring);
            break;
        case 'z':
            enter();
            demand(netif_rx_drain(&rx) == 0);
            leave();
            break;
        case 'u':
            enter();
            ring_back_undrain(&rx.ring);
            leave();
            break;
        default:
            guest_read_packets();
        }
}

/* A successor goes on; before that, it may give the pages back to the ring. */
static void receive_after(bool drained)
{
    static struct netif_rx rx;
    struct netif_lay laid;
    guest_read_packets();
    enter();
    int rc = netif_rx_recover(&rx, world->pages, sizeof world->pages, world->journal, sizeof world->journal, GENERATION,
                              false);
    leave();
    demand(rc == 0);
    guest_read_packets();
    if (drained) {
        enter();
        demand(netif_rx_drain(&rx) == 0);
        ring_back_undrain(&rx.ring);
        leave();
    }
    guest_post();
    fill(&rx);
    uint32_t out = 0;
    while (out < world->posted && world->back[out] == 1)
        out++;
    demand(netif_rx_room(&rx) == world->posted - out);
    for (; out < world->posted; out++) {
        lay(&rx, 1, &laid);
        demand(laid.pieces[0].gref == 100 + out);
        finish(&rx, &laid);
    }
    publish(&rx.ring);
    guest_read_packets();
    for (uint32_t i = 0; i < world->posted; i++)
        demand(world->back[i] == 1);
    demand(ring_front_room(&world->rx.ring) == NETIF_RING_SLOTS);
}

static void receive_on(const char *script)
{
    (void)script;
    receive_after(false);
}

static void receive_on_drained(const char *script)
{
    (void)script;
    receive_after(true);
}

/* ---- Each state. ------------------------------------------------------------------------------------------------- */

struct run {
    void (*go_on)(const char *);
    unsigned depth; /* how many recoveries in a row are killed */
    unsigned long states;
};

/* A successor lives in this state, in a process of its own; the state stays. */
static void see(void *context)
{
    struct run *run = context;
    struct run next = {.go_on = run->go_on, .depth = run->depth - 1};
    struct world *saved = malloc(sizeof *saved);
    if (!saved)
        abort();
    *saved = *world;
    run->states++;
    if (run->depth > 0) {
        step_through(run->go_on, NULL, world, sizeof *world, see, &next);
        run->states += next.states;
        *world = *saved;
        free(saved);
        return;
    }

    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        run->go_on(NULL);
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        printf("in state %lu: status %#x\n", run->states, (unsigned)status);
        exit(1);
    }
    *world = *saved;
    free(saved);
}

int main(int argc, char **argv)
{
    const unsigned depth = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 0;
    static const char *const transmitting[] = {"StapfStapSf", "SSSttaatapf", "SSSStaptttaaSptapf", "SSSttt"};
    static const char *const receiving[] = {"PPi1dp1dpf", "PPPPPPPPi31ddpf1dp", "PPPPi1d3PPPPid1dpf", "PPPPPi3d",
                                            "PPPPPi1dpzPui3dpf"};
    world = mmap(NULL, sizeof *world, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (world == MAP_FAILED)
        return 1;

    static void (*const successors[])(const char *) = {transmit_on, receive_on, receive_on_drained};
    static const char *const names[] = {"transmit", "receive ", "drained "};
    for (unsigned kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < (kind ? sizeof receiving : sizeof transmitting) / sizeof receiving[0]; i++) {
            struct run run = {.go_on = successors[kind], .depth = depth};
            const char *script = kind ? receiving[i] : transmitting[i];
            const unsigned long points_before = kill_points;
            memset(world, 0, sizeof *world);
            demand((kind ? netif_front_rx_init(&world->rx, world->pages, sizeof world->pages, START)
                         : netif_front_tx_init(&world->tx, world->pages, sizeof world->pages, START)) == 0);
            step_through(kind ? receive : transmit, script, world, sizeof *world, see, &run);
            printf("%s %-20s %8lu kill points, %6lu states\n", names[kind], script, kill_points - points_before,
                   run.states);
        }
    return 0;
}
