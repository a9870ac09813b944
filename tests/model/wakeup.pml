/* SPDX-License-Identifier: MIT */
/*
 * The ring's wake-up protocol: each side says at which index it wants an event, and sleeps.
 *
 * Theory of operation. front() and back() run on processors of their own, whose stores wait in a buffer (front_stores,
 * back_stores) before the other side can see them, as on x86; a processor sees its own at once. Only a full barrier
 * waits until the buffer is empty: fence(). So what shared.h says of shared_index_publish() and shared_index_recheck()
 * is checked here, not assumed. What is in the slots does not matter, only how many requests are where.
 *
 * back() is daemons/blkback/worker/queue.c, with libring's back.c and recover.c reduced to counters; the journal keeps
 * the counters over a kill (journal.pml shows that it does). A kill may come at any moment, any number of times.
 * Xen and the kernel's event channel device are notify_back() and unmask(): an event masks its channel until it is
 * unmasked, one that comes meanwhile is kept, one to a channel that nobody has bound is lost.
 * front() is front.c, or Linux' xen-blkfront, which need not look again when nothing is outstanding. It may go to sleep
 * at any time; one that sleeps for ever with a request outstanding is an invalid end state, the lost wake-up.
 *
 *   run honest -m2000000   nobody sleeps while the other waits for it
 *   run lively -DLIVELY -l -m4000000   back() never goes round without a request, an answer or a kill in between
 *   run hostile -DHOSTILE -l -m2000000   any index at any time, any number of events: back() returns to its event loop
 *   full honest -DSLOTS=4 -DBATCH=2
 *   full lively -DLIVELY -DSLOTS=4 -DBATCH=2 -l
 *   full hostile -DHOSTILE -DSLOTS=8 -DBATCH=2 -l
 *
 *   mutant NO_BARRIER_IN_PUBLISH honest   back end: rsp_prod is published without a full barrier
 *   mutant NO_BARRIER_IN_REARM honest   back end: req_event is stored without a full barrier
 *   mutant NO_BARRIER_IN_FRONT honest   front end: req_prod is published without a full barrier
 *   mutant NO_RECHECK honest   rearm: req_prod is not looked at again
 *   mutant EVENT_TOO_EARLY honest   rearm: asks for an event with the request it has
 *   mutant NOT_UNMASKED honest   go_to_sleep: the channel stays masked
 *   mutant STILL_ASLEEP honest   on_event: what was noted of sleeping is kept
 *   mutant NO_NEXT_TURN honest   run: after the last turn it sleeps
 *   mutant NOT_NOTIFIED honest   recovery: the front end is not notified
 *   mutant NOT_SCANNED honest   recovery: the ring is looked at when the next event comes
 *   mutant SCANNED_TOO_EARLY honest   recovery: the ring is scanned before the channel is bound, not after
 *   mutant REARM_WHEN_BUSY lively   run: what is at the disk counts as more to do
 *   mutant NO_ROOM_CHECK hostile   consume: an impossible req_prod is believed
 *   mutant NO_LAST_TURN hostile   run: goes on for as long as there is more
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef INDICES
#define INDICES (2 * SLOTS) /* they count modulo this, as uint32_t does modulo 2^32 */
#endif
#ifndef BATCH
#define BATCH 1 /* BATCH_MAX */
#endif
#ifndef TURNS
#define TURNS 1 /* TURNS_MAX */
#endif

#define INDEX(number)             ((number) & (INDICES - 1))
#define due(before, after, event) (INDEX(after - event) < INDEX(after - before)) /* shared_event_due() */

/* What must never be. Everything else is an invalid end state: a front end with a request outstanding that sleeps, and
 * nobody to wake it. */
hidden byte more_responses_than_requests, honest_ring_refused, more_than_slots;
#define must(condition, violated)                 \
    if                                            \
    :: (condition) -> skip                        \
    :: else -> violated = true; assert(!violated) \
    fi

#if defined(LIVELY) || defined(HOSTILE)
#define progress(name) progress_##name: skip
#else
#define progress(name) skip
#endif

/* ---- The shared page, and what the processors have not yet written to it. ---- */

#define REQ_PROD  0
#define REQ_EVENT 1
#define RSP_PROD  2
#define RSP_EVENT 3
byte shared[4];
chan front_stores = [1] of { byte, byte };
chan back_stores = [1] of { byte, byte };

/* A plain store, and one with a full barrier: it waits for those before it and is seen at once. */
#define store(stores, index, value)      stores!index, INDEX(value)
#define store_full(stores, index, value) atomic { empty(stores) -> shared[index] = INDEX(value) }

/* What has not got through yet does, in order, one by one. */
inline drain(stores)
{
    atomic {
        stores?index, value -> shared[index] = value;
        index = 0;
        value = 0
    }
}

