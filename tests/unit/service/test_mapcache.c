/* SPDX-License-Identifier: MIT */
/*
 * The cache of mapped pages, over a grant device that counts, and fails when told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xendev/grant.h>

#include "blkback/worker/mapcache.h"

#define REFS 4096u

/* ---- The grant device. --------------------------------------------------------------------------------------------------- */

static struct {
    bool mapped[REFS]; /* a reference's page is its place in here */
    unsigned count, calls;
    int fails; /* with this */
} device;

int xendev_grants_map_optional(struct xendev_grants *grants, uint32_t domid, const uint32_t *grefs, unsigned count,
                               void **ret_address)
{
    assert_ptr_equal(grants, &device);
    assert_int_equal(domid, 7);
    assert_int_equal(count, 1);
    assert_true(grefs[0] < REFS);
    assert_false(device.mapped[grefs[0]]);
    device.calls++;
    if (device.fails < 0)
        return device.fails;
    device.mapped[grefs[0]] = true;
    device.count++;
    *ret_address = &device.mapped[grefs[0]];
    return 0;
}

void xendev_grants_unmap(struct xendev_grants *grants, void *address, unsigned count)
{
    bool *mapped = address;

    assert_ptr_equal(grants, &device);
    assert_int_equal(count, 1);
    assert_true(*mapped);
    *mapped = false;
    device.count--;
}

static struct mapcache *open_cache(unsigned capacity)
{
    struct mapcache *cache;

    memset(&device, 0, sizeof(device));
    assert_int_equal(mapcache_new((struct xendev_grants *)&device, 7, capacity, &cache), 0);
    return cache;
}

static void close_cache(struct mapcache *cache)
{
    mapcache_free(cache);
    assert_int_equal(device.count, 0);
}

/* One request for one page. */
static bool use(struct mapcache *cache, uint32_t gref)
{
    struct mapcache_page *page = mapcache_get(cache, gref);

    if (page == NULL)
        return false;
    assert_ptr_equal(mapcache_address(page), &device.mapped[gref]);
    assert_true(device.mapped[gref]);
    mapcache_put(cache, page);
    return true;
}

/* ---- Tests. ---------------------------------------------------------------------------------------------------------------- */

static void a_page_is_mapped_once(void **state)
{
    struct mapcache *cache = open_cache(40);

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (uint32_t gref = 100; gref < 140; gref++)
            assert_true(use(cache, gref));
    }
    assert_int_equal(device.calls, 40);
    assert_int_equal(mapcache_count(cache), 40);
    close_cache(cache);
}

static void a_full_cache_maps_nothing_more(void **state)
{
    struct mapcache *cache = open_cache(10);

    (void)state;
    for (uint32_t gref = 0; gref < 1000; gref++)
        assert_int_equal(use(cache, gref), gref < 10);
    assert_int_equal(device.calls, 10);
    close_cache(cache);
}

static void what_is_not_used_makes_room(void **state)
{
    struct mapcache *cache = open_cache(3);

    (void)state;
    for (uint32_t gref = 1; gref <= 3; gref++)
        assert_true(use(cache, gref));
    mapcache_tick(cache);
    assert_true(use(cache, 1));
    mapcache_tick(cache);
    assert_true(use(cache, 4));
    assert_true(use(cache, 5));
    assert_false(use(cache, 6)); /* 1 was used since */
    assert_true(device.mapped[1] && device.mapped[4] && device.mapped[5]);
    assert_int_equal(device.count, 3);
    close_cache(cache);
}

static void what_is_in_use_stays(void **state)
{
    struct mapcache *cache = open_cache(2);
    struct mapcache_page *first = mapcache_get(cache, 1), *again = mapcache_get(cache, 1);
    struct mapcache_page *second = mapcache_get(cache, 2);

    (void)state;
    assert_ptr_equal(first, again);
    assert_non_null(second);
    mapcache_put(cache, first);
    for (unsigned i = 0; i < 2 * MAPCACHE_IDLE_PERIODS; i++)
        mapcache_tick(cache);
    assert_null(mapcache_get(cache, 3));
    assert_true(device.mapped[1] && device.mapped[2]);
    mapcache_put(cache, again);
    mapcache_put(cache, second);
    assert_int_equal(device.count, 2);
    close_cache(cache);
}

static void what_is_idle_is_unmapped(void **state)
{
    struct mapcache *cache = open_cache(100);

    (void)state;
    for (uint32_t gref = 0; gref < 100; gref++)
        assert_true(use(cache, gref));
    for (unsigned i = 0; i < MAPCACHE_IDLE_PERIODS; i++) {
        mapcache_tick(cache);
        assert_true(use(cache, 50));
        assert_int_equal(device.count, 100);
    }
    mapcache_tick(cache);
    assert_int_equal(device.count, 1);
    assert_int_equal(mapcache_count(cache), 1);
    assert_true(device.mapped[50]);
    for (uint32_t gref = 200; gref < 299; gref++)
        assert_true(use(cache, gref));
    close_cache(cache);
}

static void after_a_failure_nothing_is_tried_for_a_period(void **state)
{
    struct mapcache *cache = open_cache(10);

    (void)state;
    assert_true(use(cache, 1));
    device.fails = -EFAULT;
    for (uint32_t gref = 2; gref < 1000; gref++)
        assert_false(use(cache, gref));
    assert_int_equal(device.calls, 2);
    device.fails = 0;
    assert_false(use(cache, 2));
    assert_true(use(cache, 1)); /* it is there */
    mapcache_tick(cache);
    assert_true(use(cache, 2));
    close_cache(cache);
}

/* Any references in any order: what is held never exceeds the capacity, and pages are always those of their reference. */
static void a_guest_that_names_anything(void **state)
{
    struct mapcache *cache = open_cache(64);
    struct mapcache_page *held[48] = {NULL};
    uint32_t seed = 1;

    (void)state;
    for (unsigned i = 0; i < 200000; i++) {
        seed = seed * 1103515245u + 12345u;
        uint32_t gref = (seed >> 8) % ((seed & 0x80) != 0 ? 80u : REFS) / 16 * 16; /* many in one bucket */
        unsigned which = (seed >> 24) % 48;
        if (held[which] != NULL) {
            mapcache_put(cache, held[which]);
            held[which] = NULL;
        } else {
            held[which] = mapcache_get(cache, gref);
            if (held[which] != NULL)
                assert_ptr_equal(mapcache_address(held[which]), &device.mapped[gref]);
        }
        if (i % 500 == 0)
            mapcache_tick(cache);
        assert_true(device.count <= 64);
        assert_int_equal(device.count, mapcache_count(cache));
    }
    close_cache(cache); /* with pages in use, as when a device is taken away */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_mapped_once),       cmocka_unit_test(a_full_cache_maps_nothing_more),
        cmocka_unit_test(what_is_not_used_makes_room), cmocka_unit_test(what_is_in_use_stays),
        cmocka_unit_test(what_is_idle_is_unmapped),    cmocka_unit_test(after_a_failure_nothing_is_tried_for_a_period),
        cmocka_unit_test(a_guest_that_names_anything),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
