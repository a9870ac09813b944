/* SPDX-License-Identifier: MIT */
/*
 * The sandbox: what a worker needs works in it, and nothing else does. Each case runs in a process of its own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <liburing.h>

#include <supervise/sandbox.h>

#define CANNOT_ENTER 100

static int unprivileged; /* the next processes have no capability to begin with, as under systemd */

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return (int)syscall(SYS_capset, &header, none);
}

static unsigned may; /* SANDBOX_... */
static int memfd;    /* of a body's */
static int talk[2];  /* the same */

/* Runs `body` in the sandbox, with the filter closed if `closed`. Returns its exit status, or minus the signal that ended it. */
static int run(int (*body)(void), int closed)
{
    pid_t child = fork();
    const char *step = NULL;
    int status;

    if (child == 0) {
        if (unprivileged && drop_capabilities() < 0)
            _exit(CANNOT_ENTER);
        if (sandbox_enter(&step) < 0) {
            fprintf(stderr, "sandbox_enter: %s\n", step);
            _exit(CANNOT_ENTER);
        }
        if (closed && sandbox_close(may, &step) < 0) {
            fprintf(stderr, "sandbox_close: %s\n", step);
            _exit(101);
        }
        _exit(body());
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int nothing(void)
{
    return 0;
}

static int sees_a_file(void)
{
    return access("/etc", F_OK) == 0 || access("/proc/self", F_OK) == 0 || access("/dev", F_OK) == 0;
}

static int makes_a_file(void)
{
    return open("/file", O_CREAT | O_RDWR, 0600) >= 0 || mkdir("/dir", 0700) == 0;
}

static void there_are_no_files(void **state)
{
    (void)state;
    assert_int_equal(run(sees_a_file, 0), 0);
    assert_int_equal(run(makes_a_file, 0), 0);
}

static int has_capabilities(void)
{
    /* Each of these needs one. */
    return setuid(12345) == 0 || chroot("/") == 0 || prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) == 0 ||
           sethostname("x", 1) == 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static void there_are_no_capabilities(void **state)
{
    (void)state;
    assert_int_equal(run(has_capabilities, 0), 0);
}

static int works(void)
{
    struct io_uring ring;
    struct epoll_event event = {.events = EPOLLIN};
    int fd = eventfd(0, EFD_CLOEXEC), poller = epoll_create1(EPOLL_CLOEXEC);
    uint64_t one = 1;
    void *pages = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char *heap = malloc(8 << 20);

    if (fd < 0 || poller < 0 || pages == MAP_FAILED || heap == NULL)
        return 1;
    memset(heap, 1, 8 << 20);
    free(heap);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) < 0 || write(fd, &one, 8) != 8 ||
        epoll_wait(poller, &event, 1, 1000) != 1 || munmap(pages, 1 << 20) < 0)
        return 2;
    /* Not offered everywhere; what matters is that trying is no reason to be killed. */
    if (io_uring_queue_init(8, &ring, 0) == 0)
        io_uring_queue_exit(&ring);
    return open("/etc/passwd", O_RDONLY) >= 0 ? 3 : 0;
}

static void what_a_worker_needs_works(void **state)
{
    (void)state;
    assert_int_equal(run(works, 1), 0);
}

static int opens_a_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM, 0) >= 0;
}

static int starts_a_process(void)
{
    if (fork() == 0)
        _exit(0);
    return 0;
}

static int executes(void)
{
    char *argv[] = {(char *)"sh", NULL};

    return execv("/bin/sh", argv);
}

static int makes_memory_executable(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
}

static int signals_another(void)
{
    return kill(getppid(), SIGCONT);
}

static int truncates(void)
{
    return ftruncate(0, 0);
}

