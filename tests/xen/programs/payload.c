// SPDX-License-Identifier: MIT
/*
 * Traffic whose every byte is known: one end sends what the other can work out for itself. It runs in dom0 and in guests.
 *
 *   payload send tcp HOST PORT BYTES           a stream; BYTES 0: until SIGTERM, and not as fast as it can, to leave others
 *                                              an emulated processor
 *   payload receive tcp PORT                   one stream, to its end
 *   payload send udp HOST PORT COUNT MIN-MAX USECS
 *                                              numbered datagrams of those sizes, so far apart, or as fast as they go; COUNT 0: until SIGTERM
 *   payload receive udp PORT                   until the sender has told that it is done, or SIGTERM
 *   payload probe HOST PORT MSECS              asks that often until SIGTERM; tells of each wait for an answer
 *   payload ask HOST PORT SECONDS              asks again as soon as it is answered; tells how many answers came
 *   payload echo PORT                          answers, until SIGTERM
 *   payload flood DEV COUNT                    frames to nobody, each from another address, as fast as they go (root)
 *
 * "-d" before all that forbids to fragment.
 *
 * A stream's byte at offset N depends on N. A datagram carries its number, its size and a checksum of both, and its content
 * depends on its number. The receiver of a stream answers with the length it saw, and the sender compares. The receiver of
 * datagrams counts those that came, came twice, came late, and never came; only a wrong content is a failure, for it to judge.
 *
 * Status 0: all well; 1: wrong content, or a connection that broke; 2: wrong usage.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK          (64 * 1024)
#define DATAGRAM_MAX   65507
#define DATAGRAMS_MAX  (1u << 20) /* that one receiver can tell apart */
#define CONNECT_TRIES  300        /* a tenth of a second apart */
#define LAST_TRIES     10         /* how often a sender of datagrams tells that it is done */
#define LAST_TRIES_GAP 20000      /* microseconds */
#define ENDLESS_GAP    20000      /* microseconds between the chunks of a stream without end */
#define RECEIVE_BUFFER (8 * 1024 * 1024)

struct header {
    uint64_t number; /* of the last one: how many there were */
    uint32_t size;
    uint32_t last;
    uint64_t check;
};

struct tally {
    uint64_t sent, received, duplicated, reordered, corrupt;
};

static volatile sig_atomic_t stopped;
static bool dont_fragment;

static void on_stop(int signal)
{
    (void)signal;
    stopped = 1;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "payload: %s: %s\n", what, strerror(errno));
    exit(1);
}

static _Noreturn void wrong(const char *what)
{
    fprintf(stderr, "payload: %s\n", what);
    exit(1);
}

/* mix: splitmix64's output function. */
static uint64_t mix(uint64_t value)
{
    value += UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

/* fill: the bytes from offset on, of the sequence called key; offset is a multiple of 8. */
static void fill(uint8_t *bytes, size_t length, uint64_t key, uint64_t offset)
{
    for (size_t at = 0; at < length; at += 8) {
        uint64_t word = mix(key ^ (offset + at));
        memcpy(bytes + at, &word, length - at < 8 ? length - at : 8);
    }
}

static uint64_t number_of(const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0')
        wrong("not a number");
    return value;
}

static uint64_t now_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_us(uint64_t usecs)
{
    struct timespec pause = {.tv_sec = (time_t)(usecs / 1000000), .tv_nsec = (long)(usecs % 1000000) * 1000};
    nanosleep(&pause, NULL);
}

static struct sockaddr_in address(const char *host, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number_of(port))};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
        wrong("not an IPv4 address");
    return to;
}

static int open_socket(int type)
{
    int one = 1, size = RECEIVE_BUFFER, discover = IP_PMTUDISC_DO;
    int fd = socket(AF_INET, type, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (type == SOCK_DGRAM)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
    if (dont_fragment && setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &discover, sizeof(discover)) < 0)
        die("IP_MTU_DISCOVER");
    return fd;
}

