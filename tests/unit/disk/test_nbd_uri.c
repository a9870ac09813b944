/* SPDX-License-Identifier: MIT */
/* What is understood of an NBD URI, and what is refused for which reason. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "nbd/uri.h"
#include "rig.h"

static struct nbd_uri parsed(const char *text)
{
    struct nbd_uri uri;
    struct disk_error error;
    if (nbd_uri_parse(text, &uri, &error) < 0)
        fail_msg("%s: %s", text, error.text);
    return uri;
}

static void expect_socket(const char *text, const char *socket, const char *export_name)
{
    struct nbd_uri uri = parsed(text);
    assert_string_equal(uri.socket, socket);
    assert_string_equal(uri.export_name, export_name);
    assert_string_equal(uri.host, "");
}

static void expect_host(const char *text, const char *host, const char *port, const char *export_name)
{
    struct nbd_uri uri = parsed(text);
    assert_string_equal(uri.socket, "");
    assert_string_equal(uri.host, host);
    assert_string_equal(uri.port, port);
    assert_string_equal(uri.export_name, export_name);
}

static void expect_refused(const char *text, const char *why)
{
    struct nbd_uri uri;
    struct disk_error error;
    memset(&uri, 0x5a, sizeof uri);
    assert_int_equal(nbd_uri_parse(text, &uri, &error), -EINVAL);
    if (!strstr(error.text, why))
        fail_msg("%s: refused, but not for '%s': %s", text, why, error.text);
    assert_int_equal(uri.socket[0], 0x5a); /* untouched */
}

static void test_unix(void **state)
{
    (void)state;
    expect_socket("nbd+unix:///?socket=/run/nbd.sock", "/run/nbd.sock", "");
    expect_socket("nbd+unix://?socket=/run/nbd.sock", "/run/nbd.sock", "");
    expect_socket("nbd+unix:///disk/1?socket=/a b/c=d", "/a b/c=d", "disk/1");
    expect_socket("nbd+unix:///%64isk%3f%23%2F?socket=%2Ftmp%2fa%26b", "/tmp/a&b", "disk?#/");
}

static void test_tcp(void **state)
{
    (void)state;
    expect_host("nbd://example", "example", "10809", "");
    expect_host("nbd://example/", "example", "10809", "");
    expect_host("nbd://example:1/disk", "example", "1", "disk");
    expect_host("nbd://192.0.2.1:65535/a/b", "192.0.2.1", "65535", "a/b");
    expect_host("nbd://[2001:db8::1]/x", "2001:db8::1", "10809", "x");
    expect_host("nbd://[::1]:10810", "::1", "10810", "");
    expect_host("nbd://[fe80::1%25eth0]:7/", "fe80::1%eth0", "7", "");
    expect_host("nbd://example:/disk", "example", "10809", "disk");
}

static void test_refused(void **state)
{
    char text[600];
    (void)state;
    expect_refused("", "is neither");
    expect_refused("nbd", "is neither");
    expect_refused("nbd:/x", "is neither");
    expect_refused("http://example", "is neither");
    expect_refused("nbds://example", "TLS");
    expect_refused("nbds+unix:///?socket=/x", "TLS");
    expect_refused("nbd+vsock://1/", "is neither");
    expect_refused("nbd://", "no host");
    expect_refused("nbd:///disk", "no host");
    expect_refused("nbd://user@example", "names a user");
    expect_refused("nbd://example:0", "port");
    expect_refused("nbd://example:65536", "port");
    expect_refused("nbd://example:99999999999999999999999", "port");
    expect_refused("nbd://example:10x", "port");
    expect_refused("nbd://::1/", "no host");
    expect_refused("nbd://2001:db8::1/", "port");
    expect_refused("nbd://[::1", "[ADDRESS]");
    expect_refused("nbd://[::1]x", "[ADDRESS]");
    expect_refused("nbd://[]", "no host");
    expect_refused("nbd://example?socket=/x", "as nbd+unix ones do");
    expect_refused("nbd+unix:///disk", "names no socket");
    expect_refused("nbd+unix:///disk?", "is not understood");
    expect_refused("nbd+unix:///disk?socket=", "not an absolute path");
    expect_refused("nbd+unix:///disk?socket=x", "not an absolute path");
    expect_refused("nbd+unix://host/disk?socket=/x", "names a host");
    expect_refused("nbd+unix:///disk?socket=/x&socket=/y", "two sockets");
    expect_refused("nbd+unix:///disk?tls-certificates=/x", "is not understood");
    expect_refused("nbd+unix:///disk?socket=/x#y", "fragment");
    expect_refused("nbd://example/%", "hexadecimal");
    expect_refused("nbd://example/%4", "hexadecimal");
    expect_refused("nbd://example/%4g", "hexadecimal");
    expect_refused("nbd://example/%00", "control character");
    expect_refused("nbd://example/a%0a", "control character");

    snprintf(text, sizeof text, "nbd://example/%0*d", (int)DISK_EXPORT_NAME_SIZE - 1, 0);
    assert_int_equal(strlen(parsed(text).export_name), DISK_EXPORT_NAME_SIZE - 1);
    snprintf(text, sizeof text, "nbd://example/%0*d", (int)DISK_EXPORT_NAME_SIZE, 0);
    expect_refused(text, "longer than 255");
    snprintf(text, sizeof text, "nbd+unix:///?socket=/%0*d", 107, 0);
    expect_refused(text, "longer than 107");
}

/* As a disk is configured: the kind in front, or the URI alone where its scheme is that. */
static void test_source(void **state)
{
    struct disk_source source;
    struct disk_error error;
    (void)state;
    assert_int_equal(disk_source_parse("nbd:nbd+unix:///a?socket=/x", &source, &error), 0);
    assert_string_equal(disk_kind_name(source.kind), "nbd");
    assert_string_equal(source.path, "nbd+unix:///a?socket=/x");
    assert_string_equal(source.export_name, "a");
    assert_int_equal(disk_source_parse("nbd://example/b", &source, &error), 0);
    assert_string_equal(source.path, "nbd://example/b");
    assert_int_equal(disk_source_parse("nbd:nbd://example/c", &source, &error), 0);
    assert_string_equal(source.path, "nbd://example/c");
    assert_int_equal(disk_source_parse("nbd:/dev/nbd0", &source, &error), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_source),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
