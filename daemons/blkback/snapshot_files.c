/* SPDX-License-Identifier: MIT */
/*
 * Theory of operation. An image that is called IMAGE, whose content is to be called FILE:
 *
 *   make    1  IMAGE.partial    a new child, whose parent is FILE, is written and synced
 *   swap    2                   what was written to the image is synced
 *           3  link             FILE is a second name of the image; synced
 *           4  rename           IMAGE.partial becomes IMAGE, at once and for good; synced
 *
 * Before 4 the image is where it was, and after 4 all is done. A kill in between leaves IMAGE.partial, or FILE as a second name of IMAGE, or both: by
 * that it is known for what it is, and removed, or used, when it is come across again. Nothing else is ever removed or written over.
 */
#include "snapshot_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <disk/vhd.h>

#include "chain.h"

#define PARTIAL ".partial"

struct job {
    struct snapshot_files files;
    int image, child; /* -1: it has none */
    uint64_t size;
    uint8_t uuid[DISK_UUID_SIZE];
};

/* Where it happens. */
struct place {
    int folder;
    const char *image; /* in that, as the next */
    char partial[NAME_MAX + 1];
};

static int refuse(struct disk_error *ret_error, int err, const char *what, const char *path)
{
    snprintf(ret_error->text, sizeof(ret_error->text), "%.150s %s: %s", path, what, strerror(-err));
    return err;
}

static int forbid(struct disk_error *ret_error, int err, const char *path, const char *why)
{
    snprintf(ret_error->text, sizeof(ret_error->text), "%.150s %s", path, why);
    return err;
}

/* ---- Names. ----------------------------------------------------------------------------------------------------------------- */

static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/* Whether the image, or the child on its way, is called so. */
static bool is_needed(const char *name, const char *image)
{
    const size_t length = strlen(image);

    return strncmp(name, image, length) == 0 && (name[length] == '\0' || strcmp(name + length, PARTIAL) == 0);
}

int snapshot_files_name(int image, const char *file, struct snapshot_files *ret_files, struct disk_error *ret_error)
{
    struct snapshot_files files;
    const char *name = last_name(file);
    const size_t folder = (size_t)(name - file);
    struct stat stat;
    int err;

    memset(&files, 0, sizeof(files)); /* all of it is recorded */
    if (fstat(image, &stat) < 0 || !S_ISREG(stat.st_mode))
        return forbid(ret_error, -EINVAL, "its image", "is not a regular file");
    chain_path(image, files.image);
    if (folder > 0 && (last_name(files.image) != files.image + folder || strncmp(file, files.image, folder) != 0))
        return forbid(ret_error, -EPERM, file,
                      "is not in the image's folder, where alone it would find its own parents");
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strlen(name) >= sizeof(files.name))
        return forbid(ret_error, -EINVAL, file, "is no name for a file");
    if (is_needed(name, last_name(files.image)))
        return forbid(ret_error, -EEXIST, file, "is a name that the image itself needs");
    err = disk_locator_check(name, ret_error);
    if (err < 0)
        return err;
    snprintf(files.name, sizeof(files.name), "%s", name);
    files.device = stat.st_dev;
    files.inode = stat.st_ino;
    *ret_files = files;
    return 0;
}

/* ---- The place. -------------------------------------------------------------------------------------------------------------- */

static int enter(const struct snapshot_files *files, struct place *ret_place, struct disk_error *ret_error)
{
    struct place place = {.image = last_name(files->image)};
    char folder[PATH_MAX];

    if (snprintf(place.partial, sizeof(place.partial), "%s" PARTIAL, place.image) >= (int)sizeof(place.partial))
        return refuse(ret_error, -ENAMETOOLONG, "leaves no room for a name beside it", files->image);
    snprintf(folder, sizeof(folder), "%.*s", (int)(place.image - files->image), files->image);
    place.folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (place.folder < 0)
        return refuse(ret_error, -errno, "cannot be opened", folder);
    *ret_place = place;
    return 0;
}

static bool is_image(const struct snapshot_files *files, int folder, const char *name, nlink_t links_min)
{
    struct stat stat;

    return fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && stat.st_dev == files->device &&
           stat.st_ino == files->inode && stat.st_nlink >= links_min;
}

/* Whether the image has two names already: somebody died between two steps. */
static bool is_linked(const struct snapshot_files *files, const struct place *place)
{
    return is_image(files, place->folder, place->image, 2) && is_image(files, place->folder, files->name, 2);
}

/* Whether the name is free, or one that an earlier try left. */
static int check_name(const struct snapshot_files *files, const struct place *place, struct disk_error *ret_error)
{
    struct stat stat;

    if (is_linked(files, place))
        return 0;
    if (fstatat(place->folder, files->name, &stat, AT_SYMLINK_NOFOLLOW) == 0)
        return forbid(ret_error, -EEXIST, files->name, "is there already");
    return errno == ENOENT ? 0 : refuse(ret_error, -errno, "cannot be looked at", files->name);
}

