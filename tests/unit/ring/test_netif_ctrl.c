/* SPDX-License-Identifier: MIT */
/* The control ring: its messages, every limit of every request, and that a refused one changes nothing. */
#include "rig.h"

#include <ring/netif_ctrl.h>

#define QUEUES 4u
#define GREF   77u

static struct netif_hash fresh(void)
{
    return (struct netif_hash){.queues = QUEUES};
}

/* Executes as a back end does, with `page` for the guest's, or none that can be copied. Returns the status. */
static enum netif_ctrl_status execute(struct netif_hash *hash, uint16_t type, uint32_t one, uint32_t two,
                                      uint32_t three, const void *page, uint32_t *ret_data)
{
    const struct netif_ctrl_request request = {.id = 0x4142, .type = type, .data = {one, two, three}};
    const struct netif_hash before = *hash;
    struct netif_ctrl_response response;
    uint32_t gref = 0, size = netif_ctrl_fetch(hash, &request, &gref);
    void *bytes = NULL; /* exactly as long as was asked for, so that AddressSanitizer sees a read past its end */
    assert_true(size <= RING_PAGE_SIZE);
    assert_int_equal(gref, size > 0 ? one : 0);
    if (size > 0 && page) {
        bytes = malloc(size);
        assert_non_null(bytes);
        memcpy(bytes, page, size);
    }
    netif_ctrl_execute(hash, &request, bytes, &response);
    free(bytes);

    assert_int_equal(response.id, 0x4142);
    assert_int_equal(response.type, type);
    assert_int_equal(netif_hash_check(hash, QUEUES), 0);
    if (response.status != NETIF_CTRL_SUCCESS) {
        assert_int_equal(response.data, 0);
        assert_memory_equal(hash, &before, sizeof before);
    }
    if (ret_data)
        *ret_data = response.data;
    return (enum netif_ctrl_status)response.status;
}

static void messages_are_xens(void **state)
{
    (void)state;
    static const uint8_t request[16] = {0x34, 0x12, 6, 0, 0x44, 0x33, 0x22, 0x11, 5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t response[12] = {0x34, 0x12, 6, 0, 2, 0, 0, 0, 0x44, 0x33, 0x22, 0x11};
    struct netif_ctrl_request decoded;
    struct netif_ctrl_response answer;
    uint8_t bytes[RING_RESPONSE_MAX];
    netif_ctrl_decode(request, &decoded);
    assert_int_equal(decoded.id, 0x1234);
    assert_int_equal(decoded.type, NETIF_CTRL_SET_HASH_MAPPING);
    assert_int_equal(decoded.data[0], 0x11223344);
    assert_int_equal(decoded.data[1], 5);
    assert_int_equal(decoded.data[2], UINT32_MAX);
    netif_ctrl_request_encode(&decoded, bytes);
    assert_memory_equal(bytes, request, sizeof request);
    netif_ctrl_response_decode(response, &answer);
    assert_int_equal(answer.status, NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(answer.data, 0x11223344);
    netif_ctrl_encode(&answer, bytes);
    assert_memory_equal(bytes, response, sizeof response);

    const struct ring_layout layout = netif_ctrl_layout();
    assert_int_equal(layout.slots, 128);
    assert_int_equal(layout.slot_size, 16);
    assert_int_equal(layout.request_size, 16);
    assert_int_equal(layout.response_size, 12);
    assert_int_equal(layout.response_mask, 0xfff);
}

static void flags_need_an_algorithm(void **state)
{
    (void)state;
    struct netif_hash hash = fresh();
    uint32_t data;
    assert_int_equal(execute(&hash, NETIF_CTRL_GET_HASH_FLAGS, 0, 0, 0, NULL, &data), NETIF_CTRL_NOT_SUPPORTED);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_FLAGS, 1, 0, 0, NULL, NULL), NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_ALGORITHM, 2, 0, 0, NULL, NULL), NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_ALGORITHM, 1, 0, 0, NULL, NULL), NETIF_CTRL_SUCCESS);
    assert_int_equal(execute(&hash, NETIF_CTRL_GET_HASH_FLAGS, 0, 0, 0, NULL, &data), NETIF_CTRL_SUCCESS);
    assert_int_equal(data, 0xf);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_FLAGS, 0x10, 0, 0, NULL, NULL), NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_FLAGS, 0xf, 0, 0, NULL, &data), NETIF_CTRL_SUCCESS);
    assert_int_equal(data, 0);
    assert_int_equal(hash.types, 0xf);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_ALGORITHM, 0, 0, 0, NULL, NULL), NETIF_CTRL_SUCCESS);
    assert_int_equal(hash.algorithm, NETIF_HASH_NONE);
}