static int open_server(int type, const char *port)
{
    struct sockaddr_in at = address("0.0.0.0", port);
    int fd = open_socket(type);
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
        die("bind");
    if (type == SOCK_STREAM && listen(fd, 1) < 0)
        die("listen");
    return fd;
}

/* open_client: connected; somebody who is not listening yet is waited for. */
static int open_client(int type, const char *host, const char *port)
{
    struct sockaddr_in to = address(host, port);
    for (int tries = 0;; tries++) {
        int fd = open_socket(type);
        if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
            return fd;
        if (tries == CONNECT_TRIES)
            die("connect");
        close(fd);
        pause_us(100000);
    }
}

static void send_all(int fd, const uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            die("send");
        bytes += sent;
        length -= (size_t)sent;
    }
}

/* receive_all: fewer than length only at the end of the stream. */
static size_t receive_all(int fd, uint8_t *bytes, size_t length)
{
    size_t have = 0;
    while (have < length) {
        ssize_t received = recv(fd, bytes + have, length - have, 0);
        if (received < 0 && errno == EINTR)
            continue;
        if (received < 0)
            die("recv");
        if (received == 0)
            break;
        have += (size_t)received;
    }
    return have;
}

static int send_stream(const char *host, const char *port, uint64_t bytes)
{
    static uint8_t chunk[CHUNK];
    uint64_t sent = 0, seen = 0;
    int fd = open_client(SOCK_STREAM, host, port);
    while (!stopped && (bytes == 0 || sent < bytes)) {
        size_t length = bytes == 0 || bytes - sent > CHUNK ? CHUNK : (size_t)(bytes - sent);
        fill(chunk, length, 0, sent);
        send_all(fd, chunk, length);
        sent += length;
        if (bytes == 0)
            pause_us(ENDLESS_GAP);
    }
    if (shutdown(fd, SHUT_WR) < 0)
        die("shutdown");
    if (receive_all(fd, (uint8_t *)&seen, sizeof(seen)) != sizeof(seen))
        wrong("the receiver told of no length: it saw something wrong");
    printf("sent %" PRIu64 " bytes, the receiver saw %" PRIu64 "\n", sent, seen);
    return seen == sent ? 0 : 1;
}

static int receive_stream(const char *port)
{
    static uint8_t chunk[CHUNK], expected[CHUNK];
    uint64_t received = 0;
    size_t length;
    int server = open_server(SOCK_STREAM, port);
    int fd = accept(server, NULL, NULL);
    if (fd < 0)
        die("accept");
    while ((length = receive_all(fd, chunk, CHUNK)) > 0) {
        fill(expected, length, 0, received);
        for (size_t at = 0; at < length; at++) {
            if (chunk[at] != expected[at]) {
                fprintf(stderr, "payload: byte %" PRIu64 " is %02x, not %02x\n", received + at, chunk[at],
                        expected[at]);
                return 1;
            }
        }
        received += length;
    }
    send_all(fd, (const uint8_t *)&received, sizeof(received));
    printf("received %" PRIu64 " bytes\n", received);
    return 0;
}

static uint64_t header_check(const struct header *header)
{
    return mix(header->number ^ mix(((uint64_t)header->size << 32) | header->last));
}

/* send_datagram: a full queue of our own is waited for. */
static void send_datagram(int fd, uint64_t number, uint32_t size, bool last)
{
    static uint8_t bytes[DATAGRAM_MAX];
    struct header header = {.number = number, .size = size, .last = last};
    header.check = header_check(&header);
    memcpy(bytes, &header, sizeof(header));
    fill(bytes + sizeof(header), size - sizeof(header), ~number, 0);
    while (send(fd, bytes, size, 0) < 0) {
        if (errno == ENOBUFS || errno == EAGAIN)
            pause_us(1000);
        else if (errno != EINTR && errno != ECONNREFUSED)
            die("send");
    }
}

