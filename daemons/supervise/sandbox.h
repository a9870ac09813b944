/* SPDX-License-Identifier: MIT */
/*
 * What a worker may do. Two steps, both at its start, with the handles to Xen already open.
 *
 *   sandbox_enter()  an empty root, empty namespaces (network, IPC), no capability, no new privileges, not dumpable, bounded resources.
 *   sandbox_close()  the seccomp filter. From then on no path can be opened and no process started.
 */
#ifndef SUPERVISE_SANDBOX_H
#define SUPERVISE_SANDBOX_H

/* Returns 0 or -errno, with the step that failed in *ret_step. */
int sandbox_enter(const char **ret_step);
/* What some workers may do beside what all may. */
#define SANDBOX_PUNCHES 1u /* make holes in the files it holds, as a disk does that discards */
#define SANDBOX_TALKS   2u /* send and receive over sockets it holds, as libnbd does, and watch the time meanwhile */
int sandbox_close(unsigned allowed, const char **ret_step);

#endif
