/* SPDX-License-Identifier: MIT */
/*
 * ringctl's answers and exit statuses, with a daemon that knows one disk. Run with the program's path.
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
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include <service/control.h>

#include "ringctl.h"

static const char *program;

struct fixture {
    char directory[32];
    char socket[64];
    pid_t server;
    char output[8192]; /* of the last run, both streams */
};

static json_t *disk(void)
{
    return json_pack("{s:i, s:i, s:s, s:s}", "domid", 3, "devid", 51712, "name", "xvda", "kind", "ram");
}

static void get_devices(struct control_request *request, void *arg)
{
    (void)arg;
    control_reply(request, json_pack("{s:[o]}", "devices", disk()));
}

static void get_device(struct control_request *request, void *arg)
{
    (void)arg;
    const char *tail = control_request_tail(request);
    if (strcmp(tail, "3/51712") == 0)
        control_reply(request, disk());
    else if (strcmp(tail, "3/51728") == 0)
        control_reply_error(request, 503, "try again");
    else
        control_reply_error(request, 404, "there is no vbd %s", tail);
}

/* One disk is parked. */
static void post_device(struct control_request *request, void *arg)
{
    (void)arg;
    const char *tail = control_request_tail(request);
    if (strcmp(tail, "3/51712/resume") == 0)
        control_reply(request, json_pack("{s:s}", "activity", "recovering"));
    else if (strcmp(tail, "3/51728/resume") == 0)
        control_reply_error(request, 409, "vbd 3/51728 is not parked");
    else
        control_reply_error(request, 404, "there is no vbd %s", tail);
}

/* Serves until it is killed; says on `ready` that it does. */
__attribute__((noreturn)) static void serve(const char *path, int ready)
{
    struct control *control;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct event_base *base = event_base_new();
    if (control_open(base, path, "testd", &control) < 0 ||
        control_route(control, "GET", "/v1/devices", get_devices, NULL) < 0 ||
        control_route(control, "GET", "/v1/devices/", get_device, NULL) < 0 ||
        control_route(control, "POST", "/v1/devices/", post_device, NULL) < 0 || write(ready, "r", 1) != 1)
        _exit(1);
    event_base_dispatch(base);
    _exit(1);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->directory, "/tmp/test_ringctl.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->socket, sizeof(fixture->socket), "%s/socket", fixture->directory);
    *state = fixture;
    return 0;
}

static int setup_with_daemon(void **state)
{
    int ready[2];
    char byte;
    setup(state);
    struct fixture *fixture = *state;
    assert_int_equal(pipe(ready), 0);
    fixture->server = fork();
    if (fixture->server == 0)
        serve(fixture->socket, ready[1]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->server > 0) {
        kill(fixture->server, SIGKILL);
        waitpid(fixture->server, NULL, 0);
    }
    unlink(fixture->socket);
    strcat(fixture->socket, ".lock");
    unlink(fixture->socket);
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

/* Runs ringctl with these arguments; returns its exit status. */
static int run(struct fixture *fixture, const char *arguments)
{
    char command[512];
    snprintf(command, sizeof(command), "%s %s --socket=%s 2>&1", program, arguments, fixture->socket);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    size_t length = fread(fixture->output, 1, sizeof(fixture->output) - 1, stream);
    fixture->output[length] = '\0';
    int status = pclose(stream);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void list_prints_a_table(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "list"), RINGCTL_OK);
    assert_int_equal(strncmp(fixture->output, "DOM    DEV  NAME", 16), 0);
    assert_non_null(strstr(fixture->output, "\n  3  51712  xvda  ram "));
}

static void json_is_the_daemons_own(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "list --json"), RINGCTL_OK);
    json_t *body = json_loads(fixture->output, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json_object_get(body, "devices"), 0), "devid")),
                     51712);
    json_decref(body);
    assert_int_equal(run(fixture, "show --json 3/xvda"), RINGCTL_OK);
    body = json_loads(fixture->output, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(body, "name")), "xvda");
    json_decref(body);
}

static void show_takes_names_and_numbers(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "show 3/xvda"), RINGCTL_OK);
    assert_non_null(strstr(fixture->output, "  name            xvda\n"));
    assert_int_equal(run(fixture, "show 3/51712"), RINGCTL_OK);
}

static void a_missing_disk_has_its_status(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "show 7/xvda"), RINGCTL_NO_DEVICE);
    assert_string_equal(fixture->output, "ringctl: the daemon serves no disk xvda (51712) to domain 7\n");
    assert_int_equal(run(fixture, "show 3/vif1"), RINGCTL_NO_DEVICE);
    assert_string_equal(fixture->output, "ringctl: the daemon serves no card vif1 to domain 3\n");
}

