/* SPDX-License-Identifier: MIT */
/* What is understood of a URI is one way to a server, in printable text. */
#include <stdlib.h>
#include <string.h>

#include "nbd/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t room)
{
    if (strnlen(text, room) == room)
        abort();
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nbd_uri uri;
    struct disk_error error;
    char *text = malloc(size + 1); /* of its very size, so that a byte too many is found */
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    if (nbd_uri_parse(text, &uri, &error) == 0) {
        check_text(uri.socket, sizeof uri.socket);
        check_text(uri.host, sizeof uri.host);
        check_text(uri.port, sizeof uri.port);
        check_text(uri.export_name, sizeof uri.export_name);
        if ((uri.socket[0] == '/') == (uri.host[0] != '\0') || (uri.host[0] != '\0') != (uri.port[0] != '\0'))
            abort();
    } else if (strnlen(error.text, sizeof error.text) == sizeof error.text) {
        abort();
    }
    free(text);
    return 0;
}
