/* SPDX-License-Identifier: MIT */
#include "opening.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <disk/parent.h>

struct job {
    bool read_only;
    struct disk_source source;
    int child; /* -1: the source is opened; else the parent of this */
    struct disk_parent parent;
};

static int open_parent(const struct job *job, struct disk_error *ret_error)
{
    const int folder = disk_folder_open(job->child, ret_error);
    int parents_folder = -1;
    unsigned locator;
    int fd;

    if (folder < 0)
        return folder;
    fd = disk_parent_open(folder, &job->parent, &parents_folder, &locator, ret_error);
    if (fd >= 0)
        close(parents_folder); /* it is found again by its image */
    close(folder);
    return fd;
}

static int run(void *arg, int *ret_fd, struct disk_error *ret_error)
{
    const struct job *job = arg;
    int fd = job->child >= 0 ? open_parent(job, ret_error) : disk_source_open(&job->source, job->read_only, ret_error);

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

static void free_job(void *arg)
{
    struct job *job = arg;

    if (job->child >= 0)
        close(job->child);
    free(job);
}

static const struct errand_work work = {.run = run, .free = free_job};

int opening_start(struct event_base *base, const struct disk_source *source, bool read_only, errand_done done,
                  void *arg, struct errand **ret_errand)
{
    struct job *job = malloc(sizeof(*job));

    if (job == NULL)
        return -ENOMEM;
    *job = (struct job){.read_only = read_only, .source = *source, .child = -1};
    return errand_start(base, &work, job, done, arg, ret_errand);
}

int opening_start_parent(struct event_base *base, int child, const struct disk_parent *parent, errand_done done,
                         void *arg, struct errand **ret_errand)
{
    struct job *job = malloc(sizeof(*job));
    int copy = fcntl(child, F_DUPFD_CLOEXEC, 0);

    if (job == NULL || copy < 0) {
        int err = copy < 0 ? -errno : -ENOMEM;
        if (copy >= 0)
            close(copy);
        free(job);
        return err;
    }
    *job = (struct job){.child = copy, .parent = *parent};
    return errand_start(base, &work, job, done, arg, ret_errand);
}
