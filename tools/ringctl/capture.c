/* SPDX-License-Identifier: MIT */
/*
 * `ringctl capture`: what netbackd tells of a card's frames (netback/capture_stream.h), as a pcap file.
 *
 * It ends by a signal, by --count or --time, when nobody reads its output any more, or with the daemon or the card. What was written until then is a whole file.
 * Signals are taken while it waits, for frames or for who reads the file, and nowhere else.
 */
#include "ringctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <netback/capture_stream.h>
#include <pcap/pcap.h>

#include "daemon.h"
#include "domain.h"

#define CAPTURE_BUFFER_SIZE (1u << 20) /* more than any record */

struct capture {
    const struct ringctl_options *options;
    const char *path;
    struct target target;
    int stream;
    pcap_t *format;
    pcap_dumper_t *file;
    uint8_t *buffer;
    size_t filled;
    uint64_t sent;
    uint64_t received;
    uint64_t dropped;
    bool over;
    enum ringctl_exit status; /* once it is over */
};

static volatile sig_atomic_t capture_stopped;

static void capture_on_signal(int number)
{
    (void)number;
    capture_stopped = 1;
}

static void capture_take_signals(sigset_t *ret_signals)
{
    const struct sigaction action = {.sa_handler = capture_on_signal}; /* no SA_RESTART: a write that waits ends */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(ret_signals);
    sigaddset(ret_signals, SIGINT);
    sigaddset(ret_signals, SIGTERM);
    sigprocmask(SIG_BLOCK, ret_signals, NULL);
}

static void capture_end(struct capture *capture, enum ringctl_exit status)
{
    capture->over = true;
    capture->status = status;
}

/* ---- The file. -------------------------------------------------------------------------------------------------- */

static enum ringctl_exit capture_open_file(struct capture *capture)
{
    capture->format = pcap_open_dead(DLT_EN10MB, capture->options->snaplen > 0 ? (int)capture->options->snaplen
                                                                               : (int)CAPTURE_FRAME_MAX);
    if (capture->format == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "out of memory");
    capture->file = pcap_dump_open(capture->format, capture->path);
    if (capture->file == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "%s", pcap_geterr(capture->format));
    return RINGCTL_OK;
}

/* Who reads a pipe may be slow, or be gone, which is no fault. */
static void capture_check_file(struct capture *capture, bool good, int error)
{
    if (good)
        return;
    if (capture_stopped || error == EPIPE)
        capture_end(capture, RINGCTL_OK);
    else
        capture_end(capture, ringctl_fail(RINGCTL_REFUSED, "%s cannot be written: %s", capture->path, strerror(error)));
}

static void capture_write(struct capture *capture, const struct capture_record *record, const uint8_t *frame)
{
    const struct pcap_pkthdr header = {
        .ts = {.tv_sec = (time_t)(record->number / 1000000000u),
               .tv_usec = (suseconds_t)(record->number % 1000000000u / 1000u)},
        .caplen = record->follow,
        .len = record->length,
    };
    pcap_dump((u_char *)capture->file, &header, frame);
    if (record->direction == CAPTURE_SENT)
        capture->sent++;
    else
        capture->received++;
    capture_check_file(capture, ferror(pcap_dump_file(capture->file)) == 0, errno);
    if (!capture->over && capture->options->count > 0 && capture->sent + capture->received == capture->options->count)
        capture_end(capture, RINGCTL_OK);
}

static void capture_flush(struct capture *capture)
{
    bool good = pcap_dump_flush(capture->file) == 0;
    capture_check_file(capture, good, errno);
}

/* ---- The stream. ------------------------------------------------------------------------------------------------ */

static void capture_obey(struct capture *capture, const struct capture_record *record, const uint8_t *follow)
{
    if (record->type == CAPTURE_FRAME)
        capture_write(capture, record, follow);
    else if (record->type == CAPTURE_DROPPED)
        capture->dropped = record->number;
    else
        capture_end(capture,
                    ringctl_fail(RINGCTL_REFUSED, "the daemon says: %.*s", (int)record->follow, (const char *)follow));
}

/* Takes all whole records out of the buffer. */
static void capture_take(struct capture *capture)
{
    size_t at = 0;
    struct capture_record record;
    while (!capture->over && capture->filled - at >= CAPTURE_RECORD_SIZE) {
        if (capture_record_decode(capture->buffer + at, &record) < 0) {
            capture_end(capture, ringctl_fail(RINGCTL_REFUSED, "what the daemon says cannot be understood"));
            return;
        }
        if (capture->filled - at - CAPTURE_RECORD_SIZE < record.follow)
            break;
        capture_obey(capture, &record, capture->buffer + at + CAPTURE_RECORD_SIZE);
        at += CAPTURE_RECORD_SIZE + record.follow;
    }
    capture->filled -= at;
    memmove(capture->buffer, capture->buffer + at, capture->filled);
}

