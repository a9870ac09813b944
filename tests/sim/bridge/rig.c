/* SPDX-License-Identifier: MIT */
/*
 * The rig: see rig.h.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include <bridge/port_client.h>
#include <supervise/rundir.h>

#include "client.h"

#define FRAME_SMALL 60u

const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static char directory[64], run_dir[80], conf_file[80], log_file[80], control_socket[112];
static pid_t daemon_pid;
static int run_fd = -1;
static struct event_base *base;
static struct port_client *client;
static struct peer peers[PEERS_MAX];
static unsigned peer_count;

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *rig_run_dir(void)
{
    return run_dir;
}

pid_t rig_pid(void)
{
    return daemon_pid;
}

/* ---- The loop. ---------------------------------------------------------------------------------------------------- */

static void turn(void)
{
    const struct timeval most = {.tv_usec = 2000};

    event_base_loopexit(base, &most);
    event_base_dispatch(base);
}

void rig_await(bool (*done)(void *arg), void *arg, const char *what)
{
    const int64_t deadline = now_ms() + LIMIT_MS;

    while (!done(arg)) {
        if (now_ms() > deadline)
            fail_msg("waited %d ms for %s", LIMIT_MS, what);
        turn();
    }
}

/* ---- The client. -------------------------------------------------------------------------------------------------- */

static struct peer *find_peer(const char *name)
{
    for (unsigned i = 0; i < peer_count; i++)
        if (strcmp(peers[i].name, name) == 0)
            return &peers[i];
    fail_msg("the daemon speaks of port %s", name);
    return NULL;
}

static void forget_memory(struct peer *peer)
{
    if (peer->fds[0] < 0)
        return;
    port_memory_unmap(peer->memory, peer->capacity);
    for (unsigned i = 0; i < PORT_FDS; i++) {
        close(peer->fds[i]);
        peer->fds[i] = -1;
    }
}

static bool is_same(const struct peer *peer, const int *fds)
{
    struct stat first, second;

    return peer->fds[0] >= 0 && fstat(peer->fds[0], &first) == 0 && fstat(fds[0], &second) == 0 &&
           first.st_ino == second.st_ino;
}

static int ask_for(struct peer *peer)
{
    return port_client_attach(client, &peer->attach, peer->fds[0] >= 0 ? peer->fds : NULL, peer->capacity);
}

static void on_present(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < peer_count; i++)
        if (peers[i].wanted)
            assert_int_equal(ask_for(&peers[i]), 0);
}

/* The same memory again: a worker would not even be told. */
static void on_attached(void *arg, const char *port, uint32_t capacity, const int fds[PORT_FDS])
{
    struct peer *peer = find_peer(port);
    void *memory;

    (void)arg;
    peer->attached++;
    if (is_same(peer, fds)) {
        for (unsigned i = 0; i < PORT_FDS; i++)
            close(fds[i]);
        return;
    }
    forget_memory(peer);
    memcpy(peer->fds, fds, sizeof(peer->fds));
    peer->capacity = capacity;
    assert_int_equal(port_memory_map(fds[0], capacity, &memory), 0);
    peer->memory = memory;
    assert_int_equal(frame_producer_attach(&peer->out, peer->memory + PORT_RING_IN, frame_size(capacity), capacity), 0);
    assert_int_equal(
        frame_consumer_attach(&peer->in, peer->memory + port_ring_out(capacity), frame_size(capacity), capacity), 0);
}

static void on_trouble(void *arg, const char *port, int error, const char *reason)
{
    struct peer *peer = find_peer(port);

    (void)arg;
    peer->error = error;
    peer->wanted = false;
    snprintf(peer->reason, sizeof(peer->reason), "%s", reason);
}

static void on_detached(void *arg, const char *port)
{
    (void)arg;
    find_peer(port)->detached = true;
}

void rig_client_new(void)
{
    const struct port_client_user user = {
        .present = on_present,
        .attached = on_attached,
        .refused = on_trouble,
        .failed = on_trouble,
        .detached = on_detached,
    };

    assert_int_equal(port_client_new(base, run_fd, &user, &client), 0);
}

