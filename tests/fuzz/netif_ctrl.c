/* SPDX-License-Identifier: MIT */
/*
 * Control requests of any content, one after the other: the first byte says how many queues there are, then each request
 * has its 16 bytes and, when it needs bytes of a page, these. Whatever is agreed on stays usable.
 */
#undef NDEBUG
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <ring/netif_ctrl.h>

#define REQUEST_SIZE 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct netif_hash hash = {.queues = 1u + data[0] % 16u};
    data++;
    size--;
    while (size >= REQUEST_SIZE) {
        struct netif_ctrl_request request;
        struct netif_ctrl_response response;
        uint8_t bytes[RING_REQUEST_MAX];
        netif_ctrl_decode(data, &request);
        netif_ctrl_request_encode(&request, bytes);
        assert(memcmp(bytes, data, REQUEST_SIZE) == 0);
        data += REQUEST_SIZE;
        size -= REQUEST_SIZE;

        uint32_t gref, wanted = netif_ctrl_fetch(&hash, &request, &gref);
        uint8_t *page = NULL;
        assert(wanted <= RING_PAGE_SIZE && (wanted == 0 || gref == request.data[0]));
        if (wanted > 0 && size >= wanted) {
            page = malloc(wanted); /* on the heap, where AddressSanitizer guards it */
            assert(page);
            memcpy(page, data, wanted);
            data += wanted;
            size -= wanted;
        }
        const struct netif_hash before = hash;
        netif_ctrl_execute(&hash, &request, page, &response);
        free(page);
        assert(response.id == request.id && response.type == request.type);
        assert(response.status <= NETIF_CTRL_BUFFER_OVERFLOW);
        assert(response.status == NETIF_CTRL_SUCCESS || memcmp(&hash, &before, sizeof hash) == 0);
        assert(netif_hash_check(&hash, hash.queues) == 0);
        assert(netif_hash_queue(&hash, request.data[2]) < hash.queues);
    }
    return 0;
}
