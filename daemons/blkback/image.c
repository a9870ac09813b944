/* SPDX-License-Identifier: MIT */
/*
 * `params` names the image; `mode` holds a 'w' when it may be written; `script` is the hotplug script xl runs. With script=block-ringback
 * (or none, for tools without scripts) the image is what params says. With any other, such as xl's stock `block`, the disk exists only
 * when the script is done, and `physical-device-path`, if the script wrote it, is the device it made.
 */
#include "image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xendev/store.h>

#define OWN_SCRIPT "block-ringback"

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
    char *mode = NULL, *script = NULL;
    int err = read_string(store, directory, "params", NULL, &image->spec, ret_error);

    if (err == 0)
        err = read_string(store, directory, "dev", "", &image->vdev, ret_error);
    if (err == 0)
        err = read_string(store, directory, "mode", "r", &mode, ret_error);
    if (err == 0)
        err = read_string(store, directory, "script", "", &script, ret_error);
    if (err == 0) {
        image->read_only = strchr(mode, 'w') == NULL;
        image->by_script = script_is_foreign(script);
    }
    free(script);
    free(mode);
    return err;
}

int image_read(struct xendev_store *store, const char *directory, const char *ram_path, bool script_done,
               struct image *image, struct disk_error *ret_error)
{
    char *device = NULL;
    int err;

    image_fini(image);
    err = read_keys(store, directory, image, ret_error);
    if (err < 0 || (image->by_script && !script_done))
        return err;
    if (image->by_script) {
        err = read_string(store, directory, "physical-device-path", image->spec, &device, ret_error);
        if (err < 0)
            return err;
    }
    err = disk_source_parse(device != NULL ? device : image->spec, &image->source, ret_error);
    free(device);
    if (err < 0)
        return err;
    if (strcmp(disk_kind_name(image->source.kind), "ram") == 0)
        snprintf(image->source.path, sizeof(image->source.path), "%s", ram_path);
    return 0;
}

void image_fini(struct image *image)
{
    free(image->spec);
    free(image->vdev);
    memset(image, 0, sizeof(*image));
}
