/* SPDX-License-Identifier: MIT */
/*
 * Two processes on the simulator, and the death of one: what a process held is free when its parent has seen it die.
 */
#include "simtest.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };

/* The guest's half, in this process. */
struct guest {
    uint32_t domid, ref;
    xenevtchn_handle *evtchn;
    xengntshr_handle *gntshr;
    int port;
    volatile char *page;
};

static int guest_setup(void **state)
{
    struct guest *guest = calloc(1, sizeof(*guest));

    assert_non_null(guest);
    guest->domid = simtest_create();
    guest->evtchn = simtest_evtchn(guest->domid);
    guest->gntshr = simtest_gntshr(guest->domid);
    guest->port = xenevtchn_bind_unbound_port(guest->evtchn, 0);
    assert_true(guest->port > 0);
    guest->page = xengntshr_share_pages(guest->gntshr, 0, 1, &guest->ref, 1);
    assert_non_null((const void *)(uintptr_t)guest->page);
    *state = guest;
    return 0;
}

static int guest_teardown(void **state)
{
    struct guest *guest = *state;

    xenevtchn_close(guest->evtchn);
    xengntshr_close(guest->gntshr);
    simtest_destroy(guest->domid);
    free(guest);
    return 0;
}

/* Fork a child that does not outlive a failed test. */
static pid_t child_fork(void)
{
    pid_t child = fork();

    assert_true(child >= 0);
    if (!child)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

/* The backend's half, in a child: bind, map, tell the guest, then do as @mode says for ever. */
enum mode { IDLE, ECHO_EVENTS, STORM };

static _Noreturn void backend(const struct guest *guest, enum mode mode)
{
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    xengnttab_handle *gnttab = xengnttab_open(NULL, 0);
    int port = evtchn ? xenevtchn_bind_interdomain(evtchn, guest->domid, (evtchn_port_t)guest->port) : -1;
    char data[PAGE] = "storm", *mapped;
    xengnttab_grant_copy_segment_t seg = {.flags = GNTCOPY_dest_gref, .len = PAGE};

    if (port < 0 || !gnttab)
        _exit(10);
    mapped = xengnttab_map_grant_ref(gnttab, guest->domid, guest->ref, PROT_READ | PROT_WRITE);
    if (!mapped)
        _exit(11);
    seg.source.virt = data;
    seg.dest.foreign.ref = guest->ref;
    seg.dest.foreign.domid = (uint16_t)guest->domid;
    mapped[PAGE - 1] = 1;
    if (xenevtchn_pending(evtchn) != port || xenevtchn_unmask(evtchn, (evtchn_port_t)port) ||
        xenevtchn_notify(evtchn, (evtchn_port_t)port))
        _exit(12);
    for (;;) {
        if (mode == IDLE)
            pause();
        if (mode == ECHO_EVENTS && xenevtchn_pending(evtchn) != port)
            _exit(13);
        if (mode == STORM && (xengnttab_grant_copy(gnttab, 1, &seg) || seg.status))
            _exit(14);
        if (xenevtchn_unmask(evtchn, (evtchn_port_t)port) || xenevtchn_notify(evtchn, (evtchn_port_t)port))
            _exit(15);
    }
}

static pid_t backend_start(const struct guest *guest, enum mode mode)
{
    pid_t child = child_fork();

    if (!child)
        backend(guest, mode);
    simtest_take(guest->evtchn, guest->port); /* it has bound and mapped */
    return child;
}

static void child_kill(pid_t child)
{
    int status;

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The broker sees a death before it answers a request made after it, and repairs what was torn. */
static void broker_settle(const struct guest *guest)
{
    uint32_t ref;
    void *page = xengntshr_share_pages(guest->gntshr, 0, 1, &ref, 1);

    assert_non_null(page);
    assert_int_equal(xengntshr_unshare(guest->gntshr, page, 1), 0);
}

static void test_ping_pong_between_processes(void **state)
{
    struct guest *guest = *state;
    pid_t child = backend_start(guest, ECHO_EVENTS);

    for (int i = 0; i < 5000; i++) {
        assert_int_equal(xenevtchn_notify(guest->evtchn, (evtchn_port_t)guest->port), 0);
        simtest_take(guest->evtchn, guest->port);
    }
    simtest_quiet(guest->evtchn);
    child_kill(child);
}

/* No waiting between the death and the successor's bind: with Xen a dead process's port is unbound when it can be waited for. */
static void test_successor_binds_at_once(void **state)
{
    struct guest *guest = *state;

    for (int i = 0; i < 100; i++)
        child_kill(backend_start(guest, IDLE));
}

static void test_mappings_die_with_the_process(void **state)
{
    struct guest *guest = *state;

    child_kill(backend_start(guest, IDLE));
    assert_int_equal(guest->page[PAGE - 1], 1);
    assert_int_equal(xengntshr_unshare(guest->gntshr, (void *)(uintptr_t)guest->page, 1), 0);
    simtest_command("simxen list | awk '$1 == %u && $6 != 0 {exit 1}'", guest->domid);
}

/* Killed anywhere in notify and grant copy: no event is lost that was begun, no page is stuck, and the next process works. */
static void test_killed_inside_notify_and_copy(void **state)
{
    struct guest *guest = *state;

    for (int i = 0; i < 100; i++) {
        pid_t child = backend_start(guest, STORM);

        for (int j = 0; j < i; j++)
            simtest_take(guest->evtchn, guest->port);
        usleep((useconds_t)(i * 37 % 500));
        child_kill(child);
        broker_settle(guest);
        while (simtest_readable(xenevtchn_fd(guest->evtchn), 0))
            simtest_take(guest->evtchn, guest->port);
    }
}

/* A traced backend that stops before and after one notify. */
static _Noreturn void notifier(const struct guest *guest)
{
    xenevtchn_handle *evtchn = xenevtchn_open(NULL, 0);
    int port = evtchn ? xenevtchn_bind_interdomain(evtchn, guest->domid, (evtchn_port_t)guest->port) : -1;

    if (port < 0 || xenevtchn_notify(evtchn, (evtchn_port_t)port) || ptrace(PTRACE_TRACEME, 0, NULL, NULL))
        _exit(20);
    raise(SIGSTOP);
    (void)xenevtchn_notify(evtchn, (evtchn_port_t)port);
    raise(SIGSTOP);
    _exit(21);
}

/* Let it take @steps instructions; true when it came to the second stop before. */
static bool steps_take(pid_t child, int steps)
{
    int status;

    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    for (int i = 0; i < steps; i++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSTOPPED(status));
        if (WSTOPSIG(status) == SIGSTOP)
            return true;
    }
    return false;
}

/* Killed after each single instruction of notify: the event comes or does not, and the port takes the next process's events. */
static void test_killed_at_every_instruction_of_notify(void **state)
{
    struct guest *guest = *state;
    bool finished = false;
    int steps, came = 0;

    for (steps = 0; !finished; steps++) {
        pid_t child = child_fork();

        assert_true(steps < 20000);
        if (!child)
            notifier(guest);
        simtest_take(guest->evtchn, guest->port); /* its first notify: everything is warm */
        finished = steps_take(child, steps);
        child_kill(child);
        broker_settle(guest);
        if (simtest_readable(xenevtchn_fd(guest->evtchn), 0)) {
            simtest_take(guest->evtchn, guest->port);
            came++;
        }
        child_kill(backend_start(guest, IDLE));
    }
    simtest_quiet(guest->evtchn);
    assert_in_range(came, 1, steps - 1);
}

static void test_destroying_a_domain_kills_its_processes(void **state)
{
    uint32_t domid = simtest_create();
    int ready[2], status;
    pid_t child;
    char byte;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    child = child_fork();
    if (!child) {
        xenevtchn_handle *evtchn;

        simtest_become(domid);
        evtchn = xenevtchn_open(NULL, 0);
        if (!evtchn || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    simtest_destroy(domid);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    close(ready[0]);
    close(ready[1]);
}

/* After fork the child may close what it inherited without taking it from its parent. */
static void test_closing_an_inherited_handle_leaves_the_parents(void **state)
{
    struct guest *guest = *state;
    pid_t child = child_fork(), echo;
    int status;

    if (!child) {
        xenevtchn_close(guest->evtchn);
        xengntshr_close(guest->gntshr);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    echo = backend_start(guest, ECHO_EVENTS);
    assert_int_equal(xenevtchn_notify(guest->evtchn, (evtchn_port_t)guest->port), 0);
    simtest_take(guest->evtchn, guest->port);
    child_kill(echo);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_ping_pong_between_processes),
        TEST(test_successor_binds_at_once),
        TEST(test_mappings_die_with_the_process),
        TEST(test_killed_inside_notify_and_copy),
        TEST(test_killed_at_every_instruction_of_notify),
        cmocka_unit_test(test_destroying_a_domain_kills_its_processes),
        TEST(test_closing_an_inherited_handle_leaves_the_parents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
