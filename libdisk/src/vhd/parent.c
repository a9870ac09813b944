/* SPDX-License-Identifier: MIT */
/*
 * Parents. A child names its parent by identifier and by paths. The identifier decides: what is found under a path and has another one is
 * refused. A child whose parent's identifier is all zeros has a raw parent, as XenServer writes it. The time stamp of the parent is not
 * looked at: writers disagree about what it means, and copying a file may change it.
 */
#include "vhd/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "kind.h"
#include "vhd/locator.h"

static bool parent_is_raw(const struct vhd_image *image)
{
    return uuid_is_null(image->header.parent_uuid);
}

/* ---- What an image says. ------------------------------------------------------------------------------------------- */

/* Keeps a locator that was decoded into the place behind the last, unless it is there already. */
static void parent_keep(struct disk_parent *parent)
{
    for (unsigned i = 0; i < parent->count; i++)
        if (strcmp(parent->locators[i], parent->locators[parent->count]) == 0)
            return;
    parent->count++;
}

static int parent_read_locator(struct file *file, const struct vhd_image *image, const struct vhd_locator *locator,
                               uint8_t *buffer, struct disk_parent *parent, struct disk_error *ret_error)
{
    uint64_t end = image->end * DISK_SECTOR_SIZE;
    if (locator->length == 0 || locator->length > VHD_LOCATOR_MOST || locator->offset > end ||
        locator->length > end - locator->offset)
        return 0; /* of no use */
    uint64_t start = locator->offset / DISK_SECTOR_SIZE * DISK_SECTOR_SIZE;
    size_t within = (size_t)(locator->offset - start);
    size_t length = (within + locator->length + DISK_SECTOR_SIZE - 1) / DISK_SECTOR_SIZE * DISK_SECTOR_SIZE;
    int64_t result = file_run(file, 0, FILE_READ, start, buffer, length);
    if (result < 0)
        return disk_refuse(ret_error, (int)result, "cannot read a locator of the parent at byte %" PRIu64 ": %s",
                           locator->offset, strerror((int)-result));
    if ((uint64_t)result < within + locator->length)
        return 0;
    if (vhd_locator_decode(vhd_locator_form(locator->code), buffer + within, locator->length,
                           parent->locators[parent->count], DISK_LOCATOR_SIZE) == 0)
        parent_keep(parent);
    return 0;
}

static int parent_read_all(struct file *file, const struct vhd_image *image, struct disk_parent *parent,
                           struct disk_error *ret_error)
{
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, VHD_LOCATOR_MOST + DISK_SECTOR_SIZE) != 0)
        return disk_refuse(ret_error, -ENOMEM, "out of memory");
    int result = 0;
    for (unsigned form = 0; form < VHD_LOCATOR_FORMS; form++) /* the best first */
        for (unsigned i = 0; result == 0 && i < VHD_LOCATORS; i++)
            if (vhd_locator_form(image->header.locators[i].code) == form)
                result = parent_read_locator(file, image, &image->header.locators[i], buffer, parent, ret_error);
    free(buffer);
    if (result == 0 && vhd_name_decode(image->header.name, parent->locators[parent->count], DISK_LOCATOR_SIZE) == 0)
        parent_keep(parent);
    return result;
}

int vhd_parent_read(int fd, struct disk_parent *ret_parent, struct disk_error *ret_error)
{
    struct disk_params params = {.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0), .fence_fd = -1, .plain = true, .depth = 1};
    struct file *file = NULL;
    struct vhd_image image = {0};
    if (params.fd < 0)
        return disk_refuse(ret_error, -errno, "cannot use the image's descriptor: %s", strerror(errno));
    int result = file_open(&params, &file, ret_error);
    if (result < 0)
        return result;
    result = vhd_image_load_parent(file, 0, &image, ret_error);
    if (result == 0 && image.footer.type == VHD_DIFFERENCING) {
        memset(ret_parent, 0, sizeof *ret_parent);
        memcpy(ret_parent->uuid, image.header.parent_uuid, sizeof ret_parent->uuid);
        ret_parent->kind = parent_is_raw(&image) ? &disk_kind_raw : &disk_kind_vhd;
        result = parent_read_all(file, &image, ret_parent, ret_error);
        if (result == 0)
            result = 1;
    }
    vhd_image_fini(&image);
    file_close(file);
    return result;
}

