/* SPDX-License-Identifier: MIT */
/*
 * A message on the socket of ports, and the filter it makes: one that passes has names that end, and addresses within their families.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <bridge/filter.h>
#include <bridge/port.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct port_message message;
    struct filter filter;

    memset(&message, 0, sizeof(message));
    memcpy(&message, data, size < sizeof(message) ? size : sizeof(message));
    int err = port_message_check(&message);
    if (err < 0) {
        assert(err == -EINVAL || err == -EPROTONOSUPPORT);
        return 0;
    }
    assert(message.version == PORT_VERSION && message.type >= PORT_ATTACH && message.type < PORT_MESSAGE_TYPES);
    assert(memchr(message.reason, 0, sizeof(message.reason)) != NULL);
    if (message.type != PORT_SETTLED)
        assert(port_name_is_valid(message.port));
    if (message.type != PORT_ATTACH)
        return 0;
    assert(port_name_is_valid(message.bridge) && message.address_count <= PORT_ADDRESSES_MAX);
    filter_make(&message, &filter);
    uint8_t frame[64] = {0};
    memcpy(frame + 6, message.mac, 6);
    memcpy(frame + 12, data + (size > 8 ? size - 8 : 0), size > 8 ? 8 : 0);
    filter_check(&filter, frame, sizeof(frame));
    return 0;
}
