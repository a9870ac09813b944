/* SPDX-License-Identifier: MIT */
/*
 * Files that another version may have written are known by their beginning, which is the same in all versions: a connection's `version`, `abi` and
 * `generation`; a journal's head (ring/back.h). Workers can write journals: what they say is hostile, is read with pread(), and decides
 * about their own guest's disks only.
 */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ring/back.h>
#include <supervise/rundir.h>

#include "device.h"
#include "frontend.h"

struct connection_head {
    uint32_t version;
    uint32_t abi;
    uint64_t generation;
};
_Static_assert(offsetof(struct blkback_connection, generation) == offsetof(struct connection_head, generation),
               "frozen");

/* Reads the first `size` bytes of a regular file, which it must have. Returns 0, -ENOENT, -EBADMSG or another -errno. */
static int read_head(int dir, const char *name, void *ret_head, size_t size)
{
    struct stat stat;
    ssize_t got = -1;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode))
        got = pread(fd, ret_head, size, 0);
    close(fd);
    return got == (ssize_t)size ? 0 : -EBADMSG;
}

static size_t journal_size(const struct blkback_connection *connection)
{
    const struct ring_layout layout = blkif_layout((enum blkif_abi)connection->abi, connection->ring_order);

    return ring_journal_size(&layout);
}

int record_load(int device_dir, struct blkback_connection *ret_connection)
{
    struct blkback_connection connection = {0};
    struct connection_head head = {0};
    int err = read_head(device_dir, DEVICE_CONNECTION_FILE, &head, sizeof(head));

    if (err < 0)
        return err;
    if (head.version != BLKBACK_CONNECTION_VERSION) {
        ret_connection->version = head.version;
        ret_connection->generation = head.generation;
        return -EPROTONOSUPPORT;
    }
    err = rundir_read(device_dir, DEVICE_CONNECTION_FILE, &connection, sizeof(connection));
    if (err == 0 && !frontend_connection_is_valid(&connection))
        err = -EBADMSG;
    if (err == 0)
        *ret_connection = connection;
    return err;
}

int record_judge(int device_dir, uint64_t generation, uint32_t *ret_version)
{
    struct ring_journal_head head = {0};
    int result = read_head(device_dir, DEVICE_JOURNAL_FILE, &head, sizeof(head));

    if (result == 0)
        result = ring_journal_head_judge(&head, generation);
    if (result >= 0 || result == -EPROTONOSUPPORT)
        *ret_version = head.version;
    return result;
}

int record_open_journal(int device_dir, const struct blkback_connection *connection, uint32_t *ret_version)
{
    const int use = record_judge(device_dir, connection->generation, ret_version);
    struct ring_journal_head head;

    if (use < 0)
        return use;
    if (use == RING_JOURNAL_IN_USE)
        return rundir_file(device_dir, DEVICE_JOURNAL_FILE, journal_size(connection));
    ring_journal_head_drained(connection->generation, &head);
    return rundir_create_with(device_dir, DEVICE_JOURNAL_FILE, journal_size(connection), &head, sizeof(head));
}

int record_make_journal(int device_dir, const struct blkback_connection *connection)
{
    return rundir_create(device_dir, DEVICE_JOURNAL_FILE, journal_size(connection));
}

/* 0 when the device is drained, or not connected. */
static int check_drained(void *arg, int guest_dir, const char *name)
{
    struct blkback_connection connection = {0};
    uint32_t devid, version;
    int dir, err;

    (void)arg;
    if (rundir_device_parse(name, &devid) < 0)
        return 0;
    dir = rundir_find(guest_dir, name);
    if (dir < 0)
        return dir;
    if (parking_is_recorded(dir)) { /* no worker holds it */
        close(dir);
        return 0;
    }
    err = record_load(dir, &connection);
    if (err == 0 || err == -EPROTONOSUPPORT)
        err = record_judge(dir, connection.generation, &version) == RING_JOURNAL_DRAINED ? 0 : -EBUSY;
    close(dir);
    return err == -ENOENT ? 0 : err;
}

bool record_is_drained(int guest_dir)
{
    return rundir_each(guest_dir, check_drained, NULL) == 0;
}
