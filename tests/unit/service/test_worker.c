/* SPDX-License-Identifier: MIT */
/*
 * Workers: started with nothing but their channel, watched, replaced. The worker is this program itself, told by its environment what to do.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include <supervise/worker.h>

#define BEHAVIOUR "TEST_WORKER"

struct message {
    uint32_t number;
    char padding[60];
};

/* ---- The worker. ----------------------------------------------------------------------------------------------------------- */

static unsigned descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(stream) != NULL)
        count++;
    closedir(stream);
    return count - 3; /* ".", "..", and the directory's own */
}

/* Answers each number with its successor; `number` 0 asks how many descriptors there are. */
static int serve(void)
{
    for (;;) {
        struct pollfd ready = {.fd = CHANNEL_WORKER_FD, .events = POLLIN};
        struct message message;
        int fds[CHANNEL_FDS_MAX];
        unsigned count;

        poll(&ready, 1, -1);
        if (channel_receive(CHANNEL_WORKER_FD, &message, sizeof(message), fds, &count) <= 0)
            return 0;
        message.number = message.number == 0 ? descriptors() : message.number + 1;
        channel_send(CHANNEL_WORKER_FD, &message, sizeof(message), NULL, 0);
    }
}

static int behave(const char *behaviour)
{
    if (strcmp(behaviour, "exit") == 0)
        return 3;
    if (strcmp(behaviour, "environment") == 0)
        return getenv("NOTIFY_SOCKET") == NULL && getenv("WATCHDOG_USEC") == NULL && getenv("TEST_KEPT") != NULL ? 5
                                                                                                                 : 4;
    if (strcmp(behaviour, "nonsense") == 0) {
        struct message message = {.number = 1};
        /* Waits to be spoken to: a spare that speaks is another case. */
        struct pollfd ready = {.fd = CHANNEL_WORKER_FD, .events = POLLIN};
        poll(&ready, 1, -1);
        channel_send(CHANNEL_WORKER_FD, &message, sizeof(message) - 1, NULL, 0);
        pause();
    }
    if (strcmp(behaviour, "talks") == 0) {
        struct message message = {.number = 1};
        channel_send(CHANNEL_WORKER_FD, &message, sizeof(message), NULL, 0);
        pause();
    }
    if (strcmp(behaviour, "exit-when-told") == 0) {
        struct message message = {0};
        struct pollfd ready = {.fd = CHANNEL_WORKER_FD, .events = POLLIN};
        poll(&ready, 1, -1);
        return recv(CHANNEL_WORKER_FD, &message, sizeof(message), 0) > 0 ? (int)message.number : 9;
    }
    return serve();
}

/* ---- The supervisor. --------------------------------------------------------------------------------------------------------- */

static struct event_base *base;
static struct worker_pool *pool;
static int program; /* this one */
static uint32_t answer;
static unsigned answers, gone, troubles;
static struct worker *leaving; /* whose end is of interest */
static bool crashed;
static char reason[200];

static void on_message(void *arg, const void *message, const int *fds, unsigned fd_count)
{
    (void)arg;
    (void)fds;
    assert_int_equal(fd_count, 0);
    memcpy(&answer, message, sizeof(answer));
    answers++;
    event_base_loopbreak(base);
}

static void on_gone(void *arg, const char *why)
{
    (void)arg;
    snprintf(reason, sizeof(reason), "%s", why);
    crashed = leaving != NULL && worker_crashed(leaving);
    leaving = NULL;
    gone++;
    event_base_loopbreak(base);
}

static void on_trouble(void *arg, const char *why)
{
    (void)arg;
    snprintf(reason, sizeof(reason), "%s", why);
    troubles++;
    event_base_loopbreak(base);
}

static const struct worker_user user = {.message = on_message, .gone = on_gone};

static void open_pool(const char *behaviour)
{
    const struct worker_pool_params params = {
        .program = "/worker", .program_fd = program, .message_size = sizeof(struct message), .trouble = on_trouble};

    setenv(BEHAVIOUR, behaviour, 1);
    assert_int_equal(worker_pool_new(base, &params, &pool), 0);
}

static int setup(void **state)
{
    (void)state;
    base = event_base_new();
    program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    pool = NULL;
    answers = gone = troubles = 0;
    return base == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    worker_pool_free(pool);
    event_base_free(base);
    close(program);
    return 0;
}

