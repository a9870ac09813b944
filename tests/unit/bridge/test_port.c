/* SPDX-License-Identifier: MIT */
/*
 * The messages of ports: what is accepted of them; and their memory, which must be what it is said to be.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <bridge/port.h>

static struct port_message attach(void)
{
    struct port_message message;

    assert_int_equal(port_message_make(PORT_ATTACH, "vif3.0", &message), 0);
    strcpy(message.bridge, "lan");
    memcpy(message.mac, "\x00\x16\x3e\x01\x02\x03", 6);
    return message;
}

static void good_messages_pass(void **state)
{
    struct port_message message = attach();

    (void)state;
    assert_int_equal(port_message_check(&message), 0);
    message.address_count = 2;
    message.addresses[0] = (struct port_address){.family = 4, .prefix = 32, .bytes = {10, 0, 0, 1}};
    message.addresses[1] = (struct port_address){.family = 6, .prefix = 64, .bytes = {0xfd}};
    assert_int_equal(port_message_check(&message), 0);
    memset(message.mac, 0, 6);
    message.flags = PORT_ANY_MAC;
    assert_int_equal(port_message_check(&message), 0);
    assert_int_equal(port_message_make(PORT_SETTLED, NULL, &message), 0);
    assert_int_equal(port_message_check(&message), 0);
    assert_int_equal(port_message_make(PORT_DETACH, "vif3.0", &message), 0);
    assert_int_equal(port_message_check(&message), 0);
}

#define REFUSES(result, change)                                 \
    do {                                                        \
        struct port_message message = attach();                 \
        change;                                                 \
        assert_int_equal(port_message_check(&message), result); \
    } while (0)

static void bad_messages_do_not(void **state)
{
    (void)state;
    REFUSES(-EPROTONOSUPPORT, message.version++);
    REFUSES(-EINVAL, message.type = 0);
    REFUSES(-EINVAL, message.type = PORT_MESSAGE_TYPES);
    REFUSES(-EINVAL, message.port[0] = 0);
    REFUSES(-EINVAL, message.port[0] = '.');
    REFUSES(-EINVAL, message.port[3] = '/');
    REFUSES(-EINVAL, message.port[3] = '\n');
    REFUSES(-EINVAL, memset(message.port, 'a', sizeof(message.port)));
    REFUSES(-EINVAL, memset(message.bridge, 'a', sizeof(message.bridge)));
    REFUSES(-EINVAL, memset(message.reason, 'a', sizeof(message.reason)));
    REFUSES(-EINVAL, message.bridge[0] = 0);
    REFUSES(-EINVAL, message.flags = 4);
    REFUSES(-EINVAL, message.group = PORT_GROUP_RESERVED);
    REFUSES(-EINVAL, message.mac[0] = 1);
    REFUSES(-EINVAL, memset(message.mac, 0, 6));
    REFUSES(-EINVAL, message.zero = 1);
    REFUSES(-EINVAL, message.result = 1);
    REFUSES(-EINVAL, message.address_count = PORT_ADDRESSES_MAX + 1);
    REFUSES(-EINVAL, message.address_count = 1); /* of no family */
    REFUSES(-EINVAL, (message.address_count = 1, message.addresses[0].family = 4, message.addresses[0].prefix = 33));
    REFUSES(-EINVAL, (message.address_count = 1, message.addresses[0].family = 6, message.addresses[0].prefix = 129));
}

static void memory_is_made_and_known_again(void **state)
{
    int fds[PORT_FDS], broken[PORT_FDS];
    void *memory;

    (void)state;
    assert_int_equal(port_memory_make(3u << 16, fds), -EINVAL);
    assert_int_equal(port_memory_make(1u << 18, fds), 0);
    assert_int_equal(port_memory_check(fds, 1u << 18), 0);
    assert_int_equal(port_memory_check(fds, 1u << 19), -EINVAL);
    assert_int_equal(port_memory_check(fds, 0), -EINVAL);
    assert_int_equal(port_memory_map(fds[0], 1u << 19, &memory), -EINVAL);
    assert_int_equal(port_memory_map(fds[0], 1u << 18, &memory), 0);
    struct frame_consumer in, out;
    assert_int_equal(frame_consumer_attach(&in, (uint8_t *)memory + PORT_RING_IN, frame_size(1u << 18), 1u << 18), 0);
    assert_int_equal(
        frame_consumer_attach(&out, (uint8_t *)memory + port_ring_out(1u << 18), frame_size(1u << 18), 1u << 18), 0);
    port_memory_unmap(memory, 1u << 18);
    assert_int_equal(ftruncate(fds[0], 4096), -1);

    memcpy(broken, fds, sizeof(fds));
    broken[0] = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(ftruncate(broken[0], (off_t)port_memory_size(1u << 18)), 0);
    assert_int_equal(port_memory_check(broken, 1u << 18), -EINVAL);
    close(broken[0]);
    memcpy(broken, fds, sizeof(fds));
    broken[1] = fds[0];
    assert_int_equal(port_memory_check(broken, 1u << 18), -EINVAL);
    broken[1] = eventfd(0, EFD_CLOEXEC); /* one that would block us */
    assert_int_equal(port_memory_check(broken, 1u << 18), -EINVAL);
    close(broken[1]);
    for (unsigned i = 0; i < PORT_FDS; i++)
        close(fds[i]);
}

static void bells_never_wait(void **state)
{
    const uint64_t full = UINT64_MAX - 1;
    int fds[PORT_FDS];

    (void)state;
    assert_int_equal(port_memory_make(1u << 17, fds), 0);
    port_bell_clear(fds[1]);
    assert_int_equal(write(fds[1], &full, sizeof(full)), sizeof(full));
    port_bell_ring(fds[1]);
    port_bell_clear(fds[1]);
    port_bell_ring(fds[1]);
    for (unsigned i = 0; i < PORT_FDS; i++)
        close(fds[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_messages_pass),
        cmocka_unit_test(bad_messages_do_not),
        cmocka_unit_test(memory_is_made_and_known_again),
        cmocka_unit_test(bells_never_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
