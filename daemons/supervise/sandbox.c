/* SPDX-License-Identifier: MIT */
/*
 * The walls around a worker, which reads what a hostile guest and a hostile image say.
 *
 * sandbox_enter() takes away everything that has a name: the file system (an empty, read-only tmpfs becomes the root and the old one is
 * unmounted), the network, System V IPC, every capability. It runs while there is nothing hostile yet to react to. sandbox_close() installs the
 * seccomp filter: an allow list; anything else kills the process, which the kernel logs, and the supervisor starts the next one.
 *
 * What is left, and why it is harmless:
 *   io_uring   Requests are not seen by seccomp, and a disk attached later needs a new ring, so io_uring_setup stays allowed. A ring can
 *              open paths (there are none), make sockets (of an empty network namespace) and use the descriptors the worker holds anyway:
 *              also to cut or punch files, which by themselves no call may; whoever reads these files expects it.
 *   fallocate  Only to make holes, and only where it has disks to discard.
 *   sendto     And recvfrom, shutdown, timers: only where it has disks of a server. A socket is one it was handed; it can make none.
 *   ioctl      Only the commands of event channel and grant devices, and the questions asked of block devices.
 *   mmap       Never executable.
 *   fcntl      Not to make a descriptor block that did not: the other end may share it, and must never wait for a worker.
 *   openat     Answers ENOENT, as the empty root would, instead of killing: libc looks for optional files now and then.
 *   gntdev     Cannot be restricted to one domain by Xen: a worker that was taken over can ask for any domain's grants to this one.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#define FILES_MAX 4096u

/* Where the empty root is mounted for a moment; any directory that always exists. */
#define STAGE "/proc"

static int unshare_namespaces(void)
{
    const int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC;

    if (unshare(flags) == 0)
        return 0;
    /* Without privilege a user namespace of our own gives it; nobody but ourselves has a number there. */
    if (errno == EPERM && unshare(flags | CLONE_NEWUSER) == 0)
        return 0;
    return -errno;
}

/* Makes an empty file system the root, and lets go of the old one with all that is mounted in it. */
static int empty_root(void)
{
    if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0 ||
        mount("none", STAGE, "tmpfs", MS_NODEV | MS_NOEXEC | MS_NOSUID | MS_RDONLY,
              "nr_inodes=2,nr_blocks=1,mode=0555") < 0 ||
        chdir(STAGE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ||
        chdir("/") < 0)
        return -errno;
    return 0;
}

static int limit_resources(void)
{
    const struct rlimit core = {.rlim_cur = 0, .rlim_max = 0};
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return -errno;
    if (files.rlim_max > FILES_MAX)
        files.rlim_max = FILES_MAX;
    files.rlim_cur = files.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0 || setrlimit(RLIMIT_CORE, &core) < 0)
        return -errno;
    return 0;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, none) < 0)
        return -errno;
    return 0;
}

int sandbox_enter(const char **ret_step)
{
    const char *step = "namespaces";
    int err = unshare_namespaces();

    if (err == 0) {
        step = "empty root";
        err = empty_root();
    }
    if (err == 0) {
        step = "resource limits";
        err = limit_resources();
    }
    if (err == 0) {
        step = "capabilities";
        err = drop_capabilities();
    }
    if (err == 0) {
        step = "no_new_privs";
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
            err = -errno;
    }
    if (err < 0)
        *ret_step = step;
    return err;
}

/* ---- The filter. ---------------------------------------------------------------------------------------------------- */

/* Allowed whatever the arguments are. Those an architecture does not have are skipped. */
static const int calls_allowed[] = {
    /* data */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwritev2),
    SCMP_SYS(lseek),
    SCMP_SYS(fdatasync),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_register),
    /* descriptors it holds */
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat), /* this and statx: fstat() in some libcs; a path leads nowhere in the empty root */
    SCMP_SYS(statx),
    /* waiting */
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2),
    SCMP_SYS(eventfd2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(futex),
    SCMP_SYS(restart_syscall),
    /* messages on sockets it holds */
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(accept4),
    /* memory */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(mincore),
    SCMP_SYS(membarrier),
    /* time, randomness, itself */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(sysinfo), /* qsort() asks how much memory there is before it takes some */
    SCMP_SYS(rseq),
    /* signals and the end */
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Refused with an error, because libc and the sanitizers try them and do without. */
static const struct {
    int call;
    int error;
} calls_refused[] = {
    {SCMP_SYS(open), ENOENT},           {SCMP_SYS(openat), ENOENT}, {SCMP_SYS(readlink), ENOENT},
    {SCMP_SYS(readlinkat), ENOENT},     {SCMP_SYS(access), ENOENT}, {SCMP_SYS(faccessat), ENOENT},
    {SCMP_SYS(faccessat2), ENOENT},     {SCMP_SYS(stat), ENOENT},   {SCMP_SYS(prlimit64), EPERM},
    {SCMP_SYS(set_robust_list), EPERM},
};

/* A type byte: every command of the event channel and grant drivers. */
#define IOCTL_TYPE_MASK ((scmp_datum_t)_IOC_TYPEMASK << _IOC_TYPESHIFT)
static const unsigned char ioctl_types_allowed[] = {'E', 'G'};
/* Whole commands: what a block device is asked for. */
static const uint32_t ioctls_allowed[] = {BLKGETSIZE64, BLKSSZGET, BLKPBSZGET, BLKIOMIN, BLKIOOPT, BLKROGET};

/* What a descriptor is asked, and told; F_SETFL with O_NONBLOCK only. */
static const uint32_t fcntls_allowed[] = {F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC, F_GET_SEALS};

static int allow_calls(scmp_filter_ctx filter)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(calls_allowed) / sizeof(calls_allowed[0]); i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls_allowed[i], 0);
    for (size_t i = 0; err == 0 && i < sizeof(calls_refused) / sizeof(calls_refused[0]); i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)calls_refused[i].error), calls_refused[i].call, 0);
    return err;
}

