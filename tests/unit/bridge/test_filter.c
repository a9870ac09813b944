/* SPDX-License-Identifier: MIT */
/*
 * Anti-spoofing: a port with a MAC, and one with addresses too; what an honest guest sends passes, what it must not is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bridge/filter.h>

static const uint8_t own[6] = {0x00, 0x16, 0x3e, 1, 2, 3}, other[6] = {0x00, 0x16, 0x3e, 9, 9, 9};
static const uint8_t link_local[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0x16, 0x3e, 0xff, 0xfe, 1, 2, 3};
static const uint8_t global[16] = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5};
static const uint8_t foreign[16] = {0xfd, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5};
static const uint8_t anybody[16];

/* Two kinds of port. */
static struct filter with_mac(void)
{
    struct filter filter = {.any_mac = false};

    memcpy(filter.mac, own, 6);
    return filter;
}

static struct filter with_addresses(void)
{
    struct filter filter = with_mac();

    filter.address_count = 3;
    filter.addresses[0] = (struct port_address){.family = 4, .prefix = 32, .bytes = {10, 0, 0, 5}};
    filter.addresses[1] = (struct port_address){.family = 4, .prefix = 25, .bytes = {192, 168, 1, 128}};
    filter.addresses[2] = (struct port_address){.family = 6, .prefix = 64, .bytes = {0xfd}};
    return filter;
}

/* A frame under construction. */
static struct {
    uint8_t bytes[512];
    uint32_t length;
} frame;

static void add(const void *bytes, uint32_t count)
{
    memcpy(frame.bytes + frame.length, bytes, count);
    frame.length += count;
}

#define ADD(...) add((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void ethernet(const uint8_t *source, uint16_t type)
{
    frame.length = 0;
    memset(frame.bytes, 0, sizeof(frame.bytes));
    ADD(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
    add(source, 6);
    ADD((uint8_t)(type >> 8), (uint8_t)type);
}

static void arp(const uint8_t *sender_mac, uint32_t sender, uint32_t target)
{
    ADD(0, 1, 8, 0, 6, 4, 0, 1);
    add(sender_mac, 6);
    ADD((uint8_t)(sender >> 24), (uint8_t)(sender >> 16), (uint8_t)(sender >> 8), (uint8_t)sender);
    ADD(0, 0, 0, 0, 0, 0);
    ADD((uint8_t)(target >> 24), (uint8_t)(target >> 16), (uint8_t)(target >> 8), (uint8_t)target);
}

static void ipv4(uint32_t source, uint8_t protocol, uint16_t fragment)
{
    ADD(0x45, 0, 0, 60, 0, 0, (uint8_t)(fragment >> 8), (uint8_t)fragment, 64, protocol, 0, 0);
    ADD((uint8_t)(source >> 24), (uint8_t)(source >> 16), (uint8_t)(source >> 8), (uint8_t)source, 10, 0, 0, 9);
}

static void ipv6(const uint8_t *source, uint8_t next, uint16_t payload)
{
    ADD(0x60, 0, 0, 0, (uint8_t)(payload >> 8), (uint8_t)payload, next, 255);
    add(source, 16);
    ADD(0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
}

static void icmp(uint8_t type, const uint8_t *target)
{
    ADD(type, 0, 0, 0, 0, 0, 0, 0);
    if (target != NULL)
        add(target, 16);
}

static void nd_option(uint8_t type, const uint8_t *mac)
{
    ADD(type, 1);
    add(mac, 6);
}

/* What both kinds of port say, from an exact copy on the heap. */
static void expect(enum filter_verdict mac_only, enum filter_verdict addresses)
{
    const struct filter first = with_mac(), second = with_addresses();
    uint8_t *copy = malloc(frame.length);

    assert_non_null(copy);
    memcpy(copy, frame.bytes, frame.length);
    assert_int_equal(filter_check(&first, copy, frame.length), mac_only);
    assert_int_equal(filter_check(&second, copy, frame.length), addresses);
    free(copy);
}

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

static void macs(void **state)
{
    const struct filter any = {.any_mac = true};

    (void)state;
    ethernet(own, 0x88b5);
    expect(FILTER_PASS, FILTER_SPOOFED_IP); /* of a protocol that nobody can look into */
    ethernet(other, 0x0800);
    ipv4(IP(10, 0, 0, 5), 6, 0);
    expect(FILTER_SPOOFED_MAC, FILTER_SPOOFED_MAC);
    assert_int_equal(filter_check(&any, frame.bytes, frame.length), FILTER_PASS);
}

static void arps(void **state)
{
    (void)state;
    ethernet(own, 0x0806);
    arp(own, IP(10, 0, 0, 5), IP(10, 0, 0, 9));
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x0806);
    arp(own, IP(192, 168, 1, 200), IP(10, 0, 0, 9));
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x0806);
    arp(own, IP(192, 168, 1, 100), IP(10, 0, 0, 9)); /* the other half of that network */
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x0806);
    arp(other, IP(10, 0, 0, 5), IP(10, 0, 0, 9));
    expect(FILTER_SPOOFED_MAC, FILTER_SPOOFED_MAC);
    ethernet(own, 0x0806);
    arp(own, IP(10, 0, 0, 9), IP(10, 0, 0, 5)); /* "10.0.0.9 is at my address" */
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x0806);
    arp(own, 0, IP(10, 0, 0, 5)); /* a probe */
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x0806);
    arp(own, 0, IP(10, 0, 0, 9)); /* which makes its owner believe that the address is taken */
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    frame.length--;
    expect(FILTER_MALFORMED, FILTER_MALFORMED);
}

