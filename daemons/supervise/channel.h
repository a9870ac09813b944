/* SPDX-License-Identifier: MIT */
/*
 * The channel between a supervisor and one worker: a SOCK_SEQPACKET socket; a packet is one message with up to CHANNEL_FDS_MAX descriptors.
 * The supervisor that starts a worker makes the first one; a later supervisor connects to a socket that the worker listens on.
 */
#ifndef SUPERVISE_CHANNEL_H
#define SUPERVISE_CHANNEL_H

#include <stddef.h>
#include <sys/types.h>

#define CHANNEL_FDS_MAX   64u
#define CHANNEL_WORKER_FD 3 /* where a worker finds its end */

/* Has a supervisor's end hold what all disks and cards of a guest may be told at once, when a worker is new or busy: a thousand or two messages, where
 * a socket by itself has room for ninety. A worker that lets them fill it does not listen. */
void channel_make_room(int channel);

/* Sends one message; the descriptors stay the caller's. Returns 0; -EAGAIN when the peer does not keep up; -EPIPE when it is gone. */
int channel_send(int channel, const void *message, size_t size, const int *fds, unsigned fd_count);

/* Receives one message into `ret_message` of `size` bytes. Descriptors are the caller's from then on, close-on-exec. A message of another size is
 * -EBADMSG (its descriptors are closed). Returns `size`; 0 when the peer is gone; -EAGAIN. */
ssize_t channel_receive(int channel, void *ret_message, size_t size, int ret_fds[CHANNEL_FDS_MAX],
                        unsigned *ret_fd_count);

/* Makes a socket that listens under `name` in the directory `dir`, in place of what is there. Returns a descriptor, close-on-exec and
 * non-blocking, or -errno. */
int channel_listen(int dir, const char *name);
/* Connects to such a socket. Returns a descriptor, close-on-exec; -ECONNREFUSED when nobody listens, -ENOENT, -EAGAIN when the listener accepts
 * nothing; -errno. Does not wait. */
int channel_connect(int dir, const char *name);
/* Returns the next connection, close-on-exec; -EAGAIN when there is none; -errno. */
int channel_accept(int listener);

#endif