static int punches(void)
{
    return fallocate(0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static int punches_a_hole(void)
{
    return fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static int cuts_a_piece_out(void)
{
    return fallocate(memfd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096);
}

static int grows_by_punching(void)
{
    return fallocate(memfd, FALLOC_FL_PUNCH_HOLE, 0, 4096);
}

static int punches_by_memory(void)
{
    void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    return madvise(shared, 4096, MADV_REMOVE);
}

static int removes(void)
{
    return unlink("/x");
}

static int makes_a_descriptor_block(void)
{
    return fcntl(0, F_SETFL, 0);
}

/* The kernel looks at 32 bits of a command. */
static int makes_a_descriptor_block_by_stealth(void)
{
    return (int)syscall(SYS_fcntl, 0, 1ul << 32 | F_SETFL, 0);
}

static int locks(void)
{
    struct flock whole = {.l_type = F_RDLCK};

    return fcntl(0, F_SETLK, &whole);
}

static int keeps_descriptors_from_blocking(void)
{
    int fd = eventfd(0, EFD_CLOEXEC);

    return fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_GETFL) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
           fcntl(fd, F_DUPFD_CLOEXEC, 0) < 0;
}

static void descriptors_never_come_to_block(void **state)
{
    (void)state;
    assert_int_equal(run(keeps_descriptors_from_blocking, 1), 0);
}

static void everything_else_is_death(void **state)
{
    static int (*const bodies[])(void) = {opens_a_socket,
                                          starts_a_process,
                                          executes,
                                          makes_memory_executable,
                                          signals_another,
                                          truncates,
                                          punches,
                                          punches_by_memory,
                                          removes,
                                          makes_a_descriptor_block,
                                          makes_a_descriptor_block_by_stealth,
                                          locks};

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(run(bodies[i], 1), -SIGSYS);
}

/* Who has disks may make holes in them, and do nothing else by that call. */
static void holes_are_made_where_that_is_allowed(void **state)
{
    (void)state;
    memfd = memfd_create("disk", MFD_CLOEXEC);
    assert_true(memfd >= 0 && ftruncate(memfd, 8192) == 0);
    may = SANDBOX_PUNCHES;
    assert_int_equal(run(punches_a_hole, 1), 0);
    assert_int_equal(run(cuts_a_piece_out, 1), -SIGSYS);
    assert_int_equal(run(grows_by_punching, 1), -SIGSYS);
    assert_int_equal(run(punches_by_memory, 1), -SIGSYS);
    assert_int_equal(run(truncates, 1), -SIGSYS);
    may = 0;
    assert_int_equal(run(punches_a_hole, 1), -SIGSYS);
    close(memfd);
}

static int sends(void)
{
    return send(talk[0], "x", 1, MSG_NOSIGNAL) == 1 ? 0 : 1;
}

static int receives(void)
{
    char byte;

    return recv(talk[0], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN ? 0 : 1;
}

static int ends_a_talk(void)
{
    return shutdown(talk[0], SHUT_WR);
}

static int makes_a_timer(void)
{
    return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) >= 0 ? 0 : 1;
}

static void talks_where_that_is_allowed(void **state)
{
    static int (*const bodies[])(void) = {sends, receives, ends_a_talk, makes_a_timer};

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk), 0);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        may = 0;
        assert_int_equal(run(bodies[i], 1), -SIGSYS);
        may = SANDBOX_TALKS;
        assert_int_equal(run(bodies[i], 1), 0);
    }
    assert_int_equal(run(opens_a_socket, 1), -SIGSYS);
    assert_int_equal(run(punches, 1), -SIGSYS);
    may = 0;
    close(talk[0]);
    close(talk[1]);
}

static int aborts(void)
{
    abort();
}

static void its_own_abort_is_seen_as_such(void **state)
{
    (void)state;
    assert_int_equal(run(aborts, 1), -SIGABRT);
}

/* In a user namespace of its own: the walls must be the same. */
static void privilege_is_not_needed(void **state)
{
    (void)state;
    unprivileged = 1;
    if (run(nothing, 0) == CANNOT_ENTER) {
        unprivileged = 0;
        skip(); /* user namespaces are forbidden here */
    }
    assert_int_equal(run(sees_a_file, 0), 0);
    assert_int_equal(run(makes_a_file, 0), 0);
    assert_int_equal(run(has_capabilities, 0), 0);
    assert_int_equal(run(works, 1), 0);
    assert_int_equal(run(opens_a_socket, 1), -SIGSYS);
    unprivileged = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_no_files),          cmocka_unit_test(there_are_no_capabilities),
        cmocka_unit_test(what_a_worker_needs_works),   cmocka_unit_test(descriptors_never_come_to_block),
        cmocka_unit_test(everything_else_is_death),    cmocka_unit_test(holes_are_made_where_that_is_allowed),
        cmocka_unit_test(talks_where_that_is_allowed), cmocka_unit_test(its_own_abort_is_seen_as_such),
        cmocka_unit_test(privilege_is_not_needed),
    };

    if (run(nothing, 0) == CANNOT_ENTER) /* a container that may not make namespaces */
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