static int allow_ioctls(scmp_filter_ctx filter)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(ioctl_types_allowed); i++)
        err = seccomp_rule_add(
            filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
            SCMP_A1(SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, (scmp_datum_t)ioctl_types_allowed[i] << _IOC_TYPESHIFT));
    /* Compared as 32 bits: the kernel looks at no more, and libc sign-extends. */
    for (size_t i = 0; err == 0 && i < sizeof(ioctls_allowed) / sizeof(ioctls_allowed[0]); i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                               SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, ioctls_allowed[i]));
    if (err == 0) /* isatty() of the log's descriptor */
        err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1,
                               SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TCGETS));
    return err;
}

static int allow_fcntls(scmp_filter_ctx filter)
{
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(fcntls_allowed) / sizeof(fcntls_allowed[0]); i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
                               SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, fcntls_allowed[i]));
    if (err == 0)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2,
                               SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, F_SETFL),
                               SCMP_A2(SCMP_CMP_MASKED_EQ, O_NONBLOCK, O_NONBLOCK));
    return err;
}

/* Calls that are harmless with certain arguments only. */
static int allow_conditional(scmp_filter_ctx filter)
{
    const scmp_datum_t pid = (scmp_datum_t)getpid();
    const struct {
        uint32_t action;
        int call;
        struct scmp_arg_cmp when;
    } rules[] = {
        {SCMP_ACT_ALLOW, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        {SCMP_ACT_ALLOW, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        /* what allocators give back or ask for; not MADV_REMOVE, which punches the file that is mapped */
        {SCMP_ACT_ALLOW, SCMP_SYS(madvise), SCMP_A2(SCMP_CMP_EQ, MADV_DONTNEED, 0)},
        {SCMP_ACT_ALLOW, SCMP_SYS(madvise), SCMP_A2(SCMP_CMP_EQ, MADV_FREE, 0)},
        {SCMP_ACT_ALLOW, SCMP_SYS(madvise), SCMP_A2(SCMP_CMP_EQ, MADV_HUGEPAGE, 0)},
        {SCMP_ACT_ALLOW, SCMP_SYS(madvise), SCMP_A2(SCMP_CMP_EQ, MADV_NOHUGEPAGE, 0)},
        {SCMP_ACT_ALLOW, SCMP_SYS(madvise), SCMP_A2(SCMP_CMP_EQ, MADV_DONTDUMP, 0)},
        /* abort() */
        {SCMP_ACT_ALLOW, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, pid, 0)},
        {SCMP_ACT_ALLOW, SCMP_SYS(kill), SCMP_A0(SCMP_CMP_EQ, pid, 0)},
        /* names of threads, and of anonymous memory, which a debugging allocator tries to give */
        {SCMP_ACT_ALLOW, SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0)},
        {SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA, 0)},
    };
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(rules) / sizeof(rules[0]); i++)
        err = seccomp_rule_add(filter, rules[i].action, rules[i].call, 1, rules[i].when);
    return err;
}

static int allow_punching(scmp_filter_ctx filter)
{
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fallocate), 1,
                            SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE));
}

static int allow_talking(scmp_filter_ctx filter)
{
    static const int calls[] = {SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(shutdown), SCMP_SYS(timerfd_create),
                                SCMP_SYS(timerfd_settime)};
    int err = 0;

    for (size_t i = 0; err == 0 && i < sizeof(calls) / sizeof(calls[0]); i++)
        err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
    return err;
}

int sandbox_close(unsigned allowed, const char **ret_step)
{
    const char *step = "filter rules";
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int err;

    if (filter == NULL) {
        *ret_step = step;
        return -ENOMEM;
    }
    /* Every thread there is; and a binary tree instead of a list, since this is in the way of each system call. */
    err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (err == 0)
        err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (err == 0)
        err = allow_calls(filter);
    if (err == 0)
        err = allow_ioctls(filter);
    if (err == 0)
        err = allow_fcntls(filter);
    if (err == 0)
        err = allow_conditional(filter);
    if (err == 0 && (allowed & SANDBOX_PUNCHES) != 0)
        err = allow_punching(filter);
    if (err == 0 && (allowed & SANDBOX_TALKS) != 0)
        err = allow_talking(filter);
    if (err == 0) {
        step = "filter load";
        err = seccomp_load(filter);
    }
    seccomp_release(filter);
    if (err < 0)
        *ret_step = step;
    return err;
}
