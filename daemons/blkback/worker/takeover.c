/* SPDX-License-Identifier: MIT */
#include "takeover.h"

#include <xendev/grant.h>

#include "describe.h"

int takeover_ring(const struct queue_params *params, const struct ring_layout *layout, struct ring_back *ring)
{
    size_t pages_size = (size_t)XENDEV_PAGE_SIZE << params->ring_order;
    int result;

    if (!params->recover)
        return ring_back_attach(ring, params->ring_pages, pages_size, layout, params->journal, params->journal_size,
                                params->generation);
    result = ring_back_recover(ring, params->ring_pages, pages_size, layout, params->journal, params->journal_size,
                               params->generation, params->crashed);
    if (result == 0 && params->pardon)
        ring_back_pardon(ring);
    return result;
}

void takeover_suspects(const struct ring_back *ring, enum blkif_abi abi, struct blkback_suspects *suspects)
{
    struct ring_request requests[BLKBACK_SUSPECTS_TOLD];
    uint32_t told = ring_back_suspects_list(ring, requests, BLKBACK_SUSPECTS_TOLD - suspects->told);

    const uint32_t begun = ring_back_suspects(ring); /* without barriers, which wait */
    suspects->count += told > begun ? told : begun;
    for (uint32_t i = 0; i < told; i++)
        describe_request(abi, &requests[i], &suspects->requests[suspects->told++]);
}
