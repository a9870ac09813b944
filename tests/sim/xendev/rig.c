/* SPDX-License-Identifier: MIT */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <event2/event.h>

void rig_require_host(void)
{
    if (getenv("SIMXEN_DIR") == NULL) {
        fprintf(stderr, "run me by simhost\n");
        exit(77);
    }
}

static void on_lost(void *arg)
{
    struct rig *rig = arg;

    rig->lost++;
}

void rig_open_store(struct rig *rig)
{
    assert_int_equal(xendev_store_open(rig->base, on_lost, rig, &rig->store), 0);
}

void rig_open(struct rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig->other_base = event_base_new();
    assert_non_null(rig->other_base);
    assert_int_equal(xendev_store_open(rig->other_base, NULL, NULL, &rig->other), 0);
    rig->base = event_base_new();
    assert_non_null(rig->base);
    rig_open_store(rig);
}

void rig_close(struct rig *rig)
{
    xendev_store_close(rig->store);
    event_base_free(rig->base);
    rig_remove(rig, "/test", NULL);
    rig_read(rig, "/test", NULL); /* frees its value */
    xendev_store_close(rig->other);
    event_base_free(rig->other_base);
}

void rig_run_until(struct rig *rig, bool (*done)(void *arg), void *arg)
{
    while (!done(arg))
        event_base_loop(rig->base, EVLOOP_ONCE);
}

static void on_settled(void *arg, const char *path)
{
    unsigned *seen = arg;

    (void)path;
    (*seen)++;
}

void rig_settle(struct rig *rig)
{
    /* xenstored answers and tells of changes in one order: what was written before this watch is set is told before the
     * watch's first event. What is done about it may write and be told of in turn, hence a few rounds. */
    for (unsigned round = 0; round < 4; round++) {
        struct xendev_watch *watch;
        unsigned seen = 0;

        assert_int_equal(xendev_watch_add(rig->store, "/test-settle", on_settled, &seen, &watch), 0);
        while (seen == 0)
            event_base_loop(rig->base, EVLOOP_ONCE);
        xendev_watch_remove(watch);
        while (event_base_loop(rig->base, EVLOOP_NONBLOCK) == 0 &&
               event_base_get_num_events(rig->base, EVENT_BASE_COUNT_ACTIVE) > 0)
            ;
    }
}

void rig_cut(struct rig *rig)
{
    /* The store under test was opened last: its socket is the last that leads to xenstored. */
    int last = -1;
    const char *path = getenv("XENSTORED_PATH");

    (void)rig;
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_un peer = {0};
        socklen_t length = sizeof(peer) - 1;
        if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && peer.sun_family == AF_UNIX &&
            strcmp(peer.sun_path, path) == 0)
            last = fd;
    }
    assert_true(last >= 0);
    assert_int_equal(shutdown(last, SHUT_RDWR), 0);
}

uint32_t rig_domain_create(void)
{
    unsigned domid = 0;
    FILE *output = popen("simxen create", "r");

    assert_non_null(output);
    assert_int_equal(fscanf(output, "%u", &domid), 1);
    assert_int_equal(pclose(output), 0);
    return domid;
}

void rig_domain_destroy(uint32_t domid)
{
    char command[64];

    snprintf(command, sizeof(command), "simxen destroy %u --abrupt", domid);
    assert_int_equal(system(command), 0);
}

int rig_domain_exec(uint32_t domid, const char *command)
{
    char line[512];

    snprintf(line, sizeof(line), "simxen exec %u %s >/dev/null 2>&1", domid, command);
    int status = system(line);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

void rig_write(struct rig *rig, const char *dir, const char *key, const char *value)
{
    assert_int_equal(xendev_store_write(rig->other, XENDEV_NO_TXN, dir, key, "%s", value), 0);
}

void rig_remove(struct rig *rig, const char *dir, const char *key)
{
    assert_int_equal(xendev_store_remove(rig->other, XENDEV_NO_TXN, dir, key), 0);
}

const char *rig_read(struct rig *rig, const char *dir, const char *key)
{
    static char *value;

    free(value);
    value = NULL;
    return xendev_store_read(rig->other, XENDEV_NO_TXN, dir, key, &value) == 0 ? value : "";
}
