/* SPDX-License-Identifier: MIT */
/* Any frame has a hash or none, of a type that is wanted, and none is read past its end. The first byte: those types. */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <ring/netif_hash.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct netif_hash hash = {.algorithm = NETIF_HASH_TOEPLITZ, .types = data[0] & NETIF_HASH_TYPES_ALL, .queues = 3};
    memset(hash.key, 0x6d, sizeof hash.key);
    enum netif_hash_type type;
    uint32_t value;
    if (netif_hash_frame(&hash, data + 1, size - 1, &type, &value)) {
        assert(hash.types >> type & 1);
        assert(netif_hash_queue(&hash, value) < 3);
        hash.types &= ~(1u << type);
        enum netif_hash_type other;
        assert(!netif_hash_frame(&hash, data + 1, size - 1, &other, &value) || other == type - 1);
    }
    return 0;
}
