/* SPDX-License-Identifier: MIT */
/*
 * Network devices of a domain, as xl attaches and detaches them.
 */
#ifndef SIM_VIF_H
#define SIM_VIF_H

/* The commands vif-attach and vif-detach: each takes its arguments, ended by NULL, and returns the program's exit status; 2: wrong arguments. */
int vif_attach(char **argv);
int vif_detach(char **argv);

#endif
