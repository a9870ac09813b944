/* SPDX-License-Identifier: MIT */
/*
 * The frame of a daemon: a small daemon is run in a child process, with a socket in the place of the service manager.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <service/log.h>
#include <service/notify.h>
#include <service/service.h>

static struct values {
    char *greeting;
    uint64_t live;
} values;

static const struct config_key keys[] = {
    {.name = "greeting", .type = CONFIG_STRING, .offset = 0, .fallback = "hello", .help = "what is said"},
    {.name = "live",
     .type = CONFIG_NUMBER,
     .offset = offsetof(struct values, live),
     .fallback = "1",
     .live = true,
     .help = "what can change"},
};
static const struct config_table tables[] = {{"test", keys, 2, &values}};

static int start(struct service *service, void *arg)
{
    (void)arg;
    if (strcmp(values.greeting, "refuse") == 0) {
        log_error(NULL, "start refused");
        return -EINVAL;
    }
    if (strcmp(values.greeting, "leave") == 0)
        service_stop(service, 5);
    notify_status("says %s in %s", values.greeting, service_run_dir(service));
    return 0;
}

static void stop(void *arg)
{
    (void)arg;
    log_info(NULL, "stopped in order, %llu", (unsigned long long)values.live);
}

static bool progress(void *arg)
{
    (void)arg;
    return strcmp(values.greeting, "stuck") != 0;
}

static const struct service_daemon daemon_under_test = {
    .name = "testd",
    .summary = "a daemon to test with",
    .tables = tables,
    .table_count = 1,
    .start = start,
    .stop = stop,
    .progress = progress,
};

struct fixture {
    char directory[32];
    char log[64];
    char run_dir_option[80];
    char config_option[80];
    int manager; /* what the daemon tells the service manager arrives here */
    pid_t child;
    char text[8192];
};

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    strcpy(fixture->directory, "/tmp/test_service.XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->log, sizeof(fixture->log), "%s/log", fixture->directory);
    snprintf(fixture->run_dir_option, sizeof(fixture->run_dir_option), "--run-dir=%s/run", fixture->directory);
    snprintf(fixture->config_option, sizeof(fixture->config_option), "--config=%s/conf", fixture->directory);
    fclose(fopen(fixture->config_option + strlen("--config="), "w"));

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", fixture->directory);
    fixture->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fixture->manager, (const struct sockaddr *)&address, sizeof(address)), 0);
    const struct timeval limit = {.tv_sec = 20};
    setsockopt(fixture->manager, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    unsetenv("WATCHDOG_USEC");
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[64];
    snprintf(command, sizeof(command), "rm -r %s", fixture->directory);
    assert_int_equal(system(command), 0);
    close(fixture->manager);
    unsetenv("NOTIFY_SOCKET");
    free(fixture);
    return 0;
}

static void write_config(const struct fixture *fixture, const char *text)
{
    FILE *file = fopen(fixture->config_option + strlen("--config="), "w");
    fputs(text, file);
    fclose(file);
}

