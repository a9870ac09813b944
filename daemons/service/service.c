/* SPDX-License-Identifier: MIT */
/*
 * The frame of a daemon: each part is opened in order, torn down in reverse.
 */
#include "service.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <event2/event.h>

#include "control.h"
#include "log.h"
#include "notify.h"

#define SERVICE_CONFIG_FILE "/etc/ringback/ringback.conf"

struct service_values {
    char *run_dir;
    unsigned log_level;
};

static const struct config_key service_keys[] = {
    {.name = "run-dir",
     .type = CONFIG_PATH,
     .offset = offsetof(struct service_values, run_dir),
     .fallback = "/run/ringback",
     .help = "where what outlives a process is kept, and the control sockets; on a tmpfs"},
    {.name = "log-level",
     .type = CONFIG_CHOICE,
     .offset = offsetof(struct service_values, log_level),
     .fallback = "info",
     .choices = LOG_LEVEL_CHOICES,
     .live = true,
     .help = "what is logged: this and what is worse"},
};

/* All daemons read the same file: what is another one's is not this one's to judge. */
static const char *const service_sections[] = {"blkback", "netback", "tapbridge", "bridge *"};
#define SERVICE_SECTIONS (sizeof(service_sections) / sizeof(service_sections[0]))

#define SERVICE_ALL_TABLES_MAX (1 + SERVICE_TABLES_MAX + SERVICE_SECTIONS)

struct service {
    const struct service_daemon *daemon;
    const char *config_file;
    bool config_required; /* named on the command line, so it must exist */
    bool check_only;
    struct service_values values;
    struct config_table tables[SERVICE_ALL_TABLES_MAX];
    unsigned table_count;
    int argc;
    char **argv;

    struct event_base *base;
    struct event *signals[3];
    struct control *control;
    struct notify *notify;
    int status;
};

struct event_base *service_base(const struct service *service)
{
    return service->base;
}

struct control *service_control(const struct service *service)
{
    return service->control;
}

const char *service_run_dir(const struct service *service)
{
    return service->values.run_dir;
}

void service_stop(struct service *service, int status)
{
    service->status = status;
    event_base_loopexit(service->base, NULL);
}

/* ---- Command line and configuration. ---------------------------------------------------------------------------- */

static void service_print_help(const struct service *service)
{
    const struct service_daemon *daemon = service->daemon;
    printf("%s - %s\n\n"
           "usage: %s [OPTION]...\n\n"
           "  --config=FILE\n      read FILE (" SERVICE_CONFIG_FILE ")\n"
           "  --check-config\n      check the configuration and exit\n"
           "  --help, --version\n"
           "\nKeys of the configuration file, which are options too:\n",
           daemon->name, daemon->summary, daemon->name);
    config_print_help(service->tables, service->table_count, stdout);
    if (daemon->family != NULL)
        config_family_print_help(daemon->family, stdout);
}

/* Takes --config, --check-config, --help and --version. Returns whether to go on; if not, the status to exit with is
 * set. */
static bool service_parse_options(struct service *service, int *ret_status)
{
    for (int i = 1; i < service->argc; i++) {
        const char *argument = service->argv[i];
        if (strcmp(argument, "--help") == 0) {
            service_print_help(service);
            *ret_status = EXIT_SUCCESS;
            return false;
        }
        if (strcmp(argument, "--version") == 0) {
            printf("%s %s\n", service->daemon->name, RINGBACK_VERSION);
            *ret_status = EXIT_SUCCESS;
            return false;
        }
        if (strcmp(argument, "--check-config") == 0) {
            service->check_only = true;
        } else if (strncmp(argument, "--config=", 9) == 0) {
            service->config_file = argument + 9;
            service->config_required = true;
        }
    }
    return true;
}

static bool service_is_key_option(const char *argument)
{
    return strcmp(argument, "--check-config") != 0 && strncmp(argument, "--config=", 9) != 0;
}