static void a_refusal_tells_the_daemons_reason(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "show 3/xvdb"), RINGCTL_REFUSED);
    assert_string_equal(fixture->output, "ringctl: the daemon says: try again\n");
}

static void resume_asks_for_one_disk(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "resume 3/xvda"), RINGCTL_OK);
    assert_string_equal(fixture->output, "3/xvda is tried again\n");
    assert_int_equal(run(fixture, "resume --json 3/xvda"), RINGCTL_OK);
    assert_non_null(strstr(fixture->output, "\"activity\": \"recovering\""));
    assert_int_equal(run(fixture, "resume 3/xvdb"), RINGCTL_REFUSED);
    assert_string_equal(fixture->output, "ringctl: the daemon says: vbd 3/51728 is not parked\n");
    assert_int_equal(run(fixture, "resume 7/xvda"), RINGCTL_NO_DEVICE);
}

static void a_daemon_that_is_not_running_has_its_status(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "list"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "show 3/xvda"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "attach disk 3 xvda ram:1M"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "detach 3/xvda"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "resume 3/xvda"), RINGCTL_NO_DAEMON);
    assert_non_null(strstr(fixture->output, "is blkbackd running?"));
    assert_int_equal(run(fixture, "show 3/vif0"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "attach nic 3 script=none"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "rate 3/vif0 none"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "throttle 3/xvda none"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "throttle 3/xvda --iops=5 --bandwidth=4194303T"), RINGCTL_NO_DAEMON);
    assert_int_equal(run(fixture, "detach 3/vif0"), RINGCTL_NO_DAEMON);
    assert_non_null(strstr(fixture->output, "is netbackd running?"));
}

static void wrong_command_lines_have_their_status(void **state)
{
    static const char *const lines[] = {
        "",
        "frobnicate",
        "list 3",
        "list --ro",
        "show",
        "show 3",
        "show /xvda",
        "show 3/",
        "show 3/nonsense",
        "attach 3 xvda ram:1M",
        "attach disk 3 xvda",
        "attach disk 3 xvda ram:1M more",
        "attach disk 3 vif0 ram:1M",
        "attach cable 3",
        "attach nic",
        "attach nic 3 xvda ram:1M",
        "attach nic 3 bridge",
        "attach nic 3 bridge=br0 bridge=br0",
        "attach nic --ro 3",
        "rate 3/vif0",
        "rate 3/vif0 fast",
        "rate 3/vif0 0Mb/s",
        "rate 3/vif0 1Mb/s 2Mb/s",
        "rate 3/xvda 1Mb/s",
        "rate --timeout=1 3/vif0 none",
        "throttle 3/xvda",
        "throttle 3/xvda slow",
        "throttle 3/vif0 none",
        "throttle 3/xvda none --iops=5",
        "throttle 3/xvda --iops=",
        "throttle 3/xvda --iops=-5",
        "throttle 3/xvda --iops=5K",
        "throttle 3/xvda --iops=0",
        "throttle 3/xvda --iops=4611686018427387904",
        "throttle 3/xvda --iops=99999999999999999999",
        "throttle 3/xvda --bandwidth=4194304T",
        "throttle 3/xvda --bandwidth=5KB",
        "throttle 3/xvda --bandwidth=K",
        "throttle 3/xvda --iops-burst=5",
        "throttle 3/xvda --iops=none --iops-burst=5",
        "throttle 3/xvda --iops=default --iops-burst=5",
        "throttle 3/xvda --iops=5 --iops-burst=none",
        "throttle 3/xvda --iops=5 --bandwidth-burst=5",
        "show --iops=5 3/xvda",
        "--iops=5 throttle 3/xvda",
        "resume 3/vif0",
        "show 3/vif",
        "show 3/vif01",
        "show 3/vif0x",
        "show 3/vif-1",
        "show 3/vif1000000",
        "attach disk 3 eth0 ram:1M",
        "attach disk 3 xvda ''",
        "detach --timeout=0 3/xvda",
        "detach --timeout=soon 3/xvda",
        "detach --timeout=-1 3/xvda",
        "show --colour 3/xvda",
        "detach --ro 3/xvda",
        "--ro attach disk 3 xvda ram:1M",
        "--timeout 5 detach 3/xvda",
        "list --version",
        "resume",
        "resume --ro 3/xvda",
        "resize 3/xvda",
        "resize 3/xvda large",
        "resize 3/xvda 0",
        "resize 3/xvda 1000",
        "resize 3/vif0 1G",
        "resize --ro 3/xvda 1G",
        "snapshot 3/xvda",
        "snapshot 3/xvda folder/",
        "snapshot 3/vif0 kept.vhd",
        "snapshot --ro 3/xvda kept.vhd",
        "coalesce",
        "coalesce --limit=0 3/xvda",
        "coalesce --limit=fast 3/xvda",
        "coalesce --cancel --background 3/xvda",
        "coalesce 3/vif0",
        "resize --limit=1M 3/xvda 1G",
        "attach nic --no-discard 3",
        "detach --no-discard 3/xvda",
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        if (run(fixture, lines[i]) != RINGCTL_USAGE)
            fail_msg("'ringctl %s' is not refused: %s", lines[i], fixture->output);
}

static void common_options_may_stand_before_the_command(void **state)
{
    struct fixture *fixture = *state;
    char line[128];
    assert_int_equal(run(fixture, "--json show 3/xvda"), RINGCTL_OK);
    assert_int_equal(fixture->output[0], '{');
    snprintf(line, sizeof(line), "--socket=%s list --help", fixture->socket);
    assert_int_equal(run(fixture, line), RINGCTL_OK);
    assert_non_null(strstr(fixture->output, "usage: ringctl list "));
    assert_int_equal(run(fixture, "--socket /nonexistent --json list"), RINGCTL_OK); /* the last one counts */
    snprintf(line, sizeof(line), "--socket %s list --json; :", fixture->socket);
    assert_int_equal(run(fixture, line), RINGCTL_OK);
    assert_int_equal(fixture->output[0], '{');
}

static void help_is_always_there(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(run(fixture, "attach --help"), RINGCTL_OK);
    assert_non_null(strstr(fixture->output, "usage: ringctl attach [OPTION]... disk DOM DEV SPEC\n"
                                            "       ringctl attach [OPTION]... nic DOM [KEY=VALUE,...]\n"));
    assert_non_null(strstr(fixture->output, "--ro "));
    assert_int_equal(run(fixture, "--help"), RINGCTL_OK);
    assert_int_equal(run(fixture, "--version"), RINGCTL_OK);
    assert_string_equal(fixture->output, "ringctl " RINGBACK_VERSION "\n");
}

/* What listens at the socket, for one connection: reads the request, answers with `text` and ends. */
static pid_t answer_once(const struct fixture *fixture, const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, fixture->socket);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 1), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char request[256];
        int connection = accept(listener, NULL, NULL);
        bool asked = read(connection, request, sizeof(request)) > 0;
        _exit(asked && write(connection, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : 1);
    }
    close(listener);
    return pid;
}