static void ipv4s(void **state)
{
    (void)state;
    ethernet(own, 0x0800);
    ipv4(IP(10, 0, 0, 5), 6, 0);
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x0800);
    ipv4(IP(10, 0, 0, 9), 6, 0);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    frame.length--;
    expect(FILTER_PASS, FILTER_MALFORMED);
    ethernet(own, 0x0800);
    ipv4(0, 17, 0);
    ADD(0, 68, 0, 67); /* DHCP */
    expect(FILTER_PASS, FILTER_PASS);
    frame.length--;
    expect(FILTER_PASS, FILTER_MALFORMED);
    ethernet(own, 0x0800);
    ipv4(0, 17, 0);
    ADD(0, 67, 0, 68); /* a DHCP server */
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x0800);
    ipv4(0, 17, 1); /* a fragment without ports */
    ADD(0, 68, 0, 67);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x0800);
    ipv4(0, 6, 0);
    ADD(0, 68, 0, 67);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
}

/* From an address of its own a port with addresses may ask (and serve what it likes), not answer for a DHCP server. */
static void dhcp_servers(void **state)
{
    (void)state;
    ethernet(own, 0x0800);
    ipv4(IP(10, 0, 0, 5), 17, 0);
    ADD(0, 67, 0, 68);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    frame.length--;
    expect(FILTER_PASS, FILTER_MALFORMED);
    ethernet(own, 0x0800);
    ipv4(IP(10, 0, 0, 5), 17, 0);
    ADD(4, 67, 0, 68); /* from another port: there are clients that do not mind */
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x0800);
    ipv4(IP(10, 0, 0, 5), 17, 0x2000); /* the first fragment */
    ADD(0, 67, 0, 68);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x0800);
    ipv4(IP(10, 0, 0, 5), 17, 1); /* a later one */
    ADD(0, 67, 0, 68);
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x0800);
    ipv4(IP(10, 0, 0, 5), 17, 0);
    ADD(0, 68, 0, 67); /* renewing */
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x86dd);
    ipv6(link_local, 17, 4);
    ADD(2, 35, 2, 34);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    frame.length--;
    expect(FILTER_PASS, FILTER_MALFORMED);
    ethernet(own, 0x86dd);
    ipv6(link_local, 60, 12);
    ADD(17, 0, 0, 0, 0, 0, 0, 0);
    ADD(2, 35, 2, 34);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x86dd);
    ipv6(link_local, 17, 4);
    ADD(2, 34, 2, 35); /* asking */
    expect(FILTER_PASS, FILTER_PASS);
}

static void tags_hide_nothing(void **state)
{
    (void)state;
    ethernet(own, 0x8100);
    ADD(0, 0, 0x08, 0x00);
    ipv4(IP(10, 0, 0, 9), 6, 0);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x88a8);
    ADD(0, 5, 0x81, 0x00, 0, 6, 0x08, 0x06);
    arp(other, IP(10, 0, 0, 5), IP(10, 0, 0, 9));
    expect(FILTER_SPOOFED_MAC, FILTER_SPOOFED_MAC);
    ethernet(own, 0x8100);
    ADD(0, 5, 0x81, 0x00, 0, 6, 0x81, 0x00, 0, 7, 0x08, 0x00);
    ipv4(IP(10, 0, 0, 5), 6, 0);
    expect(FILTER_MALFORMED, FILTER_MALFORMED);
    ethernet(own, 0x8100);
    ADD(0, 0, 0x08);
    expect(FILTER_MALFORMED, FILTER_MALFORMED);
}

static void ipv6_sources(void **state)
{
    (void)state;
    ethernet(own, 0x86dd);
    ipv6(global, 6, 0);
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x86dd);
    ipv6(link_local, 6, 0);
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x86dd);
    ipv6(foreign, 6, 0);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x86dd);
    ipv6(anybody, 17, 0);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x86dd);
    ipv6(anybody, 58, 8);
    icmp(128, NULL); /* an echo from nowhere */
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x86dd);
    ipv6(anybody, 0, 16);
    ADD(58, 0, 5, 2, 0, 0, 1, 0); /* hop by hop: router alert */
    icmp(143, NULL);              /* multicast groups */
    expect(FILTER_PASS, FILTER_PASS);
}

