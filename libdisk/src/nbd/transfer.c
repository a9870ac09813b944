/* SPDX-License-Identifier: MIT */
/*
 * Operations of an NBD disk, cut into commands. Each has one of a fixed number of places, and a buffer when its piece of memory is in several pieces. See
 * client.c for when an operation is sent again.
 */
#include "nbd/transfer.h"

#include <errno.h>
#include <string.h>

/* ---- Ends of operations. ------------------------------------------------------------------------------------------------- */

void transfer_end(struct client *client, struct file_io *io, int result)
{
    io->result = result;
    TAILQ_INSERT_TAIL(&client->file.ended, io, entry);
}

static void free_command(struct client *client, struct command *command)
{
    if (command->data)
        client->free_buffers[client->free_buffer_count++] = command->data;
    *command = (struct command){.io = NULL};
}

void transfer_take_back(struct client *client)
{
    for (unsigned i = COMMANDS; i-- > 0;) {
        struct command *command = &client->commands[i];
        if (!command->io)
            continue;
        TAILQ_INSERT_HEAD(&client->waiting, command->io, entry);
        free_command(client, command);
    }
}

void transfer_fail(struct client *client)
{
    struct file_io *io;
    while ((io = TAILQ_FIRST(&client->waiting))) {
        TAILQ_REMOVE(&client->waiting, io, entry);
        transfer_end(client, io, -EIO);
    }
}

/* ---- Commands. ------------------------------------------------------------------------------------------------------------ */

/* Called by libnbd in the middle of something: only notes it. */
static int on_complete(void *arg, int *error)
{
    struct command *command = arg;
    command->ended = true;
    command->error = *error;
    return 1;
}

static void copy(struct file_io *io, unsigned char *data, size_t length, bool to_buffer)
{
    const struct iovec *iov = io->iov;
    for (size_t skip = io->skip; length > 0; skip = 0, iov++) {
        size_t part = iov->iov_len - skip < length ? iov->iov_len - skip : length;
        unsigned char *memory = (unsigned char *)iov->iov_base + skip;
        if (to_buffer)
            memcpy(data, memory, part);
        else
            memcpy(memory, data, part);
        data += part;
        length -= part;
    }
}

/* Bytes from the cursor on that are one run of memory, up to `most`. */
static size_t run_length(const struct file_io *io, size_t most)
{
    const struct iovec *iov = io->iov;
    size_t length = iov->iov_len - io->skip;
    for (; length < most && (unsigned char *)iov->iov_base + iov->iov_len == iov[1].iov_base; iov++)
        length += iov[1].iov_len;
    return length < most ? length : most;
}

static bool has_data(const struct file_io *io)
{
    return io->op == FILE_READ || io->op == FILE_WRITE;
}

/* Decides what of the operation is sent next, and by way of which memory. False when there is no buffer for it. */
static bool plan(struct client *client, const struct file_io *io, struct command *command)
{
    if (!has_data(io)) {
        command->length = io->op != FILE_PUNCH ? 0 : io->length < TRIM_MAX ? io->length : TRIM_MAX;
        return true;
    }
    size_t most = io->length < client->piece_max ? io->length : client->piece_max;
    command->length = run_length(io, most);
    if (command->length == most)
        return true;
    if (client->free_buffer_count == 0)
        return false;
    command->data = client->free_buffers[--client->free_buffer_count];
    command->length = most < BUFFER_SIZE ? most : BUFFER_SIZE;
    return true;
}

static int64_t issue(struct client *client, struct command *command)
{
    struct file_io *io = command->io;
    nbd_completion_callback done = {.callback = on_complete, .user_data = command};
    void *memory = !has_data(io) ? NULL : command->data ? command->data : (unsigned char *)io->iov->iov_base + io->skip;
    switch (io->op) {
    case FILE_READ:
        return nbd_library.nbd_aio_pread(client->nbd, memory, command->length, io->offset, done, 0);
    case FILE_WRITE:
        if (command->data)
            copy(io, command->data, command->length, true);
        return nbd_library.nbd_aio_pwrite(client->nbd, memory, command->length, io->offset, done, 0);
    case FILE_SYNC:
        return nbd_library.nbd_aio_flush(client->nbd, done, 0);
    case FILE_PUNCH:
        return nbd_library.nbd_aio_trim(client->nbd, command->length, io->offset, done, 0);
    }
    return -1;
}

/* What the server has no command for is over at once. */
static bool end_without_server(struct client *client, struct file_io *io)
{
    if (io->op == FILE_SYNC && !client->flushes) {
        transfer_end(client, io, 0); /* it says by that that it keeps nothing back */
        return true;
    }
    if (io->op == FILE_PUNCH && client->about.discard_granularity == 0) {
        transfer_end(client, io, -EOPNOTSUPP);
        return true;
    }
    return false;
}

static struct command *find_free(struct client *client)
{
    for (unsigned i = 0; i < COMMANDS; i++)
        if (!client->commands[i].io)
            return &client->commands[i];
    return NULL;
}

void transfer_send(struct client *client)
{
    struct file_io *io;
    struct command *command;
    while (client->state == ON && (io = TAILQ_FIRST(&client->waiting))) {
        TAILQ_REMOVE(&client->waiting, io, entry);
        if (end_without_server(client, io))
            continue;
        command = find_free(client);
        if (!command || !plan(client, io, command)) {
            TAILQ_INSERT_HEAD(&client->waiting, io, entry);
            return;
        }
        command->io = io;
        if (issue(client, command) < 0)
            client_cut(client, "the connection to the NBD server has ended: %s", client_last_error());
    }
}

/* An answer, or the lack of one. Returns whether the connection is of no use any more. */
static bool finish(struct client *client, struct command *command)
{
    struct file_io *io = command->io;
    int error = command->error;
    if (error == ENOTCONN || error == ESHUTDOWN) { /* libnbd, of what was never answered; a server that ends */
        command->ended = false;
        return true;
    }
    client->progress_ns = client_now_ns();
    if (error == 0 && io->op == FILE_READ && command->data)
        copy(io, command->data, command->length, false);
    size_t length = command->length;
    free_command(client, command);
    if (error == 0 && io->op == FILE_PUNCH && length < io->length) {
        io->offset += length;
        io->length -= length;
        TAILQ_INSERT_HEAD(&client->waiting, io, entry);
    } else if (error != 0) {
        transfer_end(client, io, -error);
    } else if (file_io_account(io, has_data(io) ? (int64_t)length : 0)) {
        TAILQ_INSERT_TAIL(&client->file.ended, io, entry);
    } else {
        TAILQ_INSERT_HEAD(&client->waiting, io, entry);
    }
    return false;
}

void transfer_collect(struct client *client)
{
    bool over = false;
    for (unsigned i = 0; i < COMMANDS; i++)
        if (client->commands[i].io && client->commands[i].ended)
            over |= finish(client, &client->commands[i]);
    if (nbd_library.nbd_aio_is_dead(client->nbd) == 1)
        client_cut(client, "the connection to the NBD server has ended: %s", client_last_error());
    else if (nbd_library.nbd_aio_is_closed(client->nbd) == 1)
        client_cut(client, "the NBD server has closed the connection");
    else if (over)
        client_cut(client, "the NBD server is shutting down");
}
