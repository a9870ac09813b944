/* SPDX-License-Identifier: MIT */
/*
 * The log. A message is formatted into a bounded buffer, escaped into a second one and written with one call, so that
 * lines of several processes that share the stream do not mix.
 *
 * Each source has a token bucket: a line costs a token, LOG_BURST fit in, one is added each LOG_REFILL_SECONDS.
 */
#include "log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* As sd-daemon(3) and syslog number them. */
static const char *const log_prefixes[] = {"<3>", "<4>", "<6>", "<7>"};
static_assert(sizeof(log_prefixes) / sizeof(log_prefixes[0]) == LOG_LEVELS, "one prefix a level");

static enum log_level log_threshold = LOG_LEVEL_INFO;
static bool log_to_journal;

/* $JOURNAL_STREAM holds device and inode of the journal's socket; a daemon whose standard error was sent elsewhere
 * inherits the variable all the same. */
static bool log_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    if (stream == NULL)
        return false;
    char *colon;
    struct stat status;
    uintmax_t device = strtoumax(stream, &colon, 10);
    return *colon == ':' && fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
           status.st_ino == strtoumax(colon + 1, NULL, 10);
}

void log_init(enum log_level level)
{
    log_threshold = level;
    log_to_journal = log_is_journal();
}

void log_set_level(enum log_level level)
{
    log_threshold = level;
}

static int64_t log_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

void log_source_init(struct log_source *source, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(source->name, sizeof(source->name), format, args);
    va_end(args);
    source->tokens = LOG_BURST;
    source->left_out = 0;
    source->refilled = log_now();
}

/* Whether the source may write a line now; takes the token. */
static bool log_source_take(struct log_source *source)
{
    int64_t added = (log_now() - source->refilled) / LOG_REFILL_SECONDS;
    if (added > 0) {
        source->refilled += added * LOG_REFILL_SECONDS;
        source->tokens = added < LOG_BURST - source->tokens ? source->tokens + (uint32_t)added : LOG_BURST;
    }
    if (source->tokens == 0) {
        if (source->left_out < UINT32_MAX)
            source->left_out++;
        return false;
    }
    source->tokens--;
    return true;
}

/* Escapes what is not printable ASCII as \xNN; returns the length written to `out`, at most 4 times that of `text`. */
static size_t log_escape(char *out, const char *text)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;
    for (const unsigned char *byte = (const unsigned char *)text; *byte != '\0'; byte++) {
        if (*byte >= 0x20 && *byte < 0x7f) {
            out[length++] = (char)*byte;
            continue;
        }
        out[length++] = '\\';
        out[length++] = 'x';
        out[length++] = digits[*byte >> 4];
        out[length++] = digits[*byte & 15];
    }
    return length;
}

static void log_line(enum log_level level, const char *text)
{
    char line[4 + 4 * LOG_LINE_MAX + 2];
    size_t length = 0;
    if (log_to_journal) {
        memcpy(line, log_prefixes[level], 3);
        length = 3;
    }
    length += log_escape(line + length, text);
    line[length++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    ssize_t ignored = write(STDERR_FILENO, line, length);
    (void)ignored;
}

void log_write(enum log_level level, struct log_source *source, const char *format, ...)
{
    if (level > log_threshold || (source != NULL && !log_source_take(source)))
        return;

    char text[LOG_LINE_MAX];
    size_t used = 0;
    if (source != NULL) {
        if (source->left_out > 0) {
            snprintf(text, sizeof(text), "%s: %u messages left out", source->name, source->left_out);
            source->left_out = 0;
            log_line(LOG_LEVEL_WARNING, text);
        }
        used = (size_t)snprintf(text, sizeof(text), "%s: ", source->name);
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof(text) - used, format, args);
    va_end(args);
    log_line(level, text);
}
