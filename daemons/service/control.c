/* SPDX-License-Identifier: MIT */
/*
 * The control socket: evhttp on a Unix listener, a list of routes, jansson for the bodies.
 *
 * Who may listen is decided by a lock on a file beside the socket, not by whether somebody answers: the socket of a
 * daemon that was killed while it started a child lives on in that child until its exec. The lock is a record lock,
 * which belongs to one process and which no child inherits. Its file stays: removing it would let two daemons hold
 * locks on two files of that name.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#define CONTROL_HEADERS_MAX     8192
#define CONTROL_TIMEOUT_SECONDS 10
#define CONTROL_BACKLOG         16

struct control_route {
    SLIST_ENTRY(control_route) entry; /* control.routes */
    enum evhttp_cmd_type method;
    char *path;
    bool prefix;
    control_handler handler;
    void *arg;
};

struct control {
    struct evhttp *http;
    char *path; /* of the socket, once it is ours */
    int lock;
    char *name;
    struct timespec started;
    SLIST_HEAD(control_routes, control_route) routes;
    void (*collect)(struct evbuffer *out, void *arg);
    void *collect_arg;
};

struct control_request {
    struct evhttp_request *http;
    const char *tail;
    bool answered;
};

struct control_stream {
    struct evhttp_request *http;
    struct control_stream_user user;
};

/* ---- Requests. -------------------------------------------------------------------------------------------------- */

const char *control_request_tail(const struct control_request *request)
{
    return request->tail;
}

json_t *control_request_body(const struct control_request *request)
{
    struct evbuffer *input = evhttp_request_get_input_buffer(request->http);
    size_t length = evbuffer_get_length(input);
    const char *text = (const char *)evbuffer_pullup(input, -1);
    return text != NULL ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

static const char *control_status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 409:
        return "Conflict";
    case 503:
        return "Service Unavailable";
    default:
        return "Internal Server Error";
    }
}

static void control_send(struct control_request *request, int status, const char *type, struct evbuffer *body)
{
    if (request->answered)
        return;
    request->answered = true;
    evhttp_add_header(evhttp_request_get_output_headers(request->http), "Content-Type", type);
    evhttp_send_reply(request->http, status, control_status_text(status), body);
}

/* Takes `body` over. */
static void control_send_json(struct control_request *request, int status, json_t *body)
{
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    struct evbuffer *buffer = evbuffer_new();
    if (text == NULL || buffer == NULL || evbuffer_add_printf(buffer, "%s\n", text) < 0) {
        /* As evhttp answers when nothing can be built: without a body. */
        control_send(request, 500, "application/json", NULL);
    } else {
        control_send(request, status, "application/json", buffer);
    }
    if (buffer != NULL)
        evbuffer_free(buffer);
    free(text);
}

void control_reply(struct control_request *request, json_t *body)
{
    if (body == NULL)
        control_reply_error(request, 500, "out of memory");
    else
        control_send_json(request, 200, body);
}

void control_reply_error(struct control_request *request, int status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    control_send_json(request, status, json_pack("{s:s}", "error", text));
}

bool control_request_is_roots(const struct control_request *request)
{
    struct bufferevent *connection = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request->http));
    struct ucred peer;
    socklen_t length = sizeof(peer);
    if (getsockopt(bufferevent_getfd(connection), SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

/* ---- Answers that go on. ---------------------------------------------------------------------------------------- */

static void control_stream_drained(struct evhttp_connection *connection, void *arg)
{
    struct control_stream *stream = arg;
    (void)connection;
    stream->user.drained(stream->user.arg);
}

/* The connection is being freed. If that is because of the client, its request is left to us, to be ended; else it goes with it. */
static void control_stream_closed(struct evhttp_connection *connection, void *arg)
{
    struct control_stream *stream = arg;
    (void)connection;
    stream->user.closed(stream->user.arg);
    if (evhttp_request_get_connection(stream->http) == NULL)
        evhttp_send_reply_end(stream->http);
    free(stream);
}

struct control_stream *control_reply_stream(struct control_request *request, const char *type,
                                            const struct control_stream_user *user)
{
    struct control_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL) {
        control_reply_error(request, 500, "out of memory");
        return NULL;
    }
    stream->http = request->http;
    stream->user = *user;
    request->answered = true;
    struct evhttp_connection *connection = evhttp_request_get_connection(request->http);
    evhttp_connection_set_closecb(connection, control_stream_closed, stream);
    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), NULL, NULL);
    evhttp_add_header(evhttp_request_get_output_headers(request->http), "Content-Type", type);
    evhttp_send_reply_start(request->http, 200, control_status_text(200));
    return stream;
}

void control_stream_write(struct control_stream *stream, struct evbuffer *piece)
{
    evhttp_send_reply_chunk_with_cb(stream->http, piece, control_stream_drained, stream);
}

