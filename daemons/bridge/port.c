/* SPDX-License-Identifier: MIT */
/*
 * The messages of ports, checked. Pure: no system call.
 */
#include "port.h"

#include <errno.h>
#include <string.h>

static bool name_char_is_valid(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
}

bool port_name_is_valid(const char *name)
{
    if (name[0] == '\0' || name[0] == '.' || strlen(name) >= PORT_NAME_SIZE)
        return false;
    for (const char *at = name; *at != '\0'; at++)
        if (!name_char_is_valid(*at))
            return false;
    return true;
}

int port_message_make(enum port_message_type type, const char *port, struct port_message *ret_message)
{
    if (port != NULL && !port_name_is_valid(port))
        return -EINVAL;
    memset(ret_message, 0, sizeof(*ret_message));
    ret_message->version = PORT_VERSION;
    ret_message->type = (uint32_t)type;
    if (port != NULL)
        memcpy(ret_message->port, port, strlen(port));
    return 0;
}

static bool name_field_is_valid(const char *field, size_t size)
{
    return memchr(field, '\0', size) != NULL && port_name_is_valid(field);
}

static bool address_is_valid(const struct port_address *address)
{
    if (address->zero[0] != 0 || address->zero[1] != 0)
        return false;
    return (address->family == 4 && address->prefix <= 32) || (address->family == 6 && address->prefix <= 128);
}

static int check_attach(const struct port_message *message)
{
    static const uint8_t no_mac[6];

    if (!name_field_is_valid(message->bridge, sizeof(message->bridge)) || message->zero != 0 ||
        (message->flags & ~(uint32_t)PORT_FLAGS_ALL) != 0 || message->group >= PORT_GROUP_RESERVED ||
        message->address_count > PORT_ADDRESSES_MAX)
        return -EINVAL;
    if (!(message->flags & PORT_ANY_MAC) &&
        ((message->mac[0] & 1) != 0 || memcmp(message->mac, no_mac, sizeof(no_mac)) == 0))
        return -EINVAL;
    for (unsigned i = 0; i < message->address_count; i++)
        if (!address_is_valid(&message->addresses[i]))
            return -EINVAL;
    return 0;
}

int port_message_check(const struct port_message *message)
{
    if (message->version != PORT_VERSION)
        return -EPROTONOSUPPORT;
    if (message->type < PORT_ATTACH || message->type >= PORT_MESSAGE_TYPES)
        return -EINVAL;
    if (message->type != PORT_SETTLED && !name_field_is_valid(message->port, sizeof(message->port)))
        return -EINVAL;
    if (memchr(message->reason, '\0', sizeof(message->reason)) == NULL || message->result > 0)
        return -EINVAL;
    return message->type == PORT_ATTACH ? check_attach(message) : 0;
}