/* Runs the loop until one more of something happened. */
static void wait_for(const unsigned *count)
{
    const struct timeval limit = {.tv_sec = 30};
    const unsigned before = *count;

    event_base_loopexit(base, &limit);
    while (*count == before && !event_base_got_exit(base))
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(*count, before + 1);
}

static void ask(struct worker *worker, uint32_t number)
{
    const struct message message = {.number = number};

    assert_int_equal(worker_send(worker, &message, NULL, 0), 0);
    wait_for(&answers);
}

static void end(struct worker *worker)
{
    worker_kill(worker, NULL);
    wait_for(&gone);
}

static void worker_is_spoken_with(void **state)
{
    struct worker *worker;

    (void)state;
    open_pool("serve");
    assert_int_equal(worker_take(pool, &user, &worker), 0);
    ask(worker, 41);
    assert_int_equal(answer, 42);
    end(worker);
    assert_string_equal(reason, "killed by signal 9 (Killed)");
}

static void worker_inherits_its_channel_only(void **state)
{
    struct worker *worker;
    int leaked = open("/dev/null", O_RDONLY); /* deliberately without O_CLOEXEC */

    (void)state;
    open_pool("serve");
    assert_int_equal(worker_take(pool, &user, &worker), 0);
    ask(worker, 0);
    assert_int_equal(answer, 4);
    end(worker);
    close(leaked);
}

static void next_spare_is_another_process(void **state)
{
    struct worker *first, *second;

    (void)state;
    open_pool("serve");
    assert_int_equal(worker_take(pool, &user, &first), 0);
    assert_int_equal(worker_take(pool, &user, &second), 0); /* before a spare could be started */
    assert_int_not_equal(worker_pid(first), worker_pid(second));
    assert_int_equal(getsid(worker_pid(first)), worker_pid(first));
    ask(second, 1);
    end(first);
    ask(second, 2);
    end(second);
}

static void reason_given_replaces_the_signal(void **state)
{
    struct worker *worker;

    (void)state;
    open_pool("serve");
    assert_int_equal(worker_take(pool, &user, &worker), 0);
    worker_kill(worker, "killed for a test");
    worker_kill(worker, "killed again");
    wait_for(&gone);
    assert_string_equal(reason, "killed for a test");
}

/* Whether the worker crashed, when it gets this signal. */
static bool crashes_by(int signal)
{
    assert_int_equal(worker_take(pool, &user, &leaving), 0);
    ask(leaving, 1); /* it has started: a sanitizer that gets a signal it handles while it starts hangs for ever */
    kill(worker_pid(leaving), signal);
    wait_for(&gone);
    return crashed;
}

static void only_ends_of_its_own_doing_are_crashes(void **state)
{
    (void)state;
    open_pool("serve");
    assert_false(crashes_by(SIGKILL));
    assert_false(crashes_by(SIGTERM));
    assert_true(crashes_by(SIGABRT));
    assert_true(crashes_by(SIGSYS));
    assert_true(crashes_by(SIGBUS));
    assert_int_equal(worker_take(pool, &user, &leaving), 0);
    worker_kill(leaving, "killed for a test");
    wait_for(&gone);
    assert_false(crashed);

    /* A sanitizer's handler exits with a status of its own, too. */
    assert_true(crashes_by(SIGSEGV));
    setenv(BEHAVIOUR, "exit-when-told", 1);
    worker_pool_free(pool);
    open_pool("exit-when-told");
    assert_int_equal(worker_take(pool, &user, &leaving), 0);
    assert_int_equal(worker_send(leaving, &(struct message){.number = 3}, NULL, 0), 0);
    wait_for(&gone);
    assert_string_equal(reason, "exited with status 3");
    assert_true(crashed);
    assert_int_equal(worker_take(pool, &user, &leaving), 0);
    assert_int_equal(worker_send(leaving, &(struct message){.number = 0}, NULL, 0), 0);
    wait_for(&gone);
    assert_false(crashed);
}

static void impossible_message_is_death(void **state)
{
    const struct message message = {.number = 1};
    struct worker *worker;

    (void)state;
    open_pool("nonsense");
    assert_int_equal(worker_take(pool, &user, &worker), 0);
    assert_int_equal(worker_send(worker, &message, NULL, 0), 0);
    wait_for(&gone);
    assert_string_equal(reason, "killed for an impossible message");
    assert_int_equal(answers, 0);
}

