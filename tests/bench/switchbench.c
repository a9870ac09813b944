/* SPDX-License-Identifier: MIT */
/*
 * Frames a second from one end of a switch to the other, and the processor time each costs: that of a sender, of a receiver, and of the switch.
 *
 *   switchbench ports RUN-DIR BRIDGE ...     two shared-memory ports of tapbridged, as workers of a network back end would use them
 *   switchbench taps TAP TAP ...             the two processes behind two taps, which the kernel joins: what such workers would use without it
 *   switchbench packets TAP TAP ...          packet sockets before two taps, which a process joins
 *   switchbench loop TAP TAP ...             the same, joined by a loop of this program that reads here and writes there
 *
 * each with LENGTH SECONDS PID: bytes of a frame (above 1514: one to be segmented); how long; of the switch, 0 when it has no process. Prints:
 * frames a second, and microseconds of processor time for each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <event2/event.h>

#include <bridge/port_client.h>
#include <supervise/rundir.h>

#define BATCH       32u
#define GSO_SIZE    1448u
#define FRAME_PLAIN 1514u

static uint8_t frame[FRAME_LENGTH_MAX], buffer[FRAME_LENGTH_MAX + 64];
static uint32_t length;
static const uint8_t sender_mac[6] = {2, 0, 0, 0, 0, 1}, receiver_mac[6] = {2, 0, 0, 0, 0, 2};

static void check(long result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "switchbench: %s: %s\n", what, strerror(errno));
    _exit(EXIT_FAILURE);
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* TCP over IPv4 with a blank checksum where it is to be segmented. */
static void make_frame(void)
{
    const uint32_t ip = length - 14;
    uint32_t sum = 0;

    memcpy(frame, receiver_mac, 6);
    memcpy(frame + 6, sender_mac, 6);
    memcpy(frame + 12,
           (const uint8_t[]){8,  0, 0x45, 0, (uint8_t)(ip >> 8), (uint8_t)ip, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 9, 9, 1,
                             10, 9, 9,    2},
           22);
    memcpy(frame + 34, (const uint8_t[]){0, 80, 4, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0}, 20);
    for (unsigned i = 14; i < 34; i += 2)
        sum += (uint32_t)frame[i] << 8 | frame[i + 1];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    frame[24] = (uint8_t)(~sum >> 8);
    frame[25] = (uint8_t)~sum;
}

static struct virtio_net_hdr virtio_header(void)
{
    if (length <= FRAME_PLAIN)
        return (struct virtio_net_hdr){.flags = 0};
    return (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
                                   .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
                                   .hdr_len = 54,
                                   .gso_size = GSO_SIZE,
                                   .csum_start = 34,
                                   .csum_offset = 16};
}

/* ---- The ends: each sends, or counts what it receives. ------------------------------------------------------------ */

struct end {
    int fd;      /* of a tap or a packet socket */
    bool packet; /* a packet socket */
    int fds[PORT_FDS];
    uint32_t capacity;
    struct frame_producer out;
    struct frame_consumer in;
};

static void wait_bell(int bell)
{
    struct pollfd one = {.fd = bell, .events = POLLIN};

    poll(&one, 1, 100);
    port_bell_clear(bell);
}

static void send_ports(struct end *end, double until)
{
    const struct netif_meta meta = {.csum_blank = length > FRAME_PLAIN,
                                    .gso = length > FRAME_PLAIN ? NETIF_GSO_TCPV4 : NETIF_GSO_NONE,
                                    .gso_size = length > FRAME_PLAIN ? GSO_SIZE : 0};

    while (seconds_now() < until) {
        int err = 0;
        for (unsigned i = 0; i < BATCH && err == 0; i++)
            err = frame_producer_put(&end->out, &meta, frame, length);
        if (frame_producer_publish(&end->out))
            port_bell_ring(end->fds[1]);
        if (err == -ENOSPC && !frame_producer_rearm(&end->out, length))
            wait_bell(end->fds[2]);
    }
}

