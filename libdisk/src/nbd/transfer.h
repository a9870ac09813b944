/* SPDX-License-Identifier: MIT */
/*
 * What the two halves of the engine of NBD disks share: client.c has the connection, and transfer.c what is sent and answered over it.
 */
#ifndef DISK_NBD_TRANSFER_H
#define DISK_NBD_TRANSFER_H

#include "nbd/client.h"
#include "nbd/library.h"

#define COMMANDS    64           /* sent and not answered at once */
#define BUFFERS     32u          /* of these so many through buffers */
#define BUFFER_SIZE (256u << 10) /* bytes */
#define PIECE_MAX   (1u << 20)   /* bytes of a command with data */
#define TRIM_MAX    (1u << 30)   /* bytes of one without */

enum state { CUT, GREETING, ON };

struct client;

struct command {
    struct file_io *io;  /* NULL: it is free */
    size_t length;       /* of its piece */
    unsigned char *data; /* its buffer, or NULL: the operation's own memory */
    bool ended;
    int error; /* then: 0 or an errno */
};

struct client {
    struct file file;
    struct disk_export server;
    bool read_only;

    enum state state;
    struct nbd_handle *nbd; /* not in CUT */
    uint64_t greeting_ns;   /* GREETING: since when */
    bool wanted;            /* CUT: a connection, and nobody has asked yet */
    struct disk_error why;  /* CUT: what ended the last one */
    struct nbd_about about;
    bool flushes, flushed; /* the server takes flushes; and did so in an earlier connection */
    uint32_t piece_max;

    struct file_io_list waiting; /* in the order in which they are to be sent */
    struct command commands[COMMANDS];
    unsigned char *buffers;
    unsigned char *free_buffers[BUFFERS];
    unsigned free_buffer_count;

    uint64_t progress_ns; /* the last answer, or the begin of waiting */
    bool impatient;       /* patience has run out, and no server has come */
    uint64_t alarm_ns;    /* what the timer is set to; 0: it is not */

    int epoll_fd, timer_fd, event_fd;
    uint32_t watched; /* what of the socket the epoll waits for; 0: it is not in there */
};

uint64_t client_now_ns(void);
/* The words of libnbd for what failed last. */
const char *client_last_error(void);
/* Ends the connection. */
void client_cut(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sends what waits, as far as there is a connection and room. */
void transfer_send(struct client *client);
/* Takes what has ended from libnbd, and cuts the connection that has. */
void transfer_collect(struct client *client);
/* What was sent and is not answered waits again. */
void transfer_take_back(struct client *client);
/* What waits fails. */
void transfer_fail(struct client *client);
/* An operation ends, to be announced by the next poll. */
void transfer_end(struct client *client, struct file_io *io, int result);

#endif
