/* SPDX-License-Identifier: MIT */
/*
 * Grant copy and map, over a libxengnttab that remembers what it was asked and answers as told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <xen/xen.h>
#include <xen/grant_table.h>
#include <xengnttab.h>

#include <xendev/grant.h>

/* ---- The kernel. ---- */

#define BAD_GREF   666u
#define EAGAIN_ALL 1000u

static struct {
    unsigned calls;
    unsigned largest;   /* segments in one call */
    unsigned segments;  /* in all calls */
    unsigned fail_call; /* the call (from 1) that fails as a whole */
    unsigned eagain;    /* how many times BAD_GREF says GNTST_eagain before it succeeds; EAGAIN_ALL: for ever */
    int map_errno;      /* mapping fails with this */
    unsigned map_fails; /* so many times; 0: always */
    unsigned mapped;    /* references */
    xengnttab_grant_copy_segment_t last;
} kernel;

static char guest_page[4096];

xengnttab_handle *xengnttab_open(struct xentoollog_logger *logger, unsigned flags)
{
    assert_non_null(logger); /* a quiet one */
    assert_int_equal(flags, 0);
    return (xengnttab_handle *)&kernel;
}

int xengnttab_close(xengnttab_handle *handle)
{
    assert_ptr_equal(handle, &kernel);
    return 0;
}

int xengnttab_grant_copy(xengnttab_handle *handle, uint32_t count, xengnttab_grant_copy_segment_t *segments)
{
    assert_ptr_equal(handle, &kernel);
    kernel.calls++;
    kernel.segments += count;
    if (count > kernel.largest)
        kernel.largest = count;
    for (uint32_t i = 0; i < count; i++) {
        xengnttab_grant_copy_segment_t *segment = &segments[i];
        bool out = segment->flags == GNTCOPY_dest_gref;
        uint32_t gref = out ? segment->dest.foreign.ref : segment->source.foreign.ref;
        uint16_t offset = out ? segment->dest.foreign.offset : segment->source.foreign.offset;

        assert_true(offset + segment->len <= 4096);
        assert_true(segment->len > 0);
        assert_int_equal(segment->status, GNTST_okay);
        kernel.last = *segment;
        if (kernel.calls == kernel.fail_call)
            continue; /* and the statuses lie */
        if (gref == BAD_GREF && kernel.eagain == 0) {
            segment->status = GNTST_bad_gntref;
        } else if (gref == BAD_GREF && kernel.eagain > 1) {
            kernel.eagain -= kernel.eagain != EAGAIN_ALL;
            segment->status = GNTST_eagain;
        } else if (out) {
            memcpy(guest_page + offset, segment->source.virt, segment->len);
        } else {
            memcpy(segment->dest.virt, guest_page + offset, segment->len);
        }
    }
    if (kernel.calls != kernel.fail_call)
        return 0;
    errno = EINVAL;
    return -1;
}

void *xengnttab_map_domain_grant_refs(xengnttab_handle *handle, uint32_t count, uint32_t domid, uint32_t *refs,
                                      int prot)
{
    assert_ptr_equal(handle, &kernel);
    assert_int_equal(domid, 7);
    assert_non_null(refs);
    assert_true(prot != 0);
    if (kernel.map_errno != 0) {
        errno = kernel.map_errno;
        if (kernel.map_fails > 0 && --kernel.map_fails == 0)
            kernel.map_errno = 0;
        return NULL;
    }
    kernel.mapped += count;
    return malloc((size_t)count * 4096);
}

int xengnttab_unmap(xengnttab_handle *handle, void *address, uint32_t count)
{
    assert_ptr_equal(handle, &kernel);
    kernel.mapped -= count;
    free(address);
    return 0;
}

/* ---- Fixture. ---- */

static int set_up(void **state)
{
    struct xendev_grants *grants;

    memset(&kernel, 0, sizeof(kernel));
    memset(guest_page, 'g', sizeof(guest_page));
    if (xendev_grants_open(&grants) != 0)
        return -1;
    *state = grants;
    return 0;
}

static int tear_down(void **state)
{
    xendev_grants_close(*state);
    return kernel.mapped == 0 ? 0 : -1;
}

/* ---- Copying. ---- */

static void copies_both_ways(void **state)
{
    char local[16] = "0123456789abcde";
    struct xendev_copy piece = {.gref = 5, .offset = 100, .length = 10, .local = local};

    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_TO_GUEST, &piece, 1), 0);
    assert_memory_equal(guest_page + 100, "0123456789", 10);
    assert_int_equal(guest_page[110], 'g');
    assert_int_equal(kernel.last.dest.foreign.domid, 7);
    piece.offset = 90;
    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, &piece, 1), 0);
    assert_memory_equal(local, "ggggggggggabcde", 15);
    assert_int_equal(kernel.last.source.foreign.domid, 7);
}