#ifndef HOSTILE
active proctype front_processor()
{
    byte index, value;

end:
    do
    :: drain(front_stores)
    od
}
#endif

#if defined(NO_BARRIER_IN_PUBLISH) || defined(NO_BARRIER_IN_REARM)
active proctype back_processor() /* else every store of the back end has its barrier */
{
    byte index, value;

end:
    do
    :: drain(back_stores)
    od
}
#endif

/* Any value there is. */
inline any(value, limit)
{
    value = 0;
    do
    :: value < limit - 1 -> value++
    :: break
    od
}

#ifdef HOSTILE
#define load(value, which)             any(value, INDICES)
#define is_due(before, after, which)     true
#define is_not_due(before, after, which) true
#else
#define load(value, which)             value = shared[which]
#define is_due(before, after, which)     due(before, after, shared[which])
#define is_not_due(before, after, which) !due(before, after, shared[which])
#endif

/* ---- Event channels. ---- */

bool bound;         /* the back end has bound the front end's port */
bool masked;        /* since its last event */
bool pending;       /* another event came meanwhile */
bool readable;      /* the back end's descriptor */
bool front_pending; /* an event for the front end */

inline notify_back()
{
    atomic {
        if
        :: bound && masked -> pending = true
        :: bound && !masked -> masked = true; readable = true
        :: else -> skip
        fi
    }
}

inline unmask()
{
    if
    :: pending -> pending = false; readable = true
    :: else -> masked = false
    fi
}

/* ---- The journal, in numbers: they outlive the process. ---- */

byte in_flight;
byte done;
bool connected;
chan kill = [0] of { bit };

/* ---- queue.c and back.c ---- */

/* start_requests() with take_request(), ring_back_replay(), ring_back_consume(): up to BATCH requests go to the disk. */
inline start_requests()
{
    do
    :: atomic {
        taken < BATCH && at_disk < in_flight -> at_disk++; taken++ /* replay */
    }
    :: atomic {
        taken < BATCH && at_disk == in_flight ->
        if
        :: req_seen == req_cons ->
            load(value, REQ_PROD);
            if
#ifndef NO_ROOM_CHECK
            :: INDEX(value - req_cons) > SLOTS - INDEX(req_cons - own_rsp_prod) -> goto refused
#endif
            :: else -> req_seen = value; value = 0
            fi
        :: else -> skip
        fi;
        if
        :: req_seen == req_cons -> break
        :: else ->
            req_cons = INDEX(req_cons + 1);
            in_flight++;
            at_disk++;
            taken++;
            must(in_flight + done <= SLOTS, more_than_slots)
        fi
    }
    :: taken == BATCH -> break
    od
}

/* disk_reap(), ring_back_respond(): as many as happen to have ended. */
inline finish_requests()
{
    atomic {
        do
        :: at_disk > 0 -> finish_one()
        :: break
        od
    }
}

inline finish_one()
{
    at_disk--;
    in_flight--;
    done++
}

/* ring_back_publish(), when there is something */
inline ring_back_publish()
{
    atomic {
        done > 0 ->
#ifdef NO_BARRIER_IN_PUBLISH
        store(back_stores, RSP_PROD, own_rsp_prod + done);
#else
        store_full(back_stores, RSP_PROD, own_rsp_prod + done);
#endif
        before = own_rsp_prod;
        own_rsp_prod = INDEX(own_rsp_prod + done);
        done = 0
    }
}

/* publish() of queue.c */
inline publish()
{
    if
    :: ring_back_publish();
        if
        :: atomic { is_due(before, own_rsp_prod, RSP_EVENT) -> before = 0 };
            front_pending = true
        :: atomic { is_not_due(before, own_rsp_prod, RSP_EVENT) -> before = 0 }
        fi
    :: done == 0
    fi
}

/* ring_back_rearm() */
inline rearm()
{
#ifdef NO_BARRIER_IN_REARM
    store(back_stores, REQ_EVENT, req_cons + 1);
#else
#ifdef EVENT_TOO_EARLY
    store_full(back_stores, REQ_EVENT, req_cons);
#else
    store_full(back_stores, REQ_EVENT, req_cons + 1);
#endif
#endif
    atomic {
        load(value, REQ_PROD);
        more = (value != req_cons);
        value = 0;
#ifdef NO_RECHECK
        more = false;
#endif
#ifdef REARM_WHEN_BUSY
        more = more || in_flight > 0
#endif
    }
}

inline go_to_sleep()
{
    atomic {
        if
        :: !asleep ->
            asleep = true;
#ifndef NOT_UNMASKED
            unmask()
#endif
        :: else -> skip
        fi
    }
}

