/* SPDX-License-Identifier: MIT */
/*
 * Single-stepping: a life is run in a child, and between enter() and leave() the tracer looks after every instruction
 * whether the world, memory that both share, has changed. What it then holds is what a SIGKILL at that instruction leaves.
 */
#ifndef TESTS_UNIT_RING_STEPPER_H
#define TESTS_UNIT_RING_STEPPER_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static bool traced;
static unsigned long kill_points;

#define demand(condition)                                                    \
    do {                                                                     \
        if (!(condition)) {                                                  \
            printf("%s:%d: violated: %s\n", __FILE__, __LINE__, #condition); \
            fflush(stdout);                                                  \
            _exit(1);                                                        \
        }                                                                    \
    } while (0)

/* Between these two the tracer steps; the rest of the child runs freely. */
static void enter(void)
{
    if (traced)
        raise(SIGSTOP);
}

static void leave(void)
{
    if (traced)
        raise(SIGSTOP);
}

/* Lets the child run to its next stop. Returns whether it is still there. */
static bool resume(pid_t child, bool step, int *ret_status)
{
    if (ptrace(step ? PTRACE_SINGLESTEP : PTRACE_CONT, child, NULL, NULL) < 0 || waitpid(child, ret_status, 0) < 0) {
        perror("ptrace");
        exit(1);
    }
    return WIFSTOPPED(*ret_status);
}

/* Runs one life in a child and calls `see` with every state of the world that a kill can leave, the first included; some
 * are seen several times. */
static void step_through(void (*life)(const char *), const char *script, const void *world, size_t world_size,
                         void (*see)(void *context), void *context)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(77);
        traced = true;
        life(script);
        _exit(0);
    }

    int status;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("tracing is not allowed here\n");
        exit(77);
    }

    void *last = malloc(world_size);
    if (!last)
        abort();
    memcpy(last, world, world_size);
    see(context);
    bool inside = false;
    while (WIFSTOPPED(status)) {
        int stopped_by = WSTOPSIG(status);
        if (stopped_by == SIGSTOP)
            inside = !inside;
        else if (stopped_by != SIGTRAP)
            break;
        if (inside)
            kill_points++;
        if (memcmp(last, world, world_size) != 0) {
            memcpy(last, world, world_size);
            see(context);
        }
        resume(child, inside, &status);
    }
    free(last);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        printf("the worker died by itself: status %#x\n", (unsigned)status);
        if (WIFSTOPPED(status))
            kill(child, SIGKILL);
        exit(1);
    }
}

#endif
