/* SPDX-License-Identifier: MIT */
/*
 * `ringctl vhd`: work on images that no guest uses, without a daemon.
 *
 * Images are locked as guests lock them: what is in use is refused. New images are made without a name and get it when they are whole
 * (target.h); what is changed in place is changed as a guest's disk is, so that any of it may be cut short.
 */
#ifndef RINGCTL_VHD_H
#define RINGCTL_VHD_H

#include <disk/vhd.h>

#include "ringctl.h"

struct vhd_options {
    bool json;
    bool fixed;    /* create, convert: all of the room at once */
    bool raw;      /* snapshot: the parent is raw */
    unsigned rate; /* coalesce: MiB a second at most; 0: no limit */
};

/* `ringctl vhd ...`: the arguments from "vhd" on. */
enum ringctl_exit ringctl_vhd(bool json, int argc, char **argv);

/* vhd_make.c: what makes images. */
enum ringctl_exit vhd_run_create(const struct vhd_options *options, char **operands);
enum ringctl_exit vhd_run_snapshot(const struct vhd_options *options, char **operands);
enum ringctl_exit vhd_run_convert(const struct vhd_options *options, char **operands);

/* vhd_look.c: what reads them, and what is wrong with them. */
enum ringctl_exit vhd_run_info(const struct vhd_options *options, char **operands);
enum ringctl_exit vhd_run_check(const struct vhd_options *options, char **operands);
enum ringctl_exit vhd_run_repair(const struct vhd_options *options, char **operands);

/* vhd_change.c: what changes them. */
enum ringctl_exit vhd_run_coalesce(const struct vhd_options *options, char **operands);
enum ringctl_exit vhd_run_resize(const struct vhd_options *options, char **operands);

/* ---- What these share. ---------------------------------------------------------------------------------------------- */

#define VHD_CHUNK (2u << 20) /* bytes in one request */

/* From a command line: KIND:PATH, or a path, which is then of a `kind`; relative ones begin where the command is run. Returns RINGCTL_OK,
 * or another status after saying why, as all of these do. */
enum ringctl_exit vhd_parse_source(const char *text, const char *kind, struct disk_source *ret_source);

/* Digits, then K, M, G, T or nothing: a multiple of 512. */
enum ringctl_exit vhd_parse_size(const char *text, uint64_t *ret_size);

/* Opens an image with all of its parents, locked. */
enum ringctl_exit vhd_open(const struct disk_source *source, bool read_only, struct disk **ret_disk);

/* Carries out one request. Returns 0 or -errno. */
int vhd_io(struct disk *disk, enum disk_op op, uint64_t offset, uint64_t length, void *buffer);

/* True from when the user has had enough: SIGINT, SIGTERM or SIGHUP. */
bool vhd_interrupted(void);

/* A bar on standard error, if that is a terminal; `done` of `total` bytes. The last call has `done` == `total`, or is vhd_progress_end(). */
void vhd_progress(const char *what, uint64_t done, uint64_t total);
void vhd_progress_end(void);

/* ---- New files. ------------------------------------------------------------------------------------------------------ */

/* A file without a name. */
struct vhd_target {
    const char *path; /* that it is to have; nothing is there */
    int fd;
    char temporary[PATH_MAX]; /* where the file system has no files without a name; else empty */
};

enum ringctl_exit vhd_target_begin(const char *path, struct vhd_target *ret_target);

/* Gives it its name, when all of it is on stable storage. Takes nothing's place. */
enum ringctl_exit vhd_target_commit(struct vhd_target *target);

/* Lets it go. After vhd_target_commit() only closes it. */
void vhd_target_end(struct vhd_target *target);

#endif
