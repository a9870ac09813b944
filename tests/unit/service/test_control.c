/* SPDX-License-Identifier: MIT */
/*
 * The control socket, spoken to as any HTTP client would.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/event.h>

#include <service/control.h>

struct fixture {
    struct event_base *base;
    struct control *control;
    char directory[32];
    char path[64];
    char answer[8192];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->directory, "/tmp/test_control.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->path, sizeof(fixture->path), "%s/socket", fixture->directory);
    fixture->base = event_base_new();
    assert_int_equal(control_open(fixture->base, fixture->path, "testd", &fixture->control), 0);
    *state = fixture;
    return 0;
}

static void remove_lock(const char *path)
{
    char name[96];
    snprintf(name, sizeof(name), "%s.lock", path);
    assert_int_equal(unlink(name), 0);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    control_close(fixture->control);
    remove_lock(fixture->path);
    event_base_free(fixture->base);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Sends a request and turns the loop until the answer is complete. Returns the HTTP status, 0 when the connection was
 * just closed. */
static int ask(struct fixture *fixture, const char *method, const char *path, const char *body, size_t body_length)
{
    char head[512];
    int fd = connect_to(fixture->path);
    int length =
        snprintf(head, sizeof(head), "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n", method, path, body_length);
    assert_int_equal(send(fd, head, (size_t)length, MSG_NOSIGNAL), length);
    size_t sent = 0;
    size_t received = 0;
    for (;;) {
        if (sent < body_length) {
            ssize_t more = send(fd, body + sent, body_length - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (more > 0)
                sent += (size_t)more;
            else if (errno != EAGAIN)
                sent = body_length;
        }
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        ssize_t more = recv(fd, fixture->answer + received, sizeof(fixture->answer) - 1 - received, MSG_DONTWAIT);
        if (more == 0 || (more < 0 && errno != EAGAIN))
            break;
        if (more > 0)
            received += (size_t)more;
    }
    close(fd);
    fixture->answer[received] = '\0';
    int status = 0;
    sscanf(fixture->answer, "HTTP/%*s %d", &status);
    return status;
}

static const char *answer_body(const struct fixture *fixture)
{
    const char *body = strstr(fixture->answer, "\r\n\r\n");
    assert_non_null(body);
    return body + 4;
}

static void echo(struct control_request *request, void *arg)
{
    json_t *body = control_request_body(request);
    if (body == NULL)
        control_reply_error(request, 400, "no JSON in the %s", (const char *)arg);
    else
        control_reply(request, json_pack("{s:s, s:o}", "tail", control_request_tail(request), "body", body));
}

static void say_nothing(struct control_request *request, void *arg)
{
    (void)request;
    (void)arg;
}

static void run_out(struct control_request *request, void *arg)
{
    (void)arg;
    control_reply(request, NULL);
}

static void status_is_always_there(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(ask(fixture, "GET", "/v1/status", NULL, 0), 200);
    json_t *body = json_loads(answer_body(fixture), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(body, "daemon")), "testd");
    assert_string_equal(json_string_value(json_object_get(body, "version")), RINGBACK_VERSION);
    assert_int_equal(json_integer_value(json_object_get(body, "pid")), getpid());
    assert_true(json_integer_value(json_object_get(body, "uptime")) >= 0);
    json_decref(body);
}

static void a_prefix_route_gets_tail_and_body(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(control_route(fixture->control, "POST", "/v1/echo/", echo, "body"), 0);
    assert_int_equal(ask(fixture, "POST", "/v1/echo/3/xv%64a?x=y", "{\"a\":1}", 7), 200);
    assert_string_equal(answer_body(fixture), "{\"tail\":\"3/xvda\",\"body\":{\"a\":1}}\n");
}

