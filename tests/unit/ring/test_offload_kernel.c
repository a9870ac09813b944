/* SPDX-License-Identifier: MIT */
/*
 * The kernel as the judge: three taps at a bridge, in a network namespace of their own. Random frames of a guest are written
 * to one. A second takes no offload: the kernel cuts and sums up what comes out there, and that is to be what libring makes
 * of the same frame in software. The third takes all: there the frame comes out whole, and is to be for the next guest
 * what it was from the first. Skipped where such a namespace cannot be had. The run prints its seed.
 */
#include "offload_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/sockios.h>

#define FRAMES     400u
#define MTU        1500u
#define HANG_LIMIT 60000 /* ms */
#define SKIPPED    77

struct tap {
    int fd;
    size_t header_size;
};
static struct tap guest, plain, able;

static uint8_t frame[FRAME_MAX], sent[FRAME_MAX], ours[FRAME_MAX], theirs[FRAME_MAX + OFFLOAD_VIRTIO_SIZE_MAX];

/* ---- Taps and a bridge. ------------------------------------------------------------------------------------------ */

static int set_up(int socket, const char *name)
{
    struct ifreq request = {0};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (ioctl(socket, SIOCGIFFLAGS, &request) < 0)
        return -errno;
    request.ifr_flags |= IFF_UP;
    return ioctl(socket, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static int tap_open(struct tap *tap, int socket, const char *name, int header_size, unsigned offload)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    tap->header_size = (size_t)header_size;
    tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap->fd < 0 || ioctl(tap->fd, TUNSETIFF, &request) < 0 || ioctl(tap->fd, TUNSETVNETHDRSZ, &header_size) < 0 ||
        ioctl(tap->fd, TUNSETOFFLOAD, offload) < 0)
        return -errno;

    struct ifreq join = {.ifr_ifindex = (int)if_nametoindex(name)};
    snprintf(join.ifr_name, sizeof join.ifr_name, "bridge");
    if (ioctl(socket, SIOCBRADDIF, &join) < 0)
        return -errno;
    return set_up(socket, name);
}

/* Only the caller's own namespace is changed. */
static int lay_cables(void)
{
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return -errno;
    const int socket_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket_fd < 0 || ioctl(socket_fd, SIOCBRADDBR, "bridge") < 0)
        return -errno;
    const unsigned all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    int error = tap_open(&guest, socket_fd, "guest", OFFLOAD_VIRTIO_SIZE_MAX, all);
    if (!error)
        error = tap_open(&plain, socket_fd, "plain", OFFLOAD_VIRTIO_SIZE, 0);
    if (!error)
        error = tap_open(&able, socket_fd, "able", OFFLOAD_VIRTIO_SIZE_MAX, all);
    if (!error)
        error = set_up(socket_fd, "bridge");
    close(socket_fd);
    return error;
}

static void tap_write(const struct tap *tap, const struct offload_virtio *header, uint8_t *bytes, size_t size)
{
    uint8_t encoded[OFFLOAD_VIRTIO_SIZE_MAX];
    offload_virtio_encode(header, tap->header_size, encoded);
    const struct iovec parts[2] = {{encoded, tap->header_size}, {bytes, size}};
    assert_int_equal(writev(tap->fd, parts, 2), tap->header_size + size);
}

/* The next of our frames, into theirs[]: the kernel has things to say of its own. Returns its size. */
static size_t tap_read(const struct tap *tap, struct offload_virtio *ret_header)
{
    for (;;) {
        struct pollfd ready = {.fd = tap->fd, .events = POLLIN};
        if (poll(&ready, 1, HANG_LIMIT) <= 0)
            fail_msg("waited in vain for a frame from the tap %s", tap == &plain ? "plain" : "able");
        uint8_t encoded[OFFLOAD_VIRTIO_SIZE_MAX];
        const struct iovec parts[2] = {{encoded, tap->header_size}, {theirs, FRAME_MAX}};
        const ssize_t size = readv(tap->fd, parts, 2);
        assert_true(size > (ssize_t)tap->header_size);
        if (memcmp(theirs, frame, 12) != 0)
            continue;
        offload_virtio_decode(encoded, tap->header_size, ret_header);
        return (size_t)size - tap->header_size;
    }
}

