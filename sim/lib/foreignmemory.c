/* SPDX-License-Identifier: MIT */
/*
 * libxenforeignmemory on the simulator: opened and closed by QEMU, and nothing else; simulated guests have no memory but what
 * they grant.
 */
#include <stdlib.h>

#include "stubs.h"

struct xenforeignmemory_handle;
struct xentoollog_logger;

struct xenforeignmemory_handle *xenforeignmemory_open(struct xentoollog_logger *logger, unsigned open_flags);
int xenforeignmemory_close(struct xenforeignmemory_handle *fmem);

struct xenforeignmemory_handle *xenforeignmemory_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger, (void)open_flags;
    return malloc(1);
}

int xenforeignmemory_close(struct xenforeignmemory_handle *fmem)
{
    free(fmem);
    return 0;
}

POINTER(xenforeignmemory_map)
POINTER(xenforeignmemory_map2)
POINTER(xenforeignmemory_map_resource)
NUMBER(xenforeignmemory_resource_size)
NUMBER(xenforeignmemory_restrict)
NUMBER(xenforeignmemory_unmap)
NUMBER(xenforeignmemory_unmap_resource)