/* Defaults, file, command line, in that order. Returns 0, or the status to exit with and the reason. */
static int service_read(const struct service *service, const struct config_table *tables, struct config_family *family,
                        struct config_error *ret_error)
{
    if (config_set_defaults(tables, service->table_count, ret_error) < 0)
        return EXIT_FAILURE;
    int result = config_read_file_with(tables, service->table_count, family, service->config_file, ret_error);
    if (result < 0 && (result != -ENOENT || service->config_required))
        return SERVICE_EXIT_CONFIG;
    for (int i = 1; i < service->argc; i++) {
        if (!service_is_key_option(service->argv[i]))
            continue;
        if (config_set_argument(tables, service->table_count, service->argv[i], ret_error) < 0)
            return SERVICE_EXIT_USAGE;
    }
    return 0;
}

static int service_configure(struct service *service)
{
    struct config_error error = {""};
    int status = service_read(service, service->tables, service->daemon->family, &error);
    if (status == 0)
        log_set_level((enum log_level)service->values.log_level);
    else
        log_error(NULL, "%s", error.text);
    return status;
}

static void service_say_kept(const struct config_key *key)
{
    log_warning(NULL, "%s has changed, which takes effect at the next start", key->name);
}

/* Reads everything again, beside the values in use. */
static void service_reload(struct service *service)
{
    struct config_table fresh[SERVICE_ALL_TABLES_MAX];
    struct config_family family = {.count = 0};
    struct config_error error = {"out of memory"};
    int status = 0;

    for (unsigned i = 0; i < service->table_count; i++) {
        fresh[i] = service->tables[i];
        if (fresh[i].keys == NULL)
            continue;
        fresh[i].values = calloc(1, config_values_size(&fresh[i]));
        if (fresh[i].values == NULL)
            status = EXIT_FAILURE;
    }
    if (service->daemon->family != NULL) {
        family = *service->daemon->family;
        family.tables = NULL;
        family.count = 0;
    }
    if (status == 0)
        status = service_read(service, fresh, service->daemon->family != NULL ? &family : NULL, &error);
    if (status != 0) {
        log_error(NULL, "not reloaded: %s", error.text);
    } else {
        unsigned taken = config_take(service->tables, fresh, service->table_count, service_say_kept);
        log_set_level((enum log_level)service->values.log_level);
        if (service->daemon->family != NULL) {
            const struct config_family old = *service->daemon->family;
            *service->daemon->family = family;
            family = old;
        }
        log_info(NULL, "reloaded %s: %u changes taken over", service->config_file, taken);
        if (service->daemon->reloaded != NULL)
            service->daemon->reloaded(service->daemon->arg);
    }
    config_family_fini(&family);
    config_fini(fresh, service->table_count);
    for (unsigned i = 0; i < service->table_count; i++)
        free(fresh[i].values);
}

/* ---- Signals. --------------------------------------------------------------------------------------------------- */

static void service_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct service *service = arg;
    if (number != SIGHUP) {
        service_stop(service, EXIT_SUCCESS);
        return;
    }
    notify_reloading();
    service_reload(service);
    notify_ready();
}

static int service_catch_signals(struct service *service)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    static_assert(sizeof(numbers) / sizeof(numbers[0]) == sizeof(service->signals) / sizeof(service->signals[0]),
                  "an event each");
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        service->signals[i] = evsignal_new(service->base, numbers[i], service_signal, service);
        if (service->signals[i] == NULL || event_add(service->signals[i], NULL) != 0)
            return -ENOMEM;
    }
    return 0;
}

