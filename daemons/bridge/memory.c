/* SPDX-License-Identifier: MIT */
/*
 * The memory of a port: made, checked, mapped. Both ends use this.
 */
#include "port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE  4096u
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static bool capacity_is_valid(uint32_t capacity)
{
    return capacity >= FRAME_CAPACITY_MIN && capacity <= FRAME_CAPACITY_MAX && (capacity & (capacity - 1)) == 0;
}

size_t port_ring_out(uint32_t capacity)
{
    return (frame_size(capacity) + PAGE - 1) & ~(size_t)(PAGE - 1);
}

size_t port_memory_size(uint32_t capacity)
{
    return 2 * port_ring_out(capacity);
}

/* Two empty rings in a new file. Returns 0 or -errno. */
static int format(int fd, uint32_t capacity)
{
    uint8_t *memory;
    int err;

    if (ftruncate(fd, (off_t)port_memory_size(capacity)) < 0)
        return -errno;
    memory = mmap(NULL, port_memory_size(capacity), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    err = frame_format(memory + PORT_RING_IN, frame_size(capacity), capacity, 0);
    if (err == 0)
        err = frame_format(memory + port_ring_out(capacity), frame_size(capacity), capacity, 0);
    munmap(memory, port_memory_size(capacity));
    if (err == 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        err = -errno;
    return err;
}

int port_memory_make(uint32_t capacity, int ret_fds[PORT_FDS])
{
    int fds[PORT_FDS];
    int err = 0;

    if (!capacity_is_valid(capacity))
        return -EINVAL;
    fds[0] = memfd_create("ringback-port", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    fds[1] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fds[2] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fds[0] < 0 || fds[1] < 0 || fds[2] < 0)
        err = -EMFILE;
    if (err == 0)
        err = format(fds[0], capacity);
    if (err < 0) {
        for (unsigned i = 0; i < PORT_FDS; i++)
            if (fds[i] >= 0)
                close(fds[i]);
        return err;
    }
    memcpy(ret_fds, fds, sizeof(fds));
    return 0;
}

/* Sealed, so that it stays mapped whatever others do, and of that size. */
static int check_memfd(int fd, uint32_t capacity)
{
    struct stat status;
    int seals = fcntl(fd, F_GET_SEALS);

    if (!capacity_is_valid(capacity) || seals < 0 || (seals & SEALS) != SEALS)
        return -EINVAL;
    if (fstat(fd, &status) < 0)
        return -errno;
    return (size_t)status.st_size != port_memory_size(capacity) ? -EINVAL : 0;
}

/* An eventfd has no name but this. */
static int check_bell(int fd)
{
    char path[64], target[64];
    ssize_t length;

    if (port_bell_blocks(fd))
        return -EINVAL;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    length = readlink(path, target, sizeof(target) - 1);
    if (length < 0)
        return -errno;
    target[length] = '\0';
    return strcmp(target, "anon_inode:[eventfd]") != 0 ? -EINVAL : 0;
}

int port_memory_check(const int fds[PORT_FDS], uint32_t capacity)
{
    int err = check_memfd(fds[0], capacity);

    for (unsigned i = 1; err == 0 && i < PORT_FDS; i++)
        err = check_bell(fds[i]);
    return err;
}

int port_memory_map(int fd, uint32_t capacity, void **ret_memory)
{
    void *memory;
    int err;

    err = check_memfd(fd, capacity);
    if (err < 0)
        return err;
    memory = mmap(NULL, port_memory_size(capacity), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *ret_memory = memory;
    return 0;
}

void port_memory_unmap(void *memory, uint32_t capacity)
{
    if (memory != NULL)
        munmap(memory, port_memory_size(capacity));
}

void port_bell_ring(int bell)
{
    const uint64_t one = 1;
    ssize_t ignored = write(bell, &one, sizeof(one)); /* EAGAIN: it is ringing */

    (void)ignored;
}

bool port_bell_blocks(int bell)
{
    const int flags = fcntl(bell, F_GETFL);

    return flags < 0 || !(flags & O_NONBLOCK);
}

void port_bell_clear(int bell)
{
    uint64_t count;
    ssize_t ignored = read(bell, &count, sizeof(count)); /* EAGAIN: it was cleared already */

    (void)ignored;
}
