/* SPDX-License-Identifier: MIT */
/*
 * What a disk's configuration, in the toolstack's part of xenstore, names.
 */
#ifndef BLKBACK_IMAGE_H
#define BLKBACK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include <disk/disk.h>

struct xendev_store;

struct image {
    char *spec; /* as configured: "vhd:/path"; NULL until read */
    char *vdev; /* as the guest sees it: "xvda"; "" when not stated */
    bool read_only;
    bool discard;          /* the toolstack lets the guest discard */
    bool cdrom, removable; /* what the guest is told of it; a CD-ROM is read_only. Not recorded */
    /* A hotplug script other than ours makes the disk usable: nothing can be opened before it has run. */
    bool by_script;
    uint64_t generation; /* of the connection it is recorded with; 0: it was read, and is not recorded */
    char *origin;        /* what `source` was made of; NULL until then */
    struct disk_source source;
};

/* Reads the configuration from a back end's directory. With `by_script`, its `source` is filled when the script has run and this is called
 * again. `ram_path` is the file of a RAM disk. Returns 0, or -errno with the reason in `ret_error`. */
int image_read(struct xendev_store *store, const char *directory, const char *ram_path, bool script_done,
               struct image *image, struct disk_error *ret_error);
/* Records in a run directory what was read, for image_load(). Returns 0 or -errno. */
int image_save(int dir, const char *name, const struct image *image);
/* The same as image_read(), from a record: for when xenstore is away. Returns 0, -ENOENT, -EBADMSG or another -errno. */
int image_load(int dir, const char *name, const char *ram_path, struct image *image);
void image_fini(struct image *image);

#endif
