/* SPDX-License-Identifier: MIT */
/*
 * The xenbus handshake: one disk between a toolstack, a front end in its lives, and a supervisor and workers that die.
 *
 * Theory of operation. The state machine is not modelled: it is hop.c itself, called by decide(). Around it,
 * supervisor() is libxendev's backend.c and bus.c with the effects of daemons/backend (device.c, serve.c, guest.c,
 * adopt.c, replace.c, parking.c and sweep.c) and, of a disk, daemons/blkback (vbd.c, lock.c), in which the writes to xenstore, to the run directory and
 * to the worker's channel are steps (but what is removed together goes in one), worker() is the worker's main.c, link.c
 * and device.c, and kernel() ends I/O and delivers signals when it likes. killer() ends supervisor and worker between
 * any two steps, a number of times; the next supervisor finds what is in xenstore and in the run directory, perhaps a
 * worker that serves on, and nothing else. It asks that worker what it holds, and adopts or drains it; or it cannot
 * reach it, and ends it. A record stands for the file `connection`, its journal, and the generation that both carry;
 * records that nobody knows of any more are used again.
 *
 * front_end() goes through its lives in the manner of Linux, Mini-OS, GRUB or Windows, and waits for each answer it has
 * a right to, in a state that is no valid end: one that is never answered is an error. It may end at any moment, and be
 * followed by a kernel that takes what it finds. Each life has one ring, with one request. toolstack() detaches,
 * destroys, removes by force, and makes the disk anew. judge() looks whether anything is left of a disk that is gone.
 *
 * Left out: other disks of the guest and of others, what a worker lies, records and journals of another version (such a
 * worker drains here, too, but its successor knows them), limits in time, and the loss of xenstored, which is a
 * supervisor's death.
 *
 *   with libxendev/src/hop.c
 *
 *   run kills -DPATIENT                  supervisor and worker die, a life follows the other
 *   run anew -DWORKER_KILLS=0 -DSUPERVISOR_KILLS=0 -DFAILURES=1   something fails, a life may end at any time
 *   run toolstack -DWORKER_KILLS=0 -DSUPERVISOR_KILLS=0 -DACTS=1 -DPATIENT   the disk is detached, destroyed
 *   run orphan -DWORKER_KILLS=0 -DACTS=1 -DLIVES=1   the same, and the supervisor dies meanwhile
 *   run forced -DWORKER_KILLS=0 -DACTS=1 -DFORCE -DPATIENT   the disk is removed by force and made anew
 *   run upgrade -DWORKER_KILLS=0 -DSUPERVISOR_KILLS=2 -DREPLACEMENTS=1 -DLIVES=1   the worker that is found is to be replaced
 *   run parking -DPARKINGS=1 -DLIVES=1   the disk is parked
 *   run lively -DWORKER_KILLS=0 -DSUPERVISOR_KILLS=0 -DFAILURES=1 -l   nobody goes round in circles: all of it comes to an end
 *   run hostile -DHOSTILE -DLIVES=1 -DWORKER_KILLS=0   the front end's state and keys are any value each time
 *   full kills -DSUPERVISOR_KILLS=2 -DPATIENT
 *   full kills -DFAILURES=1 -DPATIENT
 *   full anew -DWORKER_KILLS=0 -DSUPERVISOR_KILLS=0 -DLIVES=3 -DFAILURES=2
 *   full toolstack -DWORKER_KILLS=0 -DACTS=2 -DLIVES=1
 *   full orphan -DACTS=1 -DLIVES=1
 *   full orphan -DWORKER_KILLS=0 -DSUPERVISOR_KILLS=2 -DACTS=1 -DLIVES=1
 *   full forced -DACTS=1 -DFORCE -DPATIENT
 *   full upgrade -DSUPERVISOR_KILLS=2 -DREPLACEMENTS=2 -DLIVES=1
 *   full parking -DPARKINGS=1 -DPATIENT
 *   full lively -DFAILURES=1 -DPATIENT -l
 *   full hostile -DHOSTILE -DLIVES=1
 *
 *   mutant CONNECTED_TOO_EARLY anew      connect: ended before the worker has attached the ring
 *   mutant OLD_LIFE_OR_NEW anew          hop: a front end that was seen closing or beginning anew is taken for the old one
 *   mutant SAME_STATE_SAME_LIFE anew     a front end that writes its state while it is connected to is taken for the old one
 *   mutant FRONT_NOT_CHECKED anew        Connected is written without a look at what is on its way from the front end
 *   mutant MOVED_BEFORE_CLOSED anew      after a failure only what the front end wrote after Closed lets it in again
 *   mutant CLOSING_IS_CLOSED anew        hop: a front end that is closing is not served any longer
 *   mutant NOT_WAITED_FOR anew           disconnect: ended before the worker has let go
 *   mutant RECORD_KEPT anew              disconnect: the record stays
 *   mutant PREPARE_KEEPS_RECORD forced   prepare: a record that is found stays
 *   mutant DEATH_IS_FAILURE kills        a worker's death closes the disk
 *   mutant NO_FENCE kills                a successor serves while I/O of the dead is under way
 *   mutant NO_TRANSACTION toolstack      a state is written over what the toolstack did meanwhile
 *   mutant FOUND_WAITING_IS_NEW orphan   what is found at InitWait was never connected to
 *   mutant ORPHAN_IGNORED kills          a new supervisor does not look for the worker of its predecessor
 *   mutant NOT_ASKED kills               resume does not wait for what the worker that is found says
 *   mutant HELD_KEPT forced              prepare: what the worker that is found holds need not be let go of
 *   mutant DISCONNECT_FORGETS_HELD orphan   disconnect: the worker that is found is not told
 *   mutant NOT_LOOKED_AT_AGAIN orphan    what goes without having shown up is not looked for
 *   mutant STILL_DRAINING upgrade        a worker whose supervisor dies goes on draining
 *   mutant PARKED_AND_HELD parking       a worker goes on holding the disk that it parks
 *   mutant RECORD_KEPT hostile           disconnect: the record stays
 *   mutant DISCONNECT_FORGETS_HELD hostile   disconnect: the worker that is found is not told
 *
 */
