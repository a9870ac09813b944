/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.0 over a Unix socket: one request, one answer, end of file. (libevent's HTTP client only connects to hosts.)
 */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_ANSWER_MAX (16u << 20)

/* Returns a connected socket or -errno. */
static int client_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    const struct timeval limit = {.tv_sec = CLIENT_TIMEOUT_SECONDS};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int result = -errno;
        close(fd);
        return result;
    }
    return fd;
}

/* Reads to the end of file. Returns 0 and a string to free, or -errno. */
static int client_read(int fd, char **ret_text, size_t *ret_length)
{
    FILE *stream = open_memstream(ret_text, ret_length);
    if (stream == NULL)
        return -errno;
    char piece[4096];
    size_t total = 0;
    ssize_t length;
    while ((length = recv(fd, piece, sizeof(piece), 0)) > 0 && total <= CLIENT_ANSWER_MAX) {
        fwrite(piece, 1, (size_t)length, stream);
        total += (size_t)length;
    }
    int result = length == 0 ? 0 : length > 0 ? -EMSGSIZE : errno == EAGAIN ? -ETIMEDOUT : -errno;
    if ((fclose(stream) != 0 || *ret_text == NULL) && result == 0)
        result = -ENOMEM;
    if (result < 0) {
        free(*ret_text);
        *ret_text = NULL;
    }
    return result;
}

static int client_parse(const char *text, size_t length, json_t **ret_body)
{
    static const char version[] = "HTTP/1.1 "; /* or 1.0 */
    const char *body = strstr(text, "\r\n\r\n");
    if (body == NULL || strncmp(text, version, strlen("HTTP/1.")) != 0 || length < sizeof(version))
        return -EBADMSG;
    long status = strtol(text + strlen(version), NULL, 10);
    if (status < 100 || status > 599)
        return -EBADMSG;
    body += 4;
    json_t *json = json_loadb(body, length - (size_t)(body - text), 0, NULL);
    if (json == NULL)
        return -EBADMSG;
    *ret_body = json;
    return (int)status;
}

int client_request(const char *socket_path, const char *method, const char *path, json_t **ret_body)
{
    int fd = client_connect(socket_path);
    if (fd < 0)
        return fd;
    char request[256];
    /* A body of none, which a POST must say. */
    int length = snprintf(request, sizeof(request), "%s %s HTTP/1.0\r\nContent-Length: 0\r\n\r\n", method, path);
    char *text = NULL;
    size_t text_length = 0;
    int result;
    if (length < 0 || (size_t)length >= sizeof(request))
        result = -ENAMETOOLONG;
    else if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
        result = errno == EAGAIN ? -ETIMEDOUT : -errno;
    else
        result = client_read(fd, &text, &text_length);
    close(fd);
    if (text == NULL)
        return result;
    if (text_length == 0) { /* it ended before it answered */
        free(text);
        return -ECONNRESET;
    }
    result = client_parse(text, text_length, ret_body);
    free(text);
    return result;
}
