/* SPDX-License-Identifier: MIT */
/*
 * Files that another version may have written are known by their beginning, which is the same in all versions: struct backend_connection; a
 * journal's head (ring/back.h). Where the journals of another version's connection begin is not known, but that each begins with a page, and no
 * entry of a journal is like a head: so they are looked for. Workers can write journals: what they say is hostile, is read with pread(), and
 * decides about their own guest's devices only.
 */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ring/back.h>
#include <supervise/rundir.h>

#include "device.h"
#include "kind.h"
#include "parking.h"

/* ---- Connections. ------------------------------------------------------------------------------------------------------------ */

/* Opens a regular file. Returns a descriptor, -ENOENT, -EBADMSG or another -errno. */
static int open_file(int dir, const char *name, off_t *ret_size)
{
    struct stat stat;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    if (fstat(fd, &stat) < 0 || !S_ISREG(stat.st_mode)) {
        close(fd);
        return -EBADMSG;
    }
    *ret_size = stat.st_size;
    return fd;
}

/* Returns 0, -ENOENT, -EBADMSG or another -errno. */
static int read_head(int device_dir, struct backend_connection *ret_head)
{
    struct backend_connection head;
    off_t size;
    int fd = open_file(device_dir, DEVICE_CONNECTION_FILE, &size);
    ssize_t got;

    if (fd < 0)
        return fd;
    got = pread(fd, &head, sizeof(head), 0);
    close(fd);
    if (got != (ssize_t)sizeof(head))
        return -EBADMSG;
    *ret_head = head;
    return 0;
}

int record_load(const struct backend_kind *kind, int device_dir, struct backend_connection *ret_connection)
{
    struct backend_connection head;
    struct backend_connection *connection;
    int err = read_head(device_dir, &head);

    if (err < 0)
        return err;
    if (head.version != kind->connection_version) {
        *ret_connection = head;
        return -EPROTONOSUPPORT;
    }
    connection = calloc(1, kind->connection_size);
    if (connection == NULL)
        return -ENOMEM;
    err = rundir_read(device_dir, DEVICE_CONNECTION_FILE, connection, kind->connection_size);
    if (err == 0 && !kind->connection_is_valid(connection))
        err = -EBADMSG;
    if (err == 0)
        memcpy(ret_connection, connection, kind->connection_size);
    free(connection);
    return err;
}

/* ---- Journals. --------------------------------------------------------------------------------------------------------------- */

/* A file of another version is no larger: a worker can make it as large as it likes. */
#define FOREIGN_SIZE_MAX (16 << 20)

/* Where the journals of a connection of this version begin, and the end of the last: one number more than there are. */
static unsigned journal_offsets(const struct backend_kind *kind, const struct backend_connection *connection,
                                size_t ret_offsets[BACKEND_RINGS_MAX + 1])
{
    struct ring_layout layouts[BACKEND_RINGS_MAX];
    const unsigned count = kind->rings(connection, layouts);

    ret_offsets[0] = 0;
    for (unsigned i = 0; i < count; i++)
        ret_offsets[i + 1] = ret_offsets[i] + ring_journal_size(&layouts[i]);
    return count;
}

static size_t journal_size(const struct backend_kind *kind, const struct backend_connection *connection)
{
    size_t offsets[BACKEND_RINGS_MAX + 1];
    const unsigned count = journal_offsets(kind, connection, offsets);

    return offsets[count];
}

/* What is known of all journals of a file so far. */
struct judgement {
    int result; /* of the worst of them */
    uint32_t version;
};

/* The worse, the higher: one that is none spoils the file, and then one that cannot be continued. */
static int badness(int result)
{
    return result == RING_JOURNAL_DRAINED ? 0 : result == RING_JOURNAL_IN_USE ? 1 : result == -EPROTONOSUPPORT ? 2 : 3;
}

static void judge(int fd, size_t offset, uint64_t generation, struct judgement *judgement)
{
    struct ring_journal_head head = {0};
    int result = -EBADMSG;

    if (pread(fd, &head, sizeof(head), (off_t)offset) == (ssize_t)sizeof(head))
        result = ring_journal_head_judge(&head, generation);
    if (offset > 0 && badness(result) <= badness(judgement->result))
        return;
    judgement->result = result;
    judgement->version = head.version;
}