#ifndef LIVES
#define LIVES 2 /* of the front end */
#endif
#ifndef SUPERVISOR_KILLS
#define SUPERVISOR_KILLS 1
#endif
#ifndef WORKER_KILLS
#define WORKER_KILLS 1
#endif
#ifndef FAILURES
#define FAILURES 0 /* of what may fail without anybody's fault */
#endif
#ifndef ACTS
#define ACTS 0 /* of the toolstack, after it has made the device */
#endif
#ifndef REPLACEMENTS
#define REPLACEMENTS 0 /* of workers that a new supervisor finds to be of another version */
#endif
#ifndef PARKINGS
#define PARKINGS 0
#endif
#define RECORDS 3 /* connections that somebody may still know of */

/* enum xenbus_state */
#define UNKNOWN      0
#define INITIALISING 1
#define INIT_WAIT    2
#define INITIALISED  3
#define CONNECTED    4
#define CLOSING      5
#define CLOSED       6

/* enum hop_hold */
#define HOLDS_NOTHING   0
#define HOLDS_FOUND     1
#define HOLDS_PREPARED  2
#define HOLDS_WAITING   3
#define HOLDS_CONNECTED 4

/* enum hop */
#define STAY         0
#define PREPARE      1
#define TO_INIT_WAIT 2
#define CONNECT      3
#define RESUME       4
#define TO_CONNECTED 5
#define TO_CLOSING   6
#define DISCONNECT   7
#define TO_CLOSED    8
#define FORGET       9
#define EVENT_FIRST  10 /* BACKEND_EVENT_FIRST */

/* What must never be. Beside it, a front end that waits for ever for an answer is an invalid end state. */
hidden byte illegal_hop, connected_without_record, record_left, closed_while_in_use, late_write_to_a_removed_node,
    acknowledged_executed_again, executed_after_closed, executed_for_an_older_life, executed_before_connected,
    closed_without_reason, dropped_while_closing, landed_on_a_successor, unexpected_answer, two_workers, out_of_records, channel_overrun,
    held_is_another, asked_twice, left_behind;
#define must(condition, violated)                 \
    if                                            \
    :: (condition) -> skip                        \
    :: else -> violated = true; assert(!violated) \
    fi

/* ---- xenstore ---- */

bool node_there = true;  /* our directory: backend/vbd/DOMID/DEVID */
byte own = INITIALISING; /* its state */
bool online = true;
bool hotplug_done;
bool refused_shown;      /* ringback-status = error */
bool domain_there = true;
bool front_there = true; /* the front end's directory */
byte front = INITIALISING;
byte ring;               /* whose ring its keys name: a life of the front end; 0: there are none */
byte makes;              /* how often the toolstack has made the device anew */
bool own_event, front_event; /* watch events on their way to the supervisor */

/* ---- The run directory. A record is a connection with its journal; its number stands for the generation. ---- */

byte connection; /* what the file says; 0: there is none */
byte journal;    /* whose the file is; 0: there is none */
bool directory;  /* the device's */
bool parked;     /* the file */

#define BLANK   0
#define LIVE    1
#define RETIRED 2
#define DRAINED 3
byte journal_state[RECORDS + 1]; /* as who has the file open sees it */
bool in_flight[RECORDS + 1];     /* the journal holds a request */
bool over[RECORDS + 1];          /* Closed was written since */
byte record_ring[RECORDS + 1];

/* ---- Rings, by the front end's life: one request each. ---- */

#define NONE     0
#define POSTED   1
#define ANSWERED 2
byte request[LIVES + 1];

/* ---- Processes. ---- */

chan supervisor_dies = [0] of { bit };
chan worker_dies = [0] of { bit };
bool worker_alive; /* it is recorded in the run directory, and was told its guest */
bool kill_sent;    /* to the worker, which has not noticed yet */
byte serving;      /* the worker: which record; 0: none */
bool broken;       /* ...whose ring it has given up */
bool io_ended;     /* the worker has not seen it yet */
byte io;           /* the worker's I/O under way: of which record */
byte late;         /* that of a dead worker, which nobody can take back */

#define ATTACH        1
#define RECOVER       2
#define LET_GO        3
#define ADOPT         4 /* say what you hold */
#define DRAIN         5
#define IS_UP         6
#define IS_NOT_UP     7
#define HAS_LET_GO    8
#define IS_BROKEN     9
#define IS_PARKED     10
#define HELLO         11
#define HOLDS         12 /* a record, or 0 */
#define HOLDS_BROKEN  13
chan to_worker = [2] of { byte, byte, byte };
chan from_worker = [3] of { byte, byte };
bool connecting;   /* the supervisor has called the worker it found */
bool connected;    /* ...and it has answered, or is the supervisor's own */
bool channel_open; /* what it says is heard: it was told that it is adopted */

/* ---- For judging. ---- */

bool shown[LIVES + 1]; /* Connected was written for this ring */
byte up_life;          /* the latest life that has seen Connected */
bool excused;          /* something failed, or the toolstack acts */
byte failures, replacements, parkings;

