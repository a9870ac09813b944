/* SPDX-License-Identifier: MIT */
/*
 * How a FIFO tells that its writers are gone: a non-blocking read() gives 0 without a writer, -EAGAIN with one. poll() alone would not
 * do: it reports a hang-up only if there was a writer since our end was opened. It is what wakes us, though.
 */
#include "fence.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <event2/event.h>

struct fence {
    struct event *event; /* pending while waiting */
    int reader;
    void (*passed)(void *arg);
    void *arg;
};

/* What a worker writes into its fence means nothing and is thrown away, a bounded amount at a time. */
static int fence_is_passed(const struct fence *fence)
{
    char junk[PIPE_BUF];
    ssize_t got;

    do {
        got = read(fence->reader, junk, sizeof(junk));
    } while (got < 0 && errno == EINTR);
    if (got == 0)
        return 1;
    return got > 0 || errno == EAGAIN ? 0 : -errno;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct fence *fence = arg;

    (void)fd;
    (void)what;
    if (fence_is_passed(fence) != 1)
        return;
    event_del(fence->event);
    fence->passed(fence->arg);
}

static int open_reader(int dir, const char *name)
{
    struct stat stat;
    int fd;

    if (mkfifoat(dir, name, S_IRUSR | S_IWUSR) < 0 && errno != EEXIST)
        return -errno;
    fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &stat) < 0 || !S_ISFIFO(stat.st_mode)) {
        close(fd);
        return -EINVAL;
    }
    return fd;
}

int fence_open(struct event_base *base, int dir, const char *name, struct fence **ret_fence)
{
    struct fence *fence = calloc(1, sizeof(*fence));
    int err = -ENOMEM;

    if (fence == NULL)
        return err;
    fence->reader = open_reader(dir, name);
    if (fence->reader < 0) {
        err = fence->reader;
        free(fence);
        return err;
    }
    fence->event = event_new(base, fence->reader, EV_READ | EV_PERSIST, on_ready, fence);
    if (fence->event == NULL) {
        fence_close(fence);
        return err;
    }
    *ret_fence = fence;
    return 0;
}

void fence_close(struct fence *fence)
{
    if (fence == NULL)
        return;
    if (fence->event != NULL)
        event_free(fence->event);
    close(fence->reader);
    free(fence);
}

int fence_wait(struct fence *fence, void (*passed)(void *arg), void *arg)
{
    fence->passed = passed;
    fence->arg = arg;
    if (event_add(fence->event, NULL) < 0)
        return -ENOMEM;
    event_active(fence->event, EV_READ, 0); /* the writers may be gone already */
    return 0;
}

int fence_writer(const struct fence *fence)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fence->reader);
    fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
