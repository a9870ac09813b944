/* SPDX-License-Identifier: MIT */
/*
 * A tapbridged of a test's own, in a network of its own, and the far ends of ports: what netbackd's supervisor and its workers would be.
 *
 * All waits have a limit, and say what they waited for. What a function cannot do fails the test.
 */
#ifndef RIG_H
#define RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include <bridge/port.h>

#define LIMIT_MS 30000 /* after which something hangs */

/* The far end of one port. */
struct peer {
    char name[PORT_NAME_SIZE];
    uint8_t mac[6];
    struct port_message attach;
    int fds[PORT_FDS]; /* -1: not attached */
    uint32_t capacity;
    uint8_t *memory;
    bool wanted;               /* presented on each connection */
    struct frame_producer out; /* into the bridge */
    struct frame_consumer in;
    int error; /* it was refused, or failed */
    char reason[PORT_REASON_SIZE];
    bool detached;
    unsigned attached; /* times */
};

#define PEERS_MAX 32

/* Starts the daemon with this configuration ("[bridge lan]\n"), in a new network. Skips the test where that cannot be made. */
void rig_start(const char *conf);
/* Ends the daemon in order, looks at how it ended, and removes all. */
void rig_stop(void);
/* Ends the daemon by this signal and starts it again. */
void rig_restart(int signal);
/* Ends it, does not start it; and that. */
void rig_end(int signal);
void rig_begin(void);
/* Replaces the configuration and has it read. Returns when a second has made effect of it: that the log says so. */
void rig_reload(const char *conf);
/* The same, but it is refused with that reason. */
void rig_reload_wrong(const char *conf, const char *reason);
/* The client goes: its connection, not its ports. rig_client_new() makes another one, which knows the peers, and is settled when
 * rig_client_settle() is called. */
void rig_client_free(void);
void rig_client_new(void);
void rig_client_settle(void);
/* Run directory. */
const char *rig_run_dir(void);
pid_t rig_pid(void);
/* How often the log has this text. */
unsigned rig_logged(const char *text);

/* GET. The caller's. */
json_t *rig_get(const char *path);
/* "counters.drops.spoofed_mac" of a port, or "entries"; -1 when it is null. */
long rig_port_number(const char *bridge, const char *port, const char *path);
/* Waits until it is at least that. */
void rig_await_port_number(const char *bridge, const char *port, const char *path, long value);
/* A string of a port, or "". Static. */
const char *rig_port_text(const char *bridge, const char *port, const char *key);
/* Behind which port an address is, or "". Static. */
const char *rig_fdb_port(const char *bridge, const uint8_t *mac);

/* A peer that is no port yet; number n has the MAC 00:16:3e:00:00:n and the name vifn.0. */
struct peer *rig_peer(unsigned number, const char *bridge);
/* Asks for it, and waits for the answer. Returns 0 or the error. */
int peer_attach(struct peer *peer);
void peer_detach(struct peer *peer);
/* Waits until it was attached so many times, or closed. */
void peer_await_attached(struct peer *peer, unsigned times);
void peer_await_failed(struct peer *peer);

/* Sends; false when there is no room. */
bool peer_put(struct peer *peer, const struct netif_meta *meta, const void *frame, uint32_t length);
void peer_kick(struct peer *peer);
/* One small frame, at once; must find room. */
void peer_send(struct peer *peer, const uint8_t *to, const uint8_t *from, uint8_t mark);
/* The next frame, waited for; its length. */
uint32_t peer_receive(struct peer *peer, struct netif_meta *ret_meta, uint8_t *ret_frame);
/* The next frame is small and has this mark. */
void peer_expect(struct peer *peer, uint8_t mark);
/* There is none now. Ask after something that was sent later has arrived elsewhere. */
void peer_expect_nothing(struct peer *peer);
/* Has the loop turn until that is true. */
void rig_await(bool (*done)(void *arg), void *arg, const char *what);

extern const uint8_t broadcast[6];

#endif
