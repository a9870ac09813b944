/* SPDX-License-Identifier: MIT */
/*
 * A worker is watched through two descriptors on the loop: its channel, for what it says, and its pidfd, which becomes readable when it has
 * ended. Only the latter counts as death: a channel that closes early just brings nothing more, and the process is killed for it.
 *
 *   spawn -> SPARE -> (taken) IN USE -> (pidfd) reaped, `gone`, freed
 *              |                 ^
 *              |                 +-- (adopted; the first packet is its greeting)
 *              +--> (pidfd) reaped, `trouble`, the next spare after SPARE_RETRY
 *
 * What is executed is a file that was opened at our own start, by the name the kernel gives it as a descriptor of ours. Not /proc/self: the child
 * looks it up when it has closed its own.
 */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <event2/event.h>

#include "crash.h"

#define REASON_SIZE 128

/* Messages taken from one worker before the rest of the loop gets its turn. */
#define MESSAGES_A_TURN 16

/* When the one who took the spare no longer needs the processor for its guest. */
static const struct timeval spare_soon = {.tv_usec = 20000};
static const struct timeval spare_retry = {.tv_sec = 1};

struct worker {
    LIST_ENTRY(worker) entry; /* in the pool's workers */
    struct worker_pool *pool;
    struct worker_user user; /* all NULL for the spare */
    const char *why_killed;  /* NULL: not by us, or without a reason */
    const char *argument;    /* of the program */
    bool adopted;
    bool crashed;
    bool greeting_due;           /* adopted, and not yet heard of */
    struct event *channel_event; /* NULL: cannot be reached */
    struct event *exit_event;
    int channel;
    int pidfd;
    pid_t pid;
};

struct worker_pool {
    struct event_base *base;
    struct worker_pool_params params;
    char *program;
    const char *argument;        /* of the program, NULL: none */
    void *message;               /* room for one */
    LIST_HEAD(, worker) workers; /* all, the spare too */
    struct worker *spare;
    struct event *spare_timer;
};

/* ---- Processes. --------------------------------------------------------------------------------------------------------- */

static int spawn_prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int channel)
{
    sigset_t none, all;
    int err;

    sigemptyset(&none);
    sigfillset(&all);
    err = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (err == 0)
        err = posix_spawn_file_actions_adddup2(actions, channel, CHANNEL_WORKER_FD);
    if (err == 0)
        err = posix_spawn_file_actions_addclosefrom_np(actions, CHANNEL_WORKER_FD + 1);
    if (err == 0)
        err = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (err == 0)
        err = posix_spawnattr_setsigmask(attributes, &none);
    if (err == 0)
        err = posix_spawnattr_setsigdefault(attributes, &all);
    return -err;
}