static void capture_receive(struct capture *capture)
{
    ssize_t got =
        recv(capture->stream, capture->buffer + capture->filled, CAPTURE_BUFFER_SIZE - capture->filled, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        capture_end(capture, ringctl_fail(RINGCTL_NO_DAEMON, "the daemon has ended"));
        return;
    }
    capture->filled += (size_t)got;
    capture_take(capture);
}

/* ---- Until it is over. ------------------------------------------------------------------------------------------ */

static int64_t capture_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void capture_wait(struct capture *capture, const sigset_t *normal, int64_t left_ms)
{
    const struct timespec limit = {.tv_sec = left_ms / 1000, .tv_nsec = left_ms % 1000 * 1000000};
    struct pollfd fds[] = {{.fd = capture->stream, .events = POLLIN},
                           {.fd = fileno(pcap_dump_file(capture->file))}}; /* tells when nobody reads it */
    if (ppoll(fds, 2, capture->options->seconds > 0 ? &limit : NULL, normal) > 0 &&
        (fds[1].revents & (POLLERR | POLLHUP)) != 0)
        capture_stopped = 1;
}

static void capture_run(struct capture *capture)
{
    const int64_t end_ms = capture_now_ms() + (int64_t)capture->options->seconds * 1000;
    sigset_t signals;
    sigset_t normal;
    sigprocmask(SIG_BLOCK, NULL, &normal);
    capture_take_signals(&signals);
    while (!capture->over) {
        int64_t left_ms = end_ms - capture_now_ms();
        if (capture->options->seconds == 0 || left_ms > 0)
            capture_wait(capture, &normal, left_ms);
        if (capture_stopped || (capture->options->seconds > 0 && capture_now_ms() >= end_ms)) {
            capture_end(capture, RINGCTL_OK);
            return;
        }
        sigprocmask(SIG_UNBLOCK, &signals, NULL);
        capture_receive(capture);
        if (!capture->over)
            capture_flush(capture);
        sigprocmask(SIG_BLOCK, &signals, NULL);
    }
}

static void capture_print(const struct capture *capture)
{
    FILE *stream = strcmp(capture->path, "-") == 0 ? stderr : stdout; /* the file is not to be mixed with it */
    if (capture->options->json)
        fprintf(stream, "{\"domid\": %u, \"devid\": %u, \"sent\": %llu, \"received\": %llu, \"dropped\": %llu}\n",
                capture->target.domid, capture->target.devid, (unsigned long long)capture->sent,
                (unsigned long long)capture->received, (unsigned long long)capture->dropped);
    else
        fprintf(stream, "%llu frames captured, %llu sent and %llu received by the guest; %llu found no room\n",
                (unsigned long long)(capture->sent + capture->received), (unsigned long long)capture->sent,
                (unsigned long long)capture->received, (unsigned long long)capture->dropped);
}

/* Asks for it. */
static enum ringctl_exit capture_begin(struct capture *capture)
{
    enum ringctl_exit status = target_find(NULL, &capture->target);
    if (status != RINGCTL_OK)
        return status;
    char path[64];
    char label[TARGET_LABEL_SIZE];
    char missing[128];
    char body[64] = "";
    target_label(&capture->target, label);
    snprintf(path, sizeof(path), "/v1/devices/%u/%u/capture", capture->target.domid, capture->target.devid);
    snprintf(missing, sizeof(missing), "the daemon serves no %s to domain %u", label, capture->target.domid);
    if (capture->options->snaplen > 0)
        snprintf(body, sizeof(body), "{\"snaplen\": %u}", capture->options->snaplen);
    return daemon_ask_stream(capture->options, capture->target.class, path, body, missing, &capture->stream);
}

enum ringctl_exit ringctl_capture(const struct ringctl_options *options, const char *text, const char *path)
{
    struct capture capture = {.options = options, .path = path, .stream = -1};
    enum ringctl_exit status = target_parse(text, &capture.target);
    if (status != RINGCTL_OK)
        return status;
    if (capture.target.class->id != CLASS_CARD)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is a disk: only a card's frames can be captured", text);
    capture.buffer = malloc(CAPTURE_BUFFER_SIZE);
    if (capture.buffer == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "out of memory");
    status = capture_begin(&capture);
    if (status == RINGCTL_OK)
        status = capture_open_file(&capture);
    if (status == RINGCTL_OK) {
        capture_run(&capture);
        status = capture.status;
        if (pcap_dump_flush(capture.file) != 0 && status == RINGCTL_OK && errno != EPIPE && errno != EINTR)
            status = ringctl_fail(RINGCTL_REFUSED, "%s cannot be written: %s", path, strerror(errno));
        capture_print(&capture);
        pcap_dump_close(capture.file);
    }
    if (capture.format != NULL)
        pcap_close(capture.format);
    if (capture.stream >= 0)
        close(capture.stream);
    free(capture.buffer);
    return status;
}