/* ---- The supervisor's memory. ---- */

/* backend.c: struct xendev_backend and its hop_view, as last seen. */
bool known, looked, look, own_dirty, front_dirty, seen_node, seen_online, seen_hotplug, seen_front_there, seen_domain;
byte seen_own, seen_front, hold;
bool refused, failed, front_moved, front_left;
byte effect; /* enum hop; STAY: none */
bool effect_ended, effect_good;
byte hop;

/* device.c, serve.c: enum device_state, of those that matter here; struct device. */
#define IDLE          0
#define ADOPTING      1
#define PREPARING     2
#define TAKING        3 /* ACQUIRING */
#define ATTACHING     4
#define BY_WORKER     5 /* CONNECTED */
#define RECOVERING    6 /* and the RESUMING before it */
#define DISCONNECTING 7
#define PARKED        8
byte device;
bool has_device, told, pardon;
byte current, current_ring; /* device->connection */

/* guest.c: enum guest_state, struct guest */
#define NO_GUEST  0
#define GREETING  1 /* ADOPTING */
#define OUTDATED  2
#define DRAINING  3
#define ENDING    4
#define FENCED    5
#define WAITING   6
#define SERVED    7
byte guest;
bool expected; /* a device was found in the run directory and has not shown up yet */
bool unknown;  /* what the worker holds */
bool outdated; /* it is to be replaced when its turn comes */
byte held;     /* what it holds and nobody has claimed: a record */
bool held_broken, leaving;

c_decl {
\#include <assert.h>
\#include "hop.h"
}

c_code {
static int next_hop(void)
{
    const struct hop_view view = {
        .own = now.seen_own,
#ifdef CLOSING_IS_CLOSED
        .front = now.seen_front == CLOSING ? CLOSED : now.seen_front,
#else
        .front = now.seen_front,
#endif
        .hold = now.hold,
        .busy = now.effect != STAY,
        .node_there = now.seen_node,
        .front_there = now.seen_front_there,
        .domain_there = now.seen_domain,
        .online = now.seen_online,
        .hotplug_done = now.seen_hotplug,
        .refused = now.refused,
        .failed = now.failed,
        .front_moved = now.front_moved,
#ifndef OLD_LIFE_OR_NEW
        .front_left = now.front_left,
#endif
    };
    static_assert(HOP_PREPARE == PREPARE && HOP_INIT_WAIT == TO_INIT_WAIT && HOP_CONNECT == CONNECT && HOP_RESUME == RESUME &&
                      HOP_CONNECTED == TO_CONNECTED && HOP_CLOSING == TO_CLOSING && HOP_DISCONNECT == DISCONNECT &&
                      HOP_CLOSED == TO_CLOSED && HOP_FORGET == FORGET,
                  "enum hop");
    static_assert(HOLD_FOUND == HOLDS_FOUND && HOLD_PREPARED == HOLDS_PREPARED && HOLD_WAITING == HOLDS_WAITING &&
                      HOLD_CONNECTED == HOLDS_CONNECTED,
                  "enum hop_hold");
    static_assert(XENBUS_INITIALISING == INITIALISING && XENBUS_CONNECTED == CONNECTED && XENBUS_CLOSED == CLOSED, "enum xenbus_state");
    return hop_next(&view);
}
}

/* ---- backend.c ---- */

/* xendev_backend_done() */
inline backend_done(good)
{
    if
    :: effect != STAY && !effect_ended -> effect_ended = true; effect_good = good
    :: else -> skip
    fi
}

/* xendev_backend_fail() */
inline backend_fail()
{
    if
    :: effect == DISCONNECT -> skip
    :: effect != DISCONNECT && (hold == HOLDS_NOTHING || hold == HOLDS_PREPARED) -> refused = true; look = true /* unreached: only effects fail so early */
    :: else -> failed = true; look = true
    fi
}

inline effect_finish()
{
    if
    :: effect_ended ->
        if
        :: effect == PREPARE -> hold = HOLDS_PREPARED; refused = refused || !effect_good
        :: effect == DISCONNECT -> hold = HOLDS_NOTHING
        :: (effect == CONNECT || effect == RESUME) && effect_good -> hold = HOLDS_CONNECTED
        :: else -> failed = true
        fi;
        effect = STAY;
        effect_ended = false;
        effect_good = false
    :: else -> skip
    fi
}

#ifdef HOSTILE
/* A front end writes what it likes at any time, and may remove its directory. */
inline any_front()
{
    if
    :: front = UNKNOWN
    :: front = INITIALISING
    :: front = INITIALISED
    :: front = CONNECTED
    :: front = CLOSING
    :: front = CLOSED
    fi;
    if
    :: front_there = domain_there
    :: front_there = false
    fi
}
#endif

/* on_own_changed(), on_front_changed(): watch events, which come from the loop alone. */
inline on_events()
{
    if
    :: own_event -> own_event = false; own_dirty = true
    :: else -> skip
    fi;
    if
    :: front_event ->
        front_event = false;
        front_dirty = true;
        front_moved = true;
#ifndef SAME_STATE_SAME_LIFE
        if
        :: effect == CONNECT || (hold == HOLDS_CONNECTED && seen_own == INIT_WAIT) -> front_left = true
        :: else -> skip
        fi
#endif
    :: else -> skip
    fi
}

/* refresh_own() */
inline refresh_own()
{
    own_dirty = false;
    seen_node = node_there;
    seen_online = online;
    seen_hotplug = hotplug_done;
    seen_own = own
}