static uint64_t receive_ports(struct end *end, double until)
{
    struct netif_meta meta;
    uint64_t count = 0;
    uint32_t got;

    while (seconds_now() < until) {
        unsigned taken = 0;
        while (taken < BATCH && frame_consumer_get(&end->in, &meta, buffer, &got) > 0)
            taken++;
        count += taken;
        if (frame_consumer_release(&end->in))
            port_bell_ring(end->fds[1]);
        if (taken == 0 && !frame_consumer_rearm(&end->in))
            wait_bell(end->fds[2]);
    }
    return count;
}

static void send_fd(struct end *end, double until)
{
    struct virtio_net_hdr header = virtio_header();
    const struct iovec parts[] = {{&header, sizeof(header)}, {frame, length}};

    while (seconds_now() < until)
        for (unsigned i = 0; i < BATCH; i++)
            if (writev(end->fd, parts, 2) < 0 && errno != EAGAIN && errno != ENOBUFS)
                check(-1, "sending");
}

static uint64_t receive_fd(struct end *end, double until)
{
    struct pollfd one = {.fd = end->fd, .events = POLLIN};
    uint64_t count = 0;

    while (seconds_now() < until) {
        ssize_t got = 0;
        for (unsigned i = 0; i < BATCH && got >= 0; i++) {
            got = read(end->fd, buffer, sizeof(buffer));
            count += got >= (ssize_t)length && memcmp(buffer + sizeof(struct virtio_net_hdr), receiver_mac, 6) == 0;
        }
        if (got < 0)
            poll(&one, 1, 100);
    }
    return count;
}

/* ---- Making ends. ------------------------------------------------------------------------------------------------- */

static int open_tap(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
    check(fd, "/dev/net/tun");
    check(ioctl(fd, TUNSETIFF, &request), name);
    check(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), name);
    return fd;
}

static int open_packet(const char *tap)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    const int yes = 1, much = 8 << 20;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));

    check(fd, "packet socket");
    address.sll_ifindex = (int)if_nametoindex(tap);
    check(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)), "PACKET_VNET_HDR");
    check(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes)), "PACKET_IGNORE_OUTGOING");
    check(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &much, sizeof(much)), "SO_RCVBUFFORCE");
    check(bind(fd, (const struct sockaddr *)&address, sizeof(address)), tap);
    return fd;
}

struct attaching {
    struct event_base *base;
    struct port_client *client;
    const char *bridge;
    struct end *ends;
    unsigned attached;
};

static void on_present(void *arg)
{
    struct attaching *attaching = arg;
    struct port_message message;

    for (unsigned i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof(name), "bench%u", i);
        port_message_make(PORT_ATTACH, name, &message);
        snprintf(message.bridge, sizeof(message.bridge), "%s", attaching->bridge);
        memcpy(message.mac, i == 0 ? sender_mac : receiver_mac, 6);
        check(port_client_attach(attaching->client, &message, NULL, 0), "asking for a port");
    }
}

static void on_attached(void *arg, const char *port, uint32_t capacity, const int fds[PORT_FDS])
{
    struct attaching *attaching = arg;
    struct end *end = &attaching->ends[port[5] - '0'];
    void *memory;

    memcpy(end->fds, fds, sizeof(end->fds));
    check(port_memory_map(fds[0], capacity, &memory), "the memory of a port");
    frame_producer_attach(&end->out, (uint8_t *)memory + PORT_RING_IN, frame_size(capacity), capacity);
    frame_consumer_attach(&end->in, (uint8_t *)memory + port_ring_out(capacity), frame_size(capacity), capacity);
    if (++attaching->attached == 2)
        event_base_loopbreak(attaching->base);
}

static void on_trouble(void *arg, const char *port, int error, const char *reason)
{
    (void)arg;
    errno = -error;
    fprintf(stderr, "switchbench: %s: %s\n", port, reason);
    _exit(EXIT_FAILURE);
}

