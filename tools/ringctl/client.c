/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.0 over a Unix socket: one request, one answer, end of file. (libevent's HTTP client only connects to hosts.) An answer that goes on is read
 * up to its body, byte by byte.
 */
#include "client.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENT_ANSWER_MAX   (16u << 20)
#define CLIENT_HEAD_SIZE    4096
#define CLIENT_REQUEST_SIZE (6 * PATH_MAX) /* with a path in its body, whose bytes may be escaped */

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

/* Reads to the end of file, behind `head`. Returns 0 and a string to free, or -errno. */
static int client_read(int fd, const char *head, char **ret_text, size_t *ret_length)
{
    FILE *stream = open_memstream(ret_text, ret_length);
    if (stream == NULL)
        return -errno;
    fputs(head, stream);
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

/* The status an answer begins with, or -EBADMSG. */
static int client_status(const char *text)
{
    static const char version[] = "HTTP/1.1 "; /* or 1.0 */
    if (strncmp(text, version, strlen("HTTP/1.")) != 0 || strlen(text) < sizeof(version))
        return -EBADMSG;
    long status = strtol(text + strlen(version), NULL, 10);
    return status >= 100 && status <= 599 ? (int)status : -EBADMSG;
}

static int client_parse(const char *text, size_t length, json_t **ret_body)
{
    const char *body = strstr(text, "\r\n\r\n");
    int status = client_status(text);
    if (body == NULL || status < 0)
        return -EBADMSG;
    body += 4;
    json_t *json = json_loadb(body, length - (size_t)(body - text), 0, NULL);
    if (json == NULL)
        return -EBADMSG;
    *ret_body = json;
    return status;
}

/* Sends a request. Returns the connected socket, or -errno. */
static int client_send(const char *socket_path, const char *method, const char *path, const char *body)
{
    char request[CLIENT_REQUEST_SIZE];
    /* A body of none, which a POST must say. */
    int length = snprintf(request, sizeof(request), "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n%s", method, path,
                          strlen(body), body);
    if (length < 0 || (size_t)length >= sizeof(request))
        return -ENAMETOOLONG;
    int fd = client_connect(socket_path);
    if (fd < 0)
        return fd;
    if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
        int result = errno == EAGAIN ? -ETIMEDOUT : -errno;
        close(fd);
        return result;
    }
    return fd;
}

/* Reads the rest of an answer that begins with `head`. Returns as client_request(). */
static int client_answer(int fd, const char *head, json_t **ret_body)
{
    char *text = NULL;
    size_t length = 0;
    int result = client_read(fd, head, &text, &length);
    if (text == NULL)
        return result;
    result = length > 0 ? client_parse(text, length, ret_body) : -ECONNRESET; /* it ended before it answered */
    free(text);
    return result;
}

int client_request(const char *socket_path, const char *method, const char *path, json_t **ret_body)
{
    int fd = client_send(socket_path, method, path, "");
    if (fd < 0)
        return fd;
    int result = client_answer(fd, "", ret_body);
    close(fd);
    return result;
}

/* Reads up to the end of the headers. Returns 0 or -errno. */
static int client_read_head(int fd, char *ret_head, size_t size)
{
    size_t length = 0;
    ret_head[0] = '\0';
    while (strstr(ret_head, "\r\n\r\n") == NULL) {
        if (length + 1 >= size)
            return -EBADMSG;
        ssize_t got = recv(fd, ret_head + length, 1, 0);
        if (got <= 0)
            return got == 0 ? -ECONNRESET : errno == EAGAIN ? -ETIMEDOUT : -errno;
        ret_head[++length] = '\0';
    }
    return 0;
}

int client_request_stream(const char *socket_path, const char *method, const char *path, const char *body, int *ret_fd,
                          json_t **ret_body)
{
    int fd = client_send(socket_path, method, path, body);
    if (fd < 0)
        return fd;
    char head[CLIENT_HEAD_SIZE];
    int result = client_read_head(fd, head, sizeof(head));
    if (result == 0 && client_status(head) == 200) {
        *ret_fd = fd;
        return 200;
    }
    if (result == 0)
        result = client_answer(fd, head, ret_body);
    close(fd);
    return result;
}
