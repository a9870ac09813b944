/* SPDX-License-Identifier: MIT */
/*
 * A thread for each opening. It shares nothing with the loop but its end of a socket: the outcome, with the descriptor, is a packet. So a
 * cancelled opening needs no handshake: when our end is closed, the kernel closes the descriptor in a packet that nobody took.
 */
#include "opening.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include <disk/parent.h>
#include <supervise/channel.h>

struct opening {
    struct event *event;
    int channel;
    opening_done done;
    void *arg;
};

/* The thread's. */
struct job {
    int channel;
    bool read_only;
    struct disk_source source;
    int child; /* -1: the source is opened; else the parent of this */
    struct disk_parent parent;
};

/* One packet, with the descriptor when the result is 0. */
struct outcome {
    int result;
    struct disk_error error;
};

/* ---- The thread. ---------------------------------------------------------------------------------------------------------- */

static int open_parent(const struct job *job, struct disk_error *ret_error)
{
    const int folder = disk_folder_open(job->child, ret_error);
    int parents_folder = -1;
    unsigned locator;
    int fd;

    if (folder < 0)
        return folder;
    fd = disk_parent_open(folder, &job->parent, &parents_folder, &locator, ret_error);
    if (fd >= 0)
        close(parents_folder); /* it is found again by its image */
    close(folder);
    return fd;
}

static void free_job(struct job *job)
{
    if (job->child >= 0)
        close(job->child);
    free(job);
}

static void *run(void *arg)
{
    struct job *job = arg;
    struct outcome outcome = {0};
    int fd = job->child >= 0 ? open_parent(job, &outcome.error)
                             : disk_source_open(&job->source, job->read_only, &outcome.error);

    outcome.result = fd < 0 ? fd : 0;
    /* Fails only when nobody wants it any more. */
    (void)channel_send(job->channel, &outcome, sizeof(outcome), &fd, fd < 0 ? 0 : 1);
    if (fd >= 0)
        close(fd);
    close(job->channel);
    free_job(job);
    return NULL;
}

/* Runs the job; its channel and itself are the thread's from then on. Returns 0 or -errno. */
static int start_thread(struct job *job)
{
    sigset_t all, before;
    pthread_t thread;
    int err;

    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = -pthread_create(&thread, NULL, run, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err < 0)
        return err;
    pthread_detach(thread);
    return 0;
}

/* ---- The loop. ------------------------------------------------------------------------------------------------------------ */

static void on_outcome(evutil_socket_t channel, short what, void *arg)
{
    struct opening *opening = arg;
    const opening_done done = opening->done;
    void *const done_arg = opening->arg;
    struct outcome outcome;
    int fds[CHANNEL_FDS_MAX];
    unsigned fd_count = 0;

    (void)what;
    /* A packet of ours is there, whole; only descriptors may not have got through. */
    if (channel_receive(channel, &outcome, sizeof(outcome), fds, &fd_count) != sizeof(outcome) ||
        (outcome.result == 0 && fd_count != 1))
        outcome = (struct outcome){.result = -EMFILE, .error = {"too many files are open"}};
    opening_cancel(opening);
    done(done_arg, outcome.result < 0 ? outcome.result : fds[0], &outcome.error);
}

/* Takes the job over, without a channel yet. */
static int start(struct event_base *base, struct job *job, opening_done done, void *arg, struct opening **ret_opening)
{
    struct opening *opening = malloc(sizeof(*opening));
    int pair[2];
    int err = -ENOMEM;

    if (opening == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        err = opening == NULL ? err : -errno;
        free_job(job);
        free(opening);
        return err;
    }
    job->channel = pair[1];
    *opening = (struct opening){.channel = pair[0], .done = done, .arg = arg};
    opening->event = event_new(base, opening->channel, EV_READ, on_outcome, opening);
    if (opening->event != NULL && event_add(opening->event, NULL) == 0)
        err = start_thread(job);
    if (err < 0) {
        close(pair[1]);
        free_job(job);
        opening_cancel(opening);
        return err;
    }
    *ret_opening = opening;
    return 0;
}

int opening_start(struct event_base *base, const struct disk_source *source, bool read_only, opening_done done,
                  void *arg, struct opening **ret_opening)
{
    struct job *job = malloc(sizeof(*job));

    if (job == NULL)
        return -ENOMEM;
    *job = (struct job){.read_only = read_only, .source = *source, .child = -1};
    return start(base, job, done, arg, ret_opening);
}

int opening_start_parent(struct event_base *base, int child, const struct disk_parent *parent, opening_done done,
                         void *arg, struct opening **ret_opening)
{
    struct job *job = malloc(sizeof(*job));
    int copy = fcntl(child, F_DUPFD_CLOEXEC, 0);

    if (job == NULL || copy < 0) {
        int err = copy < 0 ? -errno : -ENOMEM;
        if (copy >= 0)
            close(copy);
        free(job);
        return err;
    }
    *job = (struct job){.child = copy, .parent = *parent};
    return start(base, job, done, arg, ret_opening);
}

void opening_cancel(struct opening *opening)
{
    if (opening == NULL)
        return;
    if (opening->event != NULL)
        event_free(opening->event);
    close(opening->channel);
    free(opening);
}