static void errors_are_sentences(void **state)
{
    struct fixture *fixture = *state;
    control_route(fixture->control, "POST", "/v1/echo", echo, "body");
    control_route(fixture->control, "GET", "/v1/nothing", say_nothing, NULL);
    control_route(fixture->control, "GET", "/v1/fail", run_out, NULL);
    assert_int_equal(ask(fixture, "POST", "/v1/echo", "{", 1), 400);
    assert_string_equal(answer_body(fixture), "{\"error\":\"no JSON in the body\"}\n");
    assert_int_equal(ask(fixture, "GET", "/v1/echo", NULL, 0), 405);
    assert_int_equal(ask(fixture, "GET", "/v1/echo/more", NULL, 0), 404);
    assert_string_equal(answer_body(fixture), "{\"error\":\"there is no /v1/echo/more\"}\n");
    assert_int_equal(ask(fixture, "GET", "/v1/nothing", NULL, 0), 500);
    assert_int_equal(ask(fixture, "GET", "/v1/fail", NULL, 0), 500);
    assert_int_equal(ask(fixture, "GET", "/v1/status", NULL, 0), 200);
}

static void an_unknown_method_is_not_a_route(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(control_route(fixture->control, "FETCH", "/v1/x", echo, NULL), -EINVAL);
}

static void a_body_too_large_is_refused(void **state)
{
    struct fixture *fixture = *state;
    control_route(fixture->control, "POST", "/v1/echo", echo, "body");
    size_t size = 2 * CONTROL_BODY_MAX;
    char *body = calloc(1, size);
    assert_int_not_equal(ask(fixture, "POST", "/v1/echo", body, size), 200);
    free(body);
    assert_int_equal(ask(fixture, "GET", "/v1/status", NULL, 0), 200);
}

/* ---- Answers that go on. ---- */

static struct stream {
    struct control_stream *stream;
    unsigned drained;
    unsigned closed;
} stream;

static void stream_write(size_t length)
{
    struct evbuffer *piece = evbuffer_new();
    char *bytes = malloc(length);
    memset(bytes, 'x', length);
    evbuffer_add(piece, bytes, length);
    control_stream_write(stream.stream, piece);
    assert_int_equal(evbuffer_get_length(piece), 0);
    evbuffer_free(piece);
    free(bytes);
}

static void on_drained(void *arg)
{
    assert_ptr_equal(arg, &stream);
    stream.drained++;
}

static void on_closed(void *arg)
{
    assert_ptr_equal(arg, &stream);
    stream.closed++;
}

static void begin_stream(struct control_request *request, void *arg)
{
    const struct control_stream_user user = {.drained = on_drained, .closed = on_closed, .arg = &stream};
    (void)arg;
    stream = (struct stream){.stream = control_reply_stream(request, "text/plain", &user)};
    assert_non_null(stream.stream);
}

/* Asks for a stream, turns the loop until it has begun. Returns the client's socket. */
static int ask_stream(struct fixture *fixture)
{
    static const char request[] = "GET /v1/stream HTTP/1.0\r\n\r\n";
    int fd = connect_to(fixture->path);
    stream.stream = NULL;
    assert_int_equal(control_route(fixture->control, "GET", "/v1/stream", begin_stream, NULL), 0);
    assert_int_equal(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
    while (stream.stream == NULL)
        event_base_loop(fixture->base, EVLOOP_ONCE);
    return fd;
}

/* Reads what has come, up to the end of file (true) or to nothing more. */
static bool read_some(struct fixture *fixture, int fd, size_t *total)
{
    ssize_t got;
    for (int idle = 0; idle < 10; idle++) {
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        while ((got = recv(fd, fixture->answer, sizeof(fixture->answer) - 1, MSG_DONTWAIT)) > 0) {
            *total += (size_t)got;
            idle = 0;
            event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        }
        if (got == 0)
            return true;
    }
    return false;
}

static void a_stream_is_written_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    size_t head = 0, total = 0;
    int fd = ask_stream(fixture);
    assert_false(read_some(fixture, fd, &head));
    assert_memory_equal(fixture->answer, "HTTP/1.0 200 OK\r\n", 17);
    assert_int_equal(stream.drained, 0);
    stream_write(5);
    assert_false(read_some(fixture, fd, &total));
    assert_int_equal(total, 5);
    assert_int_equal(stream.drained, 1);
    stream_write(1000000);
    assert_false(read_some(fixture, fd, &total));
    assert_int_equal(total, 1000005);
    assert_int_equal(stream.drained, 2);
    stream_write(7);
    control_stream_end(stream.stream);
    assert_true(read_some(fixture, fd, &total));
    assert_int_equal(total, 1000012);
    assert_int_equal(stream.closed, 0);
    assert_int_equal(stream.drained, 2);
    close(fd);
    assert_int_equal(ask(fixture, "GET", "/v1/status", NULL, 0), 200);
}

