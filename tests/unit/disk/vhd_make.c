/* SPDX-License-Identifier: MIT */
/* Makes a VHD image with vhd_create(), for tests that are scripts: vhd_make fixed|dynamic BYTES FILE */
#include <disk/vhd.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 4 || (strcmp(argv[1], "fixed") != 0 && strcmp(argv[1], "dynamic") != 0)) {
        fprintf(stderr, "usage: %s fixed|dynamic BYTES FILE\n", argv[0]);
        return 2;
    }
    int fd = open(argv[3], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        fprintf(stderr, "%s: %s\n", argv[3], strerror(errno));
        return 1;
    }
    struct disk_error error;
    enum vhd_type type = strcmp(argv[1], "fixed") == 0 ? VHD_FIXED : VHD_DYNAMIC;
    if (vhd_create(fd, type, strtoull(argv[2], NULL, 0), &error) < 0) {
        fprintf(stderr, "%s: %s\n", argv[3], error.text);
        return 1;
    }
    close(fd);
    return 0;
}