static bool is_service_managers(const char *setting)
{
    static const char *const names[] = {
        "NOTIFY_SOCKET=", "WATCHDOG_PID=", "WATCHDOG_USEC=", "LISTEN_FDS=", "LISTEN_PID=", "LISTEN_FDNAMES="};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strncmp(setting, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

/* Our environment without what the service manager meant for us alone. The array is the caller's; NULL when out of memory. */
static char **make_environment(void)
{
    char **environment;
    size_t count = 0, kept = 0;

    while (environ[count] != NULL)
        count++;
    environment = calloc(count + 1, sizeof(*environment));
    for (size_t i = 0; environment != NULL && i < count; i++) {
        if (!is_service_managers(environ[i]))
            environment[kept++] = environ[i];
    }
    return environment;
}

/* Starts the program; it keeps our standard output and error for its last words. */
static int spawn(const struct worker_pool *pool, int channel, pid_t *ret_pid)
{
    char *argv[] = {pool->program, (char *)pool->argument, NULL};
    char path[64];
    char **environment;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int err = -posix_spawn_file_actions_init(&actions);

    if (err < 0)
        return err;
    err = -posix_spawnattr_init(&attributes);
    if (err < 0) {
        posix_spawn_file_actions_destroy(&actions);
        return err;
    }
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), pool->params.program_fd);
    environment = make_environment();
    err = environment == NULL ? -ENOMEM : spawn_prepare(&actions, &attributes, channel);
    if (err == 0)
        err = -posix_spawn(ret_pid, path, &actions, &attributes, argv, environment);
    free(environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

/* Reaps a process that has ended and says how; `why` it was killed, if it was, replaces the signal. Returns whether it crashed. */
static bool reap(int pidfd, const char *why, char ret_reason[REASON_SIZE])
{
    siginfo_t info = {0};
    int result;

    do {
        result = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED);
    } while (result < 0 && errno == EINTR);
    if (why != NULL && (result < 0 || (info.si_code != CLD_EXITED && info.si_status == SIGKILL)))
        snprintf(ret_reason, REASON_SIZE, "%s", why);
    else if (result < 0)
        snprintf(ret_reason, REASON_SIZE, "ended; how is not known, for an earlier supervisor had started it");
    else if (info.si_code == CLD_EXITED)
        snprintf(ret_reason, REASON_SIZE, "exited with status %d", info.si_status);
    else
        snprintf(ret_reason, REASON_SIZE, "killed by signal %d (%s)%s", info.si_status, strsignal(info.si_status),
                 info.si_status == SIGSYS ? ": a system call its sandbox forbids" : "");
    return result == 0 && (info.si_code == CLD_EXITED ? info.si_status != 0 : crash_is_signal(info.si_status));
}

/* ---- One worker. --------------------------------------------------------------------------------------------------------- */

static void worker_free(struct worker *worker)
{
    LIST_REMOVE(worker, entry);
    if (worker->channel_event != NULL)
        event_free(worker->channel_event);
    if (worker->exit_event != NULL)
        event_free(worker->exit_event);
    if (worker->pidfd >= 0)
        close(worker->pidfd);
    if (worker->channel >= 0)
        close(worker->channel);
    free(worker);
}

static bool is_listened_to(const struct worker *worker)
{
    return worker->channel_event != NULL && event_pending(worker->channel_event, EV_READ, NULL) != 0;
}

static void listen_no_more(struct worker *worker)
{
    if (worker->channel_event != NULL)
        event_del(worker->channel_event);
}

static void close_all(const int *fds, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
}

/* The first packet of an adopted worker. */
static void take_greeting(struct worker *worker)
{
    struct greeting hello;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count = 0;
    ssize_t got = channel_receive(worker->channel, &hello, sizeof(hello), fds, &fd_count);

    if (got == -EAGAIN)
        return;
    close_all(fds, got > 0 ? fd_count : 0);
    if (got == 0) {
        worker_kill(worker, NULL);
    } else if (got < 0 || fd_count > 0 || greeting_check(&hello) < 0 || hello.order != GREETING_HELLO) {
        worker_kill(worker, "killed for an impossible greeting");
    } else {
        worker->greeting_due = false;
        worker->user.greeted(worker->user.arg, &hello);
    }
}

static void on_channel(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct worker_pool *pool = worker->pool;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count;

    (void)what;
    if (worker->greeting_due) {
        take_greeting(worker);
        return;
    }
    for (int turn = 0; turn < MESSAGES_A_TURN; turn++) {
        ssize_t got = channel_receive(fd, pool->message, pool->params.message_size, fds, &fd_count);
        if (got == -EAGAIN)
            return;
        if (got == 0) {
            worker_kill(worker, NULL);
            return;
        }
        if (got < 0 || worker->user.message == NULL) { /* a spare has nothing to say */
            close_all(fds, got > 0 ? fd_count : 0);
            worker_kill(worker, "killed for an impossible message");
            return;
        }
        worker->user.message(worker->user.arg, pool->message, fds, fd_count);
        if (!is_listened_to(worker))
            return; /* killed meanwhile */
    }
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
    struct worker *worker = arg;
    struct worker_pool *pool = worker->pool;
    const struct worker_user user = worker->user;
    char reason[REASON_SIZE];

    (void)what;
    /* Its last words first, unless it was killed for them. */
    if (is_listened_to(worker) && !worker->greeting_due && user.message != NULL)
        on_channel(worker->channel, EV_READ, worker);
    worker->crashed = reap(fd, worker->why_killed, reason);
    if (worker == pool->spare) {
        pool->spare = NULL;
        worker_free(worker);
        pool->params.trouble(pool->params.arg, reason);
        event_add(pool->spare_timer, &spare_retry);
        return;
    }
    if (user.gone != NULL)
        user.gone(user.arg, reason);
    worker_free(worker);
}

/* Puts a process on the loop. */
static int worker_watch(struct worker *worker)
{
    struct event_base *base = worker->pool->base;

    if (worker->pidfd < 0)
        worker->pidfd = pidfd_open(worker->pid, 0);
    if (worker->pidfd < 0)
        return -errno;
    worker->exit_event = event_new(base, worker->pidfd, EV_READ, on_end, worker);
    if (worker->exit_event == NULL || event_add(worker->exit_event, NULL) < 0)
        return -ENOMEM;
    if (worker->channel < 0)
        return 0;
    channel_make_room(worker->channel);
    worker->channel_event = event_new(base, worker->channel, EV_READ | EV_PERSIST, on_channel, worker);
    if (worker->channel_event == NULL || event_add(worker->channel_event, NULL) < 0)
        return -ENOMEM;
    return 0;
}

static int worker_start(struct worker_pool *pool, struct worker **ret_worker)
{
    struct worker *worker;
    int pair[2];
    int err;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        close(pair[0]);
        close(pair[1]);
        return -ENOMEM;
    }
    *worker = (struct worker){.pool = pool, .channel = pair[0], .pidfd = -1, .argument = pool->argument};
    LIST_INSERT_HEAD(&pool->workers, worker, entry);
    err = spawn(pool, pair[1], &worker->pid);
    close(pair[1]);
    if (err == 0) {
        err = worker_watch(worker);
        if (err < 0) {
            kill(worker->pid, SIGKILL);
            waitpid(worker->pid, NULL, 0);
        }
    }
    if (err < 0)
        worker_free(worker);
    else
        *ret_worker = worker;
    return err;
}

