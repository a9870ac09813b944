/* SPDX-License-Identifier: MIT */
/*
 * What a 32-bit x86 guest sees: Xen's own structs, with 64-bit fields aligned to 4 bytes as its compiler does it.
 * (There, Xen's struct of an indirect request ends in 8 bytes of padding more; nothing reads them.)
 */
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

#pragma pack(push, 4)
#include <xen/io/blkif.h>
#pragma pack(pop)

#include "xen_abi.h"

const struct xen_abi xen_abi_x86_32 = XEN_ABI;
