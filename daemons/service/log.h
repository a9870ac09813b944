/* SPDX-License-Identifier: MIT */
/*
 * The log: one line a message on standard error, what it is about in front: "vbd 3/51712: ...".
 *
 * Under systemd each line carries its priority as the journal reads it. A message about a guest has a source, and a
 * source may only write so much: LOG_BURST lines at once, then one each LOG_REFILL_SECONDS; what was left out is
 * counted and said. Bytes that are not printable ASCII are escaped, so that a guest's string cannot forge a line. One
 * thread.
 */
#ifndef SERVICE_LOG_H
#define SERVICE_LOG_H

#include <stdint.h>

#define LOG_BURST          20u
#define LOG_REFILL_SECONDS 10u
#define LOG_LINE_MAX       1024u /* bytes of a message; longer ones are cut */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVELS };
#define LOG_LEVEL_CHOICES "error|warning|info|debug"

/* What messages are about: a device or a guest. Belongs to its owner, who may copy or drop it. */
struct log_source {
    char name[48];     /* "vbd 3/51712" */
    uint32_t tokens;   /* lines it may write now */
    uint32_t left_out; /* lines it could not write since the last one it did */
    int64_t refilled;  /* when tokens were last added: seconds, CLOCK_MONOTONIC */
};
void log_source_init(struct log_source *source, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Finds out whether standard error is the journal. Without it: plain text, LOG_LEVEL_INFO. */
void log_init(enum log_level level);
void log_set_level(enum log_level level);

/* `source` NULL: the daemon itself, never limited; not for what a guest can cause. */
void log_write(enum log_level level, struct log_source *source, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(source, ...)   log_write(LOG_LEVEL_ERROR, source, __VA_ARGS__)
#define log_warning(source, ...) log_write(LOG_LEVEL_WARNING, source, __VA_ARGS__)
#define log_info(source, ...)    log_write(LOG_LEVEL_INFO, source, __VA_ARGS__)
#define log_debug(source, ...)   log_write(LOG_LEVEL_DEBUG, source, __VA_ARGS__)

#endif
