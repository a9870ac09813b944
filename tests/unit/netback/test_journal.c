/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include <ring/back.h>
#include <ring/netif_ctrl.h>

#include "netback/journal.h"

static void places_follow_each_other(void **state)
{
    (void)state;
    for (uint32_t queues = 1; queues <= NETBACK_QUEUES_MAX; queues++)
        for (uint32_t ctrl = 0; ctrl < 2; ctrl++) {
            const struct netback_connection connection = {.queue_count = queues, .has_ctrl = ctrl};
            size_t end = 0;
            assert_int_equal(netback_ring_count(&connection), 2 * queues + ctrl);
            for (unsigned ring = 0; ring < netback_ring_count(&connection); ring++) {
                const struct netback_journal_place place = netback_journal_place(&connection, ring);
                const struct ring_layout layout = ring == NETBACK_RING_CTRL(&connection) ? netif_ctrl_layout()
                                                  : ring % 2                             ? netif_rx_layout()
                                                                                         : netif_tx_layout();
                assert_int_equal(place.offset, end);
                assert_int_equal(place.size, ring_journal_size(&layout));
                end += place.size;
            }
            assert_int_equal(netback_journal_size(&connection), end);
        }
}

static void only_what_can_be_is_a_connection(void **state)
{
    const struct netback_connection good = {
        .version = NETBACK_CONNECTION_VERSION, .generation = 1, .queue_count = 2, .has_ctrl = 1};
    struct netback_connection bad;

    (void)state;
    assert_int_equal(netback_connection_check(&good), 0);
    assert_int_equal(netback_port_fds(&good), 2);
    bad = good;
    bad.version++;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
    bad = good;
    bad.generation = 0;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
    bad = good;
    bad.queue_count = 0;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
    bad.queue_count = NETBACK_QUEUES_MAX + 1;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
    bad = good;
    bad.has_ctrl = 2;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
    bad = good;
    bad.features = NETBACK_FEATURES_ALL + 1;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
    bad = good;
    bad.port = NETBACK_PORTS;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
    bad.port = NETBACK_PORT_SWITCH;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
    bad.capacity = 1u << 20;
    assert_int_equal(netback_connection_check(&bad), 0);
    assert_int_equal(netback_port_fds(&bad), NETBACK_SWITCH_FDS);
    bad.capacity++;
    assert_int_equal(netback_connection_check(&bad), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_follow_each_other),
        cmocka_unit_test(only_what_can_be_is_a_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
