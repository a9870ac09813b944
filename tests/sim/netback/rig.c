/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <bridge/port.h>
#include <ring/netif_ctrl.h>
#include <supervise/channel.h>
#include <supervise/crash.h>
#include <supervise/greeting.h>
#include <xendev/event_channel.h>
#include <xendev/grant.h>

#define PAGE       XENDEV_PAGE_SIZE
#define HANG_LIMIT 60 /* seconds */
#define CAPACITY   (1u << 20)

static struct {
    struct event_base *base;
    uint32_t domid;
    struct xendev_events *events; /* the guest's */
    struct xendev_share *share;
    pid_t worker;
    int channel;
    char run[64]; /* a directory, with its listener */
    int listener; /* the supervisor's copies, for each worker anew */
    int crash;    /* what it writes when it crashes */
} rig = {.channel = -1, .listener = -1};

static void act_as(uint32_t domain)
{
    char text[16];

    snprintf(text, sizeof text, "%u", domain);
    setenv("SIMXEN_DOMID", text, 1);
}

static int make_file(size_t size)
{
    int fd = memfd_create("rig", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

int rig_open(void **state)
{
    FILE *created;

    (void)state;
    if (getenv("SIMXEN_DIR") == NULL) {
        fprintf(stderr, "run me by simhost\n");
        exit(77);
    }
    created = popen("simxen create", "r");
    assert_non_null(created);
    assert_int_equal(fscanf(created, "%u", &rig.domid), 1);
    assert_int_equal(pclose(created), 0);

    snprintf(rig.run, sizeof rig.run, "/tmp/netback-rig-XXXXXX");
    assert_non_null(mkdtemp(rig.run));
    rig.crash = make_file(crash_file_size());
    rig.base = event_base_new();
    assert_non_null(rig.base);
    act_as(rig.domid);
    assert_int_equal(xendev_events_open(rig.base, &rig.events), 0);
    assert_int_equal(xendev_share_open(&rig.share), 0);
    act_as(0);
    return 0;
}

int rig_end_worker(void **state)
{
    (void)state;
    if (rig.worker > 0)
        rig_kill();
    return 0;
}

int rig_close(void **state)
{
    char command[128];

    rig_end_worker(state);
    if (rig.channel >= 0)
        close(rig.channel);
    close(rig.listener);
    close(rig.crash);
    xendev_events_close(rig.events);
    xendev_share_close(rig.share);
    event_base_free(rig.base);
    snprintf(command, sizeof command, "rm -r %s; simxen destroy %u --abrupt", rig.run, rig.domid);
    assert_int_equal(system(command), 0);
    return 0;
}

uint32_t rig_domid(void)
{
    return rig.domid;
}

/* ---- Waiting. -------------------------------------------------------------------------------------------------------- */

void rig_step(void)
{
    static const struct timespec moment = {.tv_nsec = 200000};

    event_base_loop(rig.base, EVLOOP_NONBLOCK);
    nanosleep(&moment, NULL);
}

void rig_until(const char *what, bool (*done)(void *arg), void *arg)
{
    const time_t limit = time(NULL) + HANG_LIMIT;

    while (!done(arg)) {
        if (time(NULL) > limit)
            fail_msg("waited for a minute, in vain: %s", what);
        rig_step();
    }
}

/* ---- The supervisor. ------------------------------------------------------------------------------------------------- */

static void say(struct netback_message *message, const int *fds, unsigned count)
{
    message->head.version = NETBACK_PROTOCOL_VERSION;
    assert_int_equal(channel_send(rig.channel, message, sizeof *message, fds, count), 0);
}

void rig_start(uint32_t poll_time_us)
{
    struct netback_message serve = {.head = {.type = BACKEND_SERVE}};
    posix_spawn_file_actions_t actions;
    char *arguments[] = {(char *)NETBACKD_WORKER, NULL};
    int ends[2], fence[2];

    if (rig.channel >= 0)
        close(rig.channel);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], CHANNEL_WORKER_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, CHANNEL_WORKER_FD + 1);
    assert_int_equal(posix_spawn(&rig.worker, NETBACKD_WORKER, &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    rig.channel = ends[0];

    if (rig.listener >= 0)
        close(rig.listener);
    int dir = open(rig.run, O_PATH | O_DIRECTORY | O_CLOEXEC);
    rig.listener = channel_listen(dir, "channel");
    assert_true(rig.listener >= 0);
    close(dir);
    assert_int_equal(pipe2(fence, O_CLOEXEC), 0);
    const int fds[] = {fence[1], rig.listener, rig.crash};
    serve.serve.domid = rig.domid;
    serve.serve.poll_time_us = poll_time_us;
    serve.serve.poll_percent = 20;
    say(&serve, fds, 3);
    close(fence[0]);
    close(fence[1]);
}

int rig_wait(void)
{
    int status;

    for (unsigned i = 0; i < HANG_LIMIT * 1000; i++) {
        if (waitpid(rig.worker, &status, WNOHANG) == rig.worker) {
            rig.worker = 0;
            return status;
        }
        usleep(1000);
        event_base_loop(rig.base, EVLOOP_NONBLOCK);
    }
    fail_msg("the worker does not end");
    return 0;
}

void rig_kill(void)
{
    assert_int_equal(kill(rig.worker, SIGKILL), 0);
    assert_int_equal(waitpid(rig.worker, NULL, 0), rig.worker);
    rig.worker = 0;
}

pid_t rig_worker(void)
{
    return rig.worker;
}

void rig_hear(uint32_t type, struct netback_message *ret_message, int *ret_fds, unsigned *ret_count)
{
    struct pollfd readable = {.fd = rig.channel, .events = POLLIN};
    int fds[CHANNEL_FDS_MAX];
    unsigned count;
    int ready = 0;

    for (unsigned i = 0; ready == 0 && i < HANG_LIMIT * 1000; i++) {
        ready = poll(&readable, 1, 1);
        event_base_loop(rig.base, EVLOOP_NONBLOCK);
    }
    if (ready == 0)
        fail_msg("the worker does not say %u", type);
    if (channel_receive(rig.channel, ret_message, sizeof *ret_message, fds, &count) <= 0)
        fail_msg("the worker died instead of saying %u", type);
    if (ret_message->head.type != type)
        fail_msg("the worker says %u, not %u: %s", ret_message->head.type, type, ret_message->head.reason);
    if (ret_fds != NULL) {
        memcpy(ret_fds, fds, count * sizeof fds[0]);
        *ret_count = count;
    } else {
        assert_int_equal(count, 0);
    }
}

void rig_greet(uint32_t order)
{
    struct greeting greeting;
    struct pollfd readable;
    int fds[CHANNEL_FDS_MAX];
    unsigned count;

    int dir = open(rig.run, O_PATH | O_DIRECTORY | O_CLOEXEC);
    close(rig.channel);
    rig.channel = channel_connect(dir, "channel");
    close(dir);
    assert_true(rig.channel >= 0);
    readable = (struct pollfd){.fd = rig.channel, .events = POLLIN};
    assert_int_equal(poll(&readable, 1, HANG_LIMIT * 1000), 1);
    assert_int_equal(channel_receive(rig.channel, &greeting, sizeof greeting, fds, &count), sizeof greeting);
    assert_int_equal(greeting_check(&greeting), 0);
    assert_int_equal(greeting.channel_version, NETBACK_PROTOCOL_VERSION);
    greeting_make(order, NETBACK_PROTOCOL_VERSION, greeting.journal_version, "test", &greeting);
    assert_int_equal(channel_send(rig.channel, &greeting, sizeof greeting, NULL, 0), 0);
}

/* ---- A card. --------------------------------------------------------------------------------------------------------- */

static void note_received(struct card_queue *queue, const struct netif_received *received)
{
    struct got *got = &queue->last;
    uint32_t length = 0;

    queue->taken += received->piece_count + received->spare_count;
    if (received->failed) {
        queue->failed++;
        return;
    }
    for (uint32_t i = 0; i < received->piece_count; i++) {
        memcpy(got->bytes + length,
               queue->rx_pages + received->pieces[i].id * (size_t)PAGE + received->pieces[i].offset,
               received->pieces[i].length);
        length += received->pieces[i].length;
    }
    got->meta = received->meta;
    got->length = length;
    queue->log[queue->received++ % RX_LOG] = length >= 64 ? frame_number(got->bytes) : 0;
    if (queue->came)
        queue->came(got);
}

static void look(struct card_queue *queue)
{
    struct netif_received received;
    enum netif_status status;
    uint16_t id;
    int got;

    do {
        while ((got = netif_front_tx_collect(&queue->tx, &id, &status)) == 1) {
            queue->answered++;
            queue->errors += status != NETIF_STATUS_OKAY;
        }
        queue->broken |= got < 0;
    } while (ring_front_rearm(&queue->tx.ring) && !queue->broken);
    do {
        while ((got = netif_front_rx_collect(&queue->rx, &received)) == 1)
            note_received(queue, &received);
        queue->broken |= got < 0;
    } while (ring_front_rearm(&queue->rx.ring) && !queue->broken);
    if (queue->keep_posting && !queue->broken)
        card_post(queue->card, (unsigned)(queue - queue->card->queues),
                  queue->taken - (queue->posted - NETIF_RING_SLOTS));
}

static void on_tx_event(void *arg)
{
    struct card_queue *queue = arg;

    look(queue);
    xendev_channel_unmask(queue->channels[0]);
}

static void on_rx_event(void *arg)
{
    struct card_queue *queue = arg;

    look(queue);
    xendev_channel_unmask(queue->channels[1]);
}

static uint8_t *share(unsigned count, uint32_t *ret_grefs)
{
    void *pages;

    assert_int_equal(xendev_share_pages(rig.share, 0, count, ret_grefs, &pages), 0);
    return pages;
}

static void make_queue(struct card *card, unsigned index)
{
    struct card_queue *queue = &card->queues[index];
    struct netback_queue *agreed = &card->order.connection.queues[index];

    queue->card = card;
    queue->tx_ring = share(1, &agreed->tx_ref);
    queue->rx_ring = share(1, &agreed->rx_ref);
    queue->tx_grefs = calloc(2 * NETIF_RING_SLOTS, sizeof(uint32_t));
    queue->rx_grefs = queue->tx_grefs + NETIF_RING_SLOTS;
    queue->tx_pages = share(NETIF_RING_SLOTS, queue->tx_grefs);
    queue->rx_pages = share(NETIF_RING_SLOTS, queue->rx_grefs);
    assert_int_equal(netif_front_tx_init(&queue->tx, queue->tx_ring, PAGE, 0), 0);
    assert_int_equal(netif_front_rx_init(&queue->rx, queue->rx_ring, PAGE, 0), 0);
    assert_int_equal(
        xendev_channel_offer(rig.events, 0, on_tx_event, queue, &queue->channels[0], &agreed->tx_event_channel), 0);
    agreed->rx_event_channel = agreed->tx_event_channel;
    if (card->split)
        assert_int_equal(
            xendev_channel_offer(rig.events, 0, on_rx_event, queue, &queue->channels[1], &agreed->rx_event_channel), 0);
    xendev_channel_unmask(queue->channels[0]);
    if (card->split)
        xendev_channel_unmask(queue->channels[1]);
    ring_front_rearm(&queue->tx.ring);
    ring_front_rearm(&queue->rx.ring);
}

static void on_ctrl_event(void *arg)
{
    struct card *card = arg;
    uint8_t bytes[RING_RESPONSE_MAX];

    do {
        while (ring_front_consume(&card->ctrl, bytes) == 1)
            card->ctrl_answers++;
    } while (ring_front_rearm(&card->ctrl));
    xendev_channel_unmask(card->ctrl_channel);
}

static void make_ctrl(struct card *card)
{
    struct netback_connection *connection = &card->order.connection;
    const struct ring_layout layout = netif_ctrl_layout();

    card->ctrl_ring = share(1, &connection->ctrl_ref);
    assert_int_equal(ring_front_init(&card->ctrl, card->ctrl_ring, PAGE, &layout, 0), 0);
    assert_int_equal(
        xendev_channel_offer(rig.events, 0, on_ctrl_event, card, &card->ctrl_channel, &connection->ctrl_event_channel),
        0);
    xendev_channel_unmask(card->ctrl_channel);
    ring_front_rearm(&card->ctrl);
    connection->has_ctrl = 1;
}

static void make_port(struct card *card)
{
    int ends[2];

    if (card->order.connection.port == NETBACK_PORT_SWITCH) {
        card->order.connection.capacity = CAPACITY;
        assert_int_equal(port_memory_make(CAPACITY, card->port), 0);
        return;
    }
    for (unsigned i = 0; i < card->order.connection.queue_count; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        card->port[i] = ends[0];
        card->far[i] = ends[1];
    }
}

void card_make(uint32_t devid, enum netback_port port, unsigned queues, struct card *ret_card)
{
    static uint64_t generation;
    struct card *card = ret_card;

    generation++;
    memset(card, 0, sizeof *card);
    card->devid = devid;
    card->split = queues > 1;
    card->order.connection = (struct netback_connection){.version = NETBACK_CONNECTION_VERSION,
                                                         .features = NETBACK_FEATURES_ALL,
                                                         .generation = generation,
                                                         .port = port,
                                                         .queue_count = queues};
    card->order.tuning = (struct netback_tuning){.rx_drain_ms = 10000, .rx_stall_ms = 60000};
    card->order.attempts_max = 3;
    for (unsigned i = 0; i < queues; i++)
        make_queue(card, i);
    make_ctrl(card);
    make_port(card);
    card->journal = make_file(netback_journal_size(&card->order.connection));
    card->state = make_file(NETBACK_STATE_SIZE);
    card->counters_fd = make_file(sizeof *card->counters);
    card->counters = mmap(NULL, sizeof *card->counters, PROT_READ, MAP_SHARED, card->counters_fd, 0);
    assert_ptr_not_equal(card->counters, MAP_FAILED);
}

void card_free(struct card *card)
{
    struct xendev_share *share = rig.share;

    for (unsigned i = 0; i < card->order.connection.queue_count; i++) {
        struct card_queue *queue = &card->queues[i];
        xendev_channel_close(queue->channels[0]);
        xendev_channel_close(queue->channels[1]);
        xendev_share_free(share, queue->tx_ring, 1);
        xendev_share_free(share, queue->rx_ring, 1);
        xendev_share_free(share, queue->tx_pages, NETIF_RING_SLOTS);
        xendev_share_free(share, queue->rx_pages, NETIF_RING_SLOTS);
        free(queue->tx_grefs);
        if (card->far[i] > 0)
            close(card->far[i]);
    }
    xendev_channel_close(card->ctrl_channel);
    xendev_share_free(share, card->ctrl_ring, 1);
    for (unsigned i = 0; i < netback_port_fds(&card->order.connection); i++)
        close(card->port[i]);
    close(card->journal);
    close(card->state);
    close(card->counters_fd);
    munmap((void *)card->counters, sizeof *card->counters);
}

int card_connect(struct card *card, bool recover, bool crashed)
{
    struct netback_message message = {.head = {.type = BACKEND_CONNECT, .devid = card->devid}};
    int fds[NETBACK_FD_PORT + NETBACK_QUEUES_MAX] = {card->journal, card->state, card->counters_fd};
    const unsigned port_fds = netback_port_fds(&card->order.connection);

    memcpy(fds + NETBACK_FD_PORT, card->port, port_fds * sizeof fds[0]);
    card->order.recover = recover;
    card->order.crashed = crashed;
    message.connect = card->order;
    say(&message, fds, NETBACK_FD_PORT + port_fds);
    rig_hear(BACKEND_CONNECTED, &message, NULL, NULL);
    assert_int_equal(message.head.devid, card->devid);
    return message.head.result;
}

void card_disconnect(struct card *card)
{
    struct netback_message message = {.head = {.type = BACKEND_DISCONNECT, .devid = card->devid}};

    say(&message, NULL, 0);
    rig_hear(BACKEND_DISCONNECTED, &message, NULL, NULL);
}

void card_tune(struct card *card)
{
    struct netback_message message = {.head = {.type = NETBACK_TUNE, .devid = card->devid}, .tune = card->order.tuning};

    say(&message, NULL, 0);
}

/* ---- The guest. ------------------------------------------------------------------------------------------------------ */

void frame_make(uint8_t *bytes, uint32_t length, uint32_t number, uint16_t flow, bool blank)
{
    static const uint8_t headers[] = {
        2,    0,  0, 0, 0, 1, 2,    0, 0,  0, 0, 2, 8,    0,                       /* Ethernet */
        0x45, 0,  0, 0, 0, 0, 0x40, 0, 64, 6, 0, 0, 10,   0,    0, 1, 10, 0, 0, 2, /* IPv4 */
        0,    80, 0, 0, 0, 0, 0,    0, 0,  0, 0, 0, 0x50, 0x10, 1, 0, 0,  0, 0, 0, /* TCP */
    };
    const uint32_t total = length - 14;
    uint32_t sum = 0;

    assert_true(length >= 64);
    memcpy(bytes, headers, sizeof headers);
    bytes[16] = (uint8_t)(total >> 8);
    bytes[17] = (uint8_t)total;
    for (unsigned i = 14; i < 34; i += 2)
        sum += (uint32_t)(bytes[i] << 8 | bytes[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = ~((sum & 0xffff) + (sum >> 16));
    bytes[24] = (uint8_t)(sum >> 8);
    bytes[25] = (uint8_t)sum;
    bytes[36] = (uint8_t)(flow >> 8);
    bytes[37] = (uint8_t)flow;
    memcpy(bytes + sizeof headers, &number, sizeof number);
    for (uint32_t i = sizeof headers + sizeof number; i < length; i++)
        bytes[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
    if (!blank)
        assert_int_equal(offload_checksum(bytes, length), OFFLOAD_FAULT_NONE);
}

uint32_t frame_number(const uint8_t *bytes)
{
    uint32_t number;

    memcpy(&number, bytes + 54, sizeof number);
    return number;
}

bool card_send(struct card *card, unsigned index, const uint8_t *bytes, uint32_t length, uint32_t piece,
               const struct netif_meta *meta)
{
    struct card_queue *queue = &card->queues[index];
    struct netif_piece pieces[NETIF_FRONT_PIECES_MAX];
    uint16_t ids[NETIF_FRONT_PIECES_MAX];
    uint32_t count = 0, done = 0;

    for (uint16_t id = 0; id < NETIF_RING_SLOTS && (done < length || count == 0); id++) {
        if (queue->tx.busy[id])
            continue;
        const uint32_t part = length - done < piece ? length - done : piece;
        assert_true(count < NETIF_FRONT_PIECES_MAX);
        const uint16_t offset = (uint16_t)((PAGE - part) / 2);
        if (part > 0)
            memcpy(queue->tx_pages + id * (size_t)PAGE + offset, bytes + done, part);
        pieces[count] = (struct netif_piece){.gref = queue->tx_grefs[id], .offset = offset, .length = (uint16_t)part};
        ids[count++] = id;
        done += part;
    }
    if (done < length || netif_front_tx_send(&queue->tx, pieces, ids, length == 0 ? 0 : count, meta) < 0)
        return false;
    queue->sent += count;
    if (ring_front_publish(&queue->tx.ring))
        xendev_channel_notify(queue->channels[0]);
    return true;
}

bool card_is_answered(const struct card *card)
{
    for (unsigned i = 0; i < card->order.connection.queue_count; i++)
        if (card->queues[i].answered != card->queues[i].sent)
            return false;
    return true;
}

void card_post(struct card *card, unsigned index, uint32_t count)
{
    struct card_queue *queue = &card->queues[index];

    for (; count > 0; count--, queue->posted++) {
        const uint16_t id = (uint16_t)(queue->posted % NETIF_RING_SLOTS); /* they come back in their order */
        memset(queue->rx_pages + id * (size_t)PAGE, 0x5a, PAGE);
        assert_int_equal(netif_front_rx_post(&queue->rx, id, queue->rx_grefs[id]), 0);
    }
    if (ring_front_publish(&queue->rx.ring))
        xendev_channel_notify(queue->channels[card->split ? 1 : 0]);
}

/* ---- The other end of the port. -------------------------------------------------------------------------------------- */

bool far_read(struct card *card, unsigned queue, struct got *ret_got, struct offload_virtio *ret_header)
{
    static uint8_t bytes[NETBACK_TAP_HEADER_SIZE + NETIF_RX_LENGTH_MAX];
    ssize_t got = read(card->far[queue], bytes, sizeof bytes);

    if (got < 0) {
        assert_int_equal(errno, EAGAIN);
        return false;
    }
    assert_true(got > NETBACK_TAP_HEADER_SIZE);
    ret_got->length = (uint32_t)got - NETBACK_TAP_HEADER_SIZE;
    memcpy(ret_got->bytes, bytes + NETBACK_TAP_HEADER_SIZE, ret_got->length);
    offload_virtio_decode(bytes, NETBACK_TAP_HEADER_SIZE, ret_header);
    return true;
}

bool far_write(struct card *card, unsigned queue, const uint8_t *bytes, uint32_t length,
               const struct offload_virtio *header)
{
    static uint8_t whole[NETBACK_TAP_HEADER_SIZE + NETIF_RX_LENGTH_MAX];

    memset(whole, 0, NETBACK_TAP_HEADER_SIZE);
    if (header != NULL)
        offload_virtio_encode(header, NETBACK_TAP_HEADER_SIZE, whole);
    memcpy(whole + NETBACK_TAP_HEADER_SIZE, bytes, length);
    ssize_t put = write(card->far[queue], whole, NETBACK_TAP_HEADER_SIZE + length);
    assert_true(put > 0 || errno == EAGAIN);
    return put > 0;
}
