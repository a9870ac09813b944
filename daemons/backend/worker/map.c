/* SPDX-License-Identifier: MIT */
#include "map.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

void *worker_map(int fd, size_t size, const char *what, char ret_reason[BACKEND_REASON_SIZE])
{
    void *address = MAP_FAILED;
    struct stat status;

    if (fstat(fd, &status) == 0) {
        if (status.st_size >= (off_t)size)
            address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        else
            errno = ENODATA;
    }
    if (address == MAP_FAILED)
        snprintf(ret_reason, BACKEND_REASON_SIZE, "its %s cannot be mapped: %s", what, strerrordesc_np(errno));
    return address == MAP_FAILED ? NULL : address;
}