static void spare_that_ends_is_told_and_replaced(void **state)
{
    struct worker *worker;

    (void)state;
    open_pool("exit");
    wait_for(&troubles);
    assert_string_equal(reason, "exited with status 3");
    setenv(BEHAVIOUR, "serve", 1);
    assert_int_equal(worker_take(pool, &user, &worker), 0);
    ask(worker, 6);
    assert_int_equal(answer, 7);
    end(worker);
}

static void worker_has_nothing_of_the_service_managers(void **state)
{
    (void)state;
    setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
    setenv("WATCHDOG_USEC", "10000000", 1);
    setenv("TEST_KEPT", "", 1);
    open_pool("environment");
    wait_for(&troubles);
    assert_string_equal(reason, "exited with status 5");
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
}

static void spare_that_talks_is_ended(void **state)
{
    (void)state;
    open_pool("talks");
    wait_for(&troubles);
    assert_string_equal(reason, "killed for an impossible message");
}

static void program_that_is_missing_is_an_error(void **state)
{
    const struct worker_pool_params params = {
        .program = "/nonexistent", .program_fd = -1, .message_size = sizeof(struct message), .trouble = on_trouble};

    (void)state;
    assert_int_equal(worker_pool_new(base, &params, &pool), -ENOENT);
    assert_null(pool);
}

/* ---- Adoption. ------------------------------------------------------------------------------------------------------------- */

static struct greeting heard;
static unsigned greetings;

static void on_greeted(void *arg, const struct greeting *hello)
{
    (void)arg;
    heard = *hello;
    greetings++;
    event_base_loopbreak(base);
}

static const struct worker_user adopter = {.greeted = on_greeted, .message = on_message, .gone = on_gone};

/* Adopts a process that is no worker of the pool; `ret_end` is its end of the channel. */
static struct worker *adopt_process(pid_t *ret_pid, int *ret_end)
{
    struct worker *worker;
    int pair[2];
    const pid_t pid = fork();

    if (pid == 0) {
        for (;;)
            pause();
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    open_pool("serve");
    assert_int_equal(worker_adopt(pool, pid, pidfd_open(pid, 0), pair[0], &adopter, &worker), 0);
    assert_true(worker_is_adopted(worker));
    assert_int_equal(worker_pid(worker), pid);
    *ret_pid = pid;
    *ret_end = pair[1];
    greetings = gone = answers = 0;
    return worker;
}

static void adopted_worker_greets_and_is_ordered(void **state)
{
    struct greeting hello, order;
    struct message message = {.number = 7};
    int fds[CHANNEL_FDS_MAX];
    unsigned count;
    pid_t pid;
    int end;
    struct worker *worker = adopt_process(&pid, &end);

    (void)state;
    greeting_make(GREETING_HELLO, 3, 4, "1.2.3", &hello);
    assert_int_equal(channel_send(end, &hello, sizeof(hello), NULL, 0), 0);
    event_base_dispatch(base);
    assert_int_equal(greetings, 1);
    assert_int_equal(heard.channel_version, 3);
    assert_int_equal(heard.journal_version, 4);
    assert_string_equal(heard.build, "1.2.3");

    greeting_make(GREETING_ADOPT, 3, 4, "1.2.4", &order);
    worker_order(worker, &order);
    assert_int_equal(channel_receive(end, &heard, sizeof(heard), fds, &count), sizeof(heard));
    assert_int_equal(heard.order, GREETING_ADOPT);
    assert_int_equal(channel_send(end, &message, sizeof(message), NULL, 0), 0);
    event_base_dispatch(base);
    assert_int_equal(answer, 7);

    kill(pid, SIGKILL);
    event_base_dispatch(base);
    assert_int_equal(gone, 1);
    close(end);
}

/* What it says after it was told to drain is not listened to; its end is seen. */
static void drained_worker_says_nothing_more(void **state)
{
    struct greeting hello, order;
    struct message message = {.number = 7};
    pid_t pid;
    int end;
    struct worker *worker = adopt_process(&pid, &end);

    (void)state;
    greeting_make(GREETING_HELLO, 3, 4, "1.2.3", &hello);
    assert_int_equal(channel_send(end, &hello, sizeof(hello), NULL, 0), 0);
    event_base_dispatch(base);
    greeting_make(GREETING_DRAIN, 9, 9, "1.2.4", &order);
    worker_order(worker, &order);
    assert_int_equal(channel_send(end, &message, 5, NULL, 0), 0);
    kill(pid, SIGTERM);
    event_base_dispatch(base);
    assert_int_equal(gone, 1);
    assert_int_equal(answers, 0);
    assert_non_null(strstr(reason, "killed by signal 15")); /* not "for an impossible message" */
    close(end);
}

static void impossible_greetings_are_death(void **state)
{
    struct greeting good, bad;

    (void)state;
    greeting_make(GREETING_HELLO, 1, 1, "1.2.3", &good);
    for (unsigned wrong = 0; wrong < 7; wrong++) {
        pid_t pid;
        int end;
        size_t size = sizeof(bad);
        unsigned count = 0;

        (void)adopt_process(&pid, &end);
        bad = good;
        switch (wrong) {
        case 0:
            bad.magic++;
            break;
        case 1:
            bad.size++;
            break;
        case 2:
            bad.order = GREETING_ADOPT;
            break;
        case 3:
            memset(bad.build, 'x', sizeof(bad.build));
            break;
        case 4:
            bad.build[1] = '\n';
            break;
        case 5:
            size--;
            break;
        default:
            count = 1;
            break;
        }
        assert_int_equal(channel_send(end, &bad, size, &end, count), 0);
        event_base_dispatch(base);
        assert_int_equal(greetings, 0);
        assert_int_equal(gone, 1);
        assert_string_equal(reason, "killed for an impossible greeting");
        close(end);
        worker_pool_free(pool);
        pool = NULL;
    }
}

static void worker_that_cannot_be_reached_can_be_killed(void **state)
{
    struct worker *worker;
    const pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        for (;;)
            pause();
    }
    open_pool("serve");
    gone = 0;
    assert_int_equal(worker_adopt(pool, pid, pidfd_open(pid, 0), -1, &adopter, &worker), 0);
    worker_kill(worker, "because");
    event_base_dispatch(base);
    assert_int_equal(gone, 1);
    assert_string_equal(reason, "because");
}

