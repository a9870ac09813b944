/* SPDX-License-Identifier: MIT */
/*
 * Watches: xenstored's events, drained fully, coalesced, delivered from the loop.
 *
 * Theory of operation. libxenstore's reader thread queues events without bound, so whoever watches a node that a guest
 * may write must empty that queue faster than the guest fills it. Whenever its pipe is readable we take everything
 * there is; each event is noted with the watch it belongs to (found by token; a token is never used twice, so an event
 * of a removed watch finds nobody) unless the same path is noted already. A watch holds WATCH_PATHS_MAX different
 * paths; beyond that they collapse into one, the watch's own, which says "look at everything". So a guest that writes
 * for ever costs one pending event a node, and no memory.
 *
 * Only then are the noted paths handed out, one call each. A called function may remove any watch, add others, or close
 * the store: after each call nothing that was known before is trusted.
 *
 * libxenstore does not wake anybody when its connection breaks; a timer that costs no round trip asks its queue once a
 * second.
 */
#include "store_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <xenstore.h>

#include "parse.h"

#define WATCH_PATHS_MAX  64
#define WATCH_TOKEN_SIZE 21   /* a uint64_t in decimal */
#define WATCH_DRAIN_MAX  8192 /* events taken at once, so that a flood does not keep them from being delivered */

struct xendev_watch {
    struct xendev_store *store;
    void (*changed)(void *arg, const char *path);
    void *arg;
    char token[WATCH_TOKEN_SIZE];
    bool overflow;                        /* more different paths than fit: `path` itself stands for them */
    unsigned count;                       /* of `paths` */
    char *paths[WATCH_PATHS_MAX];         /* changed and not yet delivered */
    bool queued;                          /* on the store's `ready` */
    LIST_ENTRY(xendev_watch) link;        /* store->watches */
    TAILQ_ENTRY(xendev_watch) ready_link; /* store->ready */
    char path[];
};

static void watch_forget_paths(struct xendev_watch *watch)
{
    while (watch->count > 0)
        free(watch->paths[--watch->count]);
}

/* Notes that `path` changed. Out of memory is an overflow too: nothing is lost by looking at everything. */
static void watch_note(struct xendev_watch *watch, const char *path)
{
    if (!watch->queued) {
        watch->queued = true;
        TAILQ_INSERT_TAIL(&watch->store->ready, watch, ready_link);
    }
    if (watch->overflow)
        return;
    for (unsigned i = 0; i < watch->count; i++) {
        if (strcmp(watch->paths[i], path) == 0)
            return;
    }
    char *copy = watch->count < WATCH_PATHS_MAX ? strdup(path) : NULL;
    if (copy == NULL) {
        watch->overflow = true;
        watch_forget_paths(watch);
        return;
    }
    watch->paths[watch->count++] = copy;
}

static struct xendev_watch *watch_find(struct xendev_store *store, const char *token)
{
    struct xendev_watch *watch = NULL;

    LIST_FOREACH (watch, &store->watches, link) {
        if (strcmp(watch->token, token) == 0)
            return watch;
    }
    return NULL;
}

void watch_drain(struct xendev_store *store)
{
    for (unsigned taken = 0; taken < WATCH_DRAIN_MAX; taken++) {
        char **event = xs_check_watch(store->xs);
        if (event == NULL) {
            if (errno != EAGAIN && errno != EINTR && errno != ENOMEM)
                store->broken = true;
            break;
        }
        struct xendev_watch *watch = watch_find(store, event[XS_WATCH_TOKEN]);
        if (watch != NULL)
            watch_note(watch, event[XS_WATCH_PATH]);
        free(event);
    }
    if (!TAILQ_EMPTY(&store->ready) || store->broken)
        event_active(store->deliver, EV_TIMEOUT, 0);
}

bool watch_is_due(struct xendev_watch *watch)
{
    /* xenstored sends events and answers in the order of what happened; libxenstore's reader keeps it. */
    watch_drain(watch->store);
    return watch->queued;
}

