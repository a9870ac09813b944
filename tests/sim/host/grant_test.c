/* SPDX-License-Identifier: MIT */
/*
 * The simulator's grants behave as Xen's through Linux's gntdev and gntalloc.
 */
#include "simtest.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096 };

struct fixture {
    uint32_t domid;
    xengntshr_handle *guest;
    xengnttab_handle *dom0;
};

static int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->domid = simtest_create();
    f->guest = simtest_gntshr(f->domid);
    f->dom0 = simtest_gnttab(0);
    *state = f;
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    xengnttab_close(f->dom0);
    xengntshr_close(f->guest);
    simtest_destroy(f->domid);
    free(f);
    return 0;
}

/* A number from a column of `simxen list`. */
static unsigned long listed(uint32_t domid, const char *column)
{
    char command[256];
    unsigned long value = 0;
    FILE *output;

    snprintf(command, sizeof(command),
             "simxen list | awk -v d=%u 'NR==1 {for (i = 1; i <= NF; i++) if ($i == \"%s\") c = i} $1 == d {print $c}'",
             domid, column);
    output = popen(command, "r");
    assert_non_null(output);
    assert_int_equal(fscanf(output, "%lu", &value), 1);
    pclose(output);
    return value;
}

static xengnttab_grant_copy_segment_t to_guest(const struct fixture *f, uint32_t ref, uint16_t offset, void *data,
                                               uint16_t len)
{
    xengnttab_grant_copy_segment_t seg = {.flags = GNTCOPY_dest_gref, .len = len, .status = 99};

    seg.source.virt = data;
    seg.dest.foreign.ref = ref;
    seg.dest.foreign.offset = offset;
    seg.dest.foreign.domid = (uint16_t)f->domid;
    return seg;
}

static xengnttab_grant_copy_segment_t from_guest(const struct fixture *f, uint32_t ref, uint16_t offset, void *data,
                                                 uint16_t len)
{
    xengnttab_grant_copy_segment_t seg = {.flags = GNTCOPY_source_gref, .len = len, .status = 99};

    seg.dest.virt = data;
    seg.source.foreign.ref = ref;
    seg.source.foreign.offset = offset;
    seg.source.foreign.domid = (uint16_t)f->domid;
    return seg;
}

static int16_t copy_one(const struct fixture *f, xengnttab_grant_copy_segment_t seg)
{
    assert_int_equal(xengnttab_grant_copy(f->dom0, 1, &seg), 0);
    return seg.status;
}

