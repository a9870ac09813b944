/* SPDX-License-Identifier: MIT */
/* Sources: from the text of a configuration to an open descriptor. Runs in the process that may open files. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "kind.h"

static const struct disk_kind *const kinds[] = {&disk_kind_ram, &disk_kind_raw, &disk_kind_vhd, &disk_kind_nbd, NULL};

void disk_error_fill(struct disk_error *ret_error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ret_error->text, sizeof ret_error->text, format, args);
    va_end(args);
}

static const struct disk_kind *kind_find(const char *name, size_t length)
{
    for (const struct disk_kind *const *kind = kinds; *kind; kind++)
        if (strlen((*kind)->name) == length && memcmp((*kind)->name, name, length) == 0)
            return *kind;
    return NULL;
}

const struct disk_kind *disk_kind_find(const char *name)
{
    return kind_find(name, strlen(name));
}

const char *disk_kind_name(const struct disk_kind *kind)
{
    return kind->name;
}

bool disk_kind_discards_securely(const struct disk_kind *kind)
{
    return kind->discards_securely;
}

int disk_kind_load(const struct disk_kind *kind, struct disk_error *ret_error)
{
    return kind->load ? kind->load(ret_error) : 0;
}

int disk_source_parse(const char *text, struct disk_source *ret_source, struct disk_error *ret_error)
{
    struct disk_source source = {.kind = &disk_kind_raw};
    const char *rest = text;
    const char *colon = strchr(text, ':');
    if (text[0] != '/') {
        if (!colon)
            return disk_refuse(ret_error, -EINVAL,
                               "\"%.100s\" is neither KIND:... (ram, raw, vhd, nbd) nor an absolute path", text);
        source.kind = kind_find(text, (size_t)(colon - text));
        if (!source.kind)
            return disk_refuse(ret_error, -EINVAL, "\"%.*s\" is no kind of disk: use ram, raw, vhd or nbd",
                               colon - text > 100 ? 100 : (int)(colon - text), text);
        rest = colon + 1;
    }
    int result = source.kind->source_parse(rest, &source, ret_error);
    if (result == 0)
        *ret_source = source;
    return result;
}

int disk_source_open(const struct disk_source *source, bool read_only, struct disk_error *ret_error)
{
    return source->kind->source_open(source, read_only, ret_error);
}

int disk_source_lock(int fd, bool read_only)
{
    int result;
    do
        result = flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB);
    while (result < 0 && errno == EINTR);
    return result < 0 ? -errno : 0;
}

int disk_path_parse(const char *text, struct disk_source *source, struct disk_error *ret_error)
{
    size_t length = strlen(text);
    if (text[0] != '/')
        return disk_refuse(ret_error, -EINVAL, "the image path \"%.100s\" is not absolute", text);
    if (length >= sizeof source->path)
        return disk_refuse(ret_error, -EINVAL, "the image path is longer than %zu bytes", sizeof source->path - 1);
    memcpy(source->path, text, length + 1);
    return 0;
}

int disk_path_open(const struct disk_source *source, bool read_only, struct disk_error *ret_error)
{
    return file_open_path(source->path, read_only ? O_RDONLY : O_RDWR, ret_error);
}