static void a_piece_that_leaves_its_page_never_reaches_the_kernel(void **state)
{
    char local[3] = {0};
    struct xendev_copy pieces[] = {
        {.gref = 1, .offset = 4095, .length = 1, .local = local},
        {.gref = 1, .offset = 4095, .length = 2, .local = local},
        {.gref = 1, .offset = 1, .length = 4096, .local = local},
        {.gref = 1, .offset = 65535, .length = 65535, .local = local},
        {.gref = 1, .offset = 4097, .length = 0, .local = local},
        {.gref = 1, .offset = 0, .length = 1, .local = local + 1},
    };

    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, 6), 4);
    assert_int_equal(kernel.segments, 2);
    assert_int_equal(pieces[0].status, 0);
    for (unsigned i = 1; i < 5; i++)
        assert_int_equal(pieces[i].status, -EINVAL);
    assert_int_equal(pieces[5].status, 0);
    assert_memory_equal(local, "gg", 3);
}

static void an_empty_piece_leaves_its_reference_untouched(void **state)
{
    struct xendev_copy pieces[] = {{.gref = BAD_GREF, .offset = 4096, .length = 0},
                                   {.gref = BAD_GREF, .offset = 0, .length = 0}};

    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, 2), 0);
    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, 0), 0);
    assert_int_equal(kernel.calls, 0);
}

static void a_bad_reference_fails_alone(void **state)
{
    char local[3] = {0};
    struct xendev_copy pieces[] = {
        {.gref = 1, .length = 1, .local = local},
        {.gref = BAD_GREF, .length = 1, .local = local + 1},
        {.gref = 2, .length = 1, .local = local + 2},
    };

    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, 3), 1);
    assert_int_equal(pieces[1].status, -EFAULT);
    assert_memory_equal(local, "g\0g", 3);
    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, 1), 0);
}

static void many_pieces_go_in_few_calls(void **state)
{
    enum { COUNT = 2500 };
    struct xendev_copy *pieces = calloc(COUNT, sizeof(*pieces));
    char *local = calloc(1, COUNT);

    for (unsigned i = 0; i < COUNT; i++)
        pieces[i] = (struct xendev_copy){.gref = i == 1700 ? BAD_GREF : 1, .length = 1, .local = local + i};
    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, COUNT), 1);
    assert_int_equal(kernel.calls, 3);
    assert_int_equal(kernel.largest, 1024);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(pieces[i].status, i == 1700 ? -EFAULT : 0);
        assert_int_equal(local[i], i == 1700 ? 0 : 'g');
    }
    free(local);
    free(pieces);
}

static void no_status_of_a_failed_call_is_believed(void **state)
{
    enum { COUNT = 1025 };
    struct xendev_copy *pieces = calloc(COUNT, sizeof(*pieces));
    char local[1];

    for (unsigned i = 0; i < COUNT; i++)
        pieces[i] = (struct xendev_copy){.gref = 1, .length = 1, .local = local};
    kernel.fail_call = 1;
    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, COUNT), 1024);
    assert_int_equal(pieces[0].status, -EIO);
    assert_int_equal(pieces[1023].status, -EIO);
    assert_int_equal(pieces[1024].status, 0);
    free(pieces);
}

static void a_page_that_is_away_is_asked_for_again(void **state)
{
    char local[2] = {0};
    struct xendev_copy pieces[] = {{.gref = BAD_GREF, .length = 1, .local = local},
                                   {.gref = 1, .length = 1, .local = local + 1}};

    kernel.eagain = 3; /* twice, then it is there */
    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, 2), 0);
    assert_int_equal(kernel.calls, 3);
    assert_int_equal(kernel.segments, 4); /* the good one only once */
    assert_memory_equal(local, "gg", 2);
}

static void a_page_that_stays_away_fails_alone(void **state)
{
    char local[2] = {0};
    struct xendev_copy pieces[] = {{.gref = BAD_GREF, .length = 1, .local = local},
                                   {.gref = 1, .length = 1, .local = local + 1}};

    kernel.eagain = EAGAIN_ALL;
    assert_int_equal(xendev_grants_copy(*state, 7, XENDEV_COPY_FROM_GUEST, pieces, 2), 1);
    assert_int_equal(pieces[0].status, -EFAULT);
    assert_int_equal(pieces[1].status, 0);
    assert_true(kernel.calls < 10);
}

