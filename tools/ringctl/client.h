/* SPDX-License-Identifier: MIT */
/*
 * A request to a daemon's control socket.
 */
#ifndef RINGCTL_CLIENT_H
#define RINGCTL_CLIENT_H

#include <jansson.h>

/* Asks the daemon at `socket_path` for `path`, by `method` ("GET", "POST"), and waits for the answer, CLIENT_TIMEOUT_SECONDS
 * at most. Returns the HTTP status with the body's JSON, which the caller frees; -ENOENT or -ECONNREFUSED when no daemon is
 * there, -ECONNRESET or -EPIPE when it ended before it had answered; -ETIMEDOUT; -EBADMSG for an answer that is none;
 * another -errno. */
#define CLIENT_TIMEOUT_SECONDS 10
int client_request(const char *socket_path, const char *method, const char *path, json_t **ret_body);

/* The same with a body, for an answer that goes on: returns 200 with the socket, which the caller closes and from which the answer's body is to be read; another
 * status as above; -errno. */
int client_request_stream(const char *socket_path, const char *method, const char *path, const char *body, int *ret_fd,
                          json_t **ret_body);

#endif
