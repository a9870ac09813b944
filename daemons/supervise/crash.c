/* SPDX-License-Identifier: MIT */
/*
 * The handler does nothing but stores to memory that is mapped and was written to before, apart from walking the stack: what that needs (libgcc,
 * and where the modules lie) is fetched beforehand, since neither the loader nor the allocator may be entered. It runs on a stack of its own,
 * so that an overflow can be told. What it knows for certain is stored before it walks; a walk that faults ends the process with that.
 *
 * Then it puts back what was there before it and raises the signal again: normally that is the default, and the process dies of the true
 * cause. A sanitizer's handler has its say, too.
 *
 * SIGSYS is not among the signals: a call that the sandbox forbids ends the process with no chance to say anything. To let it report would mean
 * to return to a process that has just shown to be under somebody else's control.
 */
#include "crash.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "rundir.h"

#define CRASH_MAGIC    0x72627263u /* "crbr" */
#define CRASH_VERSION  1u
#define MODULES_MAX    48u
#define MODULE_SIZE    40u
#define MODULE_UNKNOWN UINT32_MAX
#define STACK_SIZE     65536u

/* The frames of the handler itself and of what called it, which backtrace() tells first. */
#define FRAMES_AROUND 8u

struct crash_frame {
    uint64_t offset; /* in the module */
    uint32_t module;
    uint32_t reserved;
};

struct crash_file {
    uint32_t magic;
    uint32_t version;
    _Atomic uint32_t signal; /* 0: there was no crash; stored after what is above frame_count */
    uint32_t module_count;
    uint64_t address;
    _Atomic uint32_t frame_count; /* stored after the frames */
    uint32_t reserved;
    struct crash_frame frames[CRASH_FRAMES_MAX];
    char modules[MODULES_MAX][MODULE_SIZE];
};
_Static_assert(sizeof(struct crash_file) <= 4096, "one page, so that it is there once it was written to");

static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

static struct {
    struct crash_file *file;
    struct {
        uintptr_t begin, end, base;
        uint32_t number;
    } segments[2 * MODULES_MAX]; /* with code */
    unsigned segment_count;
    char modules[MODULES_MAX][MODULE_SIZE];
    uint32_t module_count;
    struct sigaction before[SIGNALS];
    _Alignas(16) char stack[STACK_SIZE];
} crash;

bool crash_is_signal(int signal)
{
    for (size_t i = 0; i < SIGNALS; i++) {
        if (signals[i] == signal)
            return true;
    }
    return signal == SIGSYS;
}

/* ---- The handler. ----------------------------------------------------------------------------------------------------------- */

static uintptr_t program_counter(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
    return (uintptr_t)context->uc_mcontext.pc;
#else
    (void)context;
    return 0;
#endif
}

static struct crash_frame place_of(uintptr_t address)
{
    for (unsigned i = 0; i < crash.segment_count; i++) {
        if (address >= crash.segments[i].begin && address < crash.segments[i].end)
            return (struct crash_frame){.offset = address - crash.segments[i].base, .module = crash.segments[i].number};
    }
    return (struct crash_frame){.offset = address, .module = MODULE_UNKNOWN};
}

static void write_frames(struct crash_file *file, uintptr_t place)
{
    void *found[CRASH_FRAMES_MAX + FRAMES_AROUND];
    uint32_t count = 0;
    int total, first = 0;

    file->frames[count++] = place_of(place);
    atomic_store(&file->frame_count, count);
    total = backtrace(found, (int)(sizeof(found) / sizeof(found[0])));
    while (first < total && (uintptr_t)found[first] != place)
        first++;
    /* Not among them: all of them are told then, the handler's own too. */
    for (int i = first < total ? first + 1 : 0; i < total && count < CRASH_FRAMES_MAX; i++)
        file->frames[count++] = place_of((uintptr_t)found[i]);
    atomic_store(&file->frame_count, count);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    struct crash_file *file = crash.file;

    if (file != NULL && atomic_load(&file->signal) == 0) {
        file->address = info->si_code > 0 ? (uint64_t)(uintptr_t)info->si_addr : 0;
        atomic_store(&file->signal, (uint32_t)signal);
        write_frames(file, program_counter(context));
    }
    for (size_t i = 0; i < SIGNALS; i++) {
        if (signals[i] == signal)
            sigaction(signal, &crash.before[i], NULL);
    }
    raise(signal); /* it is blocked in here, and comes on return */
}

