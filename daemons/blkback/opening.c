/* SPDX-License-Identifier: MIT */
/*
 * A thread for each opening. It shares nothing with the loop but its end of a socket: the outcome, with the descriptor, is a packet. So a
 * cancelled opening needs no handshake: when our end is closed, the kernel closes the descriptor in a packet that nobody took.
 */
#include "opening.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

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
};

/* One packet, with the descriptor when the result is 0. */
struct outcome {
    int result;
    struct disk_error error;
};

/* ---- The thread. ---------------------------------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct job *job = arg;
    struct outcome outcome = {0};
    int fd = disk_source_open(&job->source, job->read_only, &outcome.error);

    outcome.result = fd < 0 ? fd : 0;
    /* Fails only when nobody wants it any more. */
    (void)channel_send(job->channel, &outcome, sizeof(outcome), &fd, fd < 0 ? 0 : 1);
    if (fd >= 0)
        close(fd);
    close(job->channel);
    free(job);
    return NULL;
}

/* Runs the job, which takes `channel` over. Returns 0 or -errno. */
static int start_thread(const struct disk_source *source, bool read_only, int channel)
{
    struct job *job = malloc(sizeof(*job));
    sigset_t all, before;
    pthread_t thread;
    int err;

    if (job == NULL)
        return -ENOMEM;
    *job = (struct job){.channel = channel, .read_only = read_only, .source = *source};
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = -pthread_create(&thread, NULL, run, job);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err < 0) {
        free(job);
        return err;
    }
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

int opening_start(struct event_base *base, const struct disk_source *source, bool read_only, opening_done done,
                  void *arg, struct opening **ret_opening)
{
    struct opening *opening = malloc(sizeof(*opening));
    int pair[2];
    int err = -ENOMEM;

    if (opening == NULL)
        return err;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        err = -errno;
        free(opening);
        return err;
    }
    *opening = (struct opening){.channel = pair[0], .done = done, .arg = arg};
    opening->event = event_new(base, opening->channel, EV_READ, on_outcome, opening);
    if (opening->event != NULL && event_add(opening->event, NULL) == 0)
        err = start_thread(source, read_only, pair[1]);
    if (err < 0) {
        close(pair[1]);
        opening_cancel(opening);
        return err;
    }
    *ret_opening = opening;
    return 0;
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