/* refresh_front(), and what follows from all that was read. */
inline decide()
{
    if
    :: front_dirty ->
        front_dirty = false;
#ifdef HOSTILE
        any_front();
#endif
        seen_front = front;
        seen_front_there = front_there;
        seen_domain = domain_there;
        front_left = front_left || front == CLOSING || front == CLOSED || front == INITIALISING;
#ifdef HOSTILE
        front = UNKNOWN;
        front_there = true
#endif
    :: else -> skip
    fi;
    if
    :: !looked ->
        looked = true;
        if
#ifdef FOUND_WAITING_IS_NEW
        :: seen_own > INIT_WAIT -> hold = HOLDS_FOUND
#else
        :: seen_own >= INIT_WAIT -> hold = HOLDS_FOUND
#endif
        :: else -> skip
        fi
    :: else -> skip
    fi;
    look = false;
    c_code { now.hop = next_hop(); }
}

/* write_state(): a transaction. */
inline write_state(to)
{
    if
#ifndef NO_TRANSACTION
    :: !node_there || own != seen_own -> own_dirty = true
#endif
#ifndef FRONT_NOT_CHECKED
    :: node_there && own == seen_own && to == CONNECTED && front_event -> hop = EVENT_FIRST
#endif
    :: else ->
        must(node_there, late_write_to_a_removed_node);
        must(own == to || (own == INITIALISING && to == INIT_WAIT) || (own == INIT_WAIT && to == CONNECTED) || (own == INIT_WAIT && to == CLOSING) ||
             (own == CONNECTED && to == CLOSING) || (own == CLOSING && to == CLOSED) || (own == CLOSED && to == INIT_WAIT), illegal_hop);
        if
        :: to == CONNECTED ->
            must(connection != 0 && record_ring[connection] == current_ring, connected_without_record);
            shown[current_ring] = true
        :: to == CLOSING ->
            must(connection == 0 || hold == HOLDS_CONNECTED, record_left)
        :: to == INIT_WAIT ->
            must(connection == 0, record_left);
            hold = HOLDS_WAITING;
            refused_shown = refused
        :: to == CLOSED ->
            must(connection == 0, record_left);
            must(serving == 0 && late == 0, closed_while_in_use);
            over[1] = true; over[2] = true; over[3] = true
#ifdef MOVED_BEFORE_CLOSED
            ; front_moved = false
#endif
        fi;
        own = to;
        seen_own = to
    fi
}

/* ---- device.c and serve.c; between two statements outside of `atomic` the supervisor may die. ---- */

/* device_give_up() */
inline give_up()
{
    connection = 0;
    device = IDLE;
    current = 0;
    current_ring = 0;
    if
    :: effect != STAY && effect != DISCONNECT && !effect_ended -> backend_done(false)
    :: else -> backend_fail()
    fi
}

inline tell(what, with)
{
    told = true;
    to_worker!what, current, with
}

/* Neither a worker nor what a dead one has under way uses the image: it can be locked. */
#define image_free (serving == 0 && late == 0)

/* make_generation(): a number that nobody knows. */
#define is_known(n)                                                                                                       \
    (n == connection || n == journal || n == serving || n == late || n == held || to_worker??[ATTACH, eval(n), eval(n)] || \
     to_worker??[RECOVER, eval(n), eval(n)])
inline make_generation()
{
    current = 1;
    do
    :: is_known(current) -> current++; must(current <= RECORDS, out_of_records)
    :: else -> break
    od;
    journal_state[current] = BLANK;
    in_flight[current] = false;
    over[current] = false;
    record_ring[current] = current_ring
}

inline attach()
{
    atomic { device = ATTACHING; make_generation(); journal = current };
    connection = current;
    atomic { tell(ATTACH, current) }
}

/* recover(): the journal is opened, or made anew when it is drained. */
inline recover()
{
    if
    :: parked && !pardon ->
        device = PARKED;
        if
        :: effect != STAY -> backend_done(true)
        :: else -> skip /* unreached: only a resume finds it parked */
        fi
    :: (!parked || pardon) && journal == 0 -> give_up() /* unreached: it is removed after the record */
    :: (!parked || pardon) && journal != 0 -> tell(RECOVER, journal)
    fi
}

inline parking_end()
{
    parked = false;
    pardon = false
}

inline finish_disconnect()
{
    told = false;
    journal = 0;
    parking_end();
    device = IDLE;
    current = 0;
    current_ring = 0;
    backend_done(true)
}

/* device_get() */
inline get_device()
{
    if
    :: !has_device ->
        has_device = true;
        expected = false;
        directory = true;
        if
        :: guest == NO_GUEST -> guest = FENCED
        :: else -> skip
        fi
    :: else -> skip
    fi
}

/* adopt_let_go() */
inline let_go_of_held()
{
    if
    :: !leaving -> leaving = true; to_worker!LET_GO, 0, 0
    :: else -> skip
    fi
}

/* What an effect waits for before it begins: has_to_wait(). Each is begun again by the loop. */
#ifdef NOT_ASKED
#define waits_for_report false
#else
#define waits_for_report unknown
#endif

inline op_prepare()
{
    get_device();
    if
    :: waits_for_report -> device = ADOPTING
#ifndef HELD_KEPT
    :: !waits_for_report && held != 0 -> let_go_of_held(); device = ADOPTING
    :: !waits_for_report && held == 0 ->
#else
    :: !waits_for_report ->
#endif
#ifndef PREPARE_KEEPS_RECORD
        connection = 0;
#endif
        parking_end();
        device = PREPARING
    fi
}

