/* SPDX-License-Identifier: MIT */
/*
 * Only an end of the worker's own doing counts: the signal of a crash, or an exit with another status than 0. One that was killed, by whomever and
 * for whatever reason, says nothing about the requests it had. That holds for one that did not answer, too: more often than not it waits for a
 * disk, and the request it waits with is not to blame.
 *
 * The supervisor knows how its own children end. A worker that an earlier supervisor started is nobody's child: the report in its file tells,
 * and without one it counts as killed. What follows is noted with the guest and with each of its devices, then the dead worker's record is
 * removed, then the report is replaced. A supervisor that is killed before the record is gone leaves the death to the next one, which counts
 * again what it had counted already: none is missed, and one in that short time may count twice. That a device's worker crashed stays noted
 * until a successor has been told; noting it again changes nothing.
 */
#include "death.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <service/log.h>
#include <supervise/rundir.h>

#include "backend.h"
#include "device.h"
#include "guest.h"
#include "kind.h"

/* The places that go into the log. */
#define LOGGED_FRAMES 8u

void death_load(struct guest *guest)
{
    struct death *death = &guest->death;

    if (rundir_read(guest->dir, DEATH_LAST_FILE, death, sizeof(*death)) < 0 || death->version != DEATH_VERSION)
        memset(death, 0, sizeof(*death)); /* none yet, or told in a way of another version */
}

int death_prepare(const struct guest *guest)
{
    return rundir_create(guest->dir, DEATH_CRASH_FILE, crash_file_size());
}

static void log_report(struct guest *guest, const struct crash_report *report)
{
    char text[LOGGED_FRAMES * (CRASH_PLACE_SIZE + sizeof(" < "))] = "";
    size_t length = 0;

    for (uint32_t i = 0; i < report->frame_count && i < LOGGED_FRAMES; i++)
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "%s%s", i == 0 ? "" : " < ", report->frames[i]);
    log_warning(&guest->log, "it crashed: signal %" PRIu32 ", address 0x%" PRIx64 ", at %s", report->signal,
                report->address, text);
}

bool death_examine(struct guest *guest, bool crashed, const char *reason)
{
    struct death death = {.version = DEATH_VERSION, .when = time(NULL)};
    int err = crash_read(guest->dir, DEATH_CRASH_FILE, &death.report);

    if (err == -EBADMSG)
        log_warning(&guest->log, "what the worker left in place of a crash report is none");
    if (err < 0 && !crashed)
        return false;
    if (reason != NULL)
        snprintf(death.reason, sizeof(death.reason), "%s", reason);
    else
        snprintf(death.reason, sizeof(death.reason), "killed by signal %" PRIu32 " (%s)", death.report.signal,
                 strsignal((int)death.report.signal));
    guest->death = death;
    if (err == 0)
        log_report(guest, &death.report);
    err = rundir_write(guest->dir, DEATH_LAST_FILE, &death, sizeof(death));
    if (err < 0)
        log_warning(&guest->log, "the next supervisor will not know of the crash: %s", strerror(-err));
    return true;
}

struct note {
    const struct guest *guest;
    bool died;
    bool crashed;
};

static int note_device(void *arg, int guest_dir, const char *name)
{
    const struct note *note = arg;
    struct device_restarts restarts;
    uint32_t devid;
    int dir, err = 0;

    if (rundir_device_parse(name, &devid) < 0 || guest_device(note->guest, devid) != NULL)
        return 0;
    dir = rundir_find(guest_dir, name);
    if (dir < 0)
        return dir;
    if (device_is_recorded(dir) && !parking_is_recorded(dir)) {
        err = note->crashed ? rundir_write(dir, DEVICE_CRASHED_FILE, "", 0) : 0;
        device_load_restarts(dir, &restarts);
        restarts.count++;
        if (err == 0 && note->died)
            err = rundir_write(dir, RESTARTS_FILE, &restarts, sizeof(restarts));
    }
    close(dir);
    return err;
}

void death_note(struct guest *guest, bool died, bool crashed)
{
    struct note note = {.guest = guest, .died = died, .crashed = crashed};
    int err = rundir_each(guest->dir, note_device, &note);

    if (err < 0)
        log_warning(&guest->log, "not all of its %ss will know of their worker's end: %s", guest->backend->kind->noun,
                    strerror(-err));
}
