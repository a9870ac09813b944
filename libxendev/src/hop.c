/* SPDX-License-Identifier: MIT */
/*
 * The back end's state machine.
 *
 * Theory of operation. Events say only that something may have changed; what to do follows from what is there now.
 * hop_next() looks at all of it and names one legal step: write one state, or start one effect. Whoever calls it takes
 * the step, looks again, and goes on until there is nothing to do. So missed, merged and repeated events, a daemon
 * started late and a guest that rewrites its state a million times are all the same case.
 *
 *   own state          leaves it when                                        by
 *
 *   Initialising ----- at once ---------------------------------- prepare ---> InitWait (prepared or refused)
 *        |                                                                        |
 *        |  (the toolstack made it anew under our feet: disconnect, prepare)      |
 *        v                                                                        |
 *   InitWait --------- front Initialised or Connected,                            |
 *     |    ^           hotplug script done, not refused --------- connect ---> Connected
 *     |    |                                                                      |
 *     |    +---------- Closed, online, front end in a new life ------ prepare   |
 *     |                (kexec, reboot of the front end, GRUB -> kernel)           |
 *     |                                                                           |
 *     |  front Closing or Closed                front Closing: go on serving      |
 *     v                                         failed, or front Closed,          |
 *   Closing <---------------------------------- Initialising, nonsense:  <--------+
 *     |                                         disconnect first
 *     |  failed, or the front end is through, or was never connected and is not about to say Closed: disconnect
 *     v
 *   Closed  ---------- stays; the toolstack removes the node
 *
 *   anywhere: our node or the domain is gone: disconnect, forget. Only the front end's node is gone: disconnect, Closing, Closed. Our
 *   node stays then: `xl destroy` removes the front end's first and has its hotplug script read ours last.
 *
 * While Closing the device is still served, until the front end says Closed: a guest whose disk is in use at `xl
 * block-detach` goes on writing. What could be resumed is retired by disconnect, which comes before Closed, before
 * InitWait, and before Closing unless that answers the toolstack's or the front end's own.
 *
 * After a failure a front end that never left Initialising gets no second try by itself (it would fail for ever): it
 * has to write its state again.
 *
 * A front end that is being connected to waits for Connected. One that writes its state meanwhile has begun anew, even if
 * it stands again where it stood (a crash kernel that found InitWait and went straight on): what was connected to is let
 * go, never declared Connected, and the new life is prepared and connected to while our state stays InitWait.
 *
 * A new life may be further than Initialising when we look (Mini-OS jumps on to Connected). It is told from the old one
 * by what was seen in between: once a front end has begun to close, or has begun anew, its next Initialised or
 * Connected is a new connection. One that merely stays there when we close it, for what it did, is not let in again.
 */
#include "hop.h"

/* The front end has what it needs to be connected to. Some stop at Initialised, some skip it. */
static bool front_ready(const struct hop_view *view)
{
    return view->front == XENBUS_INITIALISED || view->front == XENBUS_CONNECTED;
}

/* The front end wants to be connected to, and not as it was before. */
static bool front_ready_anew(const struct hop_view *view)
{
    return front_ready(view) && view->front_left;
}

/* The front end no longer uses what it was connected to: it closed, or began anew, or wrote nonsense. */
static bool front_over(const struct hop_view *view)
{
    return view->front == XENBUS_CLOSED || view->front == XENBUS_INITIALISING || view->front == XENBUS_UNKNOWN ||
           front_ready_anew(view);
}

static bool front_closing(const struct hop_view *view)
{
    return view->front == XENBUS_CLOSING || view->front == XENBUS_CLOSED;
}

static enum hop next_from_initialising(const struct hop_view *view)
{
    switch (view->hold) {
    case HOLD_NOTHING:
        return HOP_PREPARE;
    case HOLD_PREPARED:
        return HOP_INIT_WAIT;
    default:
        return HOP_DISCONNECT; /* what we hold belongs to the node's former life */
    }
}

static enum hop next_from_init_wait(const struct hop_view *view)
{
    if (view->failed)
        return view->hold == HOLD_NOTHING ? HOP_CLOSING : HOP_DISCONNECT;