inline op_connect()
{
#ifdef HOSTILE
    if
    :: ring = 0
    :: ring = LIVES
    fi;
#endif
    current_ring = ring;
    if
    :: ring == 0 -> give_up()
    :: else -> device = TAKING
    fi;
#ifdef CONNECTED_TOO_EARLY
    backend_done(true)
#endif
}

/* with serve_adopt() */
inline op_resume()
{
    get_device();
    if
    :: waits_for_report || leaving -> device = ADOPTING
    :: !waits_for_report && !leaving && connection == 0 -> give_up()
    :: !waits_for_report && !leaving && connection != 0 ->
        current = connection;
        current_ring = record_ring[connection];
        if
        :: held == 0 -> device = RECOVERING
        :: held == connection ->
            held = 0;
            device = BY_WORKER;
            told = true;
            parking_end();
            backend_done(true);
            if
            :: held_broken -> held_broken = false; backend_fail()
            :: else -> skip
            fi
        :: held != 0 && held != connection -> must(false, held_is_another) /* unreached: only a worker that lies holds another */
        fi
    fi
}

/* with serve_disconnect() */
inline op_disconnect()
{
    get_device();
    if
    :: waits_for_report || leaving -> device = ADOPTING
    :: !waits_for_report && !leaving ->
#ifndef RECORD_KEPT
        connection = 0;
#endif
        device = DISCONNECTING;
        if
#ifndef DISCONNECT_FORGETS_HELD
        :: held != 0 -> held = 0; held_broken = false; told = true
#endif
        :: else -> skip
        fi;
        if
        :: told && guest == SERVED -> tell(LET_GO, 0);
#ifdef NOT_WAITED_FOR
            finish_disconnect()
#endif
        :: !told && (guest == SERVED || guest == WAITING) -> finish_disconnect()
        :: else -> skip
        fi
    fi
}

inline remove_guest()
{
    connection = 0; journal = 0; directory = false; parked = false; guest = NO_GUEST
}

/* guest_release() */
inline release_guest()
{
    if
    :: has_device || expected -> skip
    :: !has_device && !expected && guest == WAITING -> remove_guest()
    :: !has_device && !expected && guest != WAITING && guest != FENCED && guest != NO_GUEST -> kill_sent = worker_alive
    :: else -> skip
    fi
}

/* adopt_sweep() */
inline sweep_held()
{
    if
    :: guest == SERVED && held != 0 && !has_device && !directory -> let_go_of_held()
    :: else -> skip
    fi
}

/* sweep.c: sweep_run() */
inline sweep()
{
    expected = false;
    if
    :: has_device -> skip
    :: !has_device && node_there && domain_there -> expected = directory
    :: else -> connection = 0; journal = 0; parked = false; directory = false
    fi;
    sweep_held();
    release_guest()
}

inline op_release()
{
    if
    :: has_device ->
        connection = 0; journal = 0; parked = false; directory = false; has_device = false;
        sweep_held();
        release_guest()
    :: else -> skip
    fi
}

inline forget_view()
{
    known = false; looked = false; look = false; own_dirty = false; front_dirty = false;
    seen_node = false; seen_online = false; seen_hotplug = false; seen_front_there = false; seen_domain = false;
    seen_own = UNKNOWN; seen_front = UNKNOWN; hold = HOLDS_NOTHING;
    refused = false; failed = false; front_moved = false; front_left = false;
    effect = STAY; effect_ended = false; effect_good = false; hop = STAY;
    device = IDLE; told = false; pardon = false; current = 0; current_ring = 0
}

/* ---- backend.c again ---- */

inline backend_run()
{
    do
    :: if
        :: atomic { own_dirty -> effect_finish(); refresh_own() };
            atomic { decide() }
        :: atomic { !own_dirty -> effect_finish(); decide() }
        fi;
        if
        :: hop == STAY -> break
        :: atomic { hop == PREPARE -> effect = PREPARE; refused = false; failed = false;
#ifndef MOVED_BEFORE_CLOSED
                front_moved = false;
#endif
                op_prepare()
            }
        :: atomic { hop == CONNECT -> effect = CONNECT; front_left = false; op_connect() }
        :: atomic { hop == RESUME -> effect = RESUME; op_resume() }
        :: atomic { hop == DISCONNECT -> effect = DISCONNECT; op_disconnect() }
        :: atomic { hop == TO_INIT_WAIT -> write_state(INIT_WAIT) }
        :: atomic { hop == TO_CONNECTED -> write_state(CONNECTED) };
            if
            :: atomic { hop == EVENT_FIRST -> hop = STAY };
                break
            :: hop != EVENT_FIRST
            fi
        :: atomic { hop == TO_CLOSING -> write_state(CLOSING) }
        :: atomic { hop == TO_CLOSED -> write_state(CLOSED) }
        :: atomic { hop == FORGET ->
                if
                :: !domain_there -> node_there = false; own = UNKNOWN
                :: else -> skip
                fi
            };
            atomic { op_release(); forget_view(); own_event = true };
            break
        fi
    od
}

/* ---- guest.c, adopt.c, replace.c ---- */

/* serve_answered() */
inline on_answer()
{
    must(told, unexpected_answer);
    if
    :: what != HAS_LET_GO && device == DISCONNECTING -> skip /* overtaken */
    :: what == IS_UP && (device == ATTACHING || device == RECOVERING) ->
        if
        :: pardon -> parking_end()
        :: else -> skip
        fi;
        device = BY_WORKER;
        if
        :: effect != STAY -> backend_done(true)
        :: else -> skip
        fi
    :: what == IS_NOT_UP && (device == ATTACHING || device == RECOVERING) -> told = false; give_up()
    :: what == IS_BROKEN && device == BY_WORKER -> backend_fail()
    :: what == IS_PARKED && device == BY_WORKER -> told = false; device = PARKED; parked = true
    :: what == HAS_LET_GO && device == DISCONNECTING -> finish_disconnect()
    :: else -> must(false, unexpected_answer) /* unreached: it is an error */
    fi
}