static void a_key_replaces_the_former_one_whole(void **state)
{
    (void)state;
    struct netif_hash hash = fresh();
    uint8_t page[RING_PAGE_SIZE];
    memset(page, 0x5a, sizeof page);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_KEY, GREF, 40, 0, page, NULL), NETIF_CTRL_SUCCESS);
    assert_memory_equal(hash.key, page, 40);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_KEY, GREF, 41, 0, page, NULL), NETIF_CTRL_BUFFER_OVERFLOW);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_KEY, GREF, UINT32_MAX, 0, page, NULL),
                     NETIF_CTRL_BUFFER_OVERFLOW);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_KEY, GREF, 8, 0, NULL, NULL), NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_KEY, GREF, 8, 0, page, NULL), NETIF_CTRL_SUCCESS);
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(hash.key[i], i < 8 ? 0x5a : 0);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_KEY, GREF, 0, 0, NULL, NULL), NETIF_CTRL_SUCCESS);
    assert_int_equal(hash.key[0], 0);
}

/* XSA-270. */
static void a_mapping_stays_within_its_table(void **state)
{
    (void)state;
    struct netif_hash hash = fresh();
    uint32_t page[RING_PAGE_SIZE / 4], data;
    for (uint32_t i = 0; i < RING_PAGE_SIZE / 4; i++)
        page[i] = i % QUEUES;
    assert_int_equal(execute(&hash, NETIF_CTRL_GET_HASH_MAPPING_SIZE, 0, 0, 0, NULL, &data), NETIF_CTRL_SUCCESS);
    assert_int_equal(data, 128);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING, GREF, 1, 0, page, NULL), NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING_SIZE, 129, 0, 0, NULL, NULL),
                     NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING_SIZE, 128, 0, 0, NULL, NULL), NETIF_CTRL_SUCCESS);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING, GREF, 128, 0, page, NULL), NETIF_CTRL_SUCCESS);
    assert_memory_equal(hash.mapping, page, sizeof hash.mapping);

    static const uint32_t bad[][2] = {{129, 0},        {1, 128},        {128, 1},
                                      {2, 127},        {1, UINT32_MAX}, {UINT32_MAX, 1},
                                      {2, 0xfffffffe}, {0, 129},        {0x80000000, 0x80000000},
                                      {0x40000001, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING, GREF, bad[i][0], bad[i][1], page, NULL),
                         NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING, GREF, 0, 128, NULL, NULL), NETIF_CTRL_SUCCESS);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING, GREF, 1, 0, NULL, NULL), NETIF_CTRL_INVALID_PARAMETER);

    page[0] = 3;
    page[1] = QUEUES; /* the second of two: neither is taken */
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING, GREF, 2, 4, page, NULL), NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING, GREF, 1, 4, page, NULL), NETIF_CTRL_SUCCESS);
    assert_int_equal(hash.mapping[4], 3);
    assert_int_equal(hash.mapping[5], 5 % QUEUES);

    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING_SIZE, 8, 0, 0, NULL, NULL), NETIF_CTRL_SUCCESS);
    for (uint32_t i = 0; i < 128; i++)
        assert_int_equal(hash.mapping[i], 0);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING, GREF, 1, 8, page, NULL), NETIF_CTRL_INVALID_PARAMETER);
    assert_int_equal(execute(&hash, NETIF_CTRL_SET_HASH_MAPPING_SIZE, 0, 0, 0, NULL, NULL), NETIF_CTRL_SUCCESS);
    assert_int_equal(hash.mapping_size, 0);
}

static void what_is_not_known_is_not_supported(void **state)
{
    (void)state;
    struct netif_hash hash = fresh();
    static const uint16_t types[] = {0, 8, 9, 10, 11, 0xffff};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        assert_int_equal(execute(&hash, types[i], 0, 1, 0, "", NULL), NETIF_CTRL_NOT_SUPPORTED);
}

/* As after a kill between execution and answer. */
static void executing_twice_is_executing_once(void **state)
{
    (void)state;
    uint64_t seed = rig_seed();
    struct netif_hash hash = fresh();
    uint32_t page[RING_PAGE_SIZE / 4];
    unsigned done = 0;
    for (unsigned step = 0; step < 20000; step++) {
        const struct netif_ctrl_request request = {
            .type = (uint16_t)rig_below(&seed, 9),
            .data = {rig_below(&seed, 18), rig_below(&seed, 44), rig_below(&seed, 20)},
        };
        for (unsigned i = 0; i < 64; i++)
            page[i] = rig_below(&seed, 40) ? rig_below(&seed, QUEUES) : (uint32_t)rig_random(&seed);
        struct netif_ctrl_response one, two;
        netif_ctrl_execute(&hash, &request, page, &one);
        const struct netif_hash after = hash;
        netif_ctrl_execute(&hash, &request, page, &two);
        assert_memory_equal(&hash, &after, sizeof after);
        assert_memory_equal(&one, &two, sizeof one);
        assert_int_equal(netif_hash_check(&hash, QUEUES), 0);
        done += one.status == NETIF_CTRL_SUCCESS;
    }
    assert_true(done > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_xens),
        cmocka_unit_test(flags_need_an_algorithm),
        cmocka_unit_test(a_key_replaces_the_former_one_whole),
        cmocka_unit_test(a_mapping_stays_within_its_table),
        cmocka_unit_test(what_is_not_known_is_not_supported),
        cmocka_unit_test(executing_twice_is_executing_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