static void who_does_not_read_drains_nothing(void **state)
{
    struct fixture *fixture = *state;
    int fd = ask_stream(fixture);
    stream_write(4000000);
    for (int i = 0; i < 20; i++)
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    assert_int_equal(stream.drained, 0);
    close(fd);
    while (stream.closed == 0)
        event_base_loop(fixture->base, EVLOOP_ONCE);
    assert_int_equal(stream.drained, 0);
}

static void a_client_that_goes_is_told_once(void **state)
{
    struct fixture *fixture = *state;
    int fd = ask_stream(fixture);
    close(fd);
    while (stream.closed == 0)
        event_base_loop(fixture->base, EVLOOP_ONCE);
    for (int i = 0; i < 5; i++)
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
    assert_int_equal(stream.closed, 1);
    assert_int_equal(ask(fixture, "GET", "/v1/status", NULL, 0), 200);
}

static void a_stream_closes_with_its_socket(void **state)
{
    struct fixture *fixture = *state;
    int fd = ask_stream(fixture);
    control_close(fixture->control);
    assert_int_equal(stream.closed, 1);
    remove_lock(fixture->path);
    assert_int_equal(control_open(fixture->base, fixture->path, "testd", &fixture->control), 0);
    close(fd);
}

static void who_asks(struct control_request *request, void *arg)
{
    (void)arg;
    control_reply(request, json_pack("{s:b}", "root", control_request_is_roots(request)));
}

static void others_than_root_are_known(void **state)
{
    struct fixture *fixture = *state;
    char answer[512] = "";
    size_t length = 0;
    ssize_t got;
    int status, sockets[2];
    control_route(fixture->control, "GET", "/v1/who", who_asks, NULL);
    assert_int_equal(ask(fixture, "GET", "/v1/who", NULL, 0), 200);
    assert_string_equal(answer_body(fixture), "{\"root\":true}\n");
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(fixture->directory, 0755) | chmod(fixture->path, 0666), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
    pid_t other = fork();
    if (other == 0) {
        static const char request[] = "GET /v1/who HTTP/1.0\r\n\r\n";
        if (setresuid(65534, 65534, 65534) < 0)
            _exit(1);
        int fd = connect_to(fixture->path);
        if (send(fd, request, sizeof(request) - 1, 0) < 0)
            _exit(1);
        while ((got = recv(fd, answer, sizeof(answer), 0)) > 0)
            if (write(sockets[1], answer, (size_t)got) != got)
                _exit(1);
        _exit(0);
    }
    close(sockets[1]);
    for (;;) {
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        got = recv(sockets[0], answer + length, sizeof(answer) - 1 - length, MSG_DONTWAIT);
        if (got == 0)
            break;
        length += got > 0 ? (size_t)got : 0;
    }
    close(sockets[0]);
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);
    assert_non_null(strstr(answer, "{\"root\":false}\n"));
}

static void collect(struct evbuffer *out, void *arg)
{
    const char *const labels[] = {"device", arg, NULL};
    control_metric_describe(out, "test_requests_total", "counter", "Requests");
    control_metric_sample(out, "test_requests_total", labels, 5);
    control_metric_sample(out, "test_plain", NULL, 6);
}