static void test_a_mapping_is_the_same_memory(void **state)
{
    struct fixture *f = *state;
    uint32_t refs[16], backwards[16];
    char *shared = xengntshr_share_pages(f->guest, 0, 16, refs, 1), *mapped;

    assert_non_null(shared);
    for (unsigned i = 0; i < 16; i++) {
        shared[i * PAGE] = (char)(i + 1);
        backwards[i] = refs[15 - i];
        assert_true(refs[i] >= 8);
    }
    mapped = xengnttab_map_domain_grant_refs(f->dom0, 16, f->domid, backwards, PROT_READ | PROT_WRITE);
    assert_non_null(mapped);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(mapped[i * PAGE], 16 - i);
    mapped[5] = 'x';
    assert_int_equal(shared[15 * PAGE + 5], 'x');
    assert_int_equal(listed(f->domid, "mapped"), 16 + 1); /* and the xenstore ring */
    assert_int_equal(xengnttab_unmap(f->dom0, mapped, 15), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(xengnttab_unmap(f->dom0, mapped, 16), 0);
    assert_int_equal(listed(f->domid, "mapped"), 1);
    assert_int_equal(xengntshr_unshare(f->guest, shared, 16), 0);
}

static void test_refs_of_several_domains_map_contiguously(void **state)
{
    struct fixture *f = *state;
    uint32_t other = simtest_create(), refs[2], domids[2] = {f->domid, other};
    xengntshr_handle *stranger = simtest_gntshr(other);
    char *one = xengntshr_share_pages(f->guest, 0, 1, &refs[0], 1),
         *two = xengntshr_share_pages(stranger, 0, 1, &refs[1], 1), *mapped;

    *one = 'a';
    *two = 'b';
    mapped = xengnttab_map_grant_refs(f->dom0, 2, domids, refs, PROT_READ);
    assert_non_null(mapped);
    assert_int_equal(mapped[0], 'a');
    assert_int_equal(mapped[PAGE], 'b');
    assert_int_equal(xengnttab_unmap(f->dom0, mapped, 2), 0);
    xengntshr_close(stranger);
    simtest_destroy(other);
}

static void test_one_bad_reference_fails_the_whole_map(void **state)
{
    struct fixture *f = *state;
    uint32_t refs[2];
    void *mapped;

    assert_non_null(xengntshr_share_pages(f->guest, 0, 1, refs, 1));
    refs[1] = refs[0] + 1000;
    assert_null(xengnttab_map_domain_grant_refs(f->dom0, 2, f->domid, refs, PROT_READ));
    assert_int_equal(errno, EINVAL);
    refs[1] = UINT32_MAX;
    assert_null(xengnttab_map_domain_grant_refs(f->dom0, 2, f->domid, refs, PROT_READ));
    assert_null(xengnttab_map_grant_ref(f->dom0, 32000, refs[0], PROT_READ));
    assert_null(xengnttab_map_domain_grant_refs(f->dom0, 0, f->domid, refs, PROT_READ));
    assert_int_equal(listed(f->domid, "mapped"), 1);
    mapped = xengnttab_map_grant_ref(f->dom0, f->domid, refs[0], PROT_READ);
    assert_non_null(mapped);
    assert_int_equal(xengnttab_unmap(f->dom0, mapped, 1), 0);
}

static void test_read_only_is_read_only(void **state)
{
    struct fixture *f = *state;
    uint32_t ref;
    char *shared = xengntshr_share_pages(f->guest, 0, 1, &ref, 0), *mapped, byte = 'w';
    pid_t child;
    int status;

    *shared = 'r';
    assert_null(xengnttab_map_grant_ref(f->dom0, f->domid, ref, PROT_READ | PROT_WRITE));
    mapped = xengnttab_map_grant_ref(f->dom0, f->domid, ref, PROT_READ);
    assert_non_null(mapped);
    assert_int_equal(*mapped, 'r');
    assert_int_equal(mprotect(mapped, PAGE, PROT_READ | PROT_WRITE), -1);
    child = fork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        *(volatile char *)mapped = 'x';
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(*shared, 'r');
    assert_int_equal(copy_one(f, to_guest(f, ref, 0, &byte, 1)), GNTST_general_error);
    assert_int_equal(*shared, 'r');
    assert_int_equal(copy_one(f, from_guest(f, ref, 0, &byte, 1)), GNTST_okay);
    assert_int_equal(byte, 'r');
}

static void test_copy_both_ways_and_between_grants(void **state)
{
    struct fixture *f = *state;
    uint32_t refs[2];
    char *shared = xengntshr_share_pages(f->guest, 0, 2, refs, 1), *data = malloc(3 * PAGE);
    xengnttab_grant_copy_segment_t segs[3];

    memset(data, 'd', 3 * PAGE);
    segs[0] = to_guest(f, refs[0], 100, data + PAGE - 10, 20);
    segs[1] = to_guest(f, refs[1], 0, data, PAGE);
    memcpy(shared, "head", 4);
    segs[2] = from_guest(f, refs[0], 0, data + 2 * PAGE, 4);
    assert_int_equal(xengnttab_grant_copy(f->dom0, 3, segs), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(segs[i].status, GNTST_okay);
    assert_int_equal(shared[99], 0);
    assert_int_equal(shared[100], 'd');
    assert_int_equal(shared[119], 'd');
    assert_int_equal(shared[120], 0);
    assert_int_equal(shared[2 * PAGE - 1], 'd');
    assert_memory_equal(data + 2 * PAGE, "head", 4);
    segs[0].flags = GNTCOPY_source_gref | GNTCOPY_dest_gref;
    segs[0].source.foreign.ref = refs[1];
    segs[0].source.foreign.offset = 0;
    segs[0].source.foreign.domid = (uint16_t)f->domid;
    segs[0].dest.foreign.offset = 0;
    assert_int_equal(copy_one(f, segs[0]), GNTST_okay);
    assert_memory_equal(shared, "dddd", 4);
    free(data);
}

static void test_copy_status_is_per_segment(void **state)
{
    struct fixture *f = *state;
    uint32_t good, revoked, foreign;
    char *kept = xengntshr_share_pages(f->guest, 0, 1, &good, 1),
         *gone = xengntshr_share_pages(f->guest, 0, 1, &revoked, 1), byte = 'k';
    xengnttab_grant_copy_segment_t segs[7];

    assert_non_null(xengntshr_share_pages(f->guest, f->domid + 1, 1, &foreign, 1));
    assert_int_equal(xengntshr_unshare(f->guest, gone, 1), 0);
    segs[0] = to_guest(f, good, 0, &byte, 1);
    segs[1] = to_guest(f, revoked, 0, &byte, 1);
    segs[2] = to_guest(f, foreign, 0, &byte, 1);
    segs[3] = to_guest(f, 1u << 20, 0, &byte, 1);
    segs[4] = to_guest(f, good, 0, &byte, 1);
    segs[4].dest.foreign.domid = 32000;
    segs[5] = to_guest(f, revoked, 0, &byte, 0); /* nothing to copy, nothing checked */
    segs[6] = to_guest(f, good, 4095, &byte, 1);
    assert_int_equal(xengnttab_grant_copy(f->dom0, 7, segs), 0);
    assert_int_equal(segs[0].status, GNTST_okay);
    assert_int_equal(segs[1].status, GNTST_general_error);
    assert_int_equal(segs[2].status, GNTST_general_error);
    assert_int_equal(segs[3].status, GNTST_bad_gntref);
    assert_int_equal(segs[4].status, GNTST_bad_domain);
    assert_int_equal(segs[5].status, GNTST_okay);
    assert_int_equal(segs[6].status, GNTST_okay);
    assert_int_equal(kept[0], 'k');
    assert_int_equal(kept[4095], 'k');
}

static void test_a_segment_over_the_page_fails_the_call(void **state)
{
    struct fixture *f = *state;
    uint32_t ref;
    char *shared = xengntshr_share_pages(f->guest, 0, 1, &ref, 1), bytes[2] = "ab";
    xengnttab_grant_copy_segment_t segs[2] = {to_guest(f, ref, 0, bytes, 2), to_guest(f, ref, 4095, bytes, 2)};

    assert_int_equal(xengnttab_grant_copy(f->dom0, 2, segs), -1);
    assert_int_equal(errno, EINVAL);
    segs[1].flags = 0; /* local to local */
    assert_int_equal(xengnttab_grant_copy(f->dom0, 2, segs), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(shared[0], 0);
    assert_int_equal(xengnttab_grant_copy(f->dom0, 0, NULL), 0);
    assert_int_equal(xengnttab_grant_copy(f->dom0, 1, segs), 0);
    assert_int_equal(shared[0], 'a');
}

static void test_revoking_a_mapped_page_is_deferred(void **state)
{
    struct fixture *f = *state;
    uint32_t ref, next;
    char *shared = xengntshr_share_pages(f->guest, 0, 1, &ref, 1), *mapped, byte = 'c';

    mapped = xengnttab_map_grant_ref(f->dom0, f->domid, ref, PROT_READ | PROT_WRITE);
    *shared = 'm';
    assert_int_equal(xengntshr_unshare(f->guest, shared, 1), 0);
    assert_int_equal(listed(f->domid, "revoked"), 1);
    assert_int_equal(*mapped, 'm');
    assert_non_null(xengntshr_share_pages(f->guest, 0, 1, &next, 1));
    assert_int_not_equal(next, ref);
    assert_int_equal(*mapped, 'm');
    assert_int_equal(xengnttab_unmap(f->dom0, mapped, 1), 0);
    assert_null(xengnttab_map_grant_ref(f->dom0, f->domid, ref, PROT_READ));
    assert_int_equal(copy_one(f, to_guest(f, ref, 0, &byte, 1)), GNTST_general_error);
    shared = xengntshr_share_pages(f->guest, 0, 1, &next, 1); /* last freed, first used */
    assert_int_equal(next, ref);
    assert_int_equal(*shared, 0);
}

static void test_references_run_out_and_come_back(void **state)
{
    struct fixture *f = *state;
    static uint32_t refs[8192];
    void *shared[4];
    unsigned n = 0;

    while (n < 4 && (shared[n] = xengntshr_share_pages(f->guest, 0, 8192, refs, 1)))
        n++;
    assert_int_equal(n, 3);
    assert_int_equal(errno, ENOSPC);
    while (n--)
        assert_int_equal(xengntshr_unshare(f->guest, shared[n], 8192), 0);
    assert_non_null(xengntshr_share_pages(f->guest, 0, 8192, refs, 1));
}

static void test_unmap_notification(void **state)
{
    struct fixture *f = *state;
    xenevtchn_handle *guest = simtest_evtchn(f->domid), *dom0 = simtest_evtchn(0);
    int guest_port = xenevtchn_bind_unbound_port(guest, 0);
    int dom0_port = xenevtchn_bind_interdomain(dom0, f->domid, (evtchn_port_t)guest_port);
    uint32_t ref;
    char *shared = xengntshr_share_pages(f->guest, 0, 1, &ref, 1), *mapped;

    shared[7] = 1;
    mapped =
        xengnttab_map_grant_ref_notify(f->dom0, f->domid, ref, PROT_READ | PROT_WRITE, 7, (evtchn_port_t)dom0_port);
    assert_non_null(mapped);
    assert_int_equal(xengnttab_unmap(f->dom0, mapped, 1), 0);
    assert_int_equal(shared[7], 0);
    simtest_take(guest, guest_port);
    assert_null(xengnttab_map_grant_ref_notify(f->dom0, f->domid, ref, PROT_READ, PAGE, (evtchn_port_t)dom0_port));
    xenevtchn_close(guest);
    xenevtchn_close(dom0);
}

static void test_domain_zero_grants_to_itself(void **state)
{
    struct fixture *f = *state;
    xengntshr_handle *front = simtest_gntshr(0);
    uint32_t ref;
    char *shared = xengntshr_share_pages(front, 0, 1, &ref, 1), *mapped;

    assert_non_null(shared);
    strcpy(shared, "self");
    mapped = xengnttab_map_grant_ref(f->dom0, 0, ref, PROT_READ);
    assert_string_equal(mapped, "self");
    xengntshr_close(front);
}

static void test_mappings_outlive_the_domain_which_then_is_dying(void **state)
{
    struct fixture *f = *state;
    uint32_t other = simtest_create(), ref;
    xengntshr_handle *doomed = simtest_gntshr(other);
    char *shared = xengntshr_share_pages(doomed, 0, 1, &ref, 1), *mapped, byte = 'd';
    xengnttab_grant_copy_segment_t seg = to_guest(f, ref, 0, &byte, 1);

    strcpy(shared, "last");
    mapped = xengnttab_map_grant_ref(f->dom0, other, ref, PROT_READ);
    simtest_destroy(other);
    assert_string_equal(mapped, "last");
    simtest_command("simxen list | grep -q '^ *%u dying '", other);
    assert_null(xengnttab_map_grant_ref(f->dom0, other, ref, PROT_READ));
    seg.dest.foreign.domid = (uint16_t)other;
    assert_int_equal(copy_one(f, seg), GNTST_bad_domain);
    assert_int_equal(xengnttab_unmap(f->dom0, mapped, 1), 0);
    simtest_command("! simxen list | grep -q '^ *%u '", other);
    xengntshr_close(doomed);
}

static void test_a_reused_slot_is_another_memory(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 3; i++) {
        uint32_t other = simtest_create(), ref;
        xengntshr_handle *guest = simtest_gntshr(other);
        char *shared = xengntshr_share_pages(guest, 0, 1, &ref, 1), byte = (char)('0' + i);
        xengnttab_grant_copy_segment_t seg = to_guest(f, ref, 0, &byte, 1);

        assert_int_equal(*shared, 0);
        seg.dest.foreign.domid = (uint16_t)other;
        assert_int_equal(copy_one(f, seg), GNTST_okay);
        assert_int_equal(*shared, byte);
        xengntshr_close(guest);
        simtest_destroy(other);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_a_mapping_is_the_same_memory),           TEST(test_refs_of_several_domains_map_contiguously),
        TEST(test_one_bad_reference_fails_the_whole_map),  TEST(test_read_only_is_read_only),
        TEST(test_copy_both_ways_and_between_grants),      TEST(test_copy_status_is_per_segment),
        TEST(test_a_segment_over_the_page_fails_the_call), TEST(test_revoking_a_mapped_page_is_deferred),
        TEST(test_references_run_out_and_come_back),       TEST(test_unmap_notification),
        TEST(test_domain_zero_grants_to_itself),           TEST(test_mappings_outlive_the_domain_which_then_is_dying),
        TEST(test_a_reused_slot_is_another_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
