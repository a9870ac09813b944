/* SPDX-License-Identifier: MIT */
/*
 * Delivery of one event: what notify, unmask and the broker do alike.
 *
 * A port is delivered by writing its number to its handle's pipe.  Only the one who finds the port neither pending nor masked
 * writes, so a burst of events costs one system call, and none while the receiver works with the port masked.
 *
 * A sender killed between marking the port pending and writing leaves PENDING without QUEUED; the broker repeats the write when
 * it closes the dead sender's port (sim_raise_repair).
 */
#ifndef SIM_RAISE_H
#define SIM_RAISE_H

#include <stdbool.h>
#include <unistd.h>

#include "shared.h"

/* Mark @port pending; true when the caller must queue it.  Sequentially consistent: everything written before is visible to
 * whoever takes the event. */
static inline bool sim_raise_mark(struct sim_port *port)
{
    uint32_t old = atomic_fetch_or(&port->flags, SIM_PORT_PENDING);

    return !(old & (SIM_PORT_PENDING | SIM_PORT_MASKED));
}

/* Write @number to the pipe @waker.  The pipe holds more numbers than a domain has ports, so it is never full. */
static inline void sim_raise_queue(struct sim_port *port, uint32_t number, int waker)
{
    uint32_t pending = SIM_PORT_PENDING;

    if (write(waker, &number, sizeof(number)) == (ssize_t)sizeof(number))
        (void)atomic_compare_exchange_strong(&port->flags, &pending, SIM_PORT_PENDING | SIM_PORT_QUEUED);
}

/* The receiver took the port's number from the pipe: masked from here on, later events wait for unmask. */
static inline void sim_raise_take(struct sim_port *port)
{
    atomic_exchange(&port->flags, SIM_PORT_MASKED);
}

/* True when an event came while the port was masked: the caller must queue it. */
static inline bool sim_raise_unmask(struct sim_port *port)
{
    uint32_t old = atomic_fetch_and(&port->flags, ~(uint32_t)(SIM_PORT_MASKED | SIM_PORT_QUEUED));

    return (old & SIM_PORT_MASKED) && (old & SIM_PORT_PENDING);
}

/* True when a sender died before it could queue the port. */
static inline bool sim_raise_torn(const struct sim_port *port)
{
    return atomic_load(&port->flags) == SIM_PORT_PENDING;
}

#endif
