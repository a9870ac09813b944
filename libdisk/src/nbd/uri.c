/* SPDX-License-Identifier: MIT */
/* See uri.h. A URI is cut at its delimiters first and decoded then, so that what is encoded delimits nothing. */
#include "nbd/uri.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kind.h"

#define NBD_PORT "10809" /* registered */

struct span {
    const char *at;
    size_t length;
};

/* What is before the first of the `delimiters`; `rest` begins with that then, or is empty. */
static struct span cut(const char **rest, const char *delimiters)
{
    struct span span = {.at = *rest, .length = strcspn(*rest, delimiters)};
    *rest += span.length;
    return span;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes it decoded, with a NUL. A control character, most of all a NUL, is in no name that is meant. */
static int decode(struct span span, const char *what, char *ret_text, size_t room, struct disk_error *ret_error)
{
    size_t length = 0;
    for (size_t i = 0; i < span.length; i++) {
        unsigned char c = (unsigned char)span.at[i];
        if (c == '%') {
            int high = i + 2 < span.length ? hex_digit(span.at[i + 1]) : -1;
            int low = high < 0 ? -1 : hex_digit(span.at[i + 2]);
            if (low < 0)
                return disk_refuse(ret_error, -EINVAL,
                                   "the %s in the NBD URI has a %% that is not followed by two hexadecimal digits",
                                   what);
            c = (unsigned char)(high << 4 | low);
            i += 2;
        }
        if (c < 0x20 || c == 0x7f)
            return disk_refuse(ret_error, -EINVAL, "the %s in the NBD URI has a control character", what);
        if (length + 1 >= room)
            return disk_refuse(ret_error, -EINVAL, "the %s in the NBD URI is longer than %zu bytes", what, room - 1);
        ret_text[length++] = (char)c;
    }
    ret_text[length] = '\0';
    return 0;
}

static int parse_port(struct span span, char ret_port[6], struct disk_error *ret_error)
{
    unsigned long port = 0;
    for (size_t i = 0; i < span.length && port <= UINT16_MAX; i++)
        port =
            span.at[i] >= '0' && span.at[i] <= '9' ? 10 * port + (unsigned long)(span.at[i] - '0') : UINT16_MAX + 1ul;
    if (port == 0 || port > UINT16_MAX)
        return disk_refuse(ret_error, -EINVAL, "the port in the NBD URI is no number from 1 to 65535");
    snprintf(ret_port, 6, "%lu", port);
    return 0;
}

/* "HOST", "HOST:PORT", "[IPv6]:PORT" */
static int parse_authority(struct span span, struct nbd_uri *uri, struct disk_error *ret_error)
{
    struct span host = span, port = {.at = NBD_PORT, .length = strlen(NBD_PORT)};
    const char *end = span.at + span.length;
    const char *colon = NULL;
    if (memchr(span.at, '@', span.length))
        return disk_refuse(ret_error, -EINVAL, "the NBD URI names a user, which only TLS would have a use for");
    if (span.length > 0 && span.at[0] == '[') {
        const char *bracket = memchr(span.at, ']', span.length);
        if (!bracket || (bracket + 1 < end && bracket[1] != ':'))
            return disk_refuse(ret_error, -EINVAL, "the address in the NBD URI is not [ADDRESS] or [ADDRESS]:PORT");
        host = (struct span){.at = span.at + 1, .length = (size_t)(bracket - span.at) - 1};
        colon = bracket + 1 < end ? bracket + 1 : NULL;
    } else {
        colon = memchr(span.at, ':', span.length);
        if (colon)
            host.length = (size_t)(colon - span.at);
    }
    if (colon && colon + 1 < end)
        port = (struct span){.at = colon + 1, .length = (size_t)(end - colon) - 1};
    if (host.length == 0)
        return disk_refuse(ret_error, -EINVAL, "the NBD URI names no host");
    int result = decode(host, "host", uri->host, sizeof uri->host, ret_error);
    return result < 0 ? result : parse_port(port, uri->port, ret_error);
}

/* "?socket=PATH" and nothing else */
static int parse_query(const char *rest, struct nbd_uri *uri, struct disk_error *ret_error)
{
    static const char key[] = "socket=";
    while (*rest != '\0') {
        rest++;
        struct span pair = cut(&rest, "&");
        if (pair.length < sizeof key - 1 || memcmp(pair.at, key, sizeof key - 1) != 0)
            return disk_refuse(ret_error, -EINVAL, "\"%.*s\" in the NBD URI is not understood: only socket=PATH is",
                               pair.length > 60 ? 60 : (int)pair.length, pair.at);
        if (uri->socket[0] != '\0')
            return disk_refuse(ret_error, -EINVAL, "the NBD URI names two sockets");
        pair.at += sizeof key - 1;
        pair.length -= sizeof key - 1;
        int result = decode(pair, "socket", uri->socket, sizeof uri->socket, ret_error);
        if (result < 0)
            return result;
        if (uri->socket[0] != '/')
            return disk_refuse(ret_error, -EINVAL, "the socket in the NBD URI is not an absolute path");
    }
    return 0;
}

int nbd_uri_parse(const char *text, struct nbd_uri *ret_uri, struct disk_error *ret_error)
{
    struct nbd_uri uri = {.socket = ""};
    const char *rest = text;
    struct span scheme = cut(&rest, ":");
    bool is_unix = scheme.length == 8 && memcmp(scheme.at, "nbd+unix", 8) == 0;
    if (scheme.length >= 4 && memcmp(scheme.at, "nbds", 4) == 0)
        return disk_refuse(
            ret_error, -EINVAL,
            "NBD over TLS (nbds) is not supported: use nbd:// in a network that is trusted, or a tunnel");
    if ((!is_unix && !(scheme.length == 3 && memcmp(scheme.at, "nbd", 3) == 0)) || strncmp(rest, "://", 3) != 0)
        return disk_refuse(ret_error, -EINVAL,
                           "\"%.100s\" is neither nbd+unix:///EXPORT?socket=PATH nor nbd://HOST:PORT/EXPORT", text);
    rest += 3;
    struct span authority = cut(&rest, "/?#");
    struct span name = {.at = rest, .length = 0};
    if (*rest == '/') {
        rest++;
        name = cut(&rest, "?#");
    }
    if (strchr(rest, '#'))
        return disk_refuse(ret_error, -EINVAL, "the NBD URI has a fragment (#), which means nothing");
    int result = decode(name, "export", uri.export_name, sizeof uri.export_name, ret_error);
    if (result == 0)
        result = parse_query(rest, &uri, ret_error);
    if (result < 0)
        return result;
    if (is_unix != (uri.socket[0] != '\0'))
        return disk_refuse(ret_error, -EINVAL,
                           is_unix ? "the nbd+unix URI names no socket: nbd+unix:///EXPORT?socket=PATH"
                                   : "the nbd URI names a socket, as nbd+unix ones do");
    if (is_unix && authority.length > 0)
        return disk_refuse(ret_error, -EINVAL,
                           "the nbd+unix URI names a host: nbd+unix:///EXPORT?socket=PATH has three slashes");
    if (!is_unix)
        result = parse_authority(authority, &uri, ret_error);
    if (result == 0)
        *ret_uri = uri;
    return result;
}