static void on_detached(void *arg, const char *port)
{
    (void)arg;
    (void)port;
}

static void attach_ports(const char *run_dir, const char *bridge, struct end ends[2])
{
    struct attaching attaching = {.base = event_base_new(), .bridge = bridge, .ends = ends};
    const struct port_client_user user = {.present = on_present,
                                          .attached = on_attached,
                                          .refused = on_trouble,
                                          .failed = on_trouble,
                                          .detached = on_detached,
                                          .arg = &attaching};

    check(port_client_new(attaching.base, rundir_open(run_dir), &user, &attaching.client), "client");
    event_base_dispatch(attaching.base);
}

/* ---- The loop that joins two taps. -------------------------------------------------------------------------------- */

static void join(int from, int to, double until)
{
    struct pollfd one = {.fd = from, .events = POLLIN};

    while (seconds_now() < until) {
        ssize_t got = 0;
        for (unsigned i = 0; i < BATCH && got >= 0; i++) {
            got = read(from, buffer, sizeof(buffer));
            if (got > 0 && write(to, buffer, (size_t)got) < 0 && errno != EAGAIN)
                check(-1, "the loop's tap");
        }
        if (got < 0)
            poll(&one, 1, 100);
    }
}

/* ---- Measuring. --------------------------------------------------------------------------------------------------- */

static double cpu_of(long pid)
{
    char path[64], text[1024];
    unsigned long user = 0, kernel = 0;

    if (pid == 0)
        return 0;
    snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return 0;
    const char *after = fgets(text, sizeof(text), file) != NULL ? strrchr(text, ')') : NULL;
    fclose(file);
    if (after != NULL)
        sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double cpu_of_children(void)
{
    struct rusage usage;

    getrusage(RUSAGE_CHILDREN, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    struct end ends[2] = {{.fd = -1}, {.fd = -1}};
    int joined[2] = {-1, -1}, result[2];
    uint64_t count = 0;

    if (argc != 7) {
        fputs("usage: switchbench ports|taps|packets|loop A B LENGTH SECONDS PID\n", stderr);
        return 2;
    }
    const bool ports = strcmp(argv[1], "ports") == 0;
    length = (uint32_t)strtoul(argv[4], NULL, 10);
    const double duration = strtod(argv[5], NULL);
    const long pid = strtol(argv[6], NULL, 10);
    if (length < 60 || length > 65000)
        return 2;
    make_frame();
    if (ports)
        attach_ports(argv[2], argv[3], ends);
    for (unsigned i = 0; i < 2 && !ports; i++) {
        if (strcmp(argv[1], "loop") == 0)
            joined[i] = open_tap(argv[2 + i]);
        ends[i].fd = strcmp(argv[1], "taps") == 0 ? open_tap(argv[2 + i]) : open_packet(argv[2 + i]);
    }
    check(pipe(result), "pipe");

    const double cpu_before = cpu_of(pid), begin = seconds_now(), until = begin + duration;
    const pid_t sender = fork();
    if (sender == 0) {
        if (ports)
            send_ports(&ends[0], until);
        else
            send_fd(&ends[0], until);
        _exit(0);
    }
    const pid_t receiver = fork();
    if (receiver == 0) {
        count = ports ? receive_ports(&ends[1], until) : receive_fd(&ends[1], until);
        check(write(result[1], &count, sizeof(count)), "result");
        _exit(0);
    }
    if (joined[0] >= 0 && fork() == 0) {
        join(joined[0], joined[1], until);
        _exit(0);
    }
    check(read(result[0], &count, sizeof(count)), "result");
    while (wait(NULL) > 0)
        ;
    const double cpu = cpu_of(pid) - cpu_before + cpu_of_children();
    printf("%.0f %.3f\n", (double)count / duration, count > 0 ? cpu * 1e6 / (double)count : 0.0);
    return 0;
}