static int send_datagrams(const char *host, const char *port, uint64_t count, const char *sizes, uint64_t usecs)
{
    uint32_t least, most;
    uint64_t number = 0;
    if (sscanf(sizes, "%" SCNu32 "-%" SCNu32, &least, &most) != 2 || least < sizeof(struct header) || most < least ||
        most > DATAGRAM_MAX)
        wrong("sizes are MIN-MAX, from 24 on");
    int fd = open_client(SOCK_DGRAM, host, port);
    for (; !stopped && (count == 0 || number < count); number++) {
        send_datagram(fd, number, least + (uint32_t)(mix(number) % (most - least + 1)), false);
        if (usecs > 0)
            pause_us(usecs);
    }
    for (int tries = 0; tries < LAST_TRIES; tries++) {
        send_datagram(fd, number, sizeof(struct header), true);
        pause_us(LAST_TRIES_GAP);
    }
    printf("sent %" PRIu64 " datagrams\n", number);
    return 0;
}

/* judge: one datagram; true when it was the last. */
static bool judge(const uint8_t *bytes, size_t length, struct tally *tally)
{
    static uint8_t seen[DATAGRAMS_MAX / 8], expected[DATAGRAM_MAX];
    static uint64_t next;
    struct header header;
    if (length < sizeof(header)) {
        tally->corrupt++;
        return false;
    }
    memcpy(&header, bytes, sizeof(header));
    fill(expected, length - sizeof(header), ~header.number, 0);
    if (header.check != header_check(&header) || header.size != length || header.number >= DATAGRAMS_MAX ||
        memcmp(bytes + sizeof(header), expected, length - sizeof(header)) != 0) {
        tally->corrupt++;
        return false;
    }
    if (header.last) {
        tally->sent = header.number;
        return true;
    }
    uint8_t bit = (uint8_t)(1u << (header.number % 8)), *byte = &seen[header.number / 8];
    if (*byte & bit) {
        tally->duplicated++;
        return false;
    }
    *byte |= bit;
    tally->received++;
    if (header.number < next)
        tally->reordered++;
    else
        next = header.number + 1;
    if (tally->sent < next)
        tally->sent = next;
    return false;
}

static int receive_datagrams(const char *port)
{
    static uint8_t bytes[DATAGRAM_MAX];
    struct timeval patience = {.tv_sec = 1};
    struct tally tally = {0};
    bool last = false;
    int fd = open_server(SOCK_DGRAM, port);
    while (!stopped) {
        ssize_t length = recv(fd, bytes, sizeof(bytes), 0);
        if (length < 0 && errno == EAGAIN)
            break;
        if (length < 0 && errno != EINTR)
            die("recv");
        if (length < 0 || !judge(bytes, (size_t)length, &tally) || last)
            continue;
        last = true; /* late ones may follow */
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    }
    printf("sent %" PRIu64 " received %" PRIu64 " lost %" PRIu64 " duplicated %" PRIu64 " reordered %" PRIu64
           " corrupt %" PRIu64 "\n",
           tally.sent, tally.received, tally.sent - tally.received, tally.duplicated, tally.reordered, tally.corrupt);
    return tally.corrupt > 0 ? 1 : 0;
}

/*
 * probe: a line "EPOCH-MSECS WAIT-MSECS" for each answer: when it came, and how long there had been none before it; then
 * a line with the number of questions and answers, which are told apart by their numbers.
 */