static void neighbours(void **state)
{
    (void)state;
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 32);
    icmp(136, global);
    nd_option(2, own);
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 32);
    icmp(136, foreign); /* "that address is mine" */
    nd_option(2, own);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 32);
    icmp(136, global); /* "and it is there" */
    nd_option(2, other);
    expect(FILTER_SPOOFED_MAC, FILTER_SPOOFED_MAC);
    ethernet(own, 0x86dd);
    ipv6(global, 58, 32);
    icmp(135, foreign); /* who has it? */
    nd_option(1, own);
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x86dd);
    ipv6(global, 58, 40);
    icmp(135, foreign);
    nd_option(14, other); /* a nonce */
    nd_option(1, other);
    expect(FILTER_SPOOFED_MAC, FILTER_SPOOFED_MAC);
    ethernet(own, 0x86dd);
    ipv6(anybody, 58, 24);
    icmp(135, link_local); /* is it free? */
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x86dd);
    ipv6(anybody, 58, 24);
    icmp(135, foreign); /* a wrong one who asks that makes its owner give it up */
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x86dd);
    ipv6(anybody, 58, 8);
    icmp(133, NULL);
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 16);
    icmp(134, NULL); /* a router */
    ADD(0, 0, 0, 0, 0, 0, 0, 0);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 40);
    icmp(137, global); /* a redirect */
    add(global, 16);
    expect(FILTER_PASS, FILTER_SPOOFED_IP);
}

static void broken_neighbours(void **state)
{
    (void)state;
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 23);
    icmp(136, global);
    expect(FILTER_MALFORMED, FILTER_MALFORMED); /* the packet ends before its target does */
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 26);
    icmp(136, global);
    ADD(2, 0);
    expect(FILTER_MALFORMED, FILTER_MALFORMED); /* an option of no length */
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 26);
    icmp(136, global);
    ADD(2, 1);
    expect(FILTER_MALFORMED, FILTER_MALFORMED);
    ethernet(own, 0x86dd);
    ipv6(link_local, 58, 40);
    icmp(136, global);
    ADD(2, 2);
    add(own, 6);
    ADD(0, 0, 0, 0, 0, 0, 0, 0);
    expect(FILTER_SPOOFED_MAC, FILTER_SPOOFED_MAC); /* a longer address than there is */
}

static void extensions_hide_nothing(void **state)
{
    (void)state;
    ethernet(own, 0x86dd);
    ipv6(global, 60, 40);
    ADD(58, 0, 0, 0, 0, 0, 0, 0);
    icmp(136, global);
    nd_option(2, other);
    expect(FILTER_SPOOFED_MAC, FILTER_SPOOFED_MAC);
    ethernet(own, 0x86dd);
    ipv6(global, 51, 56);
    ADD(58, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12); /* an authentication header */
    icmp(136, global);
    nd_option(2, other);
    expect(FILTER_SPOOFED_MAC, FILTER_SPOOFED_MAC);
    ethernet(own, 0x86dd);
    ipv6(global, 51, 20);
    ADD(58, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8);
    expect(FILTER_MALFORMED, FILTER_MALFORMED);
    ethernet(own, 0x86dd);
    ipv6(global, 44, 40);
    ADD(58, 0, 0, 1, 0, 0, 0, 9); /* the first fragment */
    icmp(136, global);
    nd_option(2, own);
    expect(FILTER_MALFORMED, FILTER_MALFORMED);
    ethernet(own, 0x86dd);
    ipv6(global, 44, 16);
    ADD(60, 0, 0, 1, 0, 0, 0, 9); /* which ends within the headers */
    ADD(58, 4, 0, 0, 0, 0, 0, 0);
    expect(FILTER_MALFORMED, FILTER_MALFORMED);
    ethernet(own, 0x86dd);
    ipv6(global, 44, 16);
    ADD(6, 0, 0, 9, 0, 0, 0, 9); /* a later one */
    ADD(1, 2, 3, 4, 5, 6, 7, 8);
    expect(FILTER_PASS, FILTER_PASS);
    ethernet(own, 0x86dd);
    ipv6(global, 60, 80);
    for (unsigned i = 0; i < 10; i++)
        ADD(60, 0, 0, 0, 0, 0, 0, 0);
    expect(FILTER_MALFORMED, FILTER_MALFORMED);
}

/* Whatever a frame is cut to, nothing is read behind its end (AddressSanitizer looks on). */
static void cut_anywhere(void **state)
{
    (void)state;
    ethernet(own, 0x8100);
    ADD(0, 0, 0x86, 0xdd);
    ipv6(link_local, 0, 40);
    ADD(58, 0, 5, 2, 0, 0, 1, 0);
    icmp(136, global);
    nd_option(2, own);
    const uint32_t whole = frame.length;
    for (frame.length = 14; frame.length < whole; frame.length++)
        if (frame.length != whole - 8) /* before the option, which need not be there */
            expect(FILTER_MALFORMED, FILTER_MALFORMED);
    expect(FILTER_PASS, FILTER_PASS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(macs),
        cmocka_unit_test(arps),
        cmocka_unit_test(ipv4s),
        cmocka_unit_test(dhcp_servers),
        cmocka_unit_test(tags_hide_nothing),
        cmocka_unit_test(ipv6_sources),
        cmocka_unit_test(neighbours),
        cmocka_unit_test(broken_neighbours),
        cmocka_unit_test(extensions_hide_nothing),
        cmocka_unit_test(cut_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
