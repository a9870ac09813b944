/* SPDX-License-Identifier: MIT */
/*
 * The control socket: HTTP on a Unix socket that only root and its group may open (mode 0660), JSON in and out. An error is answered
 * as {"error": "sentence"} with a fitting HTTP status. Requests are bounded in size and time.
 *
 * Always there: GET /v1/status (daemon, version, pid, uptime in seconds) and GET /metrics (Prometheus text). On the
 * loop's thread.
 */
#ifndef SERVICE_CONTROL_H
#define SERVICE_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct event_base;
struct evbuffer;
struct control;
struct control_request;
struct control_stream;

#define CONTROL_BODY_MAX 65536u /* bytes of a request's body */

/* Answers the request before it returns, by exactly one of the control_reply calls; what control_reply_stream() began goes on. */
typedef void (*control_handler)(struct control_request *request, void *arg);

/* Listens on `path`, in place of a socket whose owner is dead. `name` is the daemon's. The file `path`.lock, which stays,
 * sees to it that one process at a time serves there; a process may open a path once. Returns 0; -EADDRINUSE when another
 * process serves there, or something that is no socket is in the way; another -errno. */
int control_open(struct event_base *base, const char *path, const char *name, struct control **ret_control);
/* Closes connections and removes the socket. Takes NULL. */
void control_close(struct control *control);

/* Registers what answers `method` ("GET", "POST", "DELETE") on `path`; a path that ends in '/' answers all below it.
 * The strings are copied. A known path with another method is answered 405. Returns 0, -ENOMEM, -EINVAL for an unknown
 * method. */
int control_route(struct control *control, const char *method, const char *path, control_handler handler, void *arg);

/* What follows a prefix route's path, decoded: "3/51712" for /v1/devices/3/51712; "" for an exact route. */
const char *control_request_tail(const struct control_request *request);
/* The body as JSON, a new reference; NULL when it is none. */
json_t *control_request_body(const struct control_request *request);

/* Answers 200 with `body`; takes the reference over. NULL (out of memory while building it) is answered 500. */
void control_reply(struct control_request *request, json_t *body);
void control_reply_error(struct control_request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether who asks is root, or the daemon's own user; else it is somebody of the socket's group. */
bool control_request_is_roots(const struct control_request *request);

/* ---- Answers that go on. ---- */

/* What who streams is told, from the loop; never from within a call of these functions. */
struct control_stream_user {
    /* The client has taken all that was written: write more now, or whenever there is more. */
    void (*drained)(void *arg);
    /* The client is gone. The stream is freed on return. */
    void (*closed)(void *arg);
    void *arg;
};

/* Answers 200 with a body that is written in pieces, for as long as both ends like: no limit of time holds for it. The stream is the caller's, to end,
 * until `closed`. Returns NULL when out of memory, which was answered. */
struct control_stream *control_reply_stream(struct control_request *request, const char *type,
                                            const struct control_stream_user *user);
/* Writes all of the buffer, which is not empty and is empty then, behind what the client has not taken yet: who waits for `drained` bounds that. */
void control_stream_write(struct control_stream *stream, struct evbuffer *piece);
/* The body ends with what was written. Frees the stream; its user is told nothing more. */
void control_stream_end(struct control_stream *stream);

/* Registers what adds the daemon's own metrics to /metrics. */
void control_set_metrics(struct control *control, void (*collect)(struct evbuffer *out, void *arg), void *arg);

/* One metric: its description once, then a line for each sample. `type` is "counter" or "gauge". `labels` is a
 * NULL-terminated list of alternating names and values, or NULL. */
void control_metric_describe(struct evbuffer *out, const char *name, const char *type, const char *help);
void control_metric_sample(struct evbuffer *out, const char *name, const char *const *labels, uint64_t value);

#endif
