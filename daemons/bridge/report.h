/* SPDX-License-Identifier: MIT */
/*
 * What tapbridged tells on its control socket:
 *
 *   GET /v1/bridges              all bridges
 *   GET /v1/bridges/NAME         one, with its ports
 *   GET /v1/bridges/NAME/fdb     its forwarding table
 *   GET /metrics
 */
#ifndef BRIDGE_REPORT_H
#define BRIDGE_REPORT_H

struct control;
struct tapbridge;

/* Returns 0, -ENOMEM. */
int report_register(struct tapbridge *tapbridge, struct control *control);

#endif