/* on_held_message() */
inline on_held_answer()
{
    if
    :: what == IS_BROKEN -> held_broken = true
    :: what == IS_PARKED && !leaving -> held = 0; held_broken = false
    :: what == IS_PARKED && leaving -> skip
    :: what == HAS_LET_GO && leaving -> held = 0; held_broken = false; leaving = false
    :: else -> must(false, unexpected_answer) /* unreached: it is an error */
    fi
}

inline on_message()
{
    if
    :: what == HELLO -> /* which version is it of? */
        if
        :: to_worker!ADOPT, 0, 0
        :: replacements < REPLACEMENTS -> replacements++; outdated = true; to_worker!ADOPT, 0, 0
        :: replacements < REPLACEMENTS -> replacements++; guest = OUTDATED
        fi
    :: what == HOLDS || what == HOLDS_BROKEN ->
        held = which;
        held_broken = (what == HOLDS_BROKEN);
        unknown = false;
        guest = SERVED;
        sweep_held()
    :: what != HELLO && what != HOLDS && what != HOLDS_BROKEN && held != 0 -> on_held_answer()
    :: what != HELLO && what != HOLDS && what != HOLDS_BROKEN && held == 0 -> on_answer()
    fi;
    what = 0;
    which = 0
}

/* on_gone(), serve_end() */
inline on_gone()
{
    held = 0; held_broken = false; leaving = false; outdated = false; unknown = false; told = false;
    guest = FENCED;
    if
#ifdef DEATH_IS_FAILURE
    :: device == BY_WORKER -> give_up()
#else
    :: device == BY_WORKER -> device = RECOVERING
#endif
    :: else -> skip
    fi
}

/* meet_orphan() */
inline meet_orphan()
{
    if
#ifndef ORPHAN_IGNORED
    :: worker_alive -> guest = GREETING; unknown = true; connecting = true
    :: worker_alive -> guest = ENDING; kill_sent = true /* it cannot be reached */
#endif
    :: else -> guest = FENCED
    fi
}

#define has_worker (guest == GREETING || guest == OUTDATED || guest == DRAINING || guest == ENDING || guest == SERVED)

/* ---- The supervisor's loop: what may come next, in any order. ---- */

