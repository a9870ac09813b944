/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: the simulator misbehaves on request, so that no daemon needs a test hook.
 *
 * A rule is OP[/BYTES]:ACTION[=ARGUMENT]@N, several are separated by commas: the N-th OP from now (of those of BYTES bytes) gets
 * ACTION, once; with @* each one does, until the rules are forgotten.  Rules come from
 * the environment (SIMXEN_FAULT: this process's own operations) and from `simxen fault DOMID RULE` (operations of other domains'
 * processes directed at DOMID).
 */
#ifndef SIM_FAULT_H
#define SIM_FAULT_H

#include <stdbool.h>

#include "shared.h"

enum sim_fault_op {
    SIM_FAULT_NONE,
    SIM_FAULT_OPEN,
    SIM_FAULT_MAP,
    SIM_FAULT_UNMAP,
    SIM_FAULT_COPY, /* counted in segments */
    SIM_FAULT_SHARE,
    SIM_FAULT_UNSHARE,
    SIM_FAULT_BIND,
    SIM_FAULT_UNBIND,
    SIM_FAULT_NOTIFY,
    SIM_FAULT_PENDING,
    SIM_FAULT_UNMASK,
    SIM_FAULT_OPS
};

enum sim_fault_action {
    SIM_FAULT_PASS,
    SIM_FAULT_FAIL,
    SIM_FAULT_SWALLOW, /* notify only: success, but no event */
    SIM_FAULT_DELAY,   /* notify only: the event comes ARGUMENT milliseconds later */
    SIM_FAULT_KILL,    /* SIGKILL to the calling process, before the operation */
    SIM_FAULT_STOP,    /* SIGSTOP to the calling process, before the operation */
    SIM_FAULT_CRASH,   /* the calling process writes to address SIM_FAULT_ADDRESS, where nothing is: SIGSEGV */
    SIM_FAULT_ACTIONS
};

#define SIM_FAULT_ADDRESS 0x20u

struct sim_fault_rule {
    enum sim_fault_op op;
    enum sim_fault_action action;
    uint32_t n; /* 0: each one */
    uint32_t argument;
    uint32_t bytes; /* copy only: segments of this length; 0: of any */
};

/* Parse the rule at *@text and step over it and its comma.  0, or -EINVAL. */
int sim_fault_parse(const char **text, struct sim_fault_rule *ret_rule);

/* Store @rule in the first unused place of @table.  0, or -ENOSPC. */
int sim_fault_store(struct sim_fault *table, _Atomic uint32_t *used, const struct sim_fault_rule *rule);

/* What this operation, directed at @remote (may be NULL), is to suffer.  Kill, stop and crash are done here.  Outputs the argument. */
enum sim_fault_action sim_fault_next(struct sim_domain *remote, enum sim_fault_op op, uint32_t *ret_argument);
/* The same for a grant copy's segment of @bytes. */
enum sim_fault_action sim_fault_next_copy(struct sim_domain *remote, uint32_t bytes, uint32_t *ret_argument);

#endif