static void metrics_are_prometheus_text(void **state)
{
    struct fixture *fixture = *state;
    control_set_metrics(fixture->control, collect, "a\"b\\c\nd");
    assert_int_equal(ask(fixture, "GET", "/metrics", NULL, 0), 200);
    assert_non_null(strstr(fixture->answer, "Content-Type: text/plain; version=0.0.4\r\n"));
    assert_non_null(strstr(answer_body(fixture), "ringback_uptime_seconds{daemon=\"testd\"} "));
    assert_non_null(strstr(answer_body(fixture),
                           "# HELP test_requests_total Requests\n# TYPE test_requests_total counter\n"
                           "test_requests_total{device=\"a\\\"b\\\\c\\nd\"} 5\ntest_plain 6\n"));
}

static void the_socket_is_roots(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
}

static void a_living_daemons_socket_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    int status;
    pid_t other = fork();
    if (other == 0) {
        struct control *second;
        _exit(control_open(fixture->base, fixture->path, "testd", &second) == -EADDRINUSE ? 0 : 1);
    }
    assert_int_equal(waitpid(other, &status, 0), other);
    assert_int_equal(status, 0);
    assert_int_equal(ask(fixture, "GET", "/v1/status", NULL, 0), 200);
}

/* Serves on `path` until it is killed, with a child that holds copies of all descriptors, as between fork and exec; `ready` is written when
 * both are there. */
__attribute__((noreturn)) static void serve_with_child(const char *path, int ready)
{
    struct control *control;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (control_open(event_base_new(), path, "testd", &control) < 0)
        _exit(1);
    pid_t child = fork();
    if (child > 0 && write(ready, &child, sizeof(child)) != sizeof(child))
        _exit(1);
    for (;;)
        pause();
}

static void a_killed_daemons_child_does_not_hold_its_place(void **state)
{
    struct fixture *fixture = *state;
    char path[80];
    int ready[2];
    pid_t child;
    snprintf(path, sizeof(path), "%s/killed", fixture->directory);
    assert_int_equal(pipe(ready), 0);
    pid_t daemon = fork();
    if (daemon == 0)
        serve_with_child(path, ready[1]);
    assert_int_equal(read(ready[0], &child, sizeof(child)), sizeof(child));
    kill(daemon, SIGKILL);
    waitpid(daemon, NULL, 0);
    struct control *second;
    int result = control_open(fixture->base, path, "testd", &second);
    kill(child, SIGKILL);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(result, 0);
    control_close(second);
    remove_lock(path);
}

static void a_dead_daemons_socket_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    char path[80];
    snprintf(path, sizeof(path), "%s/dead", fixture->directory);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    struct control *second;
    assert_int_equal(control_open(fixture->base, path, "testd", &second), 0);
    control_close(second);
    assert_int_equal(access(path, F_OK), -1);
    remove_lock(path);
}

static void a_file_in_the_way_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[80];
    snprintf(path, sizeof(path), "%s/file", fixture->directory);
    fclose(fopen(path, "w"));
    struct control *second;
    assert_int_equal(control_open(fixture->base, path, "testd", &second), -EADDRINUSE);
    assert_int_equal(unlink(path), 0);
    remove_lock(path);
}

static void a_path_too_long_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[200];
    memset(path, 'x', sizeof(path) - 1);
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    struct control *second;
    assert_int_equal(control_open(fixture->base, path, "testd", &second), -ENAMETOOLONG);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as a daemon does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(status_is_always_there, setup, teardown),
        cmocka_unit_test_setup_teardown(a_prefix_route_gets_tail_and_body, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_are_sentences, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_method_is_not_a_route, setup, teardown),
        cmocka_unit_test_setup_teardown(a_body_too_large_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_is_written_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_read_drains_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_that_goes_is_told_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_closes_with_its_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(others_than_root_are_known, setup, teardown),
        cmocka_unit_test_setup_teardown(metrics_are_prometheus_text, setup, teardown),
        cmocka_unit_test_setup_teardown(the_socket_is_roots, setup, teardown),
        cmocka_unit_test_setup_teardown(a_living_daemons_socket_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_daemons_child_does_not_hold_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dead_daemons_socket_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_in_the_way_is_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_path_too_long_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
