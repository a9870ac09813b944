/* SPDX-License-Identifier: MIT */
/*
 * Giving up privileges. The run directory's files are our own user's, so that files need no privilege.
 */
#include "privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int privileges_drop(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
    const unsigned kept = 1u << CAP_NET_ADMIN;

    if (syscall(SYS_capget, &header, sets) < 0)
        return -errno;
    /* Where it is missing taps are refused, each with its reason; shared-memory ports need none. */
    sets[0].permitted &= kept;
    sets[0].effective &= kept;
    sets[0].inheritable = 0;
    sets[1] = (struct __user_cap_data_struct){0};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 || syscall(SYS_capset, &header, sets) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return 0;
}
