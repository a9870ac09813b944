/* SPDX-License-Identifier: MIT */
/*
 * What ringctl's commands share: options and exit statuses.
 */
#ifndef RINGCTL_RINGCTL_H
#define RINGCTL_RINGCTL_H

#include <stdbool.h>

enum ringctl_exit {
    RINGCTL_OK = 0,
    RINGCTL_REFUSED = 1,   /* the daemon or xenstore said no; the reason was printed */
    RINGCTL_USAGE = 2,     /* the command line is wrong */
    RINGCTL_NO_DAEMON = 3, /* the daemon is not running */
    RINGCTL_NO_DEVICE = 4, /* no such device or domain */
    RINGCTL_TIMEOUT = 5,   /* not done within --timeout */
};

/* What was said of a disk's limits, unread; NULL: nothing. */
struct ringctl_throttle_options {
    const char *iops, *iops_burst;
    const char *bandwidth, *bandwidth_burst;
};

struct ringctl_options {
    const char *socket; /* the daemon's control socket; NULL: that of the device's class */
    const char *kind;   /* of backend nodes; NULL: that of the device's class */
    unsigned timeout;   /* seconds */
    unsigned count;     /* frames; 0: any number */
    unsigned snaplen;   /* bytes of a frame; 0: all */
    unsigned seconds;   /* how long to capture; 0: until it is interrupted */
    struct ringctl_throttle_options throttle;
    bool json;
    bool read_only;
    bool no_discard;
    const char *limit; /* of a coalescence, unread; NULL: there is none */
    bool cancel;
    bool background;
};

/* Prints "ringctl: ..." on standard error and returns `status`. */
enum ringctl_exit ringctl_fail(enum ringctl_exit status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The commands. `target` is DOM/DEV; `words` ends with NULL. */
enum ringctl_exit ringctl_list(const struct ringctl_options *options);
enum ringctl_exit ringctl_show(const struct ringctl_options *options, const char *target);
enum ringctl_exit ringctl_attach_disk(const struct ringctl_options *options, const char *domain, const char *device,
                                      const char *source);
enum ringctl_exit ringctl_attach_nic(const struct ringctl_options *options, const char *domain, char *const *words);
enum ringctl_exit ringctl_resume(const struct ringctl_options *options, const char *target);
enum ringctl_exit ringctl_resize(const struct ringctl_options *options, const char *target, const char *size);
enum ringctl_exit ringctl_snapshot(const struct ringctl_options *options, const char *target, const char *file);
enum ringctl_exit ringctl_coalesce(const struct ringctl_options *options, const char *target);
/* `name` is NULL when there was none. */
enum ringctl_exit ringctl_bridge(const struct ringctl_options *options, const char *what, const char *name);
enum ringctl_exit ringctl_detach(const struct ringctl_options *options, const char *target);
enum ringctl_exit ringctl_capture(const struct ringctl_options *options, const char *target, const char *path);
enum ringctl_exit ringctl_rate(const struct ringctl_options *options, const char *target, const char *rate);
/* `word` is NULL when there was none. */
enum ringctl_exit ringctl_throttle(const struct ringctl_options *options, const char *target, const char *word);

#endif
