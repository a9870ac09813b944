/* SPDX-License-Identifier: MIT */
/*
 * The rest of libxenctrl's interface, so that programs which bind every symbol at start can start.
 */
#include "stubs.h"

/* clang-format off */
#include "xenctrl_stubs.h"
/* clang-format on */
