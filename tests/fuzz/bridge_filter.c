/* SPDX-License-Identifier: MIT */
/*
 * A frame as a guest may send it, through a port with a MAC and through one with addresses too. Nothing is read beyond its end; the port with more
 * rules lets nothing pass that the other one does not, and no other MAC or IPv4 address gets by. The first bytes: what the frame begins with.
 */
#undef NDEBUG
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <bridge/filter.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t mac[6] = {0x00, 0x16, 0x3e, 1, 2, 3};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct filter by_mac = {.any_mac = false}, by_address;
    const uint32_t length = (uint32_t)size;

    if (size < NETIF_LENGTH_MIN || size > FRAME_LENGTH_MAX)
        return 0;
    uint8_t *frame = malloc(size);
    assert(frame != NULL);
    memcpy(frame, data, size);
    if (frame[0] & 1) /* most often its own */
        memcpy(frame + 6, mac, 6);
    memcpy(by_mac.mac, mac, 6);
    by_address = by_mac;
    by_address.address_count = 2;
    by_address.addresses[0] = (struct port_address){.family = 4, .prefix = 32, .bytes = {10, 0, 0, 5}};
    by_address.addresses[1] = (struct port_address){.family = 6, .prefix = 64, .bytes = {0xfd}};
    const enum filter_verdict first = filter_check(&by_mac, frame, length);
    const enum filter_verdict second = filter_check(&by_address, frame, length);
    assert(first <= FILTER_MALFORMED && second <= FILTER_MALFORMED);
    if (first != FILTER_PASS)
        assert(second != FILTER_PASS);
    if (memcmp(frame + 6, mac, 6) != 0)
        assert(first == FILTER_SPOOFED_MAC && second == FILTER_SPOOFED_MAC);
    if (second == FILTER_PASS && frame[12] == 8 && frame[13] == 0) {
        static const uint8_t listed[4] = {10, 0, 0, 5}, none[4];
        assert(length >= 34 && (memcmp(frame + 26, listed, 4) == 0 || memcmp(frame + 26, none, 4) == 0));
    }
    free(frame);
    return 0;
}