/* Starts the daemon with two more options (or NULL), its output in the log file. */
static void launch(struct fixture *fixture, const char *first, const char *second)
{
    fixture->child = fork();
    assert_true(fixture->child >= 0);
    if (fixture->child > 0)
        return;
    int fd = open(fixture->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    char *argv[] = {(char *)(uintptr_t) "testd", fixture->config_option,    fixture->run_dir_option,
                    (char *)(uintptr_t)first,    (char *)(uintptr_t)second, NULL};
    int status = service_main(&daemon_under_test, 3 + (first != NULL) + (second != NULL), argv);
    exit(status);
}

static int wait_for_exit(const struct fixture *fixture)
{
    int status;
    assert_int_equal(waitpid(fixture->child, &status, 0), fixture->child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static const char *logged(struct fixture *fixture)
{
    int fd = open(fixture->log, O_RDONLY);
    ssize_t length = read(fd, fixture->text, sizeof(fixture->text) - 1);
    close(fd);
    assert_true(length >= 0);
    fixture->text[length] = '\0';
    return fixture->text;
}

static void expect_notice(const struct fixture *fixture, const char *expected)
{
    char text[512];
    ssize_t length = recv(fixture->manager, text, sizeof(text) - 1, 0);
    assert_true(length > 0);
    text[length] = '\0';
    assert_string_equal(text, expected);
}

static void expect_started(const struct fixture *fixture, const char *greeting)
{
    char text[256];
    snprintf(text, sizeof(text), "STATUS=says %s in %s/run", greeting, fixture->directory);
    expect_notice(fixture, text);
    expect_notice(fixture, "READY=1");
}

static void expect_reloaded(const struct fixture *fixture)
{
    char text[256];
    ssize_t length = recv(fixture->manager, text, sizeof(text) - 1, 0);
    assert_true(length > 0);
    text[length] = '\0';
    assert_int_equal(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
    expect_notice(fixture, "READY=1");
}

static void it_starts_and_stops_in_order(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, NULL, NULL);
    expect_started(fixture, "hello");
    kill(fixture->child, SIGTERM);
    expect_notice(fixture, "STOPPING=1");
    assert_int_equal(wait_for_exit(fixture), 0);
    assert_non_null(strstr(logged(fixture), "stopped in order, "));
    char socket_path[64];
    snprintf(socket_path, sizeof(socket_path), "%s/run/testd.sock", fixture->directory);
    assert_int_equal(access(socket_path, F_OK), -1);
}

static void the_command_line_outranks_the_file(void **state)
{
    struct fixture *fixture = *state;
    write_config(fixture, "[test]\ngreeting = from file\n");
    launch(fixture, NULL, NULL);
    expect_started(fixture, "from file");
    kill(fixture->child, SIGINT);
    assert_int_equal(wait_for_exit(fixture), 0);
    expect_notice(fixture, "STOPPING=1");
    launch(fixture, "--greeting=from option", NULL);
    expect_started(fixture, "from option");
    kill(fixture->child, SIGINT);
    assert_int_equal(wait_for_exit(fixture), 0);
}

static void its_own_exit_status_is_kept(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, "--greeting=leave", NULL);
    assert_int_equal(wait_for_exit(fixture), 5);
    assert_non_null(strstr(logged(fixture), "stopped in order, "));
}

static void a_refused_start_is_a_failure(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, "--greeting=refuse", NULL);
    assert_int_equal(wait_for_exit(fixture), EXIT_FAILURE);
    assert_null(strstr(logged(fixture), "stopped in order, "));
}

static void wrong_options_and_files_have_their_status(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, "--colour=red", NULL);
    assert_int_equal(wait_for_exit(fixture), SERVICE_EXIT_USAGE);
    write_config(fixture, "[test]\ncolour = red\n");
    launch(fixture, NULL, NULL);
    assert_int_equal(wait_for_exit(fixture), SERVICE_EXIT_CONFIG);
    assert_non_null(strstr(logged(fixture), "/conf:2: unknown key 'colour' in [test]\n"));
    launch(fixture, "--config=/nonexistent", NULL);
    assert_int_equal(wait_for_exit(fixture), SERVICE_EXIT_CONFIG);
}

static void check_config_does_not_start(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, "--check-config", NULL);
    assert_int_equal(wait_for_exit(fixture), 0);
    assert_non_null(strstr(logged(fixture), "/conf: good\n"));
    write_config(fixture, "[ringback]\nlog-level = loud\n");
    launch(fixture, "--check-config", NULL);
    assert_int_equal(wait_for_exit(fixture), SERVICE_EXIT_CONFIG);
}

static void help_and_version_do_not_start(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, "--help", NULL);
    assert_int_equal(wait_for_exit(fixture), 0);
    launch(fixture, "--version", NULL);
    assert_int_equal(wait_for_exit(fixture), 0);
    const char *text = logged(fixture);
    assert_non_null(strstr(text, "testd - a daemon to test with\n"));
    assert_non_null(strstr(text, "\n[ringback]\n  --run-dir=PATH\n"));
    assert_non_null(strstr(text, "\n[test]\n  --greeting=TEXT\n      what is said (hello)\n"));
    assert_non_null(strstr(text, "testd " RINGBACK_VERSION "\n"));
}

static void a_second_daemon_is_refused(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, NULL, NULL);
    expect_started(fixture, "hello");
    pid_t first = fixture->child;
    launch(fixture, NULL, NULL);
    assert_int_equal(wait_for_exit(fixture), EXIT_FAILURE);
    assert_non_null(strstr(logged(fixture), "another testd serves "));
    fixture->child = first;
    kill(first, SIGTERM);
    assert_int_equal(wait_for_exit(fixture), 0);
}

