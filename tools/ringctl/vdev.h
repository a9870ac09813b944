/* SPDX-License-Identifier: MIT */
/*
 * Names and numbers of virtual disks: xvda is 51712. Source: xen-vbd-interface(7).
 */
#ifndef RINGCTL_VDEV_H
#define RINGCTL_VDEV_H

#include <stddef.h>
#include <stdint.h>

#define VDEV_NAME_SIZE 24

/* Takes xvdb, xvdb1, hda, sda1, d5p1, or a number. Returns 0, or -EINVAL. */
int vdev_parse(const char *text, uint32_t *ret_number);

/* The name of a number; the number itself when it has none. */
void vdev_name(uint32_t number, char ret_name[VDEV_NAME_SIZE]);

#endif
