/* SPDX-License-Identifier: MIT */
/*
 * Crash reports: a process in its sandbox crashes in every way there is, and its parent reads how. What a hostile one writes is harmless.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <supervise/crash.h>
#include <supervise/rundir.h>
#include <supervise/sandbox.h>

#define FILE_NAME    "crash"
#define CANNOT_ENTER 100

/* Of the names in the file, as crash.c has it. */
#define MODULES_OFFSET 544
#define MODULE_SIZE    40

static char path[] = "/tmp/test_crash.XXXXXX";
static int dir = -1;

static int setup(void **state)
{
    (void)state;
    strcpy(path, "/tmp/test_crash.XXXXXX");
    assert_non_null(mkdtemp(path));
    dir = open(path, O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(rundir_remove(dir, FILE_NAME), 0);
    close(dir);
    assert_int_equal(rmdir(path), 0);
    return 0;
}

static volatile uintptr_t nowhere = 0x20;

__attribute__((noinline)) static void touches_nothing(void)
{
    *(volatile int *)nowhere = 1;
}

/* What is wanted is the page's end, which no sanitizer may find first. */
__attribute__((noinline, no_sanitize("address", "undefined"))) static void touches_past_a_file(void)
{
    volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, (int)nowhere, 0);

    page[0] = 1;
}

__attribute__((noinline)) static void aborts(void)
{
    abort();
}

__attribute__((noinline)) static void traps(void)
{
    __builtin_trap();
}

__attribute__((noinline)) static void sends_itself_one(void)
{
    raise(SIGFPE);
}

static volatile int deepest = INT32_MAX;

__attribute__((noinline, no_sanitize("address", "undefined"))) static int overflows(int n)
{
    volatile char room[4096];

    room[0] = (char)n;
    return n == deepest ? 0 : overflows(n + 1) + room[0]; /* not the last thing it does, so no loop */
}

__attribute__((noinline)) static void runs_out_of_stack(void)
{
    overflows(0);
}

static void exits(void)
{
    _exit(3);
}

static void calls_what_is_forbidden(void)
{
    mkdir("/x", 0700);
}

static void other_handler(int signal)
{
    (void)signal;
    _exit(42);
}