static void a_domain_that_cannot_be_is_refused(void **state)
{
    struct xendev_copy piece = {.gref = 1, .length = 1};
    const uint32_t gref = 1;
    void *address;

    assert_int_equal(xendev_grants_copy(*state, 0x10007, XENDEV_COPY_FROM_GUEST, &piece, 1), 1);
    assert_int_equal(xendev_grants_map(*state, DOMID_SELF, &gref, 1, &address), -EINVAL);
    assert_int_equal(kernel.calls, 0);
}

/* ---- Mapping. ---- */

static void mapping_stays_within_the_budget(void **state)
{
    static const uint32_t grefs[4] = {1, 2, 3, 4};
    void *first, *second = &first;
    int file = memfd_create("budget", MFD_CLOEXEC);
    assert_int_equal(ftruncate(file, (off_t)xendev_grant_budget_size()), 0);
    assert_int_equal(xendev_grant_budget_init(file, 5), 0);
    struct xendev_grant_budget *budget =
        mmap(NULL, xendev_grant_budget_size(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

    assert_ptr_not_equal(budget, MAP_FAILED);
    xendev_grants_set_budget(*state, budget, 9);
    assert_int_equal(xendev_grants_map_optional(*state, 7, grefs, 4, &first), 0);
    assert_int_equal(xendev_grants_map_optional(*state, 7, grefs, 2, &second), -ENOSPC);
    assert_ptr_equal(second, &first);
    assert_int_equal(kernel.mapped, 4);
    /* What cannot be done without is not held to it. */
    void *ring;
    assert_int_equal(xendev_grants_map(*state, 7, grefs, 4, &ring), 0);
    assert_int_equal(xendev_grant_budget_used(budget), 4);
    xendev_grants_unmap(*state, ring, 4);
    assert_int_equal(xendev_grant_budget_used(budget), 4);

    kernel.map_errno = EINVAL;
    assert_int_equal(xendev_grants_map_optional(*state, 7, grefs, 1, &second), -EFAULT);
    kernel.map_errno = ENOMEM;
    assert_int_equal(xendev_grants_map_optional(*state, 7, grefs, 1, &second), -ENOMEM);
    assert_int_equal(xendev_grant_budget_used(budget), 4);

    kernel.map_errno = 0;
    xendev_grants_unmap(*state, first, 4);
    assert_int_equal(xendev_grant_budget_used(budget), 0);
    assert_int_equal(xendev_grants_map_optional(*state, 7, grefs, 2, &second), 0);
    xendev_grants_unmap(*state, second, 2);
    assert_int_equal(kernel.mapped, 0);
    xendev_grants_set_budget(*state, NULL, 0);
    munmap(budget, xendev_grant_budget_size());
    close(file);
}

static void an_interrupted_mapping_is_made_again(void **state)
{
    static const uint32_t grefs[2] = {1, 2};
    void *address = NULL;

    kernel.map_errno = EINTR;
    kernel.map_fails = 3;
    assert_int_equal(xendev_grants_map(*state, 7, grefs, 2, &address), 0);
    assert_non_null(address);
    assert_int_equal(kernel.mapped, 2);
    xendev_grants_unmap(*state, address, 2);

    kernel.map_errno = EINTR; /* for ever */
    address = NULL;
    assert_int_equal(xendev_grants_map(*state, 7, grefs, 2, &address), -EINTR);
    assert_null(address);
}

static void closing_unmaps_what_is_left(void **state)
{
    static const uint32_t grefs[4] = {1, 2, 3, 4};
    struct xendev_grants *grants;
    void *address;

    (void)state;
    assert_int_equal(xendev_grants_open(&grants), 0);
    assert_int_equal(xendev_grants_map(grants, 7, grefs, 4, &address), 0);
    assert_int_equal(xendev_grants_map(grants, 7, grefs, 1, &address), 0);
    assert_int_equal(kernel.mapped, 5);
    xendev_grants_close(grants);
    assert_int_equal(kernel.mapped, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(copies_both_ways),
        TEST(a_piece_that_leaves_its_page_never_reaches_the_kernel),
        TEST(an_empty_piece_leaves_its_reference_untouched),
        TEST(a_bad_reference_fails_alone),
        TEST(many_pieces_go_in_few_calls),
        TEST(no_status_of_a_failed_call_is_believed),
        TEST(a_page_that_is_away_is_asked_for_again),
        TEST(a_page_that_stays_away_fails_alone),
        TEST(a_domain_that_cannot_be_is_refused),
        TEST(mapping_stays_within_the_budget),
        TEST(an_interrupted_mapping_is_made_again),
        TEST(closing_unmaps_what_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