/* ---- What comes out. --------------------------------------------------------------------------------------------- */

/* A frame that the kernel finished is ours[]; but for a checksum of 0, which is the same as 0xffff. */
static void expect_finished(const struct shape *shape, size_t size)
{
    struct offload_virtio header;
    assert_int_equal(tap_read(&plain, &header), size);
    assert_int_equal(header.flags & OFFLOAD_VIRTIO_NEEDS_CSUM, 0);
    assert_int_equal(header.gso_type, OFFLOAD_VIRTIO_GSO_NONE);
    uint8_t *checksum = theirs + l4_of(shape) + field_of(shape);
    if (get16(checksum) == 0)
        put16(checksum, 0xffff);
    assert_memory_equal(theirs, ours, size);
}

/* A frame that the kernel only passed on is sent[], and says the same. */
static void expect_whole(size_t size, const struct netif_meta *meta)
{
    struct offload_virtio header;
    struct netif_meta found;
    assert_int_equal(tap_read(&able, &header), size);
    assert_memory_equal(theirs, sent, size);
    assert_int_equal(offload_from_virtio(theirs, size, &header, &found), OFFLOAD_FAULT_NONE);
    assert_memory_equal(theirs, sent, size);
    assert_true(found.csum_blank && found.data_validated);
    assert_int_equal(found.gso, meta->gso);
    assert_int_equal(found.gso_size, meta->gso_size);
}

static void the_kernel_makes_the_same_of_it(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    unsigned long segments_seen = 0;
    for (unsigned i = 0; i < FRAMES; i++) {
        struct netif_meta meta = {.csum_blank = true, .data_validated = true};
        const bool many = rig_below(&seed, 2);
        struct shape shape = random_shape(&seed, !many && rig_below(&seed, 2), many ? 60000 : 1000);
        if (many) {
            const uint32_t most = MTU - (uint32_t)(payload_of(&shape) - l3_of(&shape));
            meta.gso = shape.version == 4 ? NETIF_GSO_TCPV4 : NETIF_GSO_TCPV6;
            meta.gso_size = (uint16_t)(300 + rig_below(&seed, most - 299));
            shape.payload += meta.gso_size + 1u;
            meta.csum_blank = rig_below(&seed, 8); /* some forget to say so */
        }
        const size_t size = make_frame(&shape, &seed, frame);
        memcpy(sent, frame, size);
        struct offload_virtio header;
        assert_int_equal(offload_to_virtio(sent, size, &meta, &header), OFFLOAD_FAULT_NONE);
        tap_write(&guest, &header, sent, size);

        if (many) {
            struct offload_segments segments;
            assert_int_equal(offload_segment_init(&segments, frame, size, &meta), OFFLOAD_FAULT_NONE);
            for (int made; (made = offload_segment_next(&segments, ours, sizeof ours)) != 0;) {
                assert_true(made > 0);
                expect_finished(&shape, (size_t)made);
            }
            segments_seen += segments.count;
        } else {
            memcpy(ours, frame, size);
            assert_int_equal(offload_checksum(ours, size), OFFLOAD_FAULT_NONE);
            expect_finished(&shape, size);
        }
        expect_whole(size, &meta);
    }
    print_message("%u frames, %lu segments\n", FRAMES, segments_seen);
}

int main(void)
{
    const int error = lay_cables();
    if (error) {
        fprintf(stderr, "skipped: no namespace with taps and a bridge: %s\n", strerror(-error));
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_makes_the_same_of_it),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    close(guest.fd);
    close(plain.fd);
    close(able.fd);
    return failed;
}
