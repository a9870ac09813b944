/* SPDX-License-Identifier: MIT */
/*
 * Two sockets: one hears what changes, and only that something has; the other asks. So lost and merged news are the same case as any.
 */
#include "netdev.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <event2/event.h>
#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#define ANSWER_SIZE 32768u /* bytes: what the kernel says of one device fits */

struct netdev_watch {
    struct mnl_socket *news;
    struct mnl_socket *questions;
    struct event *readable;
    void (*changed)(void *arg);
    void *arg;
    uint32_t sequence;
    char buffer[ANSWER_SIZE];
};

static void on_news(evutil_socket_t fd, short what, void *arg)
{
    struct netdev_watch *watch = arg;
    bool any = false;

    (void)what;
    /* ENOBUFS: more came than there was room for; that is news too. */
    while (recv(fd, watch->buffer, sizeof(watch->buffer), MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
        any = true;
    if (any)
        watch->changed(watch->arg);
}

int netdev_watch_new(struct event_base *base, void (*changed)(void *arg), void *arg, struct netdev_watch **ret_watch)
{
    struct netdev_watch *watch = calloc(1, sizeof(*watch));
    int err = 0;

    if (watch == NULL)
        return -ENOMEM;
    watch->changed = changed;
    watch->arg = arg;
    watch->news = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK);
    watch->questions = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    if (watch->news == NULL || watch->questions == NULL ||
        mnl_socket_bind(watch->news, RTMGRP_LINK, MNL_SOCKET_AUTOPID) < 0 ||
        mnl_socket_bind(watch->questions, 0, MNL_SOCKET_AUTOPID) < 0)
        err = -errno;
    if (err == 0) {
        watch->readable = event_new(base, mnl_socket_get_fd(watch->news), EV_READ | EV_PERSIST, on_news, watch);
        if (watch->readable == NULL || event_add(watch->readable, NULL) < 0)
            err = -ENOMEM;
    }
    if (err < 0) {
        netdev_watch_free(watch);
        return err;
    }
    *ret_watch = watch;
    return 0;
}

void netdev_watch_free(struct netdev_watch *watch)
{
    if (watch == NULL)
        return;
    if (watch->readable != NULL)
        event_free(watch->readable);
    if (watch->news != NULL)
        mnl_socket_close(watch->news);
    if (watch->questions != NULL)
        mnl_socket_close(watch->questions);
    free(watch);
}

/* ---- What the kernel answers. ------------------------------------------------------------------------------------------------ */

static int on_slave_data(const struct nlattr *attribute, void *arg)
{
    struct netdev *netdev = arg;

    if (mnl_attr_get_type(attribute) == IFLA_BRPORT_STATE && mnl_attr_validate(attribute, MNL_TYPE_U8) == 0)
        netdev->blocked = mnl_attr_get_u8(attribute) != BR_STATE_FORWARDING;
    return MNL_CB_OK;
}

static int on_link_info(const struct nlattr *attribute, void *arg)
{
    struct netdev *netdev = arg;

    if (mnl_attr_get_type(attribute) == IFLA_INFO_SLAVE_KIND && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0)
        snprintf(netdev->attached_as, sizeof(netdev->attached_as), "%s", mnl_attr_get_str(attribute));
    /* The kind comes first, and only a bridge's data are understood. */
    if (mnl_attr_get_type(attribute) == IFLA_INFO_SLAVE_DATA && strcmp(netdev->attached_as, "bridge") == 0)
        return mnl_attr_parse_nested(attribute, on_slave_data, netdev);
    return MNL_CB_OK;
}

static int on_attribute(const struct nlattr *attribute, void *arg)
{
    struct netdev *netdev = arg;

    switch (mnl_attr_get_type(attribute)) {
    case IFLA_MTU:
        if (mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
            netdev->mtu = mnl_attr_get_u32(attribute);
        break;
    case IFLA_MASTER:
        if (mnl_attr_validate(attribute, MNL_TYPE_U32) == 0)
            netdev->master = mnl_attr_get_u32(attribute);
        break;
    case IFLA_LINKINFO:
        return mnl_attr_parse_nested(attribute, on_link_info, netdev);
    default:
        break;
    }
    return MNL_CB_OK;
}

static int on_link(const struct nlmsghdr *message, void *arg)
{
    const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
    struct netdev *netdev = arg;

    if (message->nlmsg_type != RTM_NEWLINK || mnl_nlmsg_get_payload_len(message) < sizeof(*info))
        return MNL_CB_OK;
    netdev->up = (info->ifi_flags & IFF_UP) != 0;
    netdev->running = (info->ifi_flags & IFF_RUNNING) != 0;
    return mnl_attr_parse(message, sizeof(*info), on_attribute, netdev);
}

int netdev_get(struct netdev_watch *watch, const char *name, struct netdev *ret_netdev)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(watch->buffer);
    struct netdev netdev = {0};
    uint32_t sequence = ++watch->sequence;
    ssize_t got;

    message->nlmsg_type = RTM_GETLINK;
    message->nlmsg_flags = NLM_F_REQUEST;
    message->nlmsg_seq = sequence;
    mnl_nlmsg_put_extra_header(message, sizeof(struct ifinfomsg)); /* zeroed: any family, no index */
    mnl_attr_put_strz(message, IFLA_IFNAME, name);
    if (mnl_socket_sendto(watch->questions, message, message->nlmsg_len) < 0)
        return -errno;
    got = mnl_socket_recvfrom(watch->questions, watch->buffer, sizeof(watch->buffer));
    if (got < 0)
        return -errno;
    if (mnl_cb_run(watch->buffer, (size_t)got, sequence, mnl_socket_get_portid(watch->questions), on_link, &netdev) < 0)
        return -errno;
    *ret_netdev = netdev;
    return 0;
}

bool netdev_forwards(const struct netdev *netdev)
{
    return netdev->up && netdev->running && !netdev->blocked;
}
