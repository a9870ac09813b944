/* SPDX-License-Identifier: MIT */
/*
 * The memory of a capture: made, checked, mapped. Both ends use this.
 */
#include "capture_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

_Static_assert(sizeof(struct capture_head) == CAPTURE_HEAD_SIZE, "no padding");
_Static_assert(sizeof(struct capture_shared) <= CAPTURE_RING, "it stands before the ring");
_Static_assert(CAPTURE_FRAME_MAX >= FRAME_LENGTH_MAX, "each frame's length can be told");

static size_t memory_size(void)
{
    return CAPTURE_RING + frame_size(CAPTURE_CAPACITY);
}

void *capture_memory_ring(struct capture_shared *shared)
{
    return (uint8_t *)shared + CAPTURE_RING;
}

int capture_memory_map(int fd, struct capture_shared **ret_shared)
{
    const int seals = fcntl(fd, F_GET_SEALS);
    struct stat status;
    void *memory;

    if (seals < 0 || (seals & SEALS) != SEALS)
        return -EINVAL;
    if (fstat(fd, &status) < 0)
        return -errno;
    if ((size_t)status.st_size != memory_size())
        return -EINVAL;
    memory = mmap(NULL, memory_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *ret_shared = memory;
    return 0;
}

void capture_memory_unmap(struct capture_shared *shared)
{
    if (shared != NULL)
        munmap(shared, memory_size());
}

int capture_memory_make(void)
{
    struct capture_shared *shared = NULL;
    int fd = memfd_create("ringback-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int err = 0;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)memory_size()) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        err = -errno;
    if (err == 0)
        err = capture_memory_map(fd, &shared);
    if (err == 0)
        err = frame_format(capture_memory_ring(shared), frame_size(CAPTURE_CAPACITY), CAPTURE_CAPACITY, 0);
    capture_memory_unmap(shared);
    if (err < 0) {
        close(fd);
        return err;
    }
    return fd;
}

int capture_head_decode(const uint8_t *bytes, uint32_t size, struct capture_head *ret_head)
{
    struct capture_head head;

    if (size < CAPTURE_HEAD_SIZE)
        return -EPROTO;
    memcpy(&head, bytes, sizeof(head));
    if (head.direction != CAPTURE_SENT && head.direction != CAPTURE_RECEIVED)
        return -EPROTO;
    if (head.length > FRAME_LENGTH_MAX || head.length < size - CAPTURE_HEAD_SIZE)
        return -EPROTO;
    *ret_head = head;
    return 0;
}
