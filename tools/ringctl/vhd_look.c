/* SPDX-License-Identifier: MIT */
/* `ringctl vhd info`, `check` and `repair`. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vhd.h"

static const char *type_name(enum vhd_type type)
{
    return type == VHD_FIXED ? "fixed" : type == VHD_DYNAMIC ? "dynamic" : "differencing";
}

static void uuid_text(const uint8_t uuid[DISK_UUID_SIZE], char ret_text[37])
{
    char *at = ret_text;
    for (unsigned i = 0; i < DISK_UUID_SIZE; i++)
        at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

/* ---- info. ----------------------------------------------------------------------------------------------------------- */

static json_t *about_json(const char *path, const struct vhd_about *about, const struct disk_chain *chain)
{
    char uuid[37], creator[5];
    memcpy(creator, about->creator, sizeof creator);
    for (char *at = creator; *at; at++)
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
    uuid_text(about->uuid, uuid);
    json_t *parents = json_array();
    for (unsigned i = 0; i < chain->parent_count; i++)
        json_array_append_new(parents, json_string(chain->paths[i]));
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:I, s:I, s:I, s:o}", "path", path, "type", type_name(about->type),
                     "size", (json_int_t)about->size, "uuid", uuid, "creator", creator, "block_size",
                     (json_int_t)about->block_size, "blocks", (json_int_t)about->blocks, "used",
                     (json_int_t)about->used, "parents", parents);
}

static void about_print(const json_t *about)
{
    json_int_t size = json_integer_value(json_object_get(about, "size"));
    json_int_t block_size = json_integer_value(json_object_get(about, "block_size"));
    size_t i;
    json_t *parent;
    printf("file      %s\n", json_string_value(json_object_get(about, "path")));
    printf("type      %s\n", json_string_value(json_object_get(about, "type")));
    printf("size      %" JSON_INTEGER_FORMAT " bytes (%.1f MiB)\n", size, (double)size / 1048576);
    printf("uuid      %s\n", json_string_value(json_object_get(about, "uuid")));
    printf("creator   %s\n", json_string_value(json_object_get(about, "creator")));
    if (block_size > 0)
        printf("blocks    %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " used, of %" JSON_INTEGER_FORMAT " KiB\n",
               json_integer_value(json_object_get(about, "used")), json_integer_value(json_object_get(about, "blocks")),
               block_size / 1024);
    json_array_foreach(json_object_get(about, "parents"), i, parent)
    {
        printf("parent    %s\n", json_string_value(parent));
    }
}

enum ringctl_exit vhd_run_info(const struct vhd_options *options, char **operands)
{
    struct disk_source source;
    struct disk_chain chain = {.fd = -1};
    struct disk_error error = {""}, chain_error = {""};
    struct vhd_about about;
    enum ringctl_exit status = vhd_parse_source(operands[0], "vhd", &source);
    if (status != RINGCTL_OK)
        return status;
    int fd = disk_source_open(&source, true, &error);
    int result = fd < 0 ? fd : vhd_describe(fd, &about, &error);
    if (fd >= 0)
        close(fd);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s: %s", source.path, error.text);
    int found = disk_chain_open(&source, true, &chain, &chain_error);
    json_t *json = about_json(source.path, &about, &chain);
    disk_chain_close(&chain);
    if (json == NULL)
        return ringctl_fail(RINGCTL_REFUSED, "out of memory, or the path is not UTF-8");
    if (options->json) {
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        about_print(json);
    }
    json_decref(json);
    /* The image has been shown all the same. */
    return found < 0 ? ringctl_fail(RINGCTL_REFUSED, "%s: %s", source.path, chain_error.text) : RINGCTL_OK;
}

/* ---- check and repair. ----------------------------------------------------------------------------------------------- */

static void print_finding(void *arg, const char *text, bool repaired)
{
    printf("%s: %s%s\n", (const char *)arg, text, repaired ? " (repaired)" : "");
}

/* One file. Adds to `left` what is wrong with it still. */
static enum ringctl_exit check_file(int fd, bool repair, char *path, int *left)
{
    struct disk_error error;
    int result = vhd_check(fd, repair, print_finding, path, &error);
    if (result < 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s: %s", path, error.text);
    *left += result;
    return RINGCTL_OK;
}

/* Whether the parents are those that the image means, and how it reads with them. */
static enum ringctl_exit check_chain(const struct disk_source *source, int *left)
{
    struct disk_chain chain = {.fd = -1};
    struct disk_error error = {""};
    struct disk *disk = NULL;
    enum ringctl_exit status = RINGCTL_OK;
    int result = disk_chain_open(source, true, &chain, &error);
    for (unsigned i = 0; result == 0 && status == RINGCTL_OK && i < chain.parent_count; i++) {
        struct vhd_about about;
        if (vhd_describe(chain.parents[i], &about, &error) == 0) /* else it is raw, or disk_open() says what is wrong */
            status = check_file(chain.parents[i], false, chain.paths[i], left);
    }
    if (result == 0 && status == RINGCTL_OK)
        result = disk_chain_to_disk(&chain, true, 1, &disk, &error);
    else
        disk_chain_close(&chain);
    disk_close(disk);
    if (result < 0) {
        printf("%s: %s\n", source->path, error.text);
        ++*left;
    }
    return status;
}

static enum ringctl_exit check(char **operands, bool repair)
{
    struct disk_source source;
    struct disk_error error;
    int left = 0;
    enum ringctl_exit status = vhd_parse_source(operands[0], "vhd", &source);
    if (status != RINGCTL_OK)
        return status;
    int fd = disk_source_open(&source, !repair, &error);
    if (fd < 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s: %s", source.path, error.text);
    if (disk_source_lock(fd, !repair) < 0)
        status = ringctl_fail(RINGCTL_REFUSED, "%s is in use", source.path);
    else
        status = check_file(fd, repair, source.path, &left);
    close(fd);
    if (status == RINGCTL_OK && left == 0)
        status = check_chain(&source, &left);
    if (status == RINGCTL_OK && left > 0)
        return ringctl_fail(RINGCTL_REFUSED, "%s: not in order", source.path);
    if (status == RINGCTL_OK)
        printf("%s: in order\n", source.path);
    return status;
}

enum ringctl_exit vhd_run_check(const struct vhd_options *options, char **operands)
{
    (void)options;
    return check(operands, false);
}

enum ringctl_exit vhd_run_repair(const struct vhd_options *options, char **operands)
{
    (void)options;
    return check(operands, true);
}
