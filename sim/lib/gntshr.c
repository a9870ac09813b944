/* SPDX-License-Identifier: MIT */
/*
 * libxengnttab's granting side on the simulator: pages of this process's domain, granted to another domain.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"
#include "gnttab.h"

xengntshr_handle *xengntshr_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger;
    return sim_gnt_open(SIM_KIND_GNTSHR, open_flags);
}

int xengntshr_close(xengntshr_handle *xgs)
{
    return sim_gnt_close(xgs);
}

int xengntshr_fd(xengntshr_handle *xgs)
{
    return xgs->client.fd;
}

static void *share(xengntshr_handle *xgs, uint32_t domid, uint32_t count, uint32_t *refs, int writable,
                   uint32_t notify_offset, evtchn_port_t notify_port)
{
    struct sim_request request = {
        .op = SIM_OP_SHARE, .count = count, .arg = {domid, (uint32_t)(writable != 0), notify_offset, notify_port}};
    struct sim_request undo = {.op = SIM_OP_UNSHARE};
    size_t size = (size_t)count * SIM_PAGE;
    uint8_t *address = MAP_FAILED;
    struct sim_reply reply;
    int memory = -1, saved;
    uint32_t argument;

    if (sim_fault_next(sim_client_domain(&xgs->client, domid), SIM_FAULT_SHARE, &argument) == SIM_FAULT_FAIL) {
        errno = ENOSPC;
        return NULL;
    }
    if (sim_client_call(&xgs->client, &request, NULL, 0, &reply, refs, count * sizeof(*refs), &memory, 1))
        return NULL;
    undo.arg[0] = reply.value[0];
    address = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED || sim_region_map(address, count, refs, PROT_READ | PROT_WRITE, memory) ||
        sim_region_add(xgs, address, count, reply.value[0]))
        goto fail;
    close(memory);
    return address;

fail:
    saved = errno;
    close(memory);
    if (address != MAP_FAILED)
        munmap(address, size);
    (void)sim_client_call(&xgs->client, &undo, NULL, 0, NULL, NULL, 0, NULL, 0);
    errno = saved;
    return NULL;
}

void *xengntshr_share_pages(xengntshr_handle *xgs, uint32_t domid, int count, uint32_t *refs, int writable)
{
    if (count <= 0 || count > SIM_BATCH) {
        errno = EINVAL;
        return NULL;
    }
    return share(xgs, domid, (uint32_t)count, refs, writable, SIM_NOTIFY_NONE, SIM_NOTIFY_NONE);
}

void *xengntshr_share_page_notify(xengntshr_handle *xgs, uint32_t domid, uint32_t *ref, int writable,
                                  uint32_t notify_offset, evtchn_port_t notify_port)
{
    return share(xgs, domid, 1, ref, writable, notify_offset, notify_port);
}

int xengntshr_unshare(xengntshr_handle *xgs, void *start_address, uint32_t count)
{
    uint32_t argument;

    if (sim_fault_next(NULL, SIM_FAULT_UNSHARE, &argument) == SIM_FAULT_FAIL) {
        errno = EIO;
        return -1;
    }
    return sim_region_drop(xgs, start_address, count, SIM_OP_UNSHARE);
}
