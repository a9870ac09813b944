/* SPDX-License-Identifier: MIT */
/*
 * Saving and loading of forwarding tables: see tables.h.
 */
#include "tables.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <service/log.h>
#include <supervise/rundir.h>

#define FILE_MAX ((off_t)64 << 20) /* far above what the largest table makes */

/* The whole file, heap. Returns 0 or -errno. */
static int read_file(int dir, const char *name, uint8_t **ret_bytes, size_t *ret_size)
{
    struct stat status;
    uint8_t *bytes = NULL;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int err = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) < 0)
        err = -errno;
    else if (!S_ISREG(status.st_mode) || status.st_size > FILE_MAX)
        err = -EBADMSG;
    else if ((bytes = malloc((size_t)status.st_size + 1)) == NULL)
        err = -ENOMEM;
    else if (read(fd, bytes, (size_t)status.st_size) != status.st_size)
        err = -EIO;
    close(fd);
    if (err < 0) {
        free(bytes);
        return err;
    }
    *ret_bytes = bytes;
    *ret_size = (size_t)status.st_size;
    return 0;
}

/* Returns 0 or -errno; one wrong entry spoils the file. */
static int decode(struct served_bridge *served, const uint8_t *bytes, size_t size)
{
    const int64_t now = tapbridge_now();
    struct saved_entry *entries;
    uint32_t count;
    int err = saved_decode_header(bytes, size, &count);

    if (err < 0)
        return err;
    entries = calloc(count == 0 ? 1 : count, sizeof(*entries));
    if (entries == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; err == 0 && i < count; i++)
        err = saved_decode_entry(bytes, i, now, &entries[i]);
    if (err < 0) {
        free(entries);
        return err;
    }
    served->waiting = entries;
    served->waiting_count = count;
    return 0;
}

void tables_load(struct served_bridge *served)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int err = read_file(served->tapbridge->state_dir, served->bridge.name, &bytes, &size);

    if (err == 0) {
        err = decode(served, bytes, size);
        free(bytes);
    }
    if (err < 0 && err != -ENOENT)
        log_warning(NULL, "bridge %s: the saved table is of no use, all is learnt anew: %s", served->bridge.name,
                    err == -EPROTONOSUPPORT ? "it is of another version" : strerror(-err));
}

struct saving {
    uint8_t *bytes;
    uint32_t count;
};

static void save_entry(void *arg, const struct fdb_seen *seen)
{
    struct saving *saving = arg;
    struct saved_entry entry = {.seen = seen->seen};
    const struct bridge_port *port = seen->port->arg;

    if (seen->own) /* its client presents it */
        return;
    memcpy(entry.mac, seen->mac, sizeof(entry.mac));
    memcpy(entry.port, port->name, sizeof(entry.port));
    saved_encode_entry(saving->bytes, saving->count++, &entry);
}

void tables_save(struct served_bridge *served)
{
    const int64_t oldest = tapbridge_now() - (int64_t)served->config.ageing * 1000;
    struct saving saving = {.bytes = malloc(saved_size(fdb_count(served->bridge.fdb) + served->waiting_count))};
    int err = -ENOMEM;

    if (saving.bytes != NULL) {
        fdb_each(served->bridge.fdb, save_entry, &saving);
        for (uint32_t i = 0; i < served->waiting_count; i++)
            if (served->waiting[i].seen > oldest)
                saved_encode_entry(saving.bytes, saving.count++, &served->waiting[i]);
        saved_encode_header(saving.bytes, saving.count);
        err = rundir_write(served->tapbridge->state_dir, served->bridge.name, saving.bytes, saved_size(saving.count));
        free(saving.bytes);
    }
    if (err < 0)
        log_warning(NULL, "bridge %s: its table cannot be saved: %s", served->bridge.name, strerror(-err));
    else
        served->changes_saved = fdb_changes(served->bridge.fdb);
}

void tables_forget(struct served_bridge *served)
{
    int err = rundir_remove(served->tapbridge->state_dir, served->bridge.name);

    if (err < 0)
        log_warning(NULL, "bridge %s: its saved table cannot be removed: %s", served->bridge.name, strerror(-err));
}
