/* SPDX-License-Identifier: MIT */
/*
 * What every daemon has, put together: command line, configuration, log, event loop, signals, control socket, service
 * manager. A daemon's main() is one call of service_main() with its struct service_daemon.
 *
 *   DAEMON [--config=FILE] [--check-config] [--KEY=VALUE]... [--help] [--version]
 *
 * Defaults, then the file, then the command line. SIGTERM and SIGINT stop it in order; SIGHUP reads all of that again and
 * takes over what can change while it runs (struct config_key); the other keys that have changed are named in the log. A
 * wrong file changes nothing.
 */
#ifndef SERVICE_SERVICE_H
#define SERVICE_SERVICE_H

#include <stdbool.h>

#include "config.h"

struct event_base;
struct control;
struct service;

#define SERVICE_EXIT_USAGE  64 /* as sysexits.h: the command line is wrong */
#define SERVICE_EXIT_CONFIG 78 /* as sysexits.h: the configuration is wrong; starting again would not help */

struct service_daemon {
    const char *name;                  /* "blkbackd" */
    const char *summary;               /* one line */
    const struct config_table *tables; /* the daemon's own sections; [ringback] is added */
    unsigned table_count;              /* at most SERVICE_TABLES_MAX */
    struct config_family *family;      /* sections of which there may be any number; NULL: none */
    /* Starts the work; the loop is not running yet, the control socket is open. Returns 0, or -errno after logging why;
     * then the daemon exits. */
    int (*start)(struct service *service, void *arg);
    /* Ends it; called once after the loop ended when `start` succeeded. */
    void (*stop)(void *arg);
    /* The configuration was read again, live keys and the family have their new values. May be NULL. */
    void (*reloaded)(void *arg);
    /* Asked before the watchdog is fed: does the work go on? NULL: always. */
    bool (*progress)(void *arg);
    void *arg;
};
#define SERVICE_TABLES_MAX 3u

/* Runs a daemon until it is told to stop; returns its exit status. */
int service_main(const struct service_daemon *daemon, int argc, char **argv);

struct event_base *service_base(const struct service *service);
struct control *service_control(const struct service *service);
const char *service_run_dir(const struct service *service); /* "/run/ringback"; exists */
/* Ends the loop: the daemon stops in order and exits with `status`. */
void service_stop(struct service *service, int status);

#endif