void rig_client_settle(void)
{
    port_client_settle(client);
}

void rig_client_free(void)
{
    port_client_free(client);
    client = NULL;
}

static bool is_connected(void *arg)
{
    (void)arg;
    return port_client_is_connected(client);
}

/* ---- The daemon. -------------------------------------------------------------------------------------------------- */

static bool answers(void *arg)
{
    json_t *body = NULL;
    int status = client_request(control_socket, "GET", "/v1/status", &body);

    (void)arg;
    if (status > 0)
        json_decref(body);
    return status == 200;
}

void rig_begin(void)
{
    char config[96], run[96];

    snprintf(config, sizeof(config), "--config=%s", conf_file);
    snprintf(run, sizeof(run), "--run-dir=%s", run_dir);
    daemon_pid = fork();
    assert_true(daemon_pid >= 0);
    if (daemon_pid == 0) {
        int log = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (log >= 0)
            dup2(log, STDERR_FILENO);
        execl(TAPBRIDGED, TAPBRIDGED, config, run, (char *)NULL);
        _exit(127);
    }
    rig_await(answers, NULL, "tapbridged to serve");
}

void rig_end(int signal)
{
    int status;

    assert_int_equal(kill(daemon_pid, signal), 0);
    assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
    daemon_pid = 0;
    if (signal == SIGKILL)
        assert_true(WIFSIGNALED(status));
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) /* a sanitizer's word is in the log */
        fail_msg("tapbridged ended with status %x, see %s", (unsigned)status, log_file);
}

static bool is_disconnected(void *arg)
{
    return !is_connected(arg);
}

void rig_restart(int signal)
{
    rig_end(signal);
    rig_await(is_disconnected, NULL, "the client to notice");
    rig_begin();
    rig_await(is_connected, NULL, "the client to be connected again");
}

static void write_conf(const char *conf)
{
    FILE *file = fopen(conf_file, "w");

    assert_non_null(file);
    fputs(conf, file);
    fclose(file);
}

unsigned rig_logged(const char *text)
{
    char line[2048];
    unsigned count = 0;
    FILE *file = fopen(log_file, "r");

    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        count += strstr(line, text) != NULL;
    if (file != NULL)
        fclose(file);
    return count;
}

static unsigned reloads;

static bool is_reloaded(void *arg)
{
    (void)arg;
    return rig_logged("reloaded ") == reloads;
}

void rig_reload(const char *conf)
{
    write_conf(conf);
    reloads++;
    assert_int_equal(kill(daemon_pid, SIGHUP), 0);
    rig_await(is_reloaded, NULL, "the log to tell of the reload");
    assert_true(answers(NULL)); /* which comes after it */
}

static bool is_refused(void *arg)
{
    return rig_logged(arg) > 0;
}

void rig_reload_wrong(const char *conf, const char *reason)
{
    write_conf(conf);
    assert_int_equal(kill(daemon_pid, SIGHUP), 0);
    rig_await(is_refused, (void *)(uintptr_t)reason, "the log to tell why it was not reloaded");
}

/* Hosts announce themselves in IPv6 unasked. */
static void quiet_network(void)
{
    FILE *file = fopen("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w");

    if (file == NULL)
        return;
    fputs("1", file);
    fclose(file);
}

