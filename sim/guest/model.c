/* SPDX-License-Identifier: MIT */
/*
 * The model is an array of twelve bytes a sector behind a header page, in memory or in a mapped file: a file is right also when the
 * guest is killed, for a write is entered before it is sent and acknowledged after it was answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model.h"
#include "sector.h"

#define MODEL_MAGIC 0x324c45444f4d4252u /* "RBMODEL2" */
#define MODEL_HEAD  4096u

struct model_head {
    uint64_t magic;
    uint64_t seed;
    uint64_t first;
    uint64_t count;
    uint64_t blank;
};

struct model_entry {
    uint32_t acked;
    uint32_t issued : 31;
    uint32_t busy : 1;
    uint32_t discarded; /* the version issued when it was discarded last, plus one; 0: never */
};

struct model {
    struct model_head *head;
    struct model_entry *entries;
    size_t size; /* bytes mapped */
};

static size_t model_size(uint64_t count)
{
    return MODEL_HEAD + (size_t)count * sizeof(struct model_entry);
}

/* Makes a model of `size` bytes of a file, or of memory (`fd` -1). Returns NULL with errno set. */
static struct model *model_map(int fd, size_t size)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return NULL;

    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (memory == MAP_FAILED) {
        free(model);
        return NULL;
    }
    model->head = memory;
    model->entries = (struct model_entry *)((char *)memory + MODEL_HEAD);
    model->size = size;
    return model;
}

/* Takes over what a former run left: its requests are over. */
static int model_continue(int fd, size_t size, struct model **ret_model)
{
    if (size < MODEL_HEAD)
        return -EINVAL;
    struct model *model = model_map(fd, size);
    if (model == NULL)
        return -errno;

    const struct model_head *head = model->head;
    if (head->magic != MODEL_MAGIC || head->count > SIZE_MAX / 16 || model_size(head->count) != size) {
        model_close(model);
        return -EINVAL;
    }
    for (uint64_t i = 0; i < head->count; i++)
        model->entries[i].busy = 0;
    *ret_model = model;
    return 0;
}

static int model_begin(int fd, const struct model_params *params, struct model **ret_model)
{
    size_t size = model_size(params->count);
    if (fd >= 0 && ftruncate(fd, (off_t)size) < 0)
        return -errno;
    struct model *model = model_map(fd, size);
    if (model == NULL)
        return -errno;

    *model->head = (struct model_head){.magic = MODEL_MAGIC,
                                       .seed = params->seed,
                                       .first = params->first,
                                       .count = params->count,
                                       .blank = params->blank};
    *ret_model = model;
    return 0;
}

int model_open(const struct model_params *params, struct model **ret_model)
{
    if (params->path == NULL)
        return model_begin(-1, params, ret_model);

    struct stat st;
    int fd = open(params->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int rc = fstat(fd, &st) < 0 ? -errno : 0;
    if (rc == 0 && st.st_size == 0)
        rc = model_begin(fd, params, ret_model);
    else if (rc == 0)
        rc = model_continue(fd, (size_t)st.st_size, ret_model);
    close(fd);
    return rc;
}

int model_open_existing(const char *path, struct model **ret_model)
{
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = fstat(fd, &st) < 0 ? -errno : model_continue(fd, (size_t)st.st_size, ret_model);
    close(fd);
    return rc;
}

void model_close(struct model *model)
{
    if (model == NULL)
        return;
    munmap(model->head, model->size);
    free(model);
}

uint64_t model_first(const struct model *model)
{
    return model->head->first;
}

uint64_t model_count(const struct model *model)
{
    return model->head->count;
}

static struct model_entry *entry_of(const struct model *model, uint64_t sector)
{
    return &model->entries[sector - model->head->first];
}

bool model_busy(const struct model *model, uint64_t sector, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (entry_of(model, sector + i)->busy)
            return true;
    }
    return false;
}

static void content(const struct model *model, uint64_t sector, uint32_t version, uint64_t ret_words[SECTOR_WORDS])
{
    if (version == 0)
        memset(ret_words, 0, BLKIF_SECTOR_SIZE);
    else
        sector_fill(&(struct sector_stamp){model->head->seed, sector, version}, ret_words);
}

void model_write(struct model *model, uint64_t sector, void *ret_bytes)
{
    struct model_entry *entry = entry_of(model, sector);
    uint64_t words[SECTOR_WORDS];

    entry->issued++;
    entry->busy = 1;
    content(model, sector, entry->issued, words);
    memcpy(ret_bytes, words, sizeof words);
}

void model_written(struct model *model, uint64_t sector, bool acknowledged)
{
    struct model_entry *entry = entry_of(model, sector);

    entry->busy = 0;
    if (acknowledged)
        entry->acked = entry->issued;
}

void model_discard(struct model *model, uint64_t sector)
{
    struct model_entry *entry = entry_of(model, sector);

    entry->busy = 1;
    entry->discarded = entry->issued + 1u;
}

void model_discarded(struct model *model, uint64_t sector)
{
    entry_of(model, sector)->busy = 0;
}

uint32_t model_floor(const struct model *model, uint64_t sector)
{
    return entry_of(model, sector)->acked;
}

/* Whether each word is that of some version in floor..issued, or zero if it may be discarded. */
static bool is_mixed(const struct model *model, uint64_t sector, uint32_t floor, uint32_t issued, bool discarded,
                     const uint64_t words[SECTOR_WORDS])
{
    uint64_t known = 0; /* bit n: word n is explained */

    for (unsigned i = 0; i < SECTOR_WORDS && discarded; i++)
        known |= (uint64_t)(words[i] == 0) << i;
    for (uint32_t version = floor; version <= issued; version++) {
        uint64_t candidate[SECTOR_WORDS];
        content(model, sector, version, candidate);
        for (unsigned i = 0; i < SECTOR_WORDS; i++)
            known |= (uint64_t)(words[i] == candidate[i]) << i;
    }
    return known == UINT64_MAX;
}

bool model_check(const struct model *model, uint64_t sector, uint32_t floor, const void *bytes, char *ret_why,
                 size_t why_size)
{
    const struct model_entry *entry = entry_of(model, sector);
    struct sector_stamp stamp;
    uint64_t words[SECTOR_WORDS];

    memcpy(words, bytes, sizeof words);
    bool ours = sector_parse(words, &stamp) && stamp.seed == model->head->seed;
    if (ours && stamp.sector == sector && stamp.version >= floor && stamp.version <= entry->issued)
        return true;
    if (!ours && floor == 0 && !model->head->blank)
        return true;
    /* No write that came after the discard was acknowledged when this read was sent. */
    if (is_mixed(model, sector, floor, entry->issued, entry->discarded > floor, words))
        return true;

    if (ours)
        snprintf(ret_why, why_size,
                 "sector %" PRIu64 ": expected version %u..%u, found version %" PRIu64 " of sector %" PRIu64, sector,
                 floor, entry->issued, stamp.version, stamp.sector);
    else
        snprintf(ret_why, why_size,
                 "sector %" PRIu64 ": expected version %u..%u, found foreign or torn data (%016" PRIx64 " %016" PRIx64
                 "...)",
                 sector, floor, entry->issued, words[0], words[1]);
    return false;
}
