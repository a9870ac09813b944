/* SPDX-License-Identifier: MIT */
/*
 * A preload library for xenstored: it opens /proc/xen/xsd_port and /proc/xen/xsd_kva, which the broker provides in the host
 * directory under the same last names.  Not part of the drop-in libraries, whose symbols are versioned.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

static const char *redirect(const char *path, char *buffer, size_t size)
{
    static const char prefix[] = "/proc/xen/";
    const char *dir = getenv("SIMXEN_DIR");

    if (!dir || strncmp(path, prefix, sizeof(prefix) - 1) != 0)
        return path;
    snprintf(buffer, size, "%s/%s", dir, path + sizeof(prefix) - 1);
    return buffer;
}

static int open_redirected(const char *path, int flags, mode_t mode)
{
    char buffer[4096];

    return openat(AT_FDCWD, redirect(path, buffer, sizeof(buffer)), flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_redirected(path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    mode_t mode;

    va_start(arguments, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_redirected(path, flags | O_LARGEFILE, mode);
}