void rig_start(const char *conf)
{
    if (unshare(CLONE_NEWNET) < 0) {
        print_message("skipped: no network of its own: %s\n", strerror(errno));
        exit(77);
    }
    quiet_network();
    strcpy(directory, "/tmp/test_tapbridged.XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(run_dir, sizeof(run_dir), "%s/run", directory);
    snprintf(conf_file, sizeof(conf_file), "%s/conf", directory);
    snprintf(log_file, sizeof(log_file), "%s/log", directory);
    snprintf(control_socket, sizeof(control_socket), "%s/tapbridged.sock", run_dir);
    run_fd = rundir_open(run_dir);
    assert_true(run_fd >= 0);
    base = event_base_new();
    assert_non_null(base);
    peer_count = 0;
    reloads = 0;
    write_conf(conf);
    rig_begin();
    rig_client_new();
    rig_client_settle();
    rig_await(is_connected, NULL, "the client to be connected");
}

void rig_stop(void)
{
    rig_client_free();
    for (unsigned i = 0; i < peer_count; i++)
        forget_memory(&peers[i]);
    if (daemon_pid > 0)
        rig_end(SIGTERM);
    event_base_free(base);
    close(run_fd);
    assert_int_equal(rig_logged("ERROR: AddressSanitizer") + rig_logged("runtime error"), 0);
    assert_int_equal(rundir_remove(AT_FDCWD, directory), 0);
}

/* ---- What it tells. ----------------------------------------------------------------------------------------------- */

json_t *rig_get(const char *path)
{
    json_t *body = NULL;

    assert_int_equal(client_request(control_socket, "GET", path, &body), 200);
    return body;
}

/* A member of the port's object; the caller holds `*ret_body`. */
static json_t *port_member(const char *bridge, const char *port, const char *path, json_t **ret_body)
{
    char text[128];
    size_t index;
    json_t *entry, *found = NULL;

    snprintf(text, sizeof(text), "/v1/bridges/%s", bridge);
    *ret_body = rig_get(text);
    json_array_foreach(json_object_get(*ret_body, "port_list"), index,
                       entry) if (strcmp(json_string_value(json_object_get(entry, "name")), port) == 0) found = entry;
    snprintf(text, sizeof(text), "%s", path);
    for (char *save, *part = strtok_r(text, ".", &save); part != NULL; part = strtok_r(NULL, ".", &save))
        found = json_object_get(found, part);
    return found;
}

long rig_port_number(const char *bridge, const char *port, const char *path)
{
    json_t *body, *member = port_member(bridge, port, path, &body);
    long value = json_is_integer(member) ? (long)json_integer_value(member) : -1;

    json_decref(body);
    return value;
}

struct number {
    const char *bridge, *port, *path;
    long value;
};

static bool number_is_reached(void *arg)
{
    const struct number *number = arg;

    return rig_port_number(number->bridge, number->port, number->path) >= number->value;
}

void rig_await_port_number(const char *bridge, const char *port, const char *path, long value)
{
    struct number number = {bridge, port, path, value};

    rig_await(number_is_reached, &number, path);
}

const char *rig_port_text(const char *bridge, const char *port, const char *key)
{
    static char text[256];
    json_t *body, *member = port_member(bridge, port, key, &body);

    snprintf(text, sizeof(text), "%s", json_is_string(member) ? json_string_value(member) : "");
    json_decref(body);
    return text;
}

const char *rig_fdb_port(const char *bridge, const uint8_t *mac)
{
    static char port[PORT_NAME_SIZE];
    char path[128], wanted[18];
    size_t index;
    json_t *entry;

    snprintf(path, sizeof(path), "/v1/bridges/%s/fdb", bridge);
    snprintf(wanted, sizeof(wanted), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
    json_t *body = rig_get(path);
    port[0] = '\0';
    json_array_foreach(json_object_get(body, "fdb"), index,
                       entry) if (strcmp(json_string_value(json_object_get(entry, "mac")), wanted) == 0)
        snprintf(port, sizeof(port), "%s", json_string_value(json_object_get(entry, "port")));
    json_decref(body);
    return port;
}

/* ---- Peers. ------------------------------------------------------------------------------------------------------- */

struct peer *rig_peer(unsigned number, const char *bridge)
{
    struct peer *peer = &peers[peer_count++];

    assert_true(peer_count <= PEERS_MAX);
    memset(peer, 0, sizeof(*peer));
    peer->fds[0] = -1;
    snprintf(peer->name, sizeof(peer->name), "vif%u.0", number);
    memcpy(peer->mac, (const uint8_t[]){0x00, 0x16, 0x3e, 0, 0, (uint8_t)number}, 6);
    assert_int_equal(port_message_make(PORT_ATTACH, peer->name, &peer->attach), 0);
    snprintf(peer->attach.bridge, sizeof(peer->attach.bridge), "%s", bridge);
    memcpy(peer->attach.mac, peer->mac, 6);
    return peer;
}

static bool has_answer(void *arg)
{
    const struct peer *peer = arg;

    return peer->attached > 0 || peer->error < 0;
}

int peer_attach(struct peer *peer)
{
    peer->attached = 0;
    peer->error = 0;
    peer->wanted = true;
    int err = ask_for(peer);
    assert_true(err == 0 || err == -ENOTCONN); /* it will be presented */
    rig_await(has_answer, peer, "a port to be attached");
    return peer->error;
}

static bool is_detached(void *arg)
{
    return ((const struct peer *)arg)->detached;
}

void peer_detach(struct peer *peer)
{
    peer->detached = peer->wanted = false;
    assert_int_equal(port_client_detach(client, peer->name), 0);
    rig_await(is_detached, peer, "a port to be detached");
    forget_memory(peer);
}

struct times {
    const struct peer *peer;
    unsigned times;
};

static bool is_attached(void *arg)
{
    const struct times *times = arg;

    return times->peer->attached >= times->times;
}

void peer_await_attached(struct peer *peer, unsigned times)
{
    struct times wanted = {peer, times};

    rig_await(is_attached, &wanted, "a port to be attached again");
}

static bool has_failed(void *arg)
{
    return ((const struct peer *)arg)->error < 0;
}

void peer_await_failed(struct peer *peer)
{
    rig_await(has_failed, peer, "a port to be closed");
}

/* ---- Frames. ------------------------------------------------------------------------------------------------------ */

bool peer_put(struct peer *peer, const struct netif_meta *meta, const void *frame, uint32_t length)
{
    int err = frame_producer_put(&peer->out, meta, frame, length);

    assert_true(err == 0 || err == -ENOSPC);
    return err == 0;
}

void peer_kick(struct peer *peer)
{
    if (frame_producer_publish(&peer->out))
        port_bell_ring(peer->fds[1]);
}

void peer_send(struct peer *peer, const uint8_t *to, const uint8_t *from, uint8_t mark)
{
    static const struct netif_meta plain;
    uint8_t frame[FRAME_SMALL] = {0};

    memcpy(frame, to, 6);
    memcpy(frame + 6, from, 6);
    frame[12] = 0x88; /* of no protocol anybody looks into */
    frame[13] = 0xb5;
    frame[14] = mark;
    assert_true(peer_put(peer, &plain, frame, sizeof(frame)));
    peer_kick(peer);
}

uint32_t peer_receive(struct peer *peer, struct netif_meta *ret_meta, uint8_t *ret_frame)
{
    const int64_t deadline = now_ms() + LIMIT_MS;
    struct pollfd bell = {.fd = peer->fds[2], .events = POLLIN};
    uint32_t length = 0;

    for (;;) {
        int got = frame_consumer_get(&peer->in, ret_meta, ret_frame, &length);
        assert_true(got >= 0);
        if (frame_consumer_release(&peer->in))
            port_bell_ring(peer->fds[1]);
        if (got > 0)
            return length;
        if (frame_consumer_rearm(&peer->in))
            continue;
        /* Only the bell wakes us: one that is not rung is found out. */
        int left = (int)(deadline - now_ms());
        if (left <= 0 || poll(&bell, 1, left) <= 0)
            fail_msg("%s waited %d ms for a frame", peer->name, LIMIT_MS);
        port_bell_clear(peer->fds[2]);
    }
}

void peer_expect(struct peer *peer, uint8_t mark)
{
    static uint8_t frame[FRAME_LENGTH_MAX];
    struct netif_meta meta;

    assert_int_equal(peer_receive(peer, &meta, frame), FRAME_SMALL);
    assert_int_equal(frame[14], mark);
}

void peer_expect_nothing(struct peer *peer)
{
    static uint8_t frame[FRAME_LENGTH_MAX];
    struct netif_meta meta;
    uint32_t length;

    assert_int_equal(frame_consumer_get(&peer->in, &meta, frame, &length), 0);
}