inline queue_run()
{
    turn = 0;
    do
    :: atomic { turn < TURNS ->
#ifndef NO_LAST_TURN
            turn++;
#endif
            taken = 0
        };
        start_requests();
        finish_requests();
        publish();
        if
        :: atomic { taken > 0 -> taken = 0 }
        :: taken == 0 ->
            rearm();
            if
            :: atomic { more -> more = false }
            :: atomic { !more -> turn = 0 };
                go_to_sleep();
                break
            fi
        fi
    :: atomic { turn == TURNS -> turn = 0;
#ifdef NO_NEXT_TURN
            asleep = true;
            unmask()
#else
            again = true
#endif
        };
        break
    od
}

inline on_event()
{
    atomic {
        readable -> readable = false;
#ifndef STILL_ASLEEP
        asleep = false
#endif
    }
}

active proctype back()
{
    byte req_cons, req_seen, own_rsp_prod, at_disk, taken, turn, before, value, index;
    bool asleep, again, more;

    atomic { shared[REQ_EVENT] = 1; shared[RSP_EVENT] = 1 }; /* ring_front_init() */

life:
    {
        /* take_ring(): ring_back_attach() or ring_back_recover(). Whether the front end wants an event is not told. */
        atomic {
            own_rsp_prod = shared[RSP_PROD];
            req_cons = INDEX(own_rsp_prod + in_flight + done);
            req_seen = req_cons
        };
        if
        :: atomic { ring_back_publish(); before = 0 }
        :: done == 0
        fi;
#ifdef SCANNED_TOO_EARLY
        start_requests();
        rearm();
#endif
        /* xendev_channel_bind(): the first event comes by itself. */
        atomic {
            bound = true;
#ifdef NOT_SCANNED
            asleep = true
#else
#ifdef SCANNED_TOO_EARLY
            asleep = true;
            again = more
#else
            masked = true;
            readable = true
#endif
#endif
        };
        if
#ifndef NOT_NOTIFIED
        :: connected -> front_pending = true
#endif
        :: else -> connected = true
        fi;

end_waiting: /* the event loop */
#ifdef HOSTILE
progress_waiting:
#endif
        if
        :: on_event()
        :: atomic { at_disk > 0 -> finish_one() }; progress(ended)
        :: atomic { again -> again = false }
        fi;
        queue_run();
        goto end_waiting
    } unless {
        atomic {
            kill?_;
#if defined(NO_BARRIER_IN_PUBLISH) || defined(NO_BARRIER_IN_REARM)
            do
            :: drain(back_stores)
            :: empty(back_stores) -> break
            od;
#endif
            bound = false; masked = false; pending = false; readable = false;
            req_cons = 0; req_seen = 0; own_rsp_prod = 0; at_disk = 0; taken = 0; turn = 0; before = 0; value = 0; index = 0;
            asleep = false; again = false; more = false;
            goto life
        }
    };

refused: /* the queue is stopped, the device is closed */
#ifdef HOSTILE
    skip
#else
    honest_ring_refused = true;
    assert(!honest_ring_refused)
#endif
}

active proctype killer()
{
end:
    do
    :: kill!0 -> progress(killed)
    :: break
    od
}

/* ---- The front end. ---- */

#ifdef HOSTILE
active proctype front()
{
end:
progress:
    do
    :: notify_back()
    :: front_pending -> front_pending = false
    od
}
#else

/* Some requests, published together. */
inline submit()
{
    atomic {
        before = req_prod;
        do
        :: INDEX(req_prod - rsp_cons) < SLOTS -> req_prod = INDEX(req_prod + 1)
        :: req_prod != before -> break
        od
    };
#ifdef NO_BARRIER_IN_FRONT
    store(front_stores, REQ_PROD, req_prod);
#else
    store_full(front_stores, REQ_PROD, req_prod);
#endif
    if
    :: atomic { is_due(before, req_prod, REQ_EVENT) -> before = 0 };
        notify_back()
    :: atomic { is_not_due(before, req_prod, REQ_EVENT) -> before = 0 }
    fi
}

/* The interrupt: consumes what there is and asks for the next. */
inline collect()
{
    do
    :: atomic {
            must(INDEX(shared[RSP_PROD] - rsp_cons) <= INDEX(req_prod - rsp_cons), more_responses_than_requests);
            rsp_cons = shared[RSP_PROD]
        };
        if
        :: atomic { rsp_cons == req_prod -> store(front_stores, RSP_EVENT, rsp_cons + 1) };
            break /* as Linux does */
        :: store_full(front_stores, RSP_EVENT, rsp_cons + 1)
        fi;
        if
        :: shared[RSP_PROD] == rsp_cons -> break
        :: shared[RSP_PROD] != rsp_cons -> skip
        fi
    od
}

active proctype front()
{
    byte req_prod, rsp_cons, before;

    connected;
    do
    :: INDEX(req_prod - rsp_cons) < SLOTS ->
        submit();
        progress(submitted)
    :: req_prod != rsp_cons || front_pending -> /* nothing else to do for now */
        atomic { front_pending -> front_pending = false };
        collect();
        progress(collected)
    od
}
#endif
