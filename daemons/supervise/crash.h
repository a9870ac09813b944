/* SPDX-License-Identifier: MIT */
/*
 * What a worker that crashes says about it: which signal, at which address, and how it came there.
 *
 * The worker writes to a file that its supervisor made and handed over before the worker met anything hostile. What it writes is hostile
 * in turn: the supervisor reads with pread(), bounds every number and lets only names through that are printable.
 *
 * A place is "MODULE+0xOFFSET", an address within that program or library as addr2line -e MODULE takes it; or "0xADDRESS" when it is in none.
 */
#ifndef SUPERVISE_CRASH_H
#define SUPERVISE_CRASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_FRAMES_MAX 32u
#define CRASH_PLACE_SIZE 64u

struct crash_report {
    uint32_t signal;
    uint32_t frame_count;
    uint64_t address;                                /* that could not be used; 0 for a signal that was sent */
    char frames[CRASH_FRAMES_MAX][CRASH_PLACE_SIZE]; /* where it happened, its caller's return address, and so on */
};

/* Bytes of the file, which begins as zeros. */
size_t crash_file_size(void);
/* Understands its content. Returns 0; -ENODATA when there was no crash; -EBADMSG when it is no report. */
int crash_parse(const void *bytes, size_t size, struct crash_report *ret_report);
/* Reads what a worker left there. Returns 0; -ENODATA when it did not crash; -EBADMSG when it is no report; -errno. */
int crash_read(int dir, const char *name, struct crash_report *ret_report);

/* ---- For the worker. ---------------------------------------------------------------------------------------------------- */

/* Catches the signals of a crash, to write the report and then die of the signal, or leave it to who caught it before. To be called while
 * libraries can be loaded and files opened still. Returns 0 or -errno. */
int crash_catch(void);
/* Where to write to from now on; takes `fd` over. Returns 0 or -errno. */
int crash_write_to(int fd);

/* Whether a process that died of this signal has crashed, rather than been killed by somebody. */
bool crash_is_signal(int signal);

#endif