    switch (view->hold) {
    case HOLD_NOTHING:
        return HOP_PREPARE; /* found here by a new process, or a new life of the front end */
    case HOLD_PREPARED:
        return HOP_INIT_WAIT;
    case HOLD_WAITING:
        if (front_closing(view))
            return HOP_CLOSING;
        return front_ready(view) && view->hotplug_done && !view->refused ? HOP_CONNECT : HOP_STAY;
    case HOLD_CONNECTED:
        if (front_closing(view))
            return HOP_CLOSING;
        return front_over(view) ? HOP_DISCONNECT : HOP_CONNECTED; /* over: what was connected to is a former life's */
    default:
        return HOP_DISCONNECT;
    }
}

static enum hop next_from_connected(const struct hop_view *view)
{
    bool over = view->failed || front_over(view);

    switch (view->hold) {
    case HOLD_NOTHING:
        return HOP_CLOSING;
    case HOLD_FOUND:
        return over ? HOP_DISCONNECT : HOP_RESUME;
    case HOLD_CONNECTED:
        if (over)
            return HOP_DISCONNECT;
        return view->front == XENBUS_CLOSING ? HOP_CLOSING : HOP_STAY;
    default:
        return HOP_DISCONNECT;
    }
}

static enum hop next_from_closing(const struct hop_view *view)
{
    bool over = view->failed || front_over(view);

    switch (view->hold) {
    case HOLD_NOTHING:
        return HOP_CLOSED;
    case HOLD_FOUND:
        return over ? HOP_DISCONNECT : HOP_RESUME;
    case HOLD_CONNECTED:
        return over ? HOP_DISCONNECT : HOP_STAY;
    default:
        /* The front end was never connected: nothing to wait for, unless it is about to say Closed and wants to see
         * each of our answers. */
        return view->front == XENBUS_CLOSING && !view->failed ? HOP_STAY : HOP_DISCONNECT;
    }
}

static enum hop next_from_closed(const struct hop_view *view)
{
    switch (view->hold) {
    case HOLD_NOTHING:
        if (!view->online)
            return HOP_STAY;
        if (front_ready_anew(view) || (view->front == XENBUS_INITIALISING && (!view->failed || view->front_moved)))
            return HOP_PREPARE;
        return HOP_STAY;
    case HOLD_PREPARED:
        return view->online ? HOP_INIT_WAIT : HOP_DISCONNECT;
    default:
        return HOP_DISCONNECT;
    }
}

static enum hop next_without_front(const struct hop_view *view)
{
    if (view->hold != HOLD_NOTHING)
        return HOP_DISCONNECT;
    switch (view->own) {
    case XENBUS_UNKNOWN:
    case XENBUS_INITIALISING: /* nobody was told anything */
    case XENBUS_CLOSED:
        return HOP_STAY;
    case XENBUS_CLOSING:
        return HOP_CLOSED;
    default:
        return HOP_CLOSING;
    }
}

enum hop hop_next(const struct hop_view *view)
{
    if (view->busy)
        return HOP_STAY;
    if (!view->node_there || !view->domain_there)
        return view->hold == HOLD_NOTHING ? HOP_FORGET : HOP_DISCONNECT;
    if (!view->front_there)
        return next_without_front(view);

    switch (view->own) {
    case XENBUS_INITIALISING:
        return next_from_initialising(view);
    case XENBUS_INIT_WAIT:
        return next_from_init_wait(view);
    case XENBUS_CONNECTED:
        return next_from_connected(view);
    case XENBUS_CLOSING:
        return next_from_closing(view);
    case XENBUS_CLOSED:
        return next_from_closed(view);
    case XENBUS_UNKNOWN: /* the toolstack has not finished, or is removing it */
        return view->hold == HOLD_NOTHING ? HOP_STAY : HOP_DISCONNECT;
    default: /* a state no back end of ours writes */
        return view->hold == HOLD_NOTHING ? HOP_CLOSING : HOP_DISCONNECT;
    }
}
