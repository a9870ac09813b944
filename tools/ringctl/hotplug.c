/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. The script is told of its device by the environment, and where to find the rest by a path in xenstore. It has a process
 * group of its own: what it started dies with it when it takes too long.
 */
#include "hotplug.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Starts it. Returns 0 or -errno. */
static int hotplug_start(const char *script, const char *action, bool quiet, pid_t *ret_pid)
{
    char *const arguments[] = {(char *)script, (char *)action, "type_if=vif", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0)
        return -err;
    err = posix_spawnattr_init(&attributes);
    if (err != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -err;
    }
    err = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (err == 0 && quiet)
        err = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (err == 0)
        err = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (err == 0)
        err = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    if (err == 0)
        err = posix_spawn(ret_pid, script, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -err;
}

/* Waits for it, or ends it. Returns 0 with its wait status, or -ETIMEDOUT, or another -errno. */
static int hotplug_wait(pid_t pid, int *ret_status)
{
    int result = 0;
    int fd = pidfd_open(pid, 0);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int ready = fd < 0 ? -1 : poll(&poll_fd, 1, HOTPLUG_LIMIT_SECONDS * 1000);
    if (ready <= 0) {
        result = ready == 0 ? -ETIMEDOUT : -errno;
        kill(-pid, SIGKILL);
    }
    if (fd >= 0)
        close(fd);
    if (waitpid(pid, ret_status, 0) < 0 && result == 0)
        result = -errno;
    return result;
}

int hotplug_run(const char *script, const char *action, const char *kind, uint32_t domid, uint32_t devid, bool quiet,
                char ret_said[HOTPLUG_SAID_SIZE])
{
    char path[64];
    char netdev[32];
    pid_t pid;
    int status = 0;
    snprintf(path, sizeof(path), "backend/%.24s/%u/%u", kind, domid, devid);
    snprintf(netdev, sizeof(netdev), "vif%u.%u", domid, devid);
    /* They are ringctl's own from here on, too, which reads none of them. `netdev`, for scripts that route, is what xl says by default. */
    const char *const variables[][2] = {{"script", script},    {"XENBUS_TYPE", kind},
                                        {"XENBUS_PATH", path}, {"XENBUS_BASE_PATH", "backend"},
                                        {"netdev", ""},        {"vif", netdev}};
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof(variables) / sizeof(variables[0]); i++)
        result = setenv(variables[i][0], variables[i][1], 1) < 0 ? -errno : 0;
    if (result == 0)
        result = hotplug_start(script, action, quiet, &pid);
    if (result == 0)
        result = hotplug_wait(pid, &status);
    if (result == -ETIMEDOUT)
        snprintf(ret_said, HOTPLUG_SAID_SIZE, "was not done within %d s", HOTPLUG_LIMIT_SECONDS);
    else if (result < 0)
        snprintf(ret_said, HOTPLUG_SAID_SIZE, "cannot be run: %.40s", strerror(-result));
    else if (WIFSIGNALED(status))
        snprintf(ret_said, HOTPLUG_SAID_SIZE, "was killed by signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0)
        snprintf(ret_said, HOTPLUG_SAID_SIZE, "exited with status %d", WEXITSTATUS(status));
    if (result == 0 && status != 0)
        result = -EIO;
    return result;
}