/* ---- What was handed over. ----------------------------------------------------------------------------------------- */

static int layer_load_raw(struct file *file, unsigned member, struct vhd_layer *layer, struct disk_error *ret_error)
{
    layer->raw = true;
    layer->image.size = file_size(file, member);
    if (layer->image.size == 0 || layer->image.size % DISK_SECTOR_SIZE)
        return disk_refuse(ret_error, -EINVAL,
                           "parent %u is raw and has %" PRIu64 " bytes: not a positive multiple of %u", member,
                           layer->image.size, DISK_SECTOR_SIZE);
    return 0;
}

/* Loads parent `member`, the child of whose is `child`; `top` is the image at the end of the chain. */
static int layer_load(struct file *file, unsigned member, const struct vhd_image *top, struct vhd_layer *layers,
                      struct disk_error *ret_error)
{
    const struct vhd_image *child = member == 1 ? top : &layers[member - 2].image;
    struct vhd_layer *layer = &layers[member - 1];
    struct disk_error error = {""};
    if (parent_is_raw(child))
        return layer_load_raw(file, member, layer, ret_error);
    int result = vhd_image_load_parent(file, member, &layer->image, &error);
    if (result < 0)
        return disk_refuse(ret_error, result, "parent %u: %.200s", member, error.text);

    const uint8_t *uuid = layer->image.footer.uuid;
    char wanted[UUID_STR_LEN], found[UUID_STR_LEN];
    if (memcmp(uuid, child->header.parent_uuid, sizeof layer->image.footer.uuid) != 0) {
        uuid_unparse_lower(child->header.parent_uuid, wanted);
        uuid_unparse_lower(uuid, found);
        return disk_refuse(ret_error, -EINVAL, "parent %u is %s, its child is of %s", member, found, wanted);
    }
    for (unsigned i = 0; i < member; i++)
        if (memcmp(uuid, i == 0 ? top->footer.uuid : layers[i - 1].image.footer.uuid, sizeof top->footer.uuid) == 0)
            return disk_refuse(ret_error, -ELOOP,
                               "the chain of parents is a loop: images %u and %u have the same identifier", i, member);
    return 0;
}

int vhd_layers_load(struct file *file, const struct vhd_image *image, struct vhd_layer **ret_layers,
                    struct disk_error *ret_error)
{
    struct vhd_layer *layers = NULL;
    const struct vhd_image *last = image;
    bool raw = false;
    if (file->parent_count > 0) {
        layers = calloc(file->parent_count, sizeof *layers);
        if (!layers)
            return disk_refuse(ret_error, -ENOMEM, "out of memory for %u parents", file->parent_count);
    }
    int result = 0;
    for (unsigned i = 1; result == 0 && i <= file->parent_count; i++) {
        if (raw || last->footer.type != VHD_DIFFERENCING)
            result = disk_refuse(ret_error, -EINVAL, "image %u of the chain stands by itself, but was given a parent",
                                 i - 1);
        else
            result = layer_load(file, i, image, layers, ret_error);
        last = &layers[i - 1].image;
        raw = layers[i - 1].raw;
    }
    if (result == 0 && !raw && last->footer.type == VHD_DIFFERENCING)
        result = disk_refuse(ret_error, -EINVAL,
                             "it is a differencing image: the parent of image %u of the chain is missing",
                             file->parent_count);
    if (result < 0)
        vhd_layers_free(layers, file->parent_count);
    else
        *ret_layers = layers;
    return result;
}

void vhd_layers_free(struct vhd_layer *layers, unsigned count)
{
    for (unsigned i = 0; layers && i < count; i++)
        vhd_image_fini(&layers[i].image);
    free(layers);
}