/* Takes one noted path off the watch at the head of the queue; NULL when out of memory. */
static char *watch_take(struct xendev_store *store, struct xendev_watch *watch)
{
    char *path;

    if (watch->overflow) {
        path = strdup(watch->path);
        watch->overflow = path == NULL;
    } else {
        path = watch->paths[--watch->count];
    }
    TAILQ_REMOVE(&store->ready, watch, ready_link);
    watch->queued = watch->overflow || watch->count > 0;
    if (watch->queued)
        TAILQ_INSERT_TAIL(&store->ready, watch, ready_link);
    return path;
}

static void watch_deliver(struct xendev_store *store)
{
    store->delivering = true;
    while (!store->closed && !TAILQ_EMPTY(&store->ready)) {
        struct xendev_watch *watch = TAILQ_FIRST(&store->ready);
        char *path = watch_take(store, watch);
        if (path == NULL)
            break; /* the tick tries again */
        watch->changed(watch->arg, path);
        free(path);
    }
    if (!store->closed && store->broken && !store->reported) {
        store->reported = true;
        event_del(store->readable);
        event_del(store->tick);
        if (store->lost != NULL)
            store->lost(store->arg);
    }
    store->delivering = false;
    if (store->closed)
        free(store);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    watch_drain(arg);
}

static void on_deliver(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    watch_deliver(arg);
}

int watch_init(struct xendev_store *store)
{
    LIST_INIT(&store->watches);
    TAILQ_INIT(&store->ready);

    int fd = xs_fileno(store->xs);
    if (fd < 0)
        return -EMFILE;
    store->readable = event_new(store->base, fd, EV_READ | EV_PERSIST, on_readable, store);
    store->deliver = event_new(store->base, -1, 0, on_deliver, store);
    store->tick = event_new(store->base, -1, EV_PERSIST, on_readable, store);
    if (store->readable != NULL && store->deliver != NULL && store->tick != NULL &&
        event_add(store->readable, NULL) == 0)
        return 0;
    watch_fini(store);
    return -ENOMEM;
}

static void event_free_any(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

void watch_fini(struct xendev_store *store)
{
    for (struct xendev_watch *watch = LIST_FIRST(&store->watches), *next; watch != NULL; watch = next) {
        next = LIST_NEXT(watch, link);
        xendev_watch_remove(watch);
    }
    event_free_any(store->readable);
    event_free_any(store->deliver);
    event_free_any(store->tick);
}

/* Takes the watch off every list and frees it; xenstored is not told. */
static void watch_free(struct xendev_watch *watch)
{
    LIST_REMOVE(watch, link);
    if (watch->queued)
        TAILQ_REMOVE(&watch->store->ready, watch, ready_link);
    watch_forget_paths(watch);
    free(watch);
}

int xendev_watch_add(struct xendev_store *store, const char *path, void (*changed)(void *arg, const char *path),
                     void *arg, struct xendev_watch **ret_watch)
{
    static const struct timeval second = {.tv_sec = 1};

    if (store->broken)
        return -ENOTCONN;

    size_t length = strlen(path);
    struct xendev_watch *watch = calloc(1, sizeof(*watch) + length + 1);
    if (watch == NULL)
        return -ENOMEM;
    watch->store = store;
    watch->changed = changed;
    watch->arg = arg;
    memcpy(watch->path, path, length + 1);
    snprintf(watch->token, sizeof(watch->token), "%" PRIu64, store->next_token++);

    /* On the list first: xenstored's first event may come before its answer. */
    LIST_INSERT_HEAD(&store->watches, watch, link);
    if (!xs_watch(store->xs, watch->path, watch->token)) {
        int result = store_error(store);
        watch_free(watch);
        return result;
    }
    if (event_add(store->tick, &second) < 0) {
        xendev_watch_remove(watch);
        return -ENOMEM;
    }
    *ret_watch = watch;
    return 0;
}

void xendev_watch_remove(struct xendev_watch *watch)
{
    if (watch == NULL)
        return;
    struct xendev_store *store = watch->store;
    if (!store->broken && !xs_unwatch(store->xs, watch->path, watch->token))
        store_error(store);
    watch_free(watch);
}