static int probe(const char *host, const char *port, uint64_t msecs)
{
    struct timeval patience = {.tv_usec = (suseconds_t)(msecs % 1000 * 1000), .tv_sec = (time_t)(msecs / 1000)};
    uint64_t asked = 0, answered = 0, answer, heard = now_ms(CLOCK_MONOTONIC);
    int fd = open_client(SOCK_DGRAM, host, port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (!stopped) {
        send(fd, &asked, sizeof(asked), 0);
        asked++;
        uint64_t next = now_ms(CLOCK_MONOTONIC) + msecs;
        while (!stopped && now_ms(CLOCK_MONOTONIC) < next) {
            if (recv(fd, &answer, sizeof(answer), 0) != sizeof(answer))
                continue;
            printf("%" PRIu64 " %" PRIu64 "\n", now_ms(CLOCK_REALTIME), now_ms(CLOCK_MONOTONIC) - heard);
            heard = now_ms(CLOCK_MONOTONIC);
            answered++;
        }
    }
    printf("asked %" PRIu64 " answered %" PRIu64 "\n", asked, answered);
    return 0;
}

/* ask: an answer that is lost costs a second. */
static int ask(const char *host, const char *port, uint64_t seconds)
{
    const struct timeval patience = {.tv_sec = 1};
    const uint64_t end = now_ms(CLOCK_MONOTONIC) + seconds * 1000;
    uint64_t asked = 0, answered = 0, answer;
    int fd = open_client(SOCK_DGRAM, host, port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (!stopped && now_ms(CLOCK_MONOTONIC) < end) {
        asked++;
        send(fd, &asked, sizeof(asked), 0);
        if (recv(fd, &answer, sizeof(answer), 0) == sizeof(answer))
            answered++;
    }
    printf("asked %" PRIu64 " answered %" PRIu64 "\n", asked, answered);
    return 0;
}

static int echo(const char *port)
{
    uint64_t question;
    struct sockaddr_in from;
    int fd = open_server(SOCK_DGRAM, port);
    while (!stopped) {
        socklen_t size = sizeof(from);
        ssize_t length = recvfrom(fd, &question, sizeof(question), 0, (struct sockaddr *)&from, &size);
        if (length > 0)
            sendto(fd, &question, (size_t)length, 0, (struct sockaddr *)&from, size);
    }
    return 0;
}

/* flood: a full queue of our own is waited for. */
static int flood(const char *device, uint64_t count)
{
    uint8_t frame[60] = {[12] = 0x88, [13] = 0xb6}; /* for local experiments */
    const uint64_t seed = now_ms(CLOCK_REALTIME);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(device)};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (fd < 0 || to.sll_ifindex == 0)
        die(device);
    for (uint64_t number = 0; !stopped && number < count; number++) {
        fill(frame, 12, seed, 16 * number);
        frame[0] = frame[6] = 0x02; /* nobody's, not a group's */
        while (sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
            if (errno == ENOBUFS || errno == EAGAIN)
                pause_us(1000);
            else if (errno != EINTR)
                die("sendto");
        }
    }
    printf("sent %" PRIu64 " frames\n", count);
    return 0;
}

int main(int argc, char **argv)
{
    struct sigaction stop = {.sa_handler = on_stop};
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "-d") == 0) {
        dont_fragment = true;
        argv++;
        argc--;
    }
    const char *verb = argc > 1 ? argv[1] : "", *kind = argc > 2 ? argv[2] : "";
    if (argc == 6 && strcmp(verb, "send") == 0 && strcmp(kind, "tcp") == 0)
        return send_stream(argv[3], argv[4], number_of(argv[5]));
    if (argc == 8 && strcmp(verb, "send") == 0 && strcmp(kind, "udp") == 0)
        return send_datagrams(argv[3], argv[4], number_of(argv[5]), argv[6], number_of(argv[7]));
    if (argc == 4 && strcmp(verb, "receive") == 0 && strcmp(kind, "tcp") == 0)
        return receive_stream(argv[3]);
    if (argc == 4 && strcmp(verb, "receive") == 0 && strcmp(kind, "udp") == 0)
        return receive_datagrams(argv[3]);
    if (argc == 5 && strcmp(verb, "probe") == 0)
        return probe(argv[2], argv[3], number_of(argv[4]));
    if (argc == 5 && strcmp(verb, "ask") == 0)
        return ask(argv[2], argv[3], number_of(argv[4]));
    if (argc == 3 && strcmp(verb, "echo") == 0)
        return echo(argv[2]);
    if (argc == 4 && strcmp(verb, "flood") == 0)
        return flood(argv[2], number_of(argv[3]));
    fprintf(stderr, "payload: wrong usage; payload.c tells\n");
    return 2;
}