/* Looks for the journals of a connection of another version, the first of which is judged. */
static void judge_pages(int fd, off_t size, uint64_t generation, struct judgement *judgement)
{
    if (size > FOREIGN_SIZE_MAX) {
        judgement->result = -EBADMSG;
        return;
    }
    for (size_t offset = RING_PAGE_SIZE; offset < (size_t)size; offset += RING_PAGE_SIZE) {
        struct judgement page = *judgement;
        judge(fd, offset, generation, &page);
        if (page.result != -EBADMSG) /* else no journal begins here */
            *judgement = page;
    }
}

int record_judge(const struct backend_kind *kind, int device_dir, const struct backend_connection *connection,
                 uint32_t *ret_version)
{
    struct judgement judgement = {.result = -EBADMSG};
    size_t offsets[BACKEND_RINGS_MAX + 1];
    off_t size = 0;
    int fd = open_file(device_dir, DEVICE_JOURNAL_FILE, &size);

    if (fd < 0)
        return fd;
    judge(fd, 0, connection->generation, &judgement);
    if (connection->version == kind->connection_version) {
        const unsigned count = journal_offsets(kind, connection, offsets);
        for (unsigned i = 1; i < count; i++)
            judge(fd, offsets[i], connection->generation, &judgement);
    } else if (judgement.result != -EBADMSG) {
        judge_pages(fd, size, connection->generation, &judgement);
    }
    close(fd);
    if (judgement.result != -EBADMSG)
        *ret_version = judgement.version;
    return judgement.result;
}

/* Makes journals that are drained. Returns a descriptor or -errno. */
static int make_drained(const struct backend_kind *kind, int device_dir, const struct backend_connection *connection)
{
    size_t offsets[BACKEND_RINGS_MAX + 1];
    const unsigned count = journal_offsets(kind, connection, offsets);
    struct ring_journal_head head;
    char *content = calloc(1, offsets[count]);
    int fd;

    if (content == NULL)
        return -ENOMEM;
    ring_journal_head_drained(connection->generation, &head);
    for (unsigned i = 0; i < count; i++)
        memcpy(content + offsets[i], &head, sizeof(head));
    fd = rundir_create_with(device_dir, DEVICE_JOURNAL_FILE, offsets[count], content, offsets[count]);
    free(content);
    return fd;
}

int record_open_journal(const struct backend_kind *kind, int device_dir, const struct backend_connection *connection,
                        uint32_t *ret_version)
{
    const int use = record_judge(kind, device_dir, connection, ret_version);

    if (use < 0)
        return use;
    if (use == RING_JOURNAL_IN_USE)
        return rundir_file(device_dir, DEVICE_JOURNAL_FILE, journal_size(kind, connection));
    return make_drained(kind, device_dir, connection);
}

int record_make_journal(const struct backend_kind *kind, int device_dir, const struct backend_connection *connection)
{
    return rundir_create(device_dir, DEVICE_JOURNAL_FILE, journal_size(kind, connection));
}

/* ---- Guests. ----------------------------------------------------------------------------------------------------------------- */

/* Whether a device's journals are drained: 0, or -errno, -ENOENT when it is not connected. */
static int check_connection(const struct backend_kind *kind, int dir)
{
    struct backend_connection *connection = calloc(1, kind->connection_size);
    uint32_t version;
    int err;

    if (connection == NULL)
        return -ENOMEM;
    err = record_load(kind, dir, connection);
    if (err == 0 || err == -EPROTONOSUPPORT)
        err = record_judge(kind, dir, connection, &version) == RING_JOURNAL_DRAINED ? 0 : -EBUSY;
    free(connection);
    return err;
}

/* 0 when the device is drained, or not connected. */
static int check_drained(void *arg, int guest_dir, const char *name)
{
    const struct backend_kind *const *kind = arg;
    uint32_t devid;
    int dir, err;

    if (rundir_device_parse(name, &devid) < 0)
        return 0;
    dir = rundir_find(guest_dir, name);
    if (dir < 0)
        return dir;
    err = parking_is_recorded(dir) ? 0 : check_connection(*kind, dir); /* no worker holds one that is parked */
    close(dir);
    return err == -ENOENT ? 0 : err;
}

bool record_is_drained(const struct backend_kind *kind, int guest_dir)
{
    return rundir_each(guest_dir, check_drained, &kind) == 0;
}