/* Removes a child that nobody finished: one that is locked is somebody's still. */
static void remove_partial(const struct place *place)
{
    int fd = openat(place->folder, place->partial, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return;
    if (disk_source_lock(fd, false) == 0)
        unlinkat(place->folder, place->partial, 0);
    close(fd);
}

/* ---- Make. -------------------------------------------------------------------------------------------------------------------- */

/* Its owner, group and mode are the image's, or else it is the daemon's alone. */
static void inherit(int child, int image)
{
    struct stat stat;

    if (fstat(image, &stat) == 0 && fchown(child, stat.st_uid, stat.st_gid) == 0)
        (void)fchmod(child, stat.st_mode & 0777);
}

static int write_child(const struct job *job, const struct place *place, struct disk_error *ret_error)
{
    int child = openat(place->folder, place->partial, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int err;

    if (child < 0)
        return refuse(ret_error, -errno, "cannot be created", place->partial);
    inherit(child, job->image);
    err = vhd_create_child(child, job->size, job->uuid, job->files.name, ret_error);
    close(child);
    if (err < 0)
        unlinkat(place->folder, place->partial, 0);
    return err;
}

/* Opens the child as disks are opened. Returns a descriptor or -errno. */
static int open_child(const struct job *job, struct disk_error *ret_error)
{
    struct disk_source source = {.kind = disk_kind_find("vhd")};
    int child, err;

    if (snprintf(source.path, sizeof(source.path), "%s" PARTIAL, job->files.image) >= (int)sizeof(source.path))
        return refuse(ret_error, -ENAMETOOLONG, "leaves no room for a name beside it", job->files.image);
    child = disk_source_open(&source, false, ret_error);
    if (child < 0)
        return child;
    err = disk_source_lock(child, false);
    if (err == 0)
        return child;
    close(child);
    return refuse(ret_error, err, "cannot be locked", source.path);
}

static int make_in(const struct job *job, const struct place *place, int *ret_fd, struct disk_error *ret_error)
{
    int child, err;

    if (!is_image(&job->files, place->folder, place->image, 1))
        return forbid(ret_error, -ENOENT, job->files.image, "is not the disk's image any more");
    err = check_name(&job->files, place, ret_error);
    if (err < 0)
        return err;
    remove_partial(place);
    err = write_child(job, place, ret_error);
    if (err < 0)
        return err;
    child = open_child(job, ret_error);
    if (child < 0) {
        unlinkat(place->folder, place->partial, 0);
        return child;
    }
    (void)fdatasync(job->image); /* so that little is left to sync when the guest waits */
    *ret_fd = child;
    return 0;
}

static int make(void *arg, int *ret_fd, struct disk_error *ret_error)
{
    const struct job *job = arg;
    struct place place = {.folder = -1, .image = ""};
    int err = enter(&job->files, &place, ret_error);

    if (err < 0)
        return err;
    err = make_in(job, &place, ret_fd, ret_error);
    close(place.folder);
    return err;
}

static void unmake(void *arg)
{
    const struct job *job = arg;
    struct disk_error unused;
    struct place place = {.folder = -1, .image = ""};

    if (enter(&job->files, &place, &unused) < 0)
        return;
    unlinkat(place.folder, place.partial, 0);
    close(place.folder);
}

/* ---- Swap. -------------------------------------------------------------------------------------------------------------------- */

/* Opens what the child will find as its parent, by the same policy. Returns a descriptor or -errno. */
static int open_parent(const struct job *job, const struct place *place, struct disk_error *ret_error)
{
    struct disk_parent *parent = calloc(1, sizeof(*parent));
    int folder = -1, fd;
    unsigned unused;

    if (parent == NULL)
        return refuse(ret_error, -ENOMEM, "cannot be opened", job->files.name);
    parent->kind = disk_kind_find("vhd");
    parent->count = 1;
    snprintf(parent->locators[0], sizeof(parent->locators[0]), "%s", job->files.name);
    fd = disk_parent_open(place->folder, parent, &folder, &unused, ret_error);
    free(parent);
    if (fd < 0)
        return fd;
    close(folder);
    if (chain_is_same_file(fd, job->image))
        return fd;
    close(fd);
    return forbid(ret_error, -ESTALE, job->files.name, "is not what it was made");
}

/* Steps 3 and 4, when the image has its second name. */
static int rename_child(const struct job *job, const struct place *place, int *ret_fd, struct disk_error *ret_error)
{
    int parent = open_parent(job, place, ret_error);
    int err = 0;

    if (parent < 0)
        return parent;
    if (fsync(place->folder) < 0)
        err = refuse(ret_error, -errno, "cannot be synced", job->files.name);
    else if (renameat(place->folder, place->partial, place->folder, place->image) < 0)
        err = refuse(ret_error, -errno, "cannot be replaced", job->files.image);
    if (err < 0) {
        close(parent);
        return err;
    }
    (void)fsync(place->folder); /* there is no way back, and what fails here fails for the guest's next flush, too */
    (void)disk_source_lock(job->image, true); /* a worker's copies share it; lock.c sees to ours */
    *ret_fd = parent;
    return 0;
}

static int swap_in(const struct job *job, const struct place *place, int *ret_fd, struct disk_error *ret_error)
{
    struct stat child, partial;
    int err;

    if (fdatasync(job->image) < 0)
        return refuse(ret_error, -errno, "cannot be synced", job->files.image);
    if (!is_image(&job->files, place->folder, place->image, 1) || fstat(job->child, &child) < 0 ||
        fstatat(place->folder, place->partial, &partial, AT_SYMLINK_NOFOLLOW) < 0 || child.st_ino != partial.st_ino)
        return forbid(ret_error, -ESTALE, job->files.image, "was renamed meanwhile, or its child was");
    if (!is_linked(&job->files, place) && linkat(place->folder, place->image, place->folder, job->files.name, 0) < 0)
        return errno == EEXIST ? forbid(ret_error, -EEXIST, job->files.name, "is there already")
                               : refuse(ret_error, -errno, "cannot be made", job->files.name);
    err = rename_child(job, place, ret_fd, ret_error);
    if (err < 0)
        unlinkat(place->folder, job->files.name, 0);
    return err;
}

static int swap(void *arg, int *ret_fd, struct disk_error *ret_error)
{
    const struct job *job = arg;
    struct place place = {.folder = -1, .image = ""};
    int err = enter(&job->files, &place, ret_error);

    if (err < 0)
        return err;
    err = swap_in(job, &place, ret_fd, ret_error);
    close(place.folder);
    return err;
}

/* ---- Clear. -------------------------------------------------------------------------------------------------------------------- */

static int clear(void *arg, int *ret_fd, struct disk_error *ret_error)
{
    const struct job *job = arg;
    struct place place = {.folder = -1, .image = ""};
    int err = enter(&job->files, &place, ret_error);

    (void)ret_fd;
    if (err < 0)
        return err;
    if (is_linked(&job->files, &place))
        unlinkat(place.folder, job->files.name, 0);
    remove_partial(&place);
    close(place.folder);
    return 0;
}

/* ---- Starting them. -------------------------------------------------------------------------------------------------------------- */

static void free_job(void *arg)
{
    struct job *job = arg;

    if (job->image >= 0)
        close(job->image);
    if (job->child >= 0)
        close(job->child);
    free(job);
}

/* Copies what the thread is to have; a descriptor of -1 is none. Returns NULL when that cannot be. */
static struct job *job_new(const struct snapshot_files *files, int image, int child)
{
    struct job *job = calloc(1, sizeof(*job));

    if (job == NULL)
        return NULL;
    job->files = *files;
    job->image = image < 0 ? -1 : fcntl(image, F_DUPFD_CLOEXEC, 0);
    job->child = child < 0 ? -1 : fcntl(child, F_DUPFD_CLOEXEC, 0);
    if ((image >= 0 && job->image < 0) || (child >= 0 && job->child < 0)) {
        free_job(job);
        return NULL;
    }
    return job;
}

int snapshot_files_make(struct event_base *base, const struct snapshot_files *files, int image, uint64_t size,
                        const uint8_t uuid[DISK_UUID_SIZE], errand_done done, void *arg, struct errand **ret_errand)
{
    static const struct errand_work work = {.run = make, .undo = unmake, .free = free_job};
    struct job *job = job_new(files, image, -1);

    if (job == NULL)
        return -ENOMEM;
    job->size = size;
    memcpy(job->uuid, uuid, sizeof(job->uuid));
    return errand_start(base, &work, job, done, arg, ret_errand);
}

int snapshot_files_swap(struct event_base *base, const struct snapshot_files *files, int image, int child,
                        errand_done done, void *arg, struct errand **ret_errand)
{
    static const struct errand_work work = {.run = swap, .free = free_job};
    struct job *job = job_new(files, image, child);

    return job == NULL ? -ENOMEM : errand_start(base, &work, job, done, arg, ret_errand);
}

int snapshot_files_clear(struct event_base *base, const struct snapshot_files *files, errand_done done, void *arg,
                         struct errand **ret_errand)
{
    static const struct errand_work work = {.run = clear, .free = free_job};
    struct job *job = job_new(files, -1, -1);

    return job == NULL ? -ENOMEM : errand_start(base, &work, job, done, arg, ret_errand);
}
