/* SPDX-License-Identifier: MIT */
/*
 * nbd: a disk that an NBD server has, by libnbd.
 *
 * Its source is opened by connecting (dial.c), with no word said; what the server says is for who may be taken over by it to hear (client.c). So a disk
 * that is looked at is not known before its server has answered, which disk_open() does not wait for; one that was looked at before is
 * opened with what was found then, and serves, or waits, from the begin.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nbd/client.h"
#include "nbd/dial.h"
#include "nbd/library.h"
#include "nbd/uri.h"

static int nbd_source_parse(const char *text, struct disk_source *source, struct disk_error *ret_error)
{
    struct nbd_uri uri;
    /* "nbd://..." is such a URI already, whose scheme was taken for the kind. */
    int length = snprintf(source->path, sizeof source->path, "%s%s", strncmp(text, "//", 2) == 0 ? "nbd:" : "", text);
    if (length < 0 || (size_t)length >= sizeof source->path)
        return disk_refuse(ret_error, -EINVAL, "the NBD URI is longer than %zu bytes", sizeof source->path - 1);
    int result = nbd_uri_parse(source->path, &uri, ret_error);
    if (result == 0)
        memcpy(source->export_name, uri.export_name, sizeof source->export_name);
    return result;
}

static int nbd_source_open(const struct disk_source *source, bool read_only, struct disk_error *ret_error)
{
    struct nbd_uri uri;
    (void)read_only; /* is said, and asked, by who shakes hands */
    int result = nbd_uri_parse(source->path, &uri, ret_error);
    return result < 0 ? result : nbd_dial(&uri, ret_error);
}

/* Takes over what is known by now. */
static void nbd_describe(struct disk *disk, const struct nbd_about *about)
{
    disk->info.size = disk->file->size = about->size;
    disk->info.physical_sector_size = about->physical_size;
    disk->info.discard_granularity = about->discard_granularity;
}

static int nbd_ready(struct disk *disk, struct disk_error *ret_error)
{
    struct nbd_about about;
    int result = nbd_client_ready(disk->file, &about, ret_error);
    if (result == 1 && disk->info.size == 0)
        nbd_describe(disk, &about);
    return result;
}

static bool nbd_wants_connection(struct disk *disk, struct disk_error *ret_why)
{
    return nbd_client_wants_connection(disk->file, ret_why);
}

static void nbd_connect(struct disk *disk, int fd)
{
    nbd_client_connect(disk->file, fd);
}

static int nbd_open(const struct disk_params *params, struct disk **ret_disk, struct disk_error *ret_error)
{
    struct file *file = NULL;
    if (params->parent_count > 0 || !nbd_library_is_loaded()) {
        disk_params_close(params);
        return params->parent_count > 0 ? disk_refuse(ret_error, -EINVAL, "an NBD disk has no parent")
                                        : disk_refuse(ret_error, -ENOPKG, "libnbd is not loaded");
    }
    int result = nbd_client_open(params, &file, ret_error);
    if (result < 0)
        return result;
    struct disk *disk = calloc(1, sizeof *disk);
    if (!disk || disk_init(disk, &disk_kind_nbd, file, params->read_only, params->depth) < 0) {
        free(disk);
        file_close(file);
        return disk_refuse(ret_error, -ENOMEM, "out of memory");
    }
    if (params->server && params->server->size != 0)
        nbd_describe(disk, &(struct nbd_about){.size = params->server->size,
                                               .physical_size = params->server->physical_sector_size,
                                               .discard_granularity = params->server->discard_granularity});
    *ret_disk = disk;
    return 0;
}

static void nbd_close_disk(struct disk *disk)
{
    disk_fini(disk);
    free(disk);
}

static void nbd_start(struct disk *disk, struct disk_request *request)
{
    (void)disk;
    disk_request_pass(request);
}

const struct disk_kind disk_kind_nbd = {
    .name = "nbd",
    .load = nbd_library_load,
    .ops = 1u << DISK_DISCARD,
    .source_parse = nbd_source_parse,
    .source_open = nbd_source_open,
    .open = nbd_open,
    .close = nbd_close_disk,
    .start = nbd_start,
    .ready = nbd_ready,
    .wants_connection = nbd_wants_connection,
    .connect = nbd_connect,
};