int worker_send(struct worker *worker, const void *message, const int *fds, unsigned fd_count)
{
    return channel_send(worker->channel, message, worker->pool->params.message_size, fds, fd_count);
}

void worker_kill(struct worker *worker, const char *why)
{
    if (worker->why_killed == NULL)
        worker->why_killed = why;
    listen_no_more(worker);
    /* Cannot fail but for a process that has ended already: the pidfd is its own. */
    pidfd_send_signal(worker->pidfd, SIGKILL, NULL, 0);
}

pid_t worker_pid(const struct worker *worker)
{
    return worker->pid;
}

bool worker_crashed(const struct worker *worker)
{
    return worker->crashed;
}

/* ---- The pool. ------------------------------------------------------------------------------------------------------------ */

static void on_spare_due(evutil_socket_t fd, short what, void *arg)
{
    struct worker_pool *pool = arg;
    int err;

    (void)fd;
    (void)what;
    if (pool->spare != NULL)
        return;
    err = worker_start(pool, &pool->spare);
    if (err < 0) {
        char reason[REASON_SIZE];
        snprintf(reason, sizeof(reason), "cannot be started: %s", strerror(-err));
        pool->params.trouble(pool->params.arg, reason);
        event_add(pool->spare_timer, &spare_retry);
    }
}

int worker_pool_new(struct event_base *base, const struct worker_pool_params *params, struct worker_pool **ret_pool)
{
    struct worker_pool *pool = calloc(1, sizeof(*pool));
    int err = -ENOMEM;

    if (pool == NULL)
        return err;
    LIST_INIT(&pool->workers);
    pool->base = base;
    pool->params = *params;
    pool->program = strdup(params->program);
    pool->message = malloc(params->message_size);
    pool->spare_timer = evtimer_new(base, on_spare_due, pool);
    if (pool->program != NULL && pool->message != NULL && pool->spare_timer != NULL)
        err = worker_start(pool, &pool->spare);
    if (err < 0) {
        worker_pool_free(pool);
        return err;
    }
    *ret_pool = pool;
    return 0;
}