/* ---- Beforehand. --------------------------------------------------------------------------------------------------------------- */

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash != NULL ? slash + 1 : info->dlpi_name;

    (void)size;
    (void)arg;
    if (crash.module_count == MODULES_MAX)
        return 1;
    if (name[0] == '\0') /* the program itself */
        name = program_invocation_short_name;
    snprintf(crash.modules[crash.module_count], MODULE_SIZE, "%s", name);
    for (unsigned i = 0; i < info->dlpi_phnum && crash.segment_count < 2 * MODULES_MAX; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        const uintptr_t begin = (uintptr_t)info->dlpi_addr + (uintptr_t)header->p_vaddr;

        if (header->p_type != PT_LOAD || (header->p_flags & PF_X) == 0)
            continue;
        crash.segments[crash.segment_count].begin = begin;
        crash.segments[crash.segment_count].end = begin + (uintptr_t)header->p_memsz;
        crash.segments[crash.segment_count].base = (uintptr_t)info->dlpi_addr;
        crash.segments[crash.segment_count++].number = crash.module_count;
    }
    crash.module_count++;
    return 0;
}

int crash_catch(void)
{
    const stack_t stack = {.ss_sp = crash.stack, .ss_size = sizeof(crash.stack)};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | (int)SA_RESETHAND};
    void *unused[2];

    (void)backtrace(unused, 2); /* the first call loads what it needs */
    dl_iterate_phdr(note_module, NULL);
    sigfillset(&action.sa_mask);
    if (sigaltstack(&stack, NULL) < 0)
        return -errno;
    for (size_t i = 0; i < SIGNALS; i++) {
        if (sigaction(signals[i], &action, &crash.before[i]) < 0)
            return -errno;
    }
    return 0;
}

int crash_write_to(int fd)
{
    struct crash_file *file = MAP_FAILED;
    struct stat status;
    int err = -EBADMSG;

    if (fstat(fd, &status) == 0 && status.st_size >= (off_t)sizeof(*file)) {
        file = mmap(NULL, sizeof(*file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        err = file == MAP_FAILED ? -errno : 0;
    }
    close(fd);
    if (err < 0)
        return err;
    file->magic = CRASH_MAGIC;
    file->version = CRASH_VERSION;
    memcpy(file->modules, crash.modules, sizeof(file->modules));
    file->module_count = crash.module_count;
    crash.file = file;
    return 0;
}

/* ---- The supervisor. --------------------------------------------------------------------------------------------------------- */

size_t crash_file_size(void)
{
    return sizeof(struct crash_file);
}

/* Whether it is a name as modules have. */
static bool name_is_valid(const char name[MODULE_SIZE])
{
    size_t length = strnlen(name, MODULE_SIZE);

    if (length == 0 || length == MODULE_SIZE)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '+')
            return false;
    }
    return true;
}

static void tell_place(const struct crash_file *file, const struct crash_frame *frame, char ret_place[CRASH_PLACE_SIZE])
{
    const bool known = frame->module < file->module_count && frame->module < MODULES_MAX &&
                       name_is_valid(file->modules[frame->module]);

    if (known)
        snprintf(ret_place, CRASH_PLACE_SIZE, "%s+0x%llx", file->modules[frame->module],
                 (unsigned long long)frame->offset);
    else
        snprintf(ret_place, CRASH_PLACE_SIZE, "0x%llx", (unsigned long long)frame->offset);
}

int crash_parse(const void *bytes, size_t size, struct crash_report *ret_report)
{
    struct crash_file file;
    struct crash_report report = {0};

    if (size != sizeof(file))
        return -EBADMSG;
    memcpy(&file, bytes, sizeof(file));
    report.signal = atomic_load(&file.signal);
    if (report.signal == 0)
        return -ENODATA;
    if (file.magic != CRASH_MAGIC || file.version != CRASH_VERSION || report.signal > (uint32_t)INT32_MAX ||
        !crash_is_signal((int)report.signal))
        return -EBADMSG;
    report.address = file.address;
    report.frame_count = atomic_load(&file.frame_count);
    if (report.frame_count > CRASH_FRAMES_MAX)
        report.frame_count = CRASH_FRAMES_MAX;
    for (uint32_t i = 0; i < report.frame_count; i++)
        tell_place(&file, &file.frames[i], report.frames[i]);
    *ret_report = report;
    return 0;
}

int crash_read(int dir, const char *name, struct crash_report *ret_report)
{
    uint8_t bytes[sizeof(struct crash_file)];
    int err = rundir_read(dir, name, bytes, sizeof(bytes));

    if (err == -ENOENT)
        return -ENODATA;
    return err < 0 ? err : crash_parse(bytes, sizeof(bytes), ret_report);
}
