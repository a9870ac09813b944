/* SPDX-License-Identifier: MIT */
/*
 * simguest check: whether a raw image holds what the model of a former run says: a second opinion that no ring, grant or back end took part in.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "guest.h"
#include "model.h"
#include "options.h"
#include "sector.h"

#define MISMATCHES_SHOWN 10u

static int compare(const struct model *model, int fd)
{
    uint64_t wrong = 0;
    uint64_t written = 0;

    for (uint64_t i = 0; i < model_count(model); i++) {
        uint64_t sector = model_first(model) + i;
        uint64_t words[SECTOR_WORDS];
        char why[160];
        ssize_t got = pread(fd, words, sizeof words, (off_t)(sector * BLKIF_SECTOR_SIZE));
        if (got != (ssize_t)sizeof words) {
            guest_say("sector %" PRIu64 ": %s", sector, got < 0 ? strerror(errno) : "the image ends before it");
            return EXIT_FAILURE;
        }
        written += model_floor(model, sector) > 0;
        if (model_check(model, sector, model_floor(model, sector), words, why, sizeof why))
            continue;
        if (wrong++ < MISMATCHES_SHOWN)
            guest_say("%s", why);
    }
    printf("%" PRIu64 " sectors, %" PRIu64 " of them written: %" PRIu64 " mismatches\n", model_count(model), written,
           wrong);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int command_check(int argc, char **argv)
{
    struct model *model;

    if (argc != 3 || argv[1][0] == '-') {
        fputs("usage: simguest check STATE.DEVID IMAGE\n", stderr);
        return EXIT_USAGE;
    }
    int rc = model_open_existing(argv[1], &model);
    if (rc < 0) {
        guest_say("%s: %s", argv[1], strerror(-rc));
        return EXIT_FAILURE;
    }
    int fd = open(argv[2], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        guest_say("%s: %s", argv[2], strerror(errno));
        model_close(model);
        return EXIT_FAILURE;
    }
    int status = compare(model, fd);
    close(fd);
    model_close(model);
    return status;
}