void worker_pool_free(struct worker_pool *pool)
{
    struct worker *worker, *next;

    if (pool == NULL)
        return;
    if (pool->spare != NULL) {
        pid_t pid = pool->spare->pid;
        worker_kill(pool->spare, NULL);
        waitpid(pid, NULL, 0);
    }
    for (worker = LIST_FIRST(&pool->workers); worker != NULL; worker = next) {
        next = LIST_NEXT(worker, entry);
        worker_free(worker);
    }
    if (pool->spare_timer != NULL)
        event_free(pool->spare_timer);
    free(pool->message);
    free(pool->program);
    free(pool);
}

void worker_pool_set_argument(struct worker_pool *pool, const char *argument)
{
    pool->argument = argument;
}

const char *worker_argument(const struct worker *worker)
{
    return worker->argument;
}

int worker_take(struct worker_pool *pool, const struct worker_user *user, struct worker **ret_worker)
{
    struct worker *worker = pool->spare;
    int err = 0;

    pool->spare = NULL;
    if (worker != NULL && worker->argument != pool->argument) {
        worker_kill(worker, NULL); /* nobody's any more */
        worker = NULL;
    }
    if (worker == NULL)
        err = worker_start(pool, &worker);
    /* Not now: whoever takes a worker is in a hurry. */
    event_add(pool->spare_timer, &spare_soon);
    if (worker == NULL)
        return err;
    worker->user = *user;
    *ret_worker = worker;
    return 0;
}

/* ---- Adoption. -------------------------------------------------------------------------------------------------------------- */

int worker_adopt(struct worker_pool *pool, pid_t pid, int pidfd, int channel, const struct worker_user *user,
                 struct worker **ret_worker)
{
    struct worker *worker = calloc(1, sizeof(*worker));
    int err;

    if (worker == NULL) {
        close(pidfd);
        if (channel >= 0)
            close(channel);
        return -ENOMEM;
    }
    *worker = (struct worker){.pool = pool,
                              .user = *user,
                              .adopted = true,
                              .greeting_due = true,
                              .channel = channel,
                              .pidfd = pidfd,
                              .pid = pid};
    LIST_INSERT_HEAD(&pool->workers, worker, entry);
    err = worker_watch(worker);
    if (err < 0)
        worker_free(worker);
    else
        *ret_worker = worker;
    return err;
}

void worker_order(struct worker *worker, const struct greeting *order)
{
    int err = channel_send(worker->channel, order, sizeof(*order), NULL, 0);

    if (err == -EAGAIN)
        worker_kill(worker, "killed because it did not listen");
    if (order->order == GREETING_DRAIN)
        listen_no_more(worker);
}

bool worker_is_adopted(const struct worker *worker)
{
    return worker->adopted;
}

/* ---- Back-off. --------------------------------------------------------------------------------------------------------------- */

int64_t worker_backoff_delay(struct worker_backoff *backoff, int64_t lived_ms)
{
    int64_t delay = WORKER_DELAY_MIN_MS;

    if (lived_ms >= WORKER_EARLY_MS) {
        backoff->early_deaths = 0;
        return 0;
    }
    if (backoff->early_deaths < WORKER_EARLY_FREE) {
        backoff->early_deaths++;
        return 0;
    }
    for (unsigned i = WORKER_EARLY_FREE; i < backoff->early_deaths && delay < WORKER_DELAY_MAX_MS; i++)
        delay *= 2;
    if (delay < WORKER_DELAY_MAX_MS)
        backoff->early_deaths++;
    return delay < WORKER_DELAY_MAX_MS ? delay : WORKER_DELAY_MAX_MS;
}
