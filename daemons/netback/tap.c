/* SPDX-License-Identifier: MIT */
/*
 * Every queue of a tap is one descriptor of /dev/net/tun, attached to it by name. The kernel makes the tap with the first, and keeps it after
 * the last when it was made persistent.
 */
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_tun.h>

#include "protocol.h"
#include "reason.h"

#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | IFF_MULTI_QUEUE)

/* The address of a bridge's port that stands for somebody else, as xl's scripts set it too: never the guest's own, and above all others, so that no
 * bridge takes it for its own. */
static const unsigned char port_address[] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff};

static void name_request(struct ifreq *request, const char *name)
{
    memset(request, 0, sizeof(*request));
    memcpy(request->ifr_name, name, strnlen(name, sizeof(request->ifr_name) - 1));
}

/* Opens one queue. Returns a descriptor or -errno. */
static int open_queue(const char *name, struct backend_error *ret_error)
{
    struct ifreq request;
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int err;

    if (fd < 0) {
        err = -errno;
        return reason_fail(ret_error, err, "/dev/net/tun cannot be opened: %s", strerror(-err));
    }
    name_request(&request, name);
    request.ifr_flags = TAP_FLAGS;
    if (ioctl(fd, TUNSETIFF, &request) == 0)
        return fd;
    err = -errno;
    close(fd);
    if (err == -EINVAL && if_nametoindex(name) != 0)
        return reason_fail(ret_error, -EEXIST, "there is a network device %s that is not ours", name);
    return reason_fail(ret_error, err, "tap %s cannot be opened: %s", name, strerror(-err));
}

static int set_address(int fd)
{
    struct ifreq request;

    if (ioctl(fd, TUNGETIFF, &request) < 0)
        return -errno;
    memset(&request.ifr_hwaddr, 0, sizeof(request.ifr_hwaddr));
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    memcpy(request.ifr_hwaddr.sa_data, port_address, sizeof(port_address));
    return ioctl(fd, SIOCSIFHWADDR, &request) < 0 ? -errno : 0;
}

int tap_make(const char *name, struct backend_error *ret_error)
{
    const bool is_new = if_nametoindex(name) == 0;
    const int header_size = NETBACK_TAP_HEADER_SIZE, little_endian = 1;
    int fd = open_queue(name, ret_error);
    int err = 0;

    if (fd < 0)
        return fd;
    if (is_new)
        err = set_address(fd);
    if (err == 0 && (ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0 || ioctl(fd, TUNSETVNETLE, &little_endian) < 0 ||
                     ioctl(fd, TUNSETPERSIST, 1) < 0)) /* last: from then on it is not new */
        err = -errno;
    close(fd);
    if (err < 0)
        return reason_fail(ret_error, err, "tap %s cannot be set up: %s", name, strerror(-err));
    return 0;
}

int tap_open(const char *name, unsigned count, int ret_fds[], struct backend_error *ret_error)
{
    for (unsigned i = 0; i < count; i++) {
        const int fd = open_queue(name, ret_error);
        if (fd < 0) {
            while (i > 0)
                close(ret_fds[--i]);
            return fd;
        }
        ret_fds[i] = fd;
    }
    return 0;
}

int tap_set_offload(int fd, const struct tap_offload *offload)
{
    unsigned flags = 0;

    if (offload->checksum) /* without it the kernel allows no segmentation either */
        flags = TUN_F_CSUM | (offload->tso4 ? TUN_F_TSO4 | TUN_F_TSO_ECN : 0u) |
                (offload->tso6 ? TUN_F_TSO6 | TUN_F_TSO_ECN : 0u);
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)flags) < 0 ? -errno : 0;
}

int tap_set_carrier(int fd, bool on)
{
    const int carrier = on;

    return ioctl(fd, TUNSETCARRIER, &carrier) < 0 ? -errno : 0;
}

bool tap_is_queue(int fd, const char *name)
{
    struct ifreq request = {0};

    return ioctl(fd, TUNGETIFF, &request) == 0 && (request.ifr_flags & TAP_FLAGS) == TAP_FLAGS &&
           strncmp(request.ifr_name, name, sizeof(request.ifr_name)) == 0;
}

int tap_remove(const char *name)
{
    struct backend_error unused;
    int fd, err = 0;

    if (if_nametoindex(name) == 0)
        return 0;
    fd = open_queue(name, &unused);
    if (fd < 0)
        return fd == -EEXIST ? 0 : fd;
    if (ioctl(fd, TUNSETPERSIST, 0) < 0)
        err = -errno;
    close(fd);
    return err;
}
