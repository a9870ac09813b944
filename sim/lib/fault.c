/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const op_name[] = {
    [SIM_FAULT_NONE] = "none",       [SIM_FAULT_OPEN] = "open",       [SIM_FAULT_MAP] = "map",
    [SIM_FAULT_UNMAP] = "unmap",     [SIM_FAULT_COPY] = "copy",       [SIM_FAULT_SHARE] = "share",
    [SIM_FAULT_UNSHARE] = "unshare", [SIM_FAULT_BIND] = "bind",       [SIM_FAULT_UNBIND] = "unbind",
    [SIM_FAULT_NOTIFY] = "notify",   [SIM_FAULT_PENDING] = "pending", [SIM_FAULT_UNMASK] = "unmask",
};
_Static_assert(sizeof(op_name) / sizeof(op_name[0]) == SIM_FAULT_OPS, "a name for every operation");

static const char *const action_name[] = {
    [SIM_FAULT_PASS] = "pass", [SIM_FAULT_FAIL] = "fail", [SIM_FAULT_SWALLOW] = "swallow", [SIM_FAULT_DELAY] = "delay",
    [SIM_FAULT_KILL] = "kill", [SIM_FAULT_STOP] = "stop", [SIM_FAULT_CRASH] = "crash",
};
_Static_assert(sizeof(action_name) / sizeof(action_name[0]) == SIM_FAULT_ACTIONS, "a name for every action");

/* This process's own rules, from its environment. */
static pthread_once_t own_once = PTHREAD_ONCE_INIT;
static struct sim_fault own_rules[SIM_FAULTS];
static _Atomic uint32_t own_used;

static unsigned take_word(const char **text, const char *const *names, unsigned count)
{
    size_t length = strcspn(*text, "/:=@,");

    for (unsigned i = 1; i < count; i++) {
        if (strlen(names[i]) == length && !strncmp(*text, names[i], length)) {
            *text += length;
            return i;
        }
    }
    return 0;
}

static bool take_number(const char **text, uint32_t *ret_number)
{
    char *end;
    unsigned long value = strtoul(*text, &end, 10);

    if (end == *text || value > INT32_MAX)
        return false;
    *text = end;
    *ret_number = (uint32_t)value;
    return true;
}

int sim_fault_parse(const char **text, struct sim_fault_rule *ret_rule)
{
    struct sim_fault_rule rule = {.n = 1};
    const char *at = *text;

    rule.op = (enum sim_fault_op)take_word(&at, op_name, SIM_FAULT_OPS);
    if (rule.op == SIM_FAULT_NONE)
        return -EINVAL;
    if (*at == '/' && (at++, rule.op != SIM_FAULT_COPY || !take_number(&at, &rule.bytes) || !rule.bytes))
        return -EINVAL;
    if (*at++ != ':')
        return -EINVAL;
    rule.action = (enum sim_fault_action)take_word(&at, action_name, SIM_FAULT_ACTIONS);
    if (rule.action == SIM_FAULT_PASS)
        return -EINVAL;
    if ((rule.action == SIM_FAULT_SWALLOW || rule.action == SIM_FAULT_DELAY) && rule.op != SIM_FAULT_NOTIFY)
        return -EINVAL;
    if (*at == '=' && (at++, !take_number(&at, &rule.argument)))
        return -EINVAL;
    if (*at == '@' && at[1] == '*') {
        at += 2;
        rule.n = 0;
    } else if (*at == '@' && (at++, !take_number(&at, &rule.n) || !rule.n)) {
        return -EINVAL;
    }
    if (*at == ',')
        at++;
    else if (*at)
        return -EINVAL;
    *text = at;
    *ret_rule = rule;
    return 0;
}

int sim_fault_store(struct sim_fault *table, _Atomic uint32_t *used, const struct sim_fault_rule *rule)
{
    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        if (atomic_load(&table[i].op_action))
            continue;
        atomic_store(&table[i].countdown, (int32_t)rule->n);
        atomic_store(&table[i].argument, rule->argument);
        atomic_store(&table[i].bytes, rule->bytes);
        atomic_store(&table[i].always, rule->n == 0);
        atomic_store(&table[i].op_action, (uint32_t)rule->op << 16 | (uint32_t)rule->action);
        atomic_fetch_add(used, 1);
        return 0;
    }
    return -ENOSPC;
}

static void own_rules_read(void)
{
    const char *text = getenv("SIMXEN_FAULT");
    struct sim_fault_rule rule;

    while (text && *text) {
        if (sim_fault_parse(&text, &rule) || sim_fault_store(own_rules, &own_used, &rule)) {
            fprintf(stderr, "simxen: SIMXEN_FAULT: not understood: %s\n", text);
            return;
        }
    }
}

/* Whether a rule is about this operation; counts it. */
static bool rule_applies(struct sim_fault *rule, enum sim_fault_op op, uint32_t bytes)
{
    uint32_t wanted = atomic_load(&rule->bytes);

    if (atomic_load(&rule->op_action) >> 16 != (uint32_t)op || (wanted && wanted != bytes))
        return false;
    return atomic_load(&rule->always) || atomic_fetch_sub(&rule->countdown, 1) == 1;
}

static enum sim_fault_action table_next(struct sim_fault *table, _Atomic uint32_t *used, enum sim_fault_op op,
                                        uint32_t bytes, uint32_t *ret_argument)
{
    enum sim_fault_action action = SIM_FAULT_PASS;

    for (unsigned i = 0; i < SIM_FAULTS; i++) {
        uint32_t op_action = atomic_load(&table[i].op_action);

        if (!rule_applies(&table[i], op, bytes))
            continue;
        action = (enum sim_fault_action)(op_action & 0xffff);
        *ret_argument = atomic_load(&table[i].argument);
        if (atomic_load(&table[i].always))
            continue;
        atomic_store(&table[i].op_action, 0);
        atomic_fetch_sub(used, 1);
    }
    return action;
}

/* A real fault, so that its address and place are those of one. */
static void crash(void)
{
    static volatile uintptr_t nowhere = SIM_FAULT_ADDRESS; /* the compiler must not know */

    *(volatile int *)nowhere = 0; /* NOLINT(performance-no-int-to-ptr): there is nothing to be pessimized */
}

static enum sim_fault_action next(struct sim_domain *remote, enum sim_fault_op op, uint32_t bytes,
                                  uint32_t *ret_argument)
{
    enum sim_fault_action action = SIM_FAULT_PASS;

    pthread_once(&own_once, own_rules_read);
    if (atomic_load_explicit(&own_used, memory_order_relaxed))
        action = table_next(own_rules, &own_used, op, bytes, ret_argument);
    if (action == SIM_FAULT_PASS && remote && atomic_load_explicit(&remote->nfaults, memory_order_relaxed))
        action = table_next(remote->faults, &remote->nfaults, op, bytes, ret_argument);
    if (action == SIM_FAULT_KILL) {
        raise(SIGKILL);
        __builtin_trap(); /* a seccomp filter refused the signal */
    }
    if (action == SIM_FAULT_STOP)
        raise(SIGSTOP);
    if (action == SIM_FAULT_CRASH)
        crash();
    return action;
}

enum sim_fault_action sim_fault_next(struct sim_domain *remote, enum sim_fault_op op, uint32_t *ret_argument)
{
    return next(remote, op, 0, ret_argument);
}

enum sim_fault_action sim_fault_next_copy(struct sim_domain *remote, uint32_t bytes, uint32_t *ret_argument)
{
    return next(remote, SIM_FAULT_COPY, bytes, ret_argument);
}