static void restarts_slow_down_and_recover(void **state)
{
    struct worker_backoff backoff = {0};
    int64_t last = 0;

    (void)state;
    for (unsigned i = 0; i < WORKER_EARLY_FREE; i++)
        assert_int_equal(worker_backoff_delay(&backoff, 0), 0);
    for (unsigned i = 0; i < 100; i++) {
        int64_t delay = worker_backoff_delay(&backoff, WORKER_EARLY_MS - 1);
        assert_true(delay >= last && delay >= WORKER_DELAY_MIN_MS && delay <= WORKER_DELAY_MAX_MS);
        last = delay;
    }
    assert_int_equal(last, WORKER_DELAY_MAX_MS);
    assert_int_equal(worker_backoff_delay(&backoff, WORKER_EARLY_MS), 0);
    assert_int_equal(worker_backoff_delay(&backoff, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(worker_is_spoken_with, setup, teardown),
        cmocka_unit_test_setup_teardown(worker_inherits_its_channel_only, setup, teardown),
        cmocka_unit_test_setup_teardown(next_spare_is_another_process, setup, teardown),
        cmocka_unit_test_setup_teardown(reason_given_replaces_the_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(only_ends_of_its_own_doing_are_crashes, setup, teardown),
        cmocka_unit_test_setup_teardown(impossible_message_is_death, setup, teardown),
        cmocka_unit_test_setup_teardown(spare_that_ends_is_told_and_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(worker_has_nothing_of_the_service_managers, setup, teardown),
        cmocka_unit_test_setup_teardown(spare_that_talks_is_ended, setup, teardown),
        cmocka_unit_test_setup_teardown(program_that_is_missing_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(adopted_worker_greets_and_is_ordered, setup, teardown),
        cmocka_unit_test_setup_teardown(drained_worker_says_nothing_more, setup, teardown),
        cmocka_unit_test_setup_teardown(impossible_greetings_are_death, setup, teardown),
        cmocka_unit_test_setup_teardown(worker_that_cannot_be_reached_can_be_killed, setup, teardown),
        cmocka_unit_test(restarts_slow_down_and_recover),
    };
    const char *behaviour = getenv(BEHAVIOUR);

    if (behaviour != NULL)
        return behave(behaviour);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
