/* SPDX-License-Identifier: MIT */
/*
 * The budget of mapped references: never passed, and whole again after a process that used it was killed.
 */
#include <errno.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "budget.h"

static int file;

static struct xendev_grant_budget *budget_new(uint32_t limit)
{
    file = memfd_create("budget", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(ftruncate(file, (off_t)xendev_grant_budget_size()), 0);
    void *memory = mmap(NULL, xendev_grant_budget_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    assert_int_equal(xendev_grant_budget_init(file, limit), 0);
    return memory;
}

static void budget_free(struct xendev_grant_budget *budget)
{
    munmap(budget, xendev_grant_budget_size());
    close(file);
}

static void the_limit_holds_for_all_slots_together(void **state)
{
    struct xendev_grant_budget *budget = budget_new(10);

    (void)state;
    assert_int_equal(budget_claim(budget, 0, 6), 0);
    assert_int_equal(budget_claim(budget, XENDEV_BUDGET_SLOTS - 1, 5), -ENOSPC);
    assert_int_equal(xendev_grant_budget_used(budget), 6);
    assert_int_equal(budget_claim(budget, XENDEV_BUDGET_SLOTS - 1, 4), 0);
    assert_int_equal(budget_claim(budget, 0, 1), -ENOSPC);
    budget_release(budget, 0, 6);
    assert_int_equal(budget_claim(budget, 1, 6), 0);
    budget_free(budget);
}

static void a_claim_that_would_wrap_is_refused(void **state)
{
    struct xendev_grant_budget *budget = budget_new(UINT32_MAX);

    (void)state;
    assert_int_equal(budget_claim(budget, 0, UINT32_MAX), 0);
    assert_int_equal(budget_claim(budget, 1, UINT32_MAX), -ENOSPC);
    assert_int_equal(budget_claim(budget, 1, 1), -ENOSPC);
    budget_free(budget);
}

static void a_new_limit_keeps_what_is_in_use(void **state)
{
    struct xendev_grant_budget *budget = budget_new(10);

    (void)state;
    assert_int_equal(budget_claim(budget, 3, 8), 0);
    assert_int_equal(xendev_grant_budget_init(file, 9), 0);
    assert_int_equal(xendev_grant_budget_used(budget), 8);
    assert_int_equal(budget_claim(budget, 4, 2), -ENOSPC);
    assert_int_equal(budget_claim(budget, 4, 1), 0);
    budget_free(budget);
}

/* Claims and releases for ever, counting in `rounds`. */
static void claim_for_ever(struct xendev_grant_budget *budget, unsigned slot, _Atomic uint32_t *rounds)
{
    for (unsigned seed = slot;; seed = seed * 1103515245u + 12345u) {
        uint32_t count = 1 + (seed >> 16) % 7;
        if (budget_claim(budget, slot, count) == 0)
            budget_release(budget, slot, count);
        atomic_fetch_add(rounds, 1);
    }
}

static void what_a_killed_process_held_is_given_back(void **state)
{
    enum { PROCESSES = 4, KILLS = 40 };
    struct xendev_grant_budget *budget = budget_new(16);
    _Atomic uint32_t *rounds = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[PROCESSES] = {0};

    (void)state;
    assert_ptr_not_equal(rounds, MAP_FAILED);
    for (unsigned kill_number = 0; kill_number < KILLS; kill_number++) {
        unsigned slot = kill_number % PROCESSES;
        if (pids[slot] != 0) {
            kill(pids[slot], SIGKILL);
            assert_int_equal(waitpid(pids[slot], NULL, 0), pids[slot]);
            assert_int_equal(xendev_grant_budget_reclaim(file, slot), 0);
        }
        uint32_t before = atomic_load(rounds);
        pids[slot] = fork();
        assert_true(pids[slot] >= 0);
        if (pids[slot] == 0)
            claim_for_ever(budget, slot, rounds);
        while (atomic_load(rounds) - before < 500)
            sched_yield();
    }
    for (unsigned slot = 0; slot < PROCESSES; slot++) {
        kill(pids[slot], SIGKILL);
        waitpid(pids[slot], NULL, 0);
        assert_int_equal(xendev_grant_budget_reclaim(file, slot), 0);
    }
    assert_int_equal(xendev_grant_budget_used(budget), 0);
    assert_int_equal(budget_claim(budget, 0, 16), 0);
    munmap(rounds, 4096);
    budget_free(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_limit_holds_for_all_slots_together),
        cmocka_unit_test(a_claim_that_would_wrap_is_refused),
        cmocka_unit_test(a_new_limit_keeps_what_is_in_use),
        cmocka_unit_test(what_a_killed_process_held_is_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