void control_stream_end(struct control_stream *stream)
{
    const struct timeval limit = {.tv_sec = CONTROL_TIMEOUT_SECONDS};
    struct evhttp_connection *connection = evhttp_request_get_connection(stream->http);
    evhttp_connection_set_closecb(connection, NULL, NULL);
    bufferevent_set_timeouts(evhttp_connection_get_bufferevent(connection), &limit, &limit);
    evhttp_send_reply_end(stream->http);
    free(stream);
}

/* ---- Routes. ---------------------------------------------------------------------------------------------------- */

static bool control_route_matches(const struct control_route *route, const char *path)
{
    return route->prefix ? strncmp(path, route->path, strlen(route->path)) == 0 : strcmp(path, route->path) == 0;
}

static void control_dispatch(struct control *control, struct control_request *request, const char *path)
{
    bool known = false;
    const struct control_route *route = NULL;
    SLIST_FOREACH (route, &control->routes, entry) {
        if (!control_route_matches(route, path))
            continue;
        known = true;
        if (route->method != evhttp_request_get_command(request->http))
            continue;
        request->tail = path + strlen(route->path);
        route->handler(request, route->arg);
        if (!request->answered)
            control_reply_error(request, 500, "no answer");
        return;
    }
    if (known)
        control_reply_error(request, 405, "%s does not take this method", path);
    else
        control_reply_error(request, 404, "there is no %s", path);
}

static void control_request_arrived(struct evhttp_request *http, void *arg)
{
    struct control_request request = {.http = http, .tail = ""};
    const char *encoded = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(http));
    char *path = evhttp_uridecode(encoded != NULL ? encoded : "", 0, NULL);
    if (path == NULL)
        control_reply_error(&request, 500, "out of memory");
    else
        control_dispatch(arg, &request, path);
    free(path);
}

static int control_method(const char *name, enum evhttp_cmd_type *ret_method)
{
    static const struct {
        const char *name;
        enum evhttp_cmd_type method;
    } methods[] = {
        {"GET", EVHTTP_REQ_GET}, {"POST", EVHTTP_REQ_POST}, {"PUT", EVHTTP_REQ_PUT}, {"DELETE", EVHTTP_REQ_DELETE}};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(methods[i].name, name) == 0) {
            *ret_method = methods[i].method;
            return 0;
        }
    return -EINVAL;
}

int control_route(struct control *control, const char *method, const char *path, control_handler handler, void *arg)
{
    enum evhttp_cmd_type command;
    int result = control_method(method, &command);
    if (result < 0)
        return result;
    struct control_route *route = calloc(1, sizeof(*route));
    if (route == NULL || (route->path = strdup(path)) == NULL) {
        free(route);
        return -ENOMEM;
    }
    route->method = command;
    route->prefix = path[strlen(path) - 1] == '/';
    route->handler = handler;
    route->arg = arg;
    SLIST_INSERT_HEAD(&control->routes, route, entry);
    return 0;
}

/* ---- What is always there. -------------------------------------------------------------------------------------- */

static int64_t control_uptime(const struct control *control)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec - control->started.tv_sec;
}

static void control_get_status(struct control_request *request, void *arg)
{
    const struct control *control = arg;
    control_reply(request, json_pack("{s:s, s:s, s:I, s:I}", "daemon", control->name, "version", RINGBACK_VERSION,
                                     "pid", (json_int_t)getpid(), "uptime", (json_int_t)control_uptime(control)));
}

static void control_get_metrics(struct control_request *request, void *arg)
{
    const struct control *control = arg;
    struct evbuffer *out = evbuffer_new();
    if (out == NULL) {
        control_reply_error(request, 500, "out of memory");
        return;
    }
    const char *const labels[] = {"daemon", control->name, NULL};
    control_metric_describe(out, "ringback_uptime_seconds", "gauge", "Time since the daemon started");
    control_metric_sample(out, "ringback_uptime_seconds", labels, (uint64_t)control_uptime(control));
    if (control->collect != NULL)
        control->collect(out, control->collect_arg);
    control_send(request, 200, "text/plain; version=0.0.4", out);
    evbuffer_free(out);
}

void control_set_metrics(struct control *control, void (*collect)(struct evbuffer *out, void *arg), void *arg)
{
    control->collect = collect;
    control->collect_arg = arg;
}

void control_metric_describe(struct evbuffer *out, const char *name, const char *type, const char *help)
{
    evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The text format's escapes: backslash, quote, newline. */
static void control_metric_label(struct evbuffer *out, const char *name, const char *value)
{
    evbuffer_add_printf(out, "%s=\"", name);
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"')
            evbuffer_add_printf(out, "\\%c", *value);
        else if (*value == '\n')
            evbuffer_add(out, "\\n", 2);
        else
            evbuffer_add(out, value, 1);
    }
    evbuffer_add(out, "\"", 1);
}

