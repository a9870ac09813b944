/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: each rule does what it says, once, and the operation after it succeeds.
 */
#include "simtest.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    uint32_t domid, ref;
    xenevtchn_handle *guest_evtchn, *evtchn;
    xengntshr_handle *guest;
    xengnttab_handle *gnttab;
    int guest_port, port;
    char *page;
};

static const char *program;

static int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->domid = simtest_create();
    f->guest_evtchn = simtest_evtchn(f->domid);
    f->guest = simtest_gntshr(f->domid);
    f->evtchn = simtest_evtchn(0);
    f->gnttab = simtest_gnttab(0);
    f->guest_port = xenevtchn_bind_unbound_port(f->guest_evtchn, 0);
    f->port = xenevtchn_bind_interdomain(f->evtchn, f->domid, (evtchn_port_t)f->guest_port);
    assert_true(f->port > 0);
    f->page = xengntshr_share_pages(f->guest, 0, 1, &f->ref, 1);
    assert_non_null(f->page);
    *state = f;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    xenevtchn_close(f->guest_evtchn);
    xenevtchn_close(f->evtchn);
    xengntshr_close(f->guest);
    xengnttab_close(f->gnttab);
    simtest_destroy(f->domid);
    free(f);
    return 0;
}

static void rule(const struct fixture *f, const char *text)
{
    simtest_command("simxen fault %u '%s'", f->domid, text);
}

static void test_the_third_segment_fails(void **state)
{
    struct fixture *f = *state;
    xengnttab_grant_copy_segment_t segs[4];
    char byte = 'f';

    for (unsigned i = 0; i < 4; i++) {
        segs[i] = (xengnttab_grant_copy_segment_t){.flags = GNTCOPY_dest_gref, .len = 1};
        segs[i].source.virt = &byte;
        segs[i].dest.foreign.ref = f->ref;
        segs[i].dest.foreign.offset = (uint16_t)i;
        segs[i].dest.foreign.domid = (uint16_t)f->domid;
    }
    rule(f, "copy:fail@3");
    assert_int_equal(xengnttab_grant_copy(f->gnttab, 4, segs), 0);
    assert_int_equal(segs[1].status, GNTST_okay);
    assert_int_equal(segs[2].status, GNTST_general_error);
    assert_int_equal(segs[3].status, GNTST_okay);
    assert_memory_equal(f->page, "ff\0f", 4);
    assert_int_equal(xengnttab_grant_copy(f->gnttab, 4, segs), 0);
    assert_int_equal(segs[2].status, GNTST_okay);
}

static void test_the_second_map_fails(void **state)
{
    struct fixture *f = *state;

    rule(f, "map:fail@2");
    assert_non_null(xengnttab_map_grant_ref(f->gnttab, f->domid, f->ref, PROT_READ));
    assert_null(xengnttab_map_grant_ref(f->gnttab, f->domid, f->ref, PROT_READ));
    assert_non_null(xengnttab_map_grant_ref(f->gnttab, f->domid, f->ref, PROT_READ));
}

static void test_an_event_is_swallowed(void **state)
{
    struct fixture *f = *state;

    rule(f, "notify:swallow@1");
    assert_int_equal(xenevtchn_notify(f->evtchn, (evtchn_port_t)f->port), 0);
    simtest_quiet(f->guest_evtchn);
    assert_int_equal(xenevtchn_notify(f->evtchn, (evtchn_port_t)f->port), 0);
    simtest_take(f->guest_evtchn, f->guest_port);
}

static void test_an_event_is_late(void **state)
{
    struct fixture *f = *state;

    rule(f, "notify:delay=50@1");
    assert_int_equal(xenevtchn_notify(f->evtchn, (evtchn_port_t)f->port), 0);
    simtest_quiet(f->guest_evtchn);
    simtest_take(f->guest_evtchn, f->guest_port);
    simtest_quiet(f->guest_evtchn);
}

static void test_rules_are_forgotten(void **state)
{
    struct fixture *f = *state;

    rule(f, "notify:swallow@1,notify:swallow@2");
    rule(f, "none");
    assert_int_equal(xenevtchn_notify(f->evtchn, (evtchn_port_t)f->port), 0);
    simtest_take(f->guest_evtchn, f->guest_port);
}

static void test_the_caller_is_stopped_then_killed(void **state)
{
    struct fixture *f = *state;
    pid_t child;
    int status;

    rule(f, "notify:stop@2,notify:kill@3");
    child = fork();
    assert_true(child >= 0);
    if (!child) {
        for (int i = 0; i < 3; i++)
            (void)xenevtchn_notify(f->evtchn, (evtchn_port_t)f->port);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_int_equal(kill(child, SIGCONT), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void test_the_caller_crashes_at_one_length(void **state)
{
    struct fixture *f = *state;
    xengnttab_grant_copy_segment_t segs[2] = {{.flags = GNTCOPY_dest_gref, .len = 7},
                                              {.flags = GNTCOPY_dest_gref, .len = 6}};
    char bytes[8] = {0};
    int status;

    for (unsigned i = 0; i < 2; i++) {
        segs[i].source.virt = bytes;
        segs[i].dest.foreign.ref = f->ref;
        segs[i].dest.foreign.domid = (uint16_t)f->domid;
    }
    rule(f, "copy/6:crash@*");
    for (int again = 0; again < 2; again++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            signal(SIGSEGV, SIG_DFL);
            if (xengnttab_grant_copy(f->gnttab, 1, segs))
                _exit(1);
            _exit(xengnttab_grant_copy(f->gnttab, 2, segs));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    }
    rule(f, "none");
}

/* This program again, with rules of its own in the environment: opens handles, says how far it got. */
static int opener(void)
{
    xenevtchn_handle *handle[3];
    int opened = 0;

    for (int i = 0; i < 3; i++) {
        handle[i] = xenevtchn_open(NULL, 0);
        opened |= (handle[i] != NULL) << i;
    }
    for (int i = 0; i < 3; i++)
        xenevtchn_close(handle[i]);
    return opened;
}

static void test_rules_of_the_environment(void **state)
{
    char command[512];

    (void)state;
    snprintf(command, sizeof(command), "SIMXEN_FAULT=open:fail@2 %s open", program);
    assert_int_equal(WEXITSTATUS(system(command)), 5);
    snprintf(command, sizeof(command), "SIMXEN_FAULT=nonsense %s open 2>/dev/null", program);
    assert_int_equal(WEXITSTATUS(system(command)), 7);
}

static void test_nonsense_is_refused(void **state)
{
    struct fixture *f = *state;

    simtest_command("! simxen fault %u copy:swallow 2>/dev/null", f->domid);
    simtest_command("! simxen fault %u copy:fail@0 2>/dev/null", f->domid);
    simtest_command("! simxen fault %u copy:fail@1x 2>/dev/null", f->domid);
    simtest_command("! simxen fault %u map/6:fail 2>/dev/null", f->domid);
    simtest_command("! simxen fault %u copy/0:fail 2>/dev/null", f->domid);
    simtest_command("! simxen fault 32000 copy:fail@1 2>/dev/null");
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_the_third_segment_fails),
        TEST(test_the_second_map_fails),
        TEST(test_an_event_is_swallowed),
        TEST(test_an_event_is_late),
        TEST(test_rules_are_forgotten),
        TEST(test_the_caller_is_stopped_then_killed),
        TEST(test_the_caller_crashes_at_one_length),
        cmocka_unit_test(test_rules_of_the_environment),
        TEST(test_nonsense_is_refused),
    };

    program = argv[0];
    if (argc > 1)
        return opener();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
