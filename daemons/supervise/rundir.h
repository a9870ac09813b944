/* SPDX-License-Identifier: MIT */
/*
 * What outlives a process, in files below one run directory:
 *
 *   RUN/DOMID-IDENTITY/            one guest, in one life of its domain id
 *       worker                     the process that serves it: "PID STARTTIME\n"
 *       fence                      see fence.h
 *       channel                    where it listens for a new supervisor: see greeting.h
 *       DEVID/...                  one device: files the daemon names
 *
 * All are reached through descriptors of their directories. Small files are replaced as a whole (written under another name, then
 * renamed), so that a reader, after a kill at any instruction, finds the old content or the new one.
 */
#ifndef SUPERVISE_RUNDIR_H
#define SUPERVISE_RUNDIR_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RUNDIR_NAME_SIZE 128 /* of a guest's directory name, its NUL included */

#define RUNDIR_FENCE   "fence"
#define RUNDIR_CHANNEL "channel"

/* Opens a directory by path, made with its parents (mode 0700) where missing. Returns a descriptor, or -errno. */
int rundir_open(const char *path);
/* Opens the directory `name` in `dir`, made if it is missing. Returns a descriptor, or -errno. */
int rundir_enter(int dir, const char *name);
/* Opens it where it is there. Returns a descriptor, or -errno: -ENOTDIR or -ELOOP when it is something else. */
int rundir_find(int dir, const char *name);

/* "DOMID-IDENTITY", and back; -EINVAL when it is not such a name (identities hold letters, digits, '-' and '.'). */
int rundir_guest_name(uint32_t domid, const char *identity, char ret_name[RUNDIR_NAME_SIZE]);
int rundir_guest_parse(const char *name, uint32_t *ret_domid, const char **ret_identity);
/* A device's directory: its number in decimal. */
void rundir_device_name(uint32_t devid, char ret_name[RUNDIR_NAME_SIZE]);
int rundir_device_parse(const char *name, uint32_t *ret_devid);

/* Calls `found` for each entry but "." and ".."; stops at its first negative value and returns that. Entries may be removed meanwhile. */
int rundir_each(int dir, int (*found)(void *arg, int dir, const char *name), void *arg);

/* Replaces a small file. Returns 0 or -errno. */
int rundir_write(int dir, const char *name, const void *data, size_t size);
/* Reads a file of exactly `size` bytes; another size is -EBADMSG. Returns 0 or -errno. */
int rundir_read(int dir, const char *name, void *ret_data, size_t size);
/* Makes a new file of `size` zero bytes, under its name only when complete. Returns a descriptor open for reading and writing, or -errno. */
int rundir_create(int dir, const char *name, size_t size);
/* The same, beginning with `head`. */
int rundir_create_with(int dir, const char *name, size_t size, const void *head, size_t head_size);
/* Opens a file for reading and writing, which must be a regular one of `size` bytes (else -EBADMSG). Returns a descriptor, or -errno. */
int rundir_file(int dir, const char *name, size_t size);
/* Removes a file, or a directory with all in it; a missing one is no error. Returns 0 or -errno. */
int rundir_remove(int dir, const char *name);

/* Records the process that serves a guest. Returns 0 or -errno. */
int rundir_worker_write(int guest_dir, pid_t pid);
/* None does. Returns 0 or -errno. */
int rundir_worker_remove(int guest_dir);
/* The recorded process as a pidfd, if it still lives and is the same. Returns a descriptor; -ENOENT when none is recorded; -ESRCH when it has
 * ended, whether it is reaped or not; -errno. */
int rundir_worker_open(int guest_dir, pid_t *ret_pid);

#endif
