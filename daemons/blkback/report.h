/* SPDX-License-Identifier: MIT */
/*
 * What is to be seen from outside: GET /v1/devices, GET /v1/devices/DOMID/DEVID, and the devices' part of /metrics.
 */
#ifndef BLKBACK_REPORT_H
#define BLKBACK_REPORT_H

struct blkback;
struct control;

/* Returns 0 or -errno, the reason logged. */
int report_open(struct blkback *blkback, struct control *control);

#endif