active proctype supervisor()
{
    byte what, which;

born:
    {
        /* daemons/backend/backend.c: follow_store() */
        atomic {
            if
            :: directory || worker_alive -> meet_orphan(); sweep()
            :: else -> skip
            fi;
            own_event = true;
            front_event = true
        };
end_loop:
        do
        :: atomic { (own_event || front_event) && !known && !node_there -> own_event = false; front_event = false }
#ifdef HOSTILE
        :: known && !front_event -> front_event = true
#endif
        :: atomic { (own_event || front_event || effect_ended || look) && (known || node_there) ->
                if
                :: !known -> known = true; own_event = true; front_event = true
                :: else -> skip
                fi;
                on_events()
            };
            backend_run()

        /* device.c, serve.c */
        :: atomic { device == ADOPTING && !unknown && !leaving ->
                device = IDLE;
                if
                :: effect == PREPARE -> op_prepare()
                :: effect == RESUME -> op_resume()
                :: effect == DISCONNECT -> op_disconnect()
                fi
            }
        :: atomic { device == PREPARING -> device = IDLE; backend_done(true) }
        :: atomic { device == PREPARING && failures < FAILURES -> failures++; excused = true; give_up() }
        :: device == TAKING && guest == SERVED && image_free -> attach()
        :: atomic { device == TAKING && (seen_own == CLOSING || (seen_front != INITIALISED && seen_front != CONNECTED)) -> give_up() }
        :: device == ATTACHING && guest == SERVED && !told -> attach()
        :: atomic { device == RECOVERING && guest == SERVED && !told && image_free -> recover() }
        :: atomic { device == RECOVERING && !told && !image_free && seen_front != INITIALISED && seen_front != CONNECTED && seen_front != CLOSING &&
                effect == RESUME -> give_up() }
        :: atomic { device == PARKED -> pardon = true; device = RECOVERING } /* ringctl resume */
        :: atomic { from_worker?what, which -> on_message() }

        /* guest.c, replace.c */
        :: atomic { has_worker && !worker_alive && empty(from_worker) -> on_gone() }
#ifdef NO_FENCE
        :: atomic { guest == FENCED ->
#else
        :: atomic { guest == FENCED && late == 0 ->
#endif
                if
                :: device == DISCONNECTING -> finish_disconnect()
                :: else -> skip
                fi;
                if
                :: has_device || expected -> guest = WAITING
                :: else -> remove_guest()
                fi
            }
        :: atomic { guest == WAITING ->
                must(!worker_alive, two_workers);
                do
                :: to_worker?_, _, _
                :: empty(to_worker) -> break
                od;
                worker_alive = true;
                connected = true;
                channel_open = true;
                guest = SERVED
            }
        :: atomic { (guest == OUTDATED || (guest == SERVED && outdated && held == 0 && effect == STAY && device != RECOVERING)) ->
                guest = DRAINING;
                to_worker!DRAIN, 0, 0
            }
#ifndef NOT_LOOKED_AT_AGAIN
        :: atomic { expected && !(node_there && domain_there) -> sweep() } /* on_settle_timer() */
#endif
        od
    } unless {
        atomic {
            supervisor_dies?_;
            do
            :: from_worker?_, _
            :: empty(from_worker) -> break
            od;
            forget_view();
            has_device = false; guest = NO_GUEST; what = 0; which = 0; channel_open = false; connected = false; connecting = false; own_event = false;
            front_event = false; expected = false; unknown = false; outdated = false; held = 0; held_broken = false; leaving = false;
            goto born
        }
    }
}

/* ---- The worker: daemons/backend/worker/worker.c, link.c, daemons/blkback/worker/device.c ---- */

/* say(): nobody may be there to hear it. */
inline say(what, which)
{
    if
    :: channel_open -> must(len(from_worker) < 3, channel_overrun); from_worker!what, which
    :: !channel_open
    fi
}

inline end_worker()
{
    worker_alive = false; kill_sent = false; channel_open = false; connected = false; connecting = false; serving = 0; io_ended = false; record = 0; file = 0;
    broken = false; draining = false;
    do
    :: to_worker?_, _, _
    :: empty(to_worker) -> break
    od
}

active proctype worker()
{
    byte record, file;
    bool draining;

end_spare:
    {
        worker_alive;
end_serving:
        do
        /* link.c: the newest connection wins, and what came by the one before is dropped */
        :: atomic { connecting ->
                connecting = false;
                do
                :: to_worker?_, _, _
                :: empty(to_worker) -> break
                od;
#ifndef STILL_DRAINING
                draining = false;
#endif
                connected = true;
                from_worker!HELLO, 0
            }
#ifndef STILL_DRAINING
        :: atomic { draining && !connected -> draining = false }
#endif
        :: atomic { to_worker?ADOPT, _, _ ->
                channel_open = connected;
                if
                :: broken -> say(HOLDS_BROKEN, serving)
                :: else -> say(HOLDS, serving)
                fi
            }
        :: atomic { to_worker?DRAIN, _, _ -> draining = true }
        :: atomic { to_worker?ATTACH, record, file ->
                must(serving == 0 && !draining, asked_twice);
                if
                :: journal_state[file] = LIVE; serving = record; say(IS_UP, 0)
                :: failures < FAILURES -> failures++; excused = true; say(IS_NOT_UP, 0)
                fi;
                record = 0;
                file = 0
            }
        :: atomic { to_worker?RECOVER, record, file ->
                must(serving == 0 && !draining, asked_twice);
                if
                :: file != record || (journal_state[file] != LIVE && journal_state[file] != DRAINED) -> say(IS_NOT_UP, 0)
                :: file == record && journal_state[file] == LIVE -> serving = record; say(IS_UP, 0)
                :: file == record && journal_state[file] == DRAINED -> /* attached afresh */
                    journal_state[file] = LIVE;
                    in_flight[file] = false;
                    serving = record;
                    say(IS_UP, 0)
                fi;
                record = 0;
                file = 0
            }
        :: atomic { to_worker?LET_GO, _, _ ->
                if
                :: serving != 0 -> journal_state[serving] = RETIRED
                :: else -> skip
                fi
            };
            atomic { io == 0 -> serving = 0; broken = false; io_ended = false; say(HAS_LET_GO, 0) }
        :: atomic { serving != 0 && !draining && !broken && !in_flight[serving] && request[record_ring[serving]] == POSTED -> in_flight[serving] = true }
#ifdef HOSTILE
        :: atomic { serving != 0 && request[record_ring[serving]] == NONE -> request[record_ring[serving]] = POSTED }
        :: atomic { serving != 0 && !broken -> broken = true; say(IS_BROKEN, 0) } /* an impossible req_prod */
#endif
        :: atomic { serving != 0 && !broken && in_flight[serving] && io == 0 && !io_ended -> io = serving }
        :: atomic { io_ended -> io_ended = false; in_flight[serving] = false; request[record_ring[serving]] = ANSWERED }
        /* The request has crashed its worker too often: the disk is let go of, and the journal keeps it. */
        :: atomic { serving != 0 && parkings < PARKINGS && in_flight[serving] && io == 0 && !io_ended ->
                parkings++;
#ifndef PARKED_AND_HELD
                serving = 0;
#endif
                say(IS_PARKED, 0)
            }
        :: atomic { draining && (serving == 0 || broken || !in_flight[serving]) && io == 0 && !io_ended ->
                if
                :: serving != 0 && !broken -> journal_state[serving] = DRAINED
                :: else -> skip
                fi;
                end_worker();
                goto end_spare
            }
        od
    } unless {
        atomic {
            worker_dies?_;
            if
            :: io != 0 -> late = io; io = 0
            :: else -> skip
            fi;
            end_worker();
            goto end_spare
        }
    }
}

/* ---- What comes from outside. ---- */

inline execute(record)
{
    must(request[record_ring[record]] == POSTED, acknowledged_executed_again);
    must(!over[record], executed_after_closed);
#ifndef HOSTILE
    must(record_ring[record] >= up_life, executed_for_an_older_life);
    must(shown[record_ring[record]], executed_before_connected)
#endif
}

active proctype kernel()
{
end:
    do
    :: atomic { io != 0 -> execute(io); io = 0; io_ended = true }
    :: atomic { late != 0 -> must(serving == 0, landed_on_a_successor); execute(late); late = 0 }
    :: atomic { kill_sent && worker_alive -> worker_dies!0 }
    od
}

/* Nobody may rely on a kill that may still come: so it may give up at any moment. */
active proctype killer()
{
    byte supervisor_kills, worker_kills;

end:
    do
    :: atomic { worker_alive && worker_kills < WORKER_KILLS -> worker_kills++; worker_dies!0 }
    :: atomic { supervisor_kills < SUPERVISOR_KILLS -> supervisor_kills++; supervisor_dies!0 }
    :: atomic { supervisor_kills + worker_kills < SUPERVISOR_KILLS + WORKER_KILLS ->
            supervisor_kills = SUPERVISOR_KILLS;
            worker_kills = WORKER_KILLS
        }
    od
}

inline remove_front()
{
    front_there = false; front = UNKNOWN; ring = 0; front_event = true
}

inline remove_node()
{
    node_there = false; own = UNKNOWN; online = false; hotplug_done = false; refused_shown = false; own_event = true
}

#ifndef HOSTILE
/* Of a disk that is gone nothing is left when everybody is through. */
active proctype judge()
{
end:
    timeout;
    must(node_there || (connection == 0 && journal == 0 && !directory && !parked && !worker_alive && guest == NO_GUEST), left_behind)
}
#endif

/* The hotplug script, when there is one. */
active proctype script()
{
end:
    do
    :: atomic { own == INIT_WAIT && !hotplug_done && !refused_shown -> hotplug_done = true; own_event = true }
    od
}

/* The same disk again, or another of its name. */
inline make_device()
{
    atomic {
        makes++;
        node_there = true; own = INITIALISING; online = true;
        front_there = true; front = INITIALISING; own_event = true; front_event = true
    }
}

active proctype toolstack()
{
    byte acts;

end:
    do
#ifdef FORCE
    :: atomic { acts < ACTS && node_there -> acts++; excused = true; remove_front(); remove_node(); make_device() }
#else
    :: atomic { acts < ACTS && node_there && domain_there -> acts++; excused = true };
        if
        :: atomic { node_there -> online = false; own = CLOSING; own_event = true }; /* xl block-detach */
            if
            :: own == CLOSED || own == UNKNOWN
            :: skip /* it does not wait any longer */
            fi;
            atomic { remove_front(); remove_node() }
        :: atomic { remove_front() }; /* xl destroy; the hotplug script reads our directory last */
            if
            :: atomic { domain_there = false; front_event = true }; break
            :: own == CLOSED
            :: skip
            fi;
            atomic { remove_node() }
        fi
    :: atomic { acts < ACTS && !node_there && domain_there -> acts++ };
        make_device()
#endif
    :: atomic { acts < ACTS -> acts = ACTS }
    od
}

/* ---- The front end: of Linux, Mini-OS, GRUB, Windows, as they please in each life. ---- */

#ifndef HOSTILE

#define GONE (!front_there || own == UNKNOWN || makes != made)

inline write_front(to)
{
    atomic {
        if
        :: front_there && makes == made -> front = to; front_event = true
        :: else -> goto gone
        fi
    }
}

inline publish(to)
{
    atomic {
        if
        :: front_there && makes == made -> ring = life; front = to; front_event = true
        :: else -> goto gone
        fi
    }
}

/* Until our back end is in a state, or all is over. */
inline await(condition)
{
    if
    :: condition
    :: GONE -> goto gone
    fi
}

active proctype front_end()
{
    byte life = 1, made;
    bool closing, grub;

    /* The first of its lives may be one that knows that nobody was there before. */
    if
    :: true -> publish(CONNECTED); goto wait /* Mini-OS */
    :: true -> publish(INITIALISED); grub = true; goto wait
    :: true
    fi;

boot: /* as Linux: device_end_former() of sim/guest/device.c */
    if
    :: own == INITIALISED || own == CONNECTED -> write_front(CLOSING); await(own == CLOSING || own == CLOSED)
    :: else -> skip
    fi;
    if
    :: own == CLOSING -> write_front(CLOSED); await(own == CLOSED)
    :: else -> skip
    fi;
    write_front(INITIALISING);
    await(own == INIT_WAIT || !online);
    if
    :: own == INIT_WAIT -> publish(INITIALISED)
    :: own == INIT_WAIT -> publish(CONNECTED) /* Mini-OS, which waited at its predecessor's end */
    :: own == INIT_WAIT -> goto close /* Windows, when it is not wanted */
    :: own != INIT_WAIT -> goto gone
    fi;
wait:
    if
    :: own == CONNECTED
    :: own == CLOSING || own == CLOSED -> goto closed
    :: GONE || refused_shown -> goto gone
#ifndef PATIENT
    :: life < LIVES -> life++; goto boot /* a crash kernel */
#endif
    fi;
    if
    :: !grub && front != CONNECTED -> write_front(CONNECTED)
    :: grub || front == CONNECTED
    fi;
    up_life = life;
    do
    :: request[life] == NONE -> request[life] = POSTED
    :: own != CONNECTED -> break
    :: request[life] != NONE -> closing = true; break
    :: life < LIVES -> life++; grub = false; goto boot /* kexec */
    od;
    must(closing || own == CONNECTED || excused, closed_without_reason);
    /* What it has asked for it waits for. */
    if
    :: grub -> await(request[life] != POSTED || own != CONNECTED); goto closed
    :: else -> skip
    fi;
close:
    write_front(CLOSING);
    await(own == CLOSING || own == CLOSED);
    await(request[life] != POSTED || own == CLOSED);
    must(request[life] != POSTED || excused, dropped_while_closing);
closed:
    write_front(CLOSED);
    await(own == CLOSED);
    closing = false;
    grub = false;
    if
    :: life < LIVES -> life++; goto boot
    :: life == LIVES
    fi;
gone:
    closing = false;
    grub = false;
end_gone:
    atomic { front_there && makes != made && life < LIVES -> life++; made = makes };
    goto boot
}

#endif