static void a_run_dir_not_on_a_tmpfs_is_warned_of(void **state)
{
    struct fixture *fixture = *state;
    char path[] = "/dev/shm/test_service.XXXXXX", option[64];
    assert_non_null(mkdtemp(path));
    snprintf(option, sizeof(option), "--run-dir=%s", path);
    launch(fixture, option, "--greeting=leave");
    assert_int_equal(wait_for_exit(fixture), 5);
    assert_null(strstr(logged(fixture), "tmpfs"));
    launch(fixture, "--run-dir=/proc", NULL); /* where no socket can be, either */
    assert_int_equal(wait_for_exit(fixture), EXIT_FAILURE);
    assert_non_null(strstr(logged(fixture), "run-dir /proc is not on a tmpfs"));
    snprintf(option, sizeof(option), "rm -r %s", path);
    assert_int_equal(system(option), 0);
}

/* Waits until the log holds `text`; the signal under test is handled within a turn of the daemon's loop. */
static void expect_logged(struct fixture *fixture, const char *text)
{
    for (unsigned i = 0; i < 2000 && strstr(logged(fixture), text) == NULL; i++)
        usleep(10000);
    assert_non_null(strstr(logged(fixture), text));
}

static void sighup_takes_what_is_live(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, NULL, NULL);
    expect_started(fixture, "hello");
    write_config(fixture, "[test]\nlive = 3\nnonsense = 1\n");
    kill(fixture->child, SIGHUP);
    expect_reloaded(fixture);
    expect_logged(fixture, "conf:3: unknown key 'nonsense' in [test]\n");
    write_config(fixture, "[test]\ngreeting = other\nlive = 3\n");
    kill(fixture->child, SIGHUP);
    expect_reloaded(fixture);
    expect_logged(fixture, "greeting has changed, which takes effect at the next start\n");
    expect_logged(fixture, "conf: 1 changes taken over\n"); /* so of the wrong file nothing was */
    write_config(fixture, "[ringback]\nlog-level = error\n[test]\nlive = 3\n");
    kill(fixture->child, SIGHUP);
    expect_reloaded(fixture);
    kill(fixture->child, SIGTERM);
    assert_int_equal(wait_for_exit(fixture), 0);
    assert_null(strstr(logged(fixture), "stopped in order")); /* the log level was taken over */
}

static void the_command_line_outranks_a_reload(void **state)
{
    struct fixture *fixture = *state;
    launch(fixture, "--live=7", NULL);
    expect_started(fixture, "hello");
    write_config(fixture, "[test]\nlive = 3\n");
    kill(fixture->child, SIGHUP);
    expect_reloaded(fixture);
    kill(fixture->child, SIGTERM);
    assert_int_equal(wait_for_exit(fixture), 0);
    assert_non_null(strstr(logged(fixture), "stopped in order, 7"));
}

static void the_watchdog_is_fed_while_work_goes_on(void **state)
{
    struct fixture *fixture = *state;
    setenv("WATCHDOG_USEC", "20000", 1);
    launch(fixture, NULL, NULL);
    expect_started(fixture, "hello");
    expect_notice(fixture, "WATCHDOG=1");
    expect_notice(fixture, "WATCHDOG=1");
    kill(fixture->child, SIGTERM);
    assert_int_equal(wait_for_exit(fixture), 0);
}

static void the_watchdog_is_not_fed_without_progress(void **state)
{
    struct fixture *fixture = *state;
    setenv("WATCHDOG_USEC", "20000", 1);
    launch(fixture, "--greeting=stuck", NULL);
    expect_started(fixture, "stuck");
    usleep(200000); /* ten times the watchdog's time: what is not fed by then never is */
    kill(fixture->child, SIGTERM);
    expect_notice(fixture, "STOPPING=1");
    assert_int_equal(wait_for_exit(fixture), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_starts_and_stops_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(the_command_line_outranks_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(its_own_exit_status_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_start_is_a_failure, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_options_and_files_have_their_status, setup, teardown),
        cmocka_unit_test_setup_teardown(check_config_does_not_start, setup, teardown),
        cmocka_unit_test_setup_teardown(help_and_version_do_not_start, setup, teardown),
        cmocka_unit_test_setup_teardown(a_second_daemon_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_run_dir_not_on_a_tmpfs_is_warned_of, setup, teardown),
        cmocka_unit_test_setup_teardown(sighup_takes_what_is_live, setup, teardown),
        cmocka_unit_test_setup_teardown(the_command_line_outranks_a_reload, setup, teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_is_fed_while_work_goes_on, setup, teardown),
        cmocka_unit_test_setup_teardown(the_watchdog_is_not_fed_without_progress, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
