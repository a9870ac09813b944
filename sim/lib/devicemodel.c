/* SPDX-License-Identifier: MIT */
/*
 * libxendevicemodel on the simulator: opened and closed by QEMU, and nothing else; simulated guests have no emulated devices.
 */
#include <stdlib.h>

#include "stubs.h"

struct xendevicemodel_handle;
struct xentoollog_logger;

struct xendevicemodel_handle *xendevicemodel_open(struct xentoollog_logger *logger, unsigned open_flags);
int xendevicemodel_close(struct xendevicemodel_handle *dmod);

struct xendevicemodel_handle *xendevicemodel_open(struct xentoollog_logger *logger, unsigned open_flags)
{
    (void)logger, (void)open_flags;
    return malloc(1);
}

int xendevicemodel_close(struct xendevicemodel_handle *dmod)
{
    free(dmod);
    return 0;
}

NUMBER(xendevicemodel_create_ioreq_server)
NUMBER(xendevicemodel_destroy_ioreq_server)
NUMBER(xendevicemodel_get_ioreq_server_info)
NUMBER(xendevicemodel_inject_event)
NUMBER(xendevicemodel_inject_msi)
NUMBER(xendevicemodel_map_io_range_to_ioreq_server)
NUMBER(xendevicemodel_map_mem_type_to_ioreq_server)
NUMBER(xendevicemodel_map_pcidev_to_ioreq_server)
NUMBER(xendevicemodel_modified_memory)
NUMBER(xendevicemodel_modified_memory_bulk)
NUMBER(xendevicemodel_nr_vcpus)
NUMBER(xendevicemodel_pin_memory_cacheattr)
NUMBER(xendevicemodel_relocate_memory)
NUMBER(xendevicemodel_restrict)
NUMBER(xendevicemodel_set_ioreq_server_state)
NUMBER(xendevicemodel_set_irq_level)
NUMBER(xendevicemodel_set_isa_irq_level)
NUMBER(xendevicemodel_set_mem_type)
NUMBER(xendevicemodel_set_pci_intx_level)
NUMBER(xendevicemodel_set_pci_link_route)
NUMBER(xendevicemodel_shutdown)
NUMBER(xendevicemodel_track_dirty_vram)
NUMBER(xendevicemodel_unmap_io_range_from_ioreq_server)
NUMBER(xendevicemodel_unmap_pcidev_from_ioreq_server)
