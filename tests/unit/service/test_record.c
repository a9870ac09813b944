/* SPDX-License-Identifier: MIT */
/*
 * What is recorded of a connection with several rings: its journals are one file, which is as good as the worst of them. The kind of device is one
 * of three rings.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <backend/device.h>
#include <backend/kind.h>
#include <backend/parking.h>
#include <backend/record.h>
#include <ring/back.h>
#include <supervise/rundir.h>

#define RINGS      3u
#define VERSION    7u
#define GENERATION UINT64_C(0x123456789)

struct connection {
    struct backend_connection head;
    uint32_t slots;
    uint32_t more;
};

static const struct connection good = {.head = {.version = VERSION, .generation = GENERATION}, .slots = 256};

/* Of backend/parking.c. */
bool parking_is_recorded(int device_dir)
{
    return faccessat(device_dir, PARKING_FILE, F_OK, 0) == 0;
}

static bool is_valid(const struct backend_connection *connection)
{
    return ((const struct connection *)connection)->slots != 0;
}

/* One page, several, and one again. */
static unsigned rings(const struct backend_connection *connection, struct ring_layout ret_layouts[])
{
    const uint32_t slots = ((const struct connection *)connection)->slots;

    for (unsigned i = 0; i < RINGS; i++)
        ret_layouts[i] =
            (struct ring_layout){.slots = i == 1 ? slots : 16, .slot_size = 12, .request_size = 12, .response_size = 4};
    return RINGS;
}

static const struct backend_kind kind = {
    .connection_size = sizeof(struct connection),
    .connection_version = VERSION,
    .connection_is_valid = is_valid,
    .rings = rings,
};

static char path[] = "/tmp/test_record.XXXXXX";
static int guest_dir, dir;

static int setup(void **state)
{
    (void)state;
    memcpy(strrchr(path, '.') + 1, "XXXXXX", 6);
    assert_non_null(mkdtemp(path));
    guest_dir = rundir_open(path);
    dir = rundir_enter(guest_dir, "51712");
    return guest_dir < 0 || dir < 0;
}

static int teardown(void **state)
{
    (void)state;
    close(dir);
    close(guest_dir);
    return rundir_remove(AT_FDCWD, path);
}

static off_t offset_of(unsigned ring)
{
    struct ring_layout layouts[RINGS];
    size_t offset = 0;

    rings(&good.head, layouts);
    for (unsigned i = 0; i < ring; i++)
        offset += ring_journal_size(&layouts[i]);
    return (off_t)offset;
}

static void write_head(off_t offset, uint32_t newer, bool drained)
{
    struct ring_journal_head head;
    int fd = openat(dir, DEVICE_JOURNAL_FILE, O_RDWR);

    ring_journal_head_drained(GENERATION, &head);
    head.version += newer;
    head.drained = drained ? GENERATION : 0;
    assert_int_equal(pwrite(fd, &head, sizeof(head), offset), sizeof(head));
    close(fd);
}

/* Journals as a worker makes them. */
static void make_journals(bool drained)
{
    int fd = record_make_journal(&kind, dir, &good.head);

    assert_true(fd >= 0);
    close(fd);
    for (unsigned i = 0; i < RINGS; i++)
        write_head(offset_of(i), 0, drained);
}

static int judge(const struct connection *connection, uint32_t *ret_version)
{
    *ret_version = 0;
    return record_judge(&kind, dir, &connection->head, ret_version);
}

static void assert_judged(int result)
{
    uint32_t version;

    assert_int_equal(judge(&good, &version), result);
}

/* ---- Journals. --------------------------------------------------------------------------------------------------------------- */

static void they_are_one_file(void **state)
{
    int fd = record_make_journal(&kind, dir, &good.head);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), offset_of(RINGS));
    close(fd);
    assert_judged(-EBADMSG); /* nobody has written any */
    assert_int_equal(rundir_remove(dir, DEVICE_JOURNAL_FILE), 0);
    assert_judged(-ENOENT);
}

static void the_worst_counts(void **state)
{
    uint32_t version;

    (void)state;
    for (unsigned i = 0; i < RINGS; i++) {
        make_journals(true);
        assert_judged(RING_JOURNAL_DRAINED);
        write_head(offset_of(i), 0, false);
        assert_judged(RING_JOURNAL_IN_USE);
        write_head(offset_of(i), 1, true);
        assert_judged(RING_JOURNAL_DRAINED);

        make_journals(false);
        write_head(offset_of(i), 1, false);
        assert_int_equal(judge(&good, &version), -EPROTONOSUPPORT);
        assert_int_equal(version, ring_journal_version() + 1);
        int fd = openat(dir, DEVICE_JOURNAL_FILE, O_RDWR);
        assert_int_equal(pwrite(fd, "", 1, offset_of(i)), 1);
        close(fd);
        assert_judged(-EBADMSG);
    }
}

static void one_that_is_cut_off_is_none(void **state)
{
    int fd;

    (void)state;
    make_journals(true);
    fd = openat(dir, DEVICE_JOURNAL_FILE, O_RDWR);
    assert_int_equal(ftruncate(fd, offset_of(RINGS - 1)), 0);
    close(fd);
    assert_judged(-EBADMSG);
}