void control_metric_sample(struct evbuffer *out, const char *name, const char *const *labels, uint64_t value)
{
    evbuffer_add(out, name, strlen(name));
    for (const char *const *label = labels; label != NULL && label[0] != NULL; label += 2) {
        evbuffer_add(out, label == labels ? "{" : ",", 1);
        control_metric_label(out, label[0], label[1]);
    }
    evbuffer_add_printf(out, "%s %llu\n", labels != NULL && labels[0] != NULL ? "}" : "", (unsigned long long)value);
}

/* ---- The socket. ------------------------------------------------------------------------------------------------ */

static int control_address(const char *path, struct sockaddr_un *ret_address)
{
    if (strlen(path) >= sizeof(ret_address->sun_path))
        return -ENAMETOOLONG;
    memset(ret_address, 0, sizeof(*ret_address));
    ret_address->sun_family = AF_UNIX;
    memcpy(ret_address->sun_path, path, strlen(path));
    return 0;
}

/* Returns a descriptor that holds the lock; -EADDRINUSE when another process does; another -errno. */
static int control_lock(const char *path)
{
    const struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char name[PATH_MAX];
    int length = snprintf(name, sizeof(name), "%s.lock", path);
    if (length < 0 || (size_t)length >= sizeof(name))
        return -ENAMETOOLONG;
    int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    if (fcntl(fd, F_SETLK, &whole) == 0)
        return fd;
    int result = errno == EAGAIN || errno == EACCES ? -EADDRINUSE : -errno;
    close(fd);
    return result;
}

/* Removes the socket of a dead daemon. Returns 0, -EADDRINUSE when something else is in its place, or another -errno. */
static int control_remove_stale(const char *path)
{
    struct stat status;
    if (lstat(path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EADDRINUSE;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Returns a bound socket, or -errno. The lock is held. */
static int control_bind(const struct sockaddr_un *address)
{
    int result = control_remove_stale(address->sun_path);
    if (result < 0)
        return result;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    mode_t old_mask = umask(0117);
    result = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    umask(old_mask);
    if (result < 0) {
        close(fd);
        return result;
    }
    return fd;
}

/* Locks, binds and hands the listener over to evhttp. Returns 0 or -errno. */
static int control_listen(struct control *control, struct event_base *base, const char *path)
{
    struct sockaddr_un address;
    int result = control_address(path, &address);
    if (result < 0)
        return result;
    control->lock = control_lock(path);
    if (control->lock < 0)
        return control->lock;
    int fd = control_bind(&address);
    if (fd < 0)
        return fd;
    control->path = strdup(path);
    struct evconnlistener *listener = NULL;
    if (control->path != NULL)
        listener =
            evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, CONTROL_BACKLOG, fd);
    if (listener == NULL) {
        close(fd);
        unlink(path);
        return -ENOMEM;
    }
    if (evhttp_bind_listener(control->http, listener) == NULL) {
        evconnlistener_free(listener);
        return -ENOMEM;
    }
    return 0;
}

int control_open(struct event_base *base, const char *path, const char *name, struct control **ret_control)
{
    struct control *control = calloc(1, sizeof(*control));
    if (control == NULL)
        return -ENOMEM;
    SLIST_INIT(&control->routes);
    control->lock = -1;
    clock_gettime(CLOCK_BOOTTIME, &control->started);
    int result = -ENOMEM;
    control->name = strdup(name);
    control->http = evhttp_new(base);
    if (control->name == NULL || control->http == NULL)
        goto failed;
    evhttp_set_max_headers_size(control->http, CONTROL_HEADERS_MAX);
    evhttp_set_max_body_size(control->http, CONTROL_BODY_MAX);
    evhttp_set_timeout(control->http, CONTROL_TIMEOUT_SECONDS);
    evhttp_set_gencb(control->http, control_request_arrived, control);
    result = control_route(control, "GET", "/v1/status", control_get_status, control);
    if (result == 0)
        result = control_route(control, "GET", "/metrics", control_get_metrics, control);
    if (result == 0)
        result = control_listen(control, base, path);
    if (result < 0)
        goto failed;
    *ret_control = control;
    return 0;
failed:
    control_close(control);
    return result;
}

void control_close(struct control *control)
{
    if (control == NULL)
        return;
    if (control->http != NULL)
        evhttp_free(control->http);
    if (control->path != NULL)
        unlink(control->path);
    if (control->lock >= 0)
        close(control->lock);
    while (!SLIST_EMPTY(&control->routes)) {
        struct control_route *route = SLIST_FIRST(&control->routes);
        SLIST_REMOVE_HEAD(&control->routes, entry);
        free(route->path);
        free(route);
    }
    free(control->path);
    free(control->name);
    free(control);
}
