/* SPDX-License-Identifier: MIT */
/*
 * Running a card's hotplug script as xl does.
 */
#ifndef RINGCTL_HOTPLUG_H
#define RINGCTL_HOTPLUG_H

#include <stdbool.h>
#include <stdint.h>

#ifndef HOTPLUG_LIMIT_SECONDS
#define HOTPLUG_LIMIT_SECONDS 40 /* libxl's; a test's is shorter */
#endif

/* Runs `script` with "online" or "offline" for a device of this kind, and waits for it. What it prints goes to standard
 * error, or nowhere (`quiet`). Returns 0 when it ended well; -errno otherwise, with what became of it ("exited with
 * status 1") in `ret_said`: -ETIMEDOUT when it took too long and was killed, -EIO when it failed, another when it cannot be run. */
#define HOTPLUG_SAID_SIZE 64
int hotplug_run(const char *script, const char *action, const char *kind, uint32_t domid, uint32_t devid, bool quiet,
                char ret_said[HOTPLUG_SAID_SIZE]);

#endif