static void in_use_they_are_continued(void **state)
{
    struct ring_journal_head head;
    uint32_t version;
    int fd;

    (void)state;
    make_journals(true);
    write_head(offset_of(1), 0, false);
    fd = record_open_journal(&kind, dir, &good.head, &version);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &head, sizeof(head), offset_of(1)), sizeof(head));
    assert_int_equal(head.drained, 0);
    assert_int_equal(ftruncate(fd, offset_of(RINGS) + 1), 0);
    close(fd);
    assert_int_equal(record_open_journal(&kind, dir, &good.head, &version), -EBADMSG); /* of another size */
}

static void drained_they_are_made_anew(void **state)
{
    uint32_t version;

    (void)state;
    make_journals(true);
    for (unsigned i = 0; i < RINGS; i++)
        write_head(offset_of(i), 1, true);
    int fd = record_open_journal(&kind, dir, &good.head, &version);
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), offset_of(RINGS));
    for (unsigned i = 0; i < RINGS; i++) {
        struct ring_journal_head head;
        assert_int_equal(pread(fd, &head, sizeof(head), offset_of(i)), sizeof(head));
        assert_int_equal(head.version, ring_journal_version());
        assert_int_equal(head.drained, GENERATION);
    }
    close(fd);
}

/* ---- Of another version. ----------------------------------------------------------------------------------------------------- */

static void they_are_looked_for(void **state)
{
    const struct connection foreign = {.head = {.version = VERSION + 1, .generation = GENERATION}};
    const off_t page = RING_PAGE_SIZE;
    uint32_t version;
    int fd = rundir_create(dir, DEVICE_JOURNAL_FILE, 8 * RING_PAGE_SIZE);

    (void)state;
    close(fd);
    assert_int_equal(judge(&foreign, &version), -EBADMSG);
    write_head(0, 1, true);
    assert_int_equal(judge(&foreign, &version), RING_JOURNAL_DRAINED);
    write_head(5 * page, 1, false);
    assert_int_equal(judge(&foreign, &version), -EPROTONOSUPPORT);
    write_head(5 * page, 1, true);
    write_head(7 * page, 0, false);
    assert_int_equal(judge(&foreign, &version), RING_JOURNAL_IN_USE);
    write_head(7 * page, 0, true);
    write_head(6 * page + 128, 1, false); /* no page begins there: it is what some request holds */
    assert_int_equal(judge(&foreign, &version), RING_JOURNAL_DRAINED);
}

static void not_in_a_file_without_end(void **state)
{
    const struct connection foreign = {.head = {.version = VERSION + 1, .generation = GENERATION}};
    uint32_t version;
    int fd = rundir_create(dir, DEVICE_JOURNAL_FILE, RING_PAGE_SIZE);

    (void)state;
    write_head(0, 1, true);
    assert_int_equal(ftruncate(fd, INT64_C(1) << 42), 0);
    close(fd);
    assert_int_equal(judge(&foreign, &version), -EBADMSG);
}

/* ---- Connections. ------------------------------------------------------------------------------------------------------------ */

static void write_connection(const void *connection, size_t size)
{
    assert_int_equal(rundir_write(dir, DEVICE_CONNECTION_FILE, connection, size), 0);
}

static void connections_are_checked(void **state)
{
    struct connection connection = good, loaded;

    (void)state;
    memset(&loaded, 0x5a, sizeof(loaded));
    assert_int_equal(record_load(&kind, dir, &loaded.head), -ENOENT);
    write_connection(&good, sizeof(good));
    assert_int_equal(record_load(&kind, dir, &loaded.head), 0);
    assert_memory_equal(&loaded, &good, sizeof(good));

    memset(&loaded, 0x5a, sizeof(loaded));
    connection.slots = 0;
    write_connection(&connection, sizeof(connection));
    assert_int_equal(record_load(&kind, dir, &loaded.head), -EBADMSG);
    write_connection(&good, sizeof(good) - 1);
    assert_int_equal(record_load(&kind, dir, &loaded.head), -EBADMSG);
    write_connection(&good, sizeof(good.head) - 1);
    assert_int_equal(record_load(&kind, dir, &loaded.head), -EBADMSG);
    assert_int_equal(loaded.head.version, 0x5a5a5a5a);

    connection.head.version++;
    write_connection(&connection, sizeof(connection) - 4); /* whatever its size */
    assert_int_equal(record_load(&kind, dir, &loaded.head), -EPROTONOSUPPORT);
    assert_int_equal(loaded.head.version, VERSION + 1);
    assert_int_equal(loaded.head.generation, GENERATION);
    assert_int_equal(loaded.slots, 0x5a5a5a5a);
}

static void a_guest_is_drained_when_all_are(void **state)
{
    (void)state;
    assert_true(record_is_drained(&kind, guest_dir)); /* nothing is connected */
    write_connection(&good, sizeof(good));
    assert_false(record_is_drained(&kind, guest_dir)); /* no journal */
    make_journals(true);
    assert_true(record_is_drained(&kind, guest_dir));
    write_head(offset_of(2), 0, false);
    assert_false(record_is_drained(&kind, guest_dir));
    assert_int_equal(rundir_write(dir, PARKING_FILE, "", 0), 0);
    assert_true(record_is_drained(&kind, guest_dir)); /* no worker holds it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_are_one_file, setup, teardown),
        cmocka_unit_test_setup_teardown(the_worst_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_is_cut_off_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(in_use_they_are_continued, setup, teardown),
        cmocka_unit_test_setup_teardown(drained_they_are_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(they_are_looked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(not_in_a_file_without_end, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guest_is_drained_when_all_are, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
