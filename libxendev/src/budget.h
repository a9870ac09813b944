/* SPDX-License-Identifier: MIT */
/*
 * The host-wide budget of mapped references, as the mapper uses it. Theory of operation in budget.c.
 */
#ifndef XENDEV_SRC_BUDGET_H
#define XENDEV_SRC_BUDGET_H

#include <stdint.h>

#include <xendev/grant.h>

/* Claims `count` references for `slot`: 0, or -ENOSPC. */
int budget_claim(struct xendev_grant_budget *budget, unsigned slot, uint32_t count);
void budget_release(struct xendev_grant_budget *budget, unsigned slot, uint32_t count);

#endif