/* Puts the tables together: what all have, the daemon's own, and what others have. */
static void service_declare(struct service *service)
{
    const struct service_daemon *daemon = service->daemon;
    service->tables[0] = (struct config_table){"ringback", service_keys, sizeof(service_keys) / sizeof(service_keys[0]),
                                               &service->values};
    assert(daemon->table_count <= SERVICE_TABLES_MAX);
    memcpy(&service->tables[1], daemon->tables, daemon->table_count * sizeof(daemon->tables[0]));
    service->table_count = 1 + daemon->table_count;
    for (size_t i = 0; i < SERVICE_SECTIONS; i++) {
        const char *section = service_sections[i];
        bool own = daemon->family != NULL && strncmp(daemon->family->kind, section, strlen(daemon->family->kind)) == 0;
        for (unsigned t = 0; t < daemon->table_count; t++)
            own |= strcmp(daemon->tables[t].section, section) == 0;
        if (!own)
            service->tables[service->table_count++] = (struct config_table){.section = section};
    }
}

/* ---- The life of a daemon. -------------------------------------------------------------------------------------- */

/* On a disk, each store to a journal may wait for that disk, and files outlive the machine whose processes they tell
 * of. It works all the same, so tests and trials may. */
static void service_check_run_dir(const char *run_dir)
{
    struct statfs about;
    if (statfs(run_dir, &about) == 0 && about.f_type != TMPFS_MAGIC)
        log_warning(NULL, "run-dir %s is not on a tmpfs, as it must be to serve guests", run_dir);
}

static int service_open_control(struct service *service)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof(path), "%s/%s.sock", service->values.run_dir, service->daemon->name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return -ENAMETOOLONG;
    if (mkdir(service->values.run_dir, 0755) < 0 && errno != EEXIST)
        return -errno;
    service_check_run_dir(service->values.run_dir);
    return control_open(service->base, path, service->daemon->name, &service->control);
}

/* Opens everything the daemon is given. Returns 0 or -errno, the reason logged. */
static int service_open(struct service *service)
{
    service->base = event_base_new();
    if (service->base == NULL) {
        log_error(NULL, "no event loop");
        return -ENOMEM;
    }
    int result = service_catch_signals(service);
    if (result < 0) {
        log_error(NULL, "signals: %s", strerror(-result));
        return result;
    }
    result = service_open_control(service);
    if (result == -EADDRINUSE) {
        log_error(NULL, "another %s serves %s/%s.sock already", service->daemon->name, service->values.run_dir,
                  service->daemon->name);
        return result;
    }
    if (result < 0) {
        log_error(NULL, "control socket in %s: %s", service->values.run_dir, strerror(-result));
        return result;
    }
    result = notify_open(service->base, service->daemon->progress, service->daemon->arg, &service->notify);
    if (result < 0)
        log_error(NULL, "service manager: %s", strerror(-result));
    return result;
}

static void service_close(struct service *service)
{
    notify_close(service->notify);
    control_close(service->control);
    for (size_t i = 0; i < sizeof(service->signals) / sizeof(service->signals[0]); i++)
        if (service->signals[i] != NULL)
            event_free(service->signals[i]);
    if (service->base != NULL)
        event_base_free(service->base);
}

static int service_run(struct service *service)
{
    const struct service_daemon *daemon = service->daemon;
    service->status = EXIT_FAILURE;
    if (service_open(service) == 0 && daemon->start(service, daemon->arg) == 0) {
        log_info(NULL, "%s %s serves", daemon->name, RINGBACK_VERSION);
        notify_ready();
        event_base_dispatch(service->base);
        notify_stopping();
        log_info(NULL, "%s stops", daemon->name);
        daemon->stop(daemon->arg);
    }
    service_close(service);
    return service->status;
}

int service_main(const struct service_daemon *daemon, int argc, char **argv)
{
    struct service service = {.daemon = daemon, .config_file = SERVICE_CONFIG_FILE, .argc = argc, .argv = argv};
    service_declare(&service);

    log_init(LOG_LEVEL_INFO);
    int status;
    if (!service_parse_options(&service, &status))
        return status;
    status = service_configure(&service);
    if (status == 0 && service.check_only)
        printf("%s: good\n", service.config_file);
    else if (status == 0)
        status = service_run(&service);
    config_fini(service.tables, service.table_count);
    if (daemon->family != NULL)
        config_family_fini(daemon->family);
    return status;
}
