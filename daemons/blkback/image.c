/* SPDX-License-Identifier: MIT */
/*
 * `params` names the image; `mode` holds a 'w' when it may be written; `discard-enable` is 0 when the guest may not discard, and missing
 * means that it may; `device-type` is `cdrom` for what cannot be written, whatever `mode` says, and may be an empty drive: no `params`, or none in them.
 * That is refused. `removable` is passed on. `script` is the hotplug script xl runs. With script=block-ringback
 * (or none, for tools without scripts) the image is what params says. With any other, such as xl's stock `block`, the disk exists only
 * when the script is done, and `physical-device-path`, if the script wrote it, is the device it made.
 *
 * What was read is recorded when the disk is connected, with the generation of the connection, so that a recovery can do without xenstore, and
 * never takes the image of another connection. Nobody but us writes the record.
 */
#include "image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <supervise/rundir.h>
#include <xendev/store.h>

#define OWN_SCRIPT "block-ringback"

#define RECORD_VERSION 2u

struct record {
    uint32_t version; /* RECORD_VERSION */
    uint32_t read_only;
    uint32_t by_script;
    uint32_t discard; /* 0, too, of one that was connected by a version without */
    uint64_t generation;
    char vdev[64]; /* longer ones are cut off */
    char spec[XENDEV_VALUE_MAX + 1];
    char origin[XENDEV_VALUE_MAX + 1];
};

/* A string key; -ENOENT gives `fallback`, unless that is NULL. */
static int read_string(struct xendev_store *store, const char *directory, const char *key, const char *fallback,
                       char **ret_value, struct disk_error *ret_error)
{
    char *value = NULL;
    int err = xendev_store_read(store, XENDEV_NO_TXN, directory, key, &value);

    if (err == -ENOENT && fallback != NULL) {
        value = strdup(fallback);
        err = value == NULL ? -ENOMEM : 0;
    }
    if (err < 0) {
        snprintf(ret_error->text, sizeof(ret_error->text), "%s of the disk cannot be read: %s", key, strerror(-err));
        return err;
    }
    *ret_value = value;
    return 0;
}

static bool script_is_foreign(const char *script)
{
    const char *name = strrchr(script, '/');

    name = name == NULL ? script : name + 1;
    return name[0] != '\0' && strcmp(name, OWN_SCRIPT) != 0;
}

static int read_keys(struct xendev_store *store, const char *directory, struct image *image,
                     struct disk_error *ret_error)
{
    char *mode = NULL, *script = NULL, *discard = NULL, *type = NULL, *removable = NULL;
    int err = read_string(store, directory, "device-type", "disk", &type, ret_error);

    if (err == 0) {
        image->cdrom = strcmp(type, "cdrom") == 0;
        err = read_string(store, directory, "params", image->cdrom ? "" : NULL, &image->spec, ret_error);
    }
    if (err == 0 && image->cdrom && image->spec[0] == '\0') {
        snprintf(ret_error->text, sizeof(ret_error->text), "the CD-ROM drive is empty");
        err = -ENOMEDIUM;
    }
    if (err == 0)
        err = read_string(store, directory, "removable", "0", &removable, ret_error);
    if (err == 0)
        err = read_string(store, directory, "dev", "", &image->vdev, ret_error);
    if (err == 0)
        err = read_string(store, directory, "mode", "r", &mode, ret_error);
    if (err == 0)
        err = read_string(store, directory, "script", "", &script, ret_error);
    if (err == 0)
        err = read_string(store, directory, "discard-enable", "1", &discard, ret_error);
    if (err == 0) {
        image->read_only = image->cdrom || strchr(mode, 'w') == NULL;
        image->removable = image->cdrom || strcmp(removable, "1") == 0;
        image->discard = strcmp(discard, "0") != 0;
        image->by_script = script_is_foreign(script);
    }
    free(removable);
    free(type);
    free(discard);
    free(script);
    free(mode);
    return err;
}

/* Fills `source` from `origin`. */
static int make_source(struct image *image, const char *ram_path, struct disk_error *ret_error)
{
    int err = disk_source_parse(image->origin, &image->source, ret_error);

    if (err == 0 && strcmp(disk_kind_name(image->source.kind), "ram") == 0)
        snprintf(image->source.path, sizeof(image->source.path), "%s", ram_path);
    return err;
}

int image_read(struct xendev_store *store, const char *directory, const char *ram_path, bool script_done,
               struct image *image, struct disk_error *ret_error)
{
    int err;

    image_fini(image);
    err = read_keys(store, directory, image, ret_error);
    if (err < 0 || (image->by_script && !script_done))
        return err;
    if (image->by_script) {
        err = read_string(store, directory, "physical-device-path", image->spec, &image->origin, ret_error);
    } else {
        image->origin = strdup(image->spec);
        err = image->origin == NULL ? -ENOMEM : 0;
    }
    return err < 0 ? err : make_source(image, ram_path, ret_error);
}

int image_save(int dir, const char *name, const struct image *image)
{
    struct record record = {.version = RECORD_VERSION,
                            .read_only = image->read_only,
                            .by_script = image->by_script,
                            .discard = image->discard,
                            .generation = image->generation};

    if (strlen(image->spec) >= sizeof(record.spec) || strlen(image->origin) >= sizeof(record.origin))
        return -ENAMETOOLONG;
    snprintf(record.vdev, sizeof(record.vdev), "%s", image->vdev);
    memcpy(record.spec, image->spec, strlen(image->spec) + 1);
    memcpy(record.origin, image->origin, strlen(image->origin) + 1);
    return rundir_write(dir, name, &record, sizeof(record));
}

int image_load(int dir, const char *name, const char *ram_path, struct image *image)
{
    struct record record;
    struct disk_error unused;
    int err = rundir_read(dir, name, &record, sizeof(record));

    if (err == 0 && (record.version != RECORD_VERSION || memchr(record.vdev, '\0', sizeof(record.vdev)) == NULL ||
                     memchr(record.spec, '\0', sizeof(record.spec)) == NULL ||
                     memchr(record.origin, '\0', sizeof(record.origin)) == NULL))
        err = -EBADMSG;
    if (err < 0)
        return err;
    image_fini(image);
    image->read_only = record.read_only != 0;
    image->by_script = record.by_script != 0;
    image->discard = record.discard != 0;
    image->generation = record.generation;
    image->vdev = strdup(record.vdev);
    image->spec = strdup(record.spec);
    image->origin = strdup(record.origin);
    if (image->vdev == NULL || image->spec == NULL || image->origin == NULL)
        return -ENOMEM;
    return make_source(image, ram_path, &unused);
}

void image_fini(struct image *image)
{
    free(image->origin);
    free(image->spec);
    free(image->vdev);
    memset(image, 0, sizeof(*image));
}
