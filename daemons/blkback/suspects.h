/* SPDX-License-Identifier: MIT */
/*
 * Requests that crash workers: what is kept of them, and what is said. See backend/parking.h for what becomes of their disk.
 */
#ifndef BLKBACK_SUSPECTS_H
#define BLKBACK_SUSPECTS_H

#include <stdint.h>

struct backend_head;
struct device;
struct vbd;

/* Its file in the device's run directory: struct blkback_suspects, of the last crash. */
#define SUSPECTS_FILE "suspects"

/* "read", "write" and so on of a request's code; "unknown". */
const char *suspects_operation(uint32_t code);

/* Reads what earlier supervisors kept. */
void suspects_load(struct vbd *vbd);
/* A worker has recovered the disk: keeps which requests a crash makes suspects of. */
void suspects_recovered(struct device *device, const struct backend_head *message);
/* It let go of the disk because of one. */
void suspects_parked(struct device *device, const struct backend_head *message);

#endif