static void something_else_behind_the_socket_is_told(void **state)
{
    struct fixture *fixture = *state;
    pid_t pid = answer_once(fixture, "hello\r\n\r\n{}");
    assert_int_equal(run(fixture, "list"), RINGCTL_REFUSED);
    assert_non_null(strstr(fixture->output, "is not a daemon of ringback\n"));
    waitpid(pid, NULL, 0);
}

static void a_daemon_that_ends_meanwhile_is_not_running(void **state)
{
    struct fixture *fixture = *state;
    pid_t pid = answer_once(fixture, "");
    assert_int_equal(run(fixture, "list"), RINGCTL_NO_DAEMON);
    waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(list_prints_a_table, setup_with_daemon, teardown),
        cmocka_unit_test_setup_teardown(json_is_the_daemons_own, setup_with_daemon, teardown),
        cmocka_unit_test_setup_teardown(show_takes_names_and_numbers, setup_with_daemon, teardown),
        cmocka_unit_test_setup_teardown(a_missing_disk_has_its_status, setup_with_daemon, teardown),
        cmocka_unit_test_setup_teardown(a_refusal_tells_the_daemons_reason, setup_with_daemon, teardown),
        cmocka_unit_test_setup_teardown(resume_asks_for_one_disk, setup_with_daemon, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_that_is_not_running_has_its_status, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_command_lines_have_their_status, setup_with_daemon, teardown),
        cmocka_unit_test_setup_teardown(common_options_may_stand_before_the_command, setup_with_daemon, teardown),
        cmocka_unit_test_setup_teardown(help_is_always_there, setup, teardown),
        cmocka_unit_test_setup_teardown(something_else_behind_the_socket_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_daemon_that_ends_meanwhile_is_not_running, setup, teardown),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_ringctl RINGCTL\n");
        return 2;
    }
    program = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
