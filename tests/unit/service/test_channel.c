/* SPDX-License-Identifier: MIT */
/*
 * The channel: messages and descriptors arrive whole, and a hostile peer gains nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <supervise/channel.h>

#define FDS_MOST 253 /* the kernel's limit of one packet, FDS_MOST */

struct message {
    char text[40];
};

static int ends[2];
static unsigned open_before;

static unsigned open_descriptors(void)
{
    DIR *stream = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(stream) != NULL)
        count++;
    closedir(stream);
    return count;
}

static int setup(void **state)
{
    (void)state;
    open_before = open_descriptors();
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
}

static int teardown(void **state)
{
    (void)state;
    close(ends[0]);
    close(ends[1]);
    return open_descriptors() == open_before ? 0 : -1;
}

static ssize_t receive(struct message *message, int fds[CHANNEL_FDS_MAX], unsigned *count)
{
    return channel_receive(ends[1], message, sizeof(*message), fds, count);
}

/* What must work after everything else. */
static void assert_still_works(void)
{
    struct message message = {"good"}, received;
    int fds[CHANNEL_FDS_MAX];
    unsigned count = 99;

    assert_int_equal(channel_send(ends[0], &message, sizeof(message), NULL, 0), 0);
    assert_int_equal(receive(&received, fds, &count), sizeof(received));
    assert_int_equal(count, 0);
    assert_memory_equal(&received, &message, sizeof(message));
}

static void message_arrives_with_its_descriptors(void **state)
{
    struct message message = {"hello"}, received;
    int fds[CHANNEL_FDS_MAX], pipe_ends[2];
    unsigned count = 0;
    char byte = 0;

    (void)state;
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(channel_send(ends[0], &message, sizeof(message), pipe_ends, 2), 0);
    assert_int_equal(receive(&received, fds, &count), sizeof(received));
    assert_string_equal(received.text, "hello");
    assert_int_equal(count, 2);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        close(fds[i]);
        close(pipe_ends[i]);
    }
    assert_still_works();
}

static void as_many_descriptors_as_allowed_arrive(void **state)
{
    struct message message = {"many"}, received;
    int fds[CHANNEL_FDS_MAX];
    unsigned count = 0;

    (void)state;
    for (unsigned i = 0; i < CHANNEL_FDS_MAX; i++)
        fds[i] = ends[0];
    assert_int_equal(channel_send(ends[0], &message, sizeof(message), fds, CHANNEL_FDS_MAX), 0);
    assert_int_equal(receive(&received, fds, &count), sizeof(received));
    assert_int_equal(count, CHANNEL_FDS_MAX);
    for (unsigned i = 0; i < count; i++)
        close(fds[i]);
    assert_int_equal(channel_send(ends[0], &message, sizeof(message), fds, CHANNEL_FDS_MAX + 1), -EINVAL);
    assert_still_works();
}

/* A packet made without channel_send(), with `fd_count` descriptors. */
static void send_raw(size_t size, unsigned fd_count)
{
    static char bytes[4096];
    char control[CMSG_SPACE(FDS_MOST * sizeof(int))];
    struct iovec iov = {.iov_base = bytes, .iov_len = size};
    struct msghdr header = {.msg_iov = &iov, .msg_iovlen = 1};

    memset(control, 0, sizeof(control));
    if (fd_count > 0) {
        header.msg_control = control;
        header.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        for (unsigned i = 0; i < fd_count; i++)
            memcpy(CMSG_DATA(rights) + i * sizeof(int), &ends[0], sizeof(int));
    }
    assert_int_equal(sendmsg(ends[0], &header, 0), (ssize_t)size);
}

/* That nothing leaks is seen by teardown. */
static void wrong_sizes_are_refused_and_leak_nothing(void **state)
{
    static const size_t sizes[] = {1, sizeof(struct message) - 1, sizeof(struct message) + 1, 4096};
    struct message received;
    int fds[CHANNEL_FDS_MAX];
    unsigned count = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        send_raw(sizes[i], 3);
        assert_int_equal(receive(&received, fds, &count), -EBADMSG);
        assert_int_equal(count, 77);
        assert_still_works();
    }
}

static void too_many_descriptors_are_refused_and_leak_nothing(void **state)
{
    struct message received;
    int fds[CHANNEL_FDS_MAX];
    unsigned count;

    (void)state;
    send_raw(sizeof(struct message), CHANNEL_FDS_MAX + 1);
    assert_int_equal(receive(&received, fds, &count), -EBADMSG);
    send_raw(sizeof(struct message), FDS_MOST);
    assert_int_equal(receive(&received, fds, &count), -EBADMSG);
    assert_still_works();
}

static void empty_packet_is_an_end(void **state)
{
    struct message received;
    int fds[CHANNEL_FDS_MAX];
    unsigned count;

    (void)state;
    send_raw(0, 0);
    assert_int_equal(receive(&received, fds, &count), 0);
}

static void peer_that_is_gone_is_told(void **state)
{
    struct message message = {"x"}, received;
    int fds[CHANNEL_FDS_MAX];
    unsigned count;

    (void)state;
    assert_int_equal(receive(&received, fds, &count), -EAGAIN);
    assert_int_equal(channel_send(ends[1], &message, sizeof(message), NULL, 0), 0);
    close(ends[0]); /* with a message unread */
    assert_int_equal(receive(&received, fds, &count), 0);
    assert_int_equal(channel_send(ends[1], &message, sizeof(message), NULL, 0), -EPIPE);
    ends[0] = dup(ends[1]);
}

static void peer_that_does_not_read_makes_nobody_wait(void **state)
{
    struct message message = {"x"};
    unsigned sent = 0;
    int err = 0;

    (void)state;
    while (err == 0 && ++sent < 1000000)
        err = channel_send(ends[0], &message, sizeof(message), NULL, 0);
    assert_int_equal(err, -EAGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(message_arrives_with_its_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(as_many_descriptors_as_allowed_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_sizes_are_refused_and_leak_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_descriptors_are_refused_and_leak_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_packet_is_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_that_is_gone_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_that_does_not_read_makes_nobody_wait, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