/* Runs `body` in a process with a report to write. Returns its exit status, or minus the signal that ended it. */
static int run(void (*body)(void), void (*before)(int signal))
{
    const int caught[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
    int fd = rundir_create(dir, FILE_NAME, crash_file_size());
    int empty = memfd_create("empty", 0);
    const char *step;
    int status;
    pid_t child;

    assert_true(fd >= 0 && empty >= 0);
    if (body == touches_past_a_file)
        nowhere = (uintptr_t)empty;
    child = fork();
    if (child == 0) {
        for (size_t i = 0; i < sizeof(caught) / sizeof(caught[0]); i++)
            signal(caught[i], before); /* a sanitizer has some of them */
        if (crash_catch() < 0 || sandbox_enter(&step) < 0 || crash_write_to(fd) < 0 || sandbox_close(false, &step) < 0)
            _exit(CANNOT_ENTER);
        body();
        _exit(0);
    }
    nowhere = 0x20;
    close(fd);
    close(empty);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void assert_reported(void (*body)(void), int signal, uint64_t address)
{
    struct crash_report report;

    assert_int_equal(run(body, SIG_DFL), -signal);
    assert_int_equal(crash_read(dir, FILE_NAME, &report), 0);
    assert_int_equal(report.signal, signal);
    if (address != UINT64_MAX)
        assert_int_equal(report.address, address);
    assert_true(report.frame_count >= 1);
}

static void each_signal_is_reported_and_is_the_cause(void **state)
{
    (void)state;
    assert_reported(touches_nothing, SIGSEGV, 0x20);
    assert_reported(touches_past_a_file, SIGBUS, UINT64_MAX);
    assert_reported(aborts, SIGABRT, 0);
#if defined(__x86_64__)
    assert_reported(traps, SIGILL, UINT64_MAX);
#else
    assert_reported(traps, SIGTRAP, UINT64_MAX);
#endif
    assert_reported(sends_itself_one, SIGFPE, 0);
    assert_reported(runs_out_of_stack, SIGSEGV, UINT64_MAX);
}

/* Runs `addr2line` on a place; returns the function it says. */
static void function_at(const char *place, char *ret_function, size_t size)
{
    char command[256];
    const char *plus = strchr(place, '+');
    FILE *stream;

    assert_non_null(plus);
    snprintf(command, sizeof(command), "addr2line -f -e /proc/%d/exe %s", getpid(), plus + 1);
    stream = popen(command, "r");
    assert_non_null(stream);
    if (fgets(ret_function, (int)size, stream) == NULL)
        ret_function[0] = '\0';
    ret_function[strcspn(ret_function, "\n")] = '\0';
    pclose(stream);
}

static void the_places_name_functions(void **state)
{
    struct crash_report report;
    char function[64];

    (void)state;
    if (system("command -v addr2line >/dev/null") != 0)
        skip();
    assert_reported(touches_nothing, SIGSEGV, 0x20);
    assert_int_equal(crash_read(dir, FILE_NAME, &report), 0);
    assert_true(report.frame_count >= 3);
    assert_int_equal(strncmp(report.frames[0], "test_crash+0x", 13), 0);
    function_at(report.frames[0], function, sizeof(function));
    assert_string_equal(function, "touches_nothing");
    function_at(report.frames[1], function, sizeof(function));
    assert_string_equal(function, "run");
}

static void other_ends_leave_no_report(void **state)
{
    struct crash_report report;

    (void)state;
    assert_int_equal(crash_read(dir, FILE_NAME, &report), -ENODATA);
    assert_int_equal(run(exits, SIG_DFL), 3);
    assert_int_equal(crash_read(dir, FILE_NAME, &report), -ENODATA);
    assert_int_equal(run(calls_what_is_forbidden, SIG_DFL), -SIGSYS);
    assert_int_equal(crash_read(dir, FILE_NAME, &report), -ENODATA);
}

static void an_earlier_handler_has_its_say(void **state)
{
    struct crash_report report;

    (void)state;
    assert_int_equal(run(touches_nothing, other_handler), 42);
    assert_int_equal(crash_read(dir, FILE_NAME, &report), 0);
    assert_int_equal(report.signal, SIGSEGV);
}

static void what_counts_as_a_crash(void **state)
{
    (void)state;
    assert_true(crash_is_signal(SIGSEGV) && crash_is_signal(SIGABRT) && crash_is_signal(SIGSYS));
    assert_false(crash_is_signal(SIGKILL) || crash_is_signal(SIGTERM) || crash_is_signal(SIGSTOP) ||
                 crash_is_signal(0));
}

/* ---- Hostile reports. ----------------------------------------------------------------------------------------------------------- */

/* Reads a report with `size` bytes at `offset` overwritten. */
static int read_changed(size_t offset, const void *bytes, size_t size, struct crash_report *ret_report)
{
    int fd = rundir_file(dir, FILE_NAME, crash_file_size());

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
    close(fd);
    return crash_read(dir, FILE_NAME, ret_report);
}

static void assert_bounded(const struct crash_report *report)
{
    assert_true(report->frame_count <= CRASH_FRAMES_MAX);
    for (uint32_t i = 0; i < report->frame_count; i++) {
        assert_true(memchr(report->frames[i], '\0', CRASH_PLACE_SIZE) != NULL);
        for (const char *at = report->frames[i]; *at != '\0'; at++)
            assert_true(*at > ' ' && *at <= '~');
    }
}

static void hostile_reports_are_bounded(void **state)
{
    struct crash_report report;
    uint8_t bytes[4096];
    uint32_t number;

    (void)state;
    for (int fill = 0; fill < 256; fill += 51) { /* 0 and 255 among them */
        assert_reported(touches_nothing, SIGSEGV, 0x20);
        memset(bytes, fill, sizeof(bytes));
        /* Everything behind magic, version and signal. */
        if (read_changed(12, bytes, crash_file_size() - 12, &report) == 0)
            assert_bounded(&report);
    }
    assert_reported(touches_nothing, SIGSEGV, 0x20);
    /* The names of modules, the first of which is the program: nothing else than a name may come through. */
    static const char *const names[] = {"bad\nname", "bad name", "bad\x7f", "\x1b[1m", "plus+", ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(read_changed(MODULES_OFFSET, names[i], strlen(names[i]) + 1, &report), 0);
        assert_bounded(&report);
        assert_int_equal(strncmp(report.frames[0], "0x", 2), 0);
    }
    memset(bytes, 'A', MODULE_SIZE); /* without an end */
    assert_int_equal(read_changed(MODULES_OFFSET, bytes, MODULE_SIZE, &report), 0);
    assert_bounded(&report);
    assert_int_equal(strncmp(report.frames[0], "0x", 2), 0);
    assert_int_equal(read_changed(MODULES_OFFSET, "good", 5, &report), 0);
    assert_int_equal(strncmp(report.frames[0], "good+0x", 7), 0);

    number = SIGKILL; /* the signal is no crash's */
    assert_int_equal(read_changed(8, &number, 4, &report), -EBADMSG);
    number = UINT32_MAX;
    assert_int_equal(read_changed(8, &number, 4, &report), -EBADMSG);
    number = SIGSEGV;
    assert_int_equal(read_changed(8, &number, 4, &report), 0);
    number = 0x12345678;
    assert_int_equal(read_changed(0, &number, 4, &report), -EBADMSG);
    int fd = openat(dir, FILE_NAME, O_RDWR);
    assert_int_equal(ftruncate(fd, (off_t)crash_file_size() - 1), 0);
    close(fd);
    assert_int_equal(crash_read(dir, FILE_NAME, &report), -EBADMSG);
}

static sigjmp_buf passed;

static void pass(int signal)
{
    siglongjmp(passed, signal);
}

/* In this very process: the report is written, and who handled the signal before still does. */
static void a_crash_is_passed_on(void **state)
{
    const struct sigaction own = {.sa_handler = pass};
    struct sigaction before;
    struct crash_report report;
    int fd = rundir_create(dir, FILE_NAME, crash_file_size());

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(sigaction(SIGSEGV, &own, &before), 0);
    assert_int_equal(crash_catch(), 0);
    assert_int_equal(crash_write_to(fd), 0);
    int signal = sigsetjmp(passed, 1);
    if (signal == 0)
        raise(SIGSEGV);
    assert_int_equal(signal, SIGSEGV);
    assert_int_equal(sigaction(SIGSEGV, &before, NULL), 0);
    assert_int_equal(crash_read(dir, FILE_NAME, &report), 0);
    assert_int_equal(report.signal, SIGSEGV);
    assert_in_range(report.frame_count, 2, CRASH_FRAMES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_signal_is_reported_and_is_the_cause, setup, teardown),
        cmocka_unit_test_setup_teardown(the_places_name_functions, setup, teardown),
        cmocka_unit_test_setup_teardown(other_ends_leave_no_report, setup, teardown),
        cmocka_unit_test_setup_teardown(an_earlier_handler_has_its_say, setup, teardown),
        cmocka_unit_test(what_counts_as_a_crash),
        cmocka_unit_test_setup_teardown(hostile_reports_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_is_passed_on, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
