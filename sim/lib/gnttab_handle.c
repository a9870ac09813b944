/* SPDX-License-Identifier: MIT */
/*
 * The handle behind xengnttab_* and xengntshr_*: opening, closing, and the ranges of pages it holds.
 */
#include "gnttab.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "fault.h"

struct xengntdev_handle *sim_gnt_open(enum sim_kind kind, unsigned flags)
{
    struct xengntdev_handle *handle;
    uint32_t argument;

    if (flags) {
        errno = EINVAL;
        return NULL;
    }
    if (sim_fault_next(NULL, SIM_FAULT_OPEN, &argument) == SIM_FAULT_FAIL) {
        errno = EMFILE;
        return NULL;
    }
    handle = calloc(1, sizeof(*handle));
    if (!handle)
        return NULL;
    if (sim_client_open(&handle->client, kind, 0, true, NULL, 0)) {
        free(handle);
        return NULL;
    }
    pthread_mutex_init(&handle->lock, NULL);
    return handle;
}

int sim_gnt_close(struct xengntdev_handle *handle)
{
    struct sim_region *region;

    if (!handle)
        return 0;
    while ((region = handle->regions)) {
        handle->regions = region->next;
        munmap(region->address, (size_t)region->count * SIM_PAGE);
        free(region);
    }
    for (unsigned i = 0; i < SIM_DOMAINS; i++) {
        if (handle->memory[i].base)
            munmap(handle->memory[i].base, (size_t)SIM_GRANTS * SIM_PAGE);
    }
    sim_client_close(&handle->client);
    pthread_mutex_destroy(&handle->lock);
    free(handle);
    return 0;
}

int sim_region_add(struct xengntdev_handle *handle, void *address, uint32_t count, uint32_t id)
{
    struct sim_region *region = malloc(sizeof(*region));

    if (!region)
        return -1;
    region->address = address;
    region->count = count;
    region->id = id;
    pthread_mutex_lock(&handle->lock);
    region->next = handle->regions;
    handle->regions = region;
    pthread_mutex_unlock(&handle->lock);
    return 0;
}

int sim_region_drop(struct xengntdev_handle *handle, void *address, uint32_t count, enum sim_op op)
{
    struct sim_request request = {.op = op};
    struct sim_region **link, *region;

    pthread_mutex_lock(&handle->lock);
    for (link = &handle->regions; (region = *link); link = &region->next) {
        if (region->address == address)
            break;
    }
    if (!region || region->count != count) {
        pthread_mutex_unlock(&handle->lock);
        errno = EINVAL;
        return -1;
    }
    *link = region->next;
    pthread_mutex_unlock(&handle->lock);
    munmap(region->address, (size_t)region->count * SIM_PAGE);
    request.arg[0] = region->id;
    free(region);
    return sim_client_call(&handle->client, &request, NULL, 0, NULL, NULL, 0, NULL, 0);
}

int sim_region_map(uint8_t *address, uint32_t count, const uint32_t *refs, int prot, int fd)
{
    for (uint32_t i = 0, run; i < count; i += run) {
        for (run = 1; i + run < count && refs[i + run] == refs[i] + run;)
            run++;
        if (mmap(address + (size_t)i * SIM_PAGE, (size_t)run * SIM_PAGE, prot, MAP_SHARED | MAP_FIXED, fd,
                 (off_t)refs[i] * SIM_PAGE) == MAP_FAILED)
            return -1;
    }
    return 0;
}
