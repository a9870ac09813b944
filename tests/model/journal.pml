/* SPDX-License-Identifier: MIT */
/*
 * The journal: a back end that may be killed between any two of its stores, and its successors.
 *
 * Theory of operation. back() is the process that serves the ring, one statement for each store that outlives it: to
 * the journal, or to the shared pages. What a store decides or computes in private memory is one step with it. The
 * steps are those of libring, under the names of its functions; journal.h has the argument that is checked here. The
 * caller, who takes, executes and finishes requests in any order and publishes when it likes, is the loop serve().
 * killer() ends the process at any moment, KILLS times: `unless` takes back() out of whatever it is doing, its memory
 * is lost, and it begins anew as its own successor, which may be killed as well. One of the requests is poison: while it
 * is executed the process may crash, CRASHES times, and the successor is told so until it has recovered the ring. A
 * request that is parked is pardoned PARDONS times. A process may be told to drain DRAINS times; then it ends, or is told
 * to go on. On a ring in order, requests are answered in the order they came, and in groups, each by one publication. A
 * group ends where serve() publishes; there, nothing crashes and nothing is drained.
 *
 *   run honest                       a front end that keeps the protocol
 *   run hostile -DHOSTILE -DREQUESTS=3   whatever is read of the shared pages is any value
 *   run crashes -DREQUESTS=3 -DKILLS=1 -DCRASHES=3 -DPARDONS=1   a request that crashes its process
 *   run drained -DREQUESTS=3 -DDRAINS=1   a planned replacement
 *   run scribbled -DHOSTILE -DSCRIBBLED -DREQUESTS=2 -DKILLS=1   the journal that a successor finds is any value, too
 *   run ordered -DIN_ORDER           a ring in order, recovered by ring_back_recover_in_order()
 *   run ordered-scribbled -DIN_ORDER -DHOSTILE -DSCRIBBLED -DREQUESTS=2 -DKILLS=1
 *   full honest -DREQUESTS=5 -DKILLS=3
 *   full honest -DSLOTS=4 -DREQUESTS=5 -DKILLS=1
 *   full crashes -DREQUESTS=3 -DKILLS=2 -DCRASHES=6 -DPARDONS=1 -DATTEMPTS_MAX=3
 *   full crashes -DSLOTS=4 -DREQUESTS=3 -DKILLS=1 -DCRASHES=3 -DPARDONS=1
 *   full drained -DREQUESTS=4 -DDRAINS=2 -DCRASHES=2
 *   full hostile -DHOSTILE -DSLOTS=4 -DREQUESTS=5
 *   full scribbled -DHOSTILE -DSCRIBBLED -DINDICES=8
 *
 * Indices count modulo INDICES, as uint32_t does modulo 2^32, and begin just before they wrap. A hostile front end needs
 * no process: every load of what it can write gives any value, each time.
 *
 *   mutant COPY_AFTER_COMMIT honest   consume: IN_FLIGHT is committed before the request is in its entry
 *   mutant RESPONSE_AFTER_COMMIT honest   respond: DONE is committed before the response is in its slot
 *   mutant TWO_STORES honest   respond: DONE first, its index in a second store
 *   mutant BATCH_AFTER_PUBLISH honest   publish: the batch is recorded when rsp_prod has moved
 *   mutant NO_BATCH honest   publish: the batch is not recorded
 *   mutant FREE_BEFORE_PUBLISH honest   publish: entries are freed before rsp_prod has moved
 *   mutant ANNOUNCED_AGAIN honest   recover: entries below rsp_prod are not freed, but published
 *   mutant NOT_PUBLISHED honest   recover: what is DONE and not announced is freed
 *   mutant SEQUENCE_ANEW honest   recover: sequence numbers begin at 1 again
 *   mutant UNSORTED honest   recover: replay in the order of the entries
 *   mutant NOT_COUNTED crashes   recover: a crash is not counted
 *   mutant KILL_COUNTED crashes   recover: whatever ends a process counts as a crash
 *   mutant COUNTED_TWICE crashes   recover: how a request was started is not forgotten when it was settled
 *   mutant PROOF_FORGOTTEN crashes   recover: that a request was proved to crash its process is forgotten at the next death
 *   mutant START_NOT_STORED crashes   replay: how a request is started is not stored
 *   mutant BESIDE_OTHERS crashes   a suspect is executed beside others
 *   mutant MORE_TAKEN crashes   new requests are taken while there are suspects
 *   mutant WORST_FIRST crashes   replay: those that saw more crashes first
 *   mutant NEVER_PARKED crashes   a request may crash as many processes as it likes
 *   mutant NO_PARDON crashes   resume: what was counted is not forgotten
 *   mutant DRAINED_TOO_EARLY drained   drain: the journal is marked while a request is in flight
 *   mutant MARK_REMOVED_FIRST drained   attach: the mark is taken away before the journal is formatted
 *   mutant MARK_KEPT drained   undrain: the mark stays
 *   mutant FORMAT_BACKWARDS honest   attach: the journal is declared valid before it is formatted
 *   mutant NO_ROOM_CHECK hostile   consume: an impossible req_prod is believed
 *   mutant READ_TWICE hostile   the caller checks its copy and uses the slot
 *   mutant GAPS_BELIEVED scribbled   recover: DONE entries need not follow each other
 *   mutant DISTANCE_BELIEVED scribbled   recover: a DONE entry may be anywhere
 *   mutant NOT_TAKEN_BACK ordered   recover: what is DONE and in no batch is published
 *   mutant TAKEN_FORWARD ordered   recover: the earliest is taken back first
 *   mutant TAKEN_AS_LATEST ordered   recover: what is taken back comes after what is in flight
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef REQUESTS
#define REQUESTS 4 /* consumed in all lives, when the front end is hostile */
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef CRASHES
#define CRASHES 0 /* of the process, by what one of the requests does */
#endif
#ifndef ATTEMPTS_MAX
#define ATTEMPTS_MAX 2 /* after which a request is not executed again */
#endif
#ifndef PARDONS
#define PARDONS 0
#endif
#ifndef DRAINS
#define DRAINS 0 /* planned replacements of the process */
#endif
#ifndef INDICES
#ifdef SCRIBBLED
#define INDICES (2 * SLOTS)
#else
#define INDICES (4 * SLOTS)
#endif
#endif

#define INDEX(number) ((number) & (INDICES - 1))
#define SLOT(index)   ((index) & (SLOTS - 1))
#define START         (INDICES - 2)
#define END           SLOTS /* of a list: TABLE_END */

#define FREE      0 /* enum journal_state */
#define IN_FLIGHT 1
#define DONE      2

#define NO       0 /* how a request was started */
#define TOGETHER 1
#define ALONE    2

#define STALE    (REQUESTS + 1) /* a request of an earlier connection */
#define IDS      (REQUESTS + 2)
#define RESPONSE 16 /* in a slot: RESPONSE + id */

#define OK      0
#define EPROTO  1
#define EBADMSG 2
#define DRAINED 3 /* the ring is to be attached anew */

/* What must never be. */
hidden byte answered_twice, answered_unasked, acknowledged_executed_again, older_generation_executed, half_copied, half_formatted_accepted,
    out_of_order, announced_without_response, honest_ring_refused, left_behind, list_overrun,
    response_without_request, counters_disagree, used_unchecked, miscounted, proved_wrongly, not_alone, suspect_in_company,
    executed_after_the_limit, parked_without_cause, innocent_waits, group_torn;
#define must(condition, violated)               \
    if                                          \
    :: (condition) -> skip                      \
    :: else -> violated = true; assert(!violated) \
    fi

/* ---- What outlives a process. ---- */

byte req_prod = START; /* shared pages */
byte rsp_prod = START;
byte slot[SLOTS];

byte live = 1;      /* ring_journal.generation: at first that of an earlier connection */
byte formatted = 1; /* .formatted and all the rest of the header */
byte base, target;  /* .batch, one word */
byte drained;       /* .drained */
byte state[SLOTS];  /* journal_entry.word: state and number are one word */
byte number[SLOTS];
byte crashes[SLOTS]; /* .attempts, one word: how many processes crashed while they executed it... */
bool proved[SLOTS];  /* ...one of them executing nothing else... */
byte start[SLOTS];   /* ...and how the latest one started it */
byte copy_low[SLOTS]; /* .request: its first word... */
byte copy_high[SLOTS]; /* ...and its last */

byte generation = 1; /* what the supervisor recorded */
bool connected;  /* it saw the ring attached: from now on it is recovered */
bool killed;
bool told;    /* it heard that this process has recovered the ring */
bool crashed; /* what it tells the next process: the latest one to execute something crashed */
bool pardon;
bool parked;  /* for good */

/* ---- What is known besides, for judging. ---- */

bool formatting;      /* ring_back_attach() has not returned */
bool announced[IDS]; /* its response is below rsp_prod */
byte poison;          /* the request that may crash its process */
bool by_crash;        /* this process ends by its own doing */
byte true_crashes[IDS];
bool true_proof[IDS];
byte crash_count, pardons, drains;
byte group_end = START; /* of requests that are answered together: where a process last meant to publish */
byte consumed;

#define commit(i, new_state, new_number) atomic { state[i] = new_state; number[i] = new_number }

/* ---- back.c ---- */

/* These two and the lists are table.h's. */
inline push(head, n) { next[n] = head; head = n }
inline pop(head, n)
{
    must(head != END, list_overrun);
    n = head;
    head = next[n];
    next[n] = END
}

/* table_bind() */
inline bind()
{
    atomic {
        in_flight = 0;
        done_count = 0;
        next_sequence = 1;
        free_head = END;
        done_head = END;
        replay_head = END
    }
}

/* table_release(): a commit each. */
inline release(head)
{
    do
    :: head != END ->
        atomic {
            pop(head, i);
            state[i] = FREE;
            number[i] = 0;
            push(free_head, i);
            i = 0
        }
    :: else -> break
    od
}

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
#define load(value, shared) any(value, INDICES)
#else
#define load(value, shared) value = shared
#endif

inline journal_format()
{
    formatting = true;
#ifdef MARK_REMOVED_FIRST
    drained = 0;
#else
    atomic {
        if
        :: drained != generation -> drained = 0
        :: else -> skip
        fi
    };
#endif
#ifdef FORMAT_BACKWARDS
    live = generation;
#else
    live = 0;
#endif
    formatted = generation;
    i = 0;
    do
    :: i < SLOTS ->
        atomic {
            state[i] = FREE;
            number[i] = 0;
            crashes[i] = 0;
            proved[i] = false;
            start[i] = NO;
            copy_low[i] = 0;
            copy_high[i] = 0;
            i++
        }
    :: else -> break
    od;
    i = 0;
    atomic { base = own_rsp_prod; target = own_rsp_prod };
    atomic { live = generation; formatting = false };
    drained = 0
}

inline ring_back_attach()
{
    bind();
    own_rsp_prod = rsp_prod; /* the peer's too, but it makes no difference where indices begin */
    atomic {
        load(value, req_prod);
        if
        :: INDEX(value - own_rsp_prod) > SLOTS -> result = EPROTO
        :: else -> skip
        fi;
        value = 0
    };
    atomic {
        req_cons = own_rsp_prod;
        req_seen = own_rsp_prod;
        i = SLOTS;
        do
        :: i > 0 -> i--; push(free_head, i)
        :: else -> break
        od;
        i = 0
    };
    if
    :: result == OK -> journal_format()
    :: else -> skip
    fi
}

inline ring_back_consume()
{
    atomic {
        if
        :: req_seen == req_cons ->
            load(value, req_prod);
#ifdef NO_ROOM_CHECK
            req_seen = value;
#else
            if
            :: INDEX(value - req_cons) > SLOTS - INDEX(req_cons - own_rsp_prod) -> result = EPROTO
            :: else -> req_seen = value
            fi;
#endif
            value = 0
        :: else -> skip
        fi
    };
    if
    :: result == OK && req_seen != req_cons ->
#ifndef HOSTILE
        atomic {
            i = 0;
            do
            :: i < SLOTS -> must(state[i] != IN_FLIGHT || crashes[i] == 0, suspect_in_company); i++
            :: else -> break
            od
        };
#endif
        atomic { pop(free_head, i) };
#ifdef COPY_AFTER_COMMIT
        commit(i, IN_FLIGHT, next_sequence);
#endif
#ifdef HOSTILE
        atomic { any(value, 2); copy_low[i] = value; value = 0 };
#else
        copy_low[i] = slot[SLOT(req_cons)];
        copy_high[i] = slot[SLOT(req_cons)];
#endif
        atomic { crashes[i] = 0; proved[i] = false; start[i] = TOGETHER };
        atomic {
#ifndef COPY_AFTER_COMMIT
            state[i] = IN_FLIGHT;
            number[i] = next_sequence;
#endif
            next_sequence++;
            req_cons = INDEX(req_cons + 1);
            in_flight++;
            consumed++;
            hand_out()
        }
    :: else -> skip
    fi
}

inline ring_back_respond(index)
{
    atomic {
        must(state[index] == IN_FLIGHT, response_without_request);
        i = index;
        held[i] = false;
        execute()
    };
#ifdef RESPONSE_AFTER_COMMIT
    commit(i, DONE, INDEX(own_rsp_prod + done_count));
#endif
    slot[SLOT(own_rsp_prod + done_count)] = RESPONSE + copy_low[i];
#ifdef TWO_STORES
    state[i] = DONE;
#endif
    atomic {
#ifndef RESPONSE_AFTER_COMMIT
        state[i] = DONE;
        number[i] = INDEX(own_rsp_prod + done_count);
#endif
        push(done_head, i);
        done_count++;
        in_flight--;
        i = 0
    }
}

/* shared_index_publish(): the one store by which the peer sees a batch. */
inline publish_index()
{
    atomic {
#ifndef HOSTILE
        value = rsp_prod;
        do
        :: value != INDEX(own_rsp_prod + done_count) ->
            must(slot[SLOT(value)] > RESPONSE, announced_without_response);
            must(!announced[slot[SLOT(value)] - RESPONSE], answered_twice);
            announced[slot[SLOT(value)] - RESPONSE] = true;
            value = INDEX(value + 1)
        :: else -> break
        od;
        value = 0;
        rsp_prod = INDEX(own_rsp_prod + done_count);
#ifdef IN_ORDER
        must(rsp_prod == group_end, group_torn);
#endif
#endif
        own_rsp_prod = INDEX(own_rsp_prod + done_count);
        done_count = 0
    }
}

inline ring_back_publish()
{
#ifdef FREE_BEFORE_PUBLISH
    atomic { base = own_rsp_prod; target = INDEX(own_rsp_prod + done_count) };
    release(done_head);
    publish_index()
#else
#ifndef NO_BATCH
#ifndef BATCH_AFTER_PUBLISH
    atomic { base = own_rsp_prod; target = INDEX(own_rsp_prod + done_count) };
#endif
#endif
#ifdef BATCH_AFTER_PUBLISH
    value = own_rsp_prod;
    publish_index();
    atomic { base = value; target = own_rsp_prod; value = 0 };
#else
    publish_index();
#endif
    release(done_head)
#endif
}

/* ---- recover.c ---- */

/* replay_insert(): by sequence number. */
inline replay_insert()
{
    at = replay_head;
    previous = END;
    do
    :: at == END -> break
    :: at != END && number[at] == number[i] -> result = EBADMSG; break
#ifdef UNSORTED
    :: at != END && number[at] != number[i] -> break
#else
    :: at != END && number[at] > number[i] -> break
    :: else -> previous = at; at = next[at]
#endif
    od;
    if
    :: result == OK ->
        next[i] = at;
        if
        :: previous == END -> replay_head = i
        :: else -> next[previous] = i
        fi;
        in_flight++;
#ifndef SEQUENCE_ANEW
        if
        :: number[i] >= next_sequence -> next_sequence = number[i] + 1
        :: else -> skip
        fi
#endif
    :: else -> skip
    fi;
    at = 0;
    previous = 0
}

inline done_insert()
{
#ifdef ANNOUNCED_AGAIN
    if
    :: false -> skip
#else
    if
    :: own_rsp_prod == target && INDEX(number[i] - base) < INDEX(target - base) -> push(announced_head, i)
#endif
    :: else ->
        value = INDEX(number[i] - own_rsp_prod);
        if
#ifndef DISTANCE_BELIEVED
        :: value >= SLOTS || (done_seen >> value & 1) -> misplaced = true
#endif
        :: else ->
            must(value < SLOTS, list_overrun);
            done_seen = done_seen | 1 << value;
            if
            :: value >= done_span -> done_span = value + 1
            :: else -> skip
            fi;
#ifdef NOT_PUBLISHED
            push(announced_head, i);
#else
            push(done_head, i);
            done_count++
#endif
        fi;
        value = 0
    fi
}

inline scan_entries()
{
    i = SLOTS;
    do
    :: i > 0 && result == OK ->
        i--;
        if
        :: state[i] == FREE ->
            if
            :: number[i] != 0 -> result = EBADMSG
            :: else -> push(free_head, i)
            fi
        :: state[i] == IN_FLIGHT -> replay_insert()
        :: state[i] == DONE ->
            if
            :: number[i] >= INDICES -> result = EBADMSG
            :: else -> done_insert()
            fi
        :: else -> result = EBADMSG
        fi
    :: else -> break
    od;
    i = 0
}

inline check_consistency(requests)
{
#ifndef GAPS_BELIEVED
    misplaced = misplaced || done_span != done_count;
    if
    :: own_rsp_prod != target && (misplaced || done_count != INDEX(target - base)) -> result = EPROTO
    :: else -> skip
    fi;
    if
    :: result == OK && misplaced -> result = EBADMSG
    :: else -> skip
    fi;
#endif
    if
    :: result == OK && INDEX(requests - own_rsp_prod) < in_flight + done_count -> result = EPROTO
    :: result == OK && INDEX(requests - own_rsp_prod) > SLOTS -> result = EPROTO
    :: else -> skip
    fi
}

/* can_take_back(): whether numbers are left for what was answered before all in flight. */
inline can_take_back()
{
    if
    :: own_rsp_prod == target && replay_head != END ->
        if
        :: number[replay_head] <= done_count -> result = EBADMSG
        :: else -> skip
        fi
    :: else -> skip
    fi
}

/* take_back(): the latest first, `at` is its distance. A commit each. */
inline take_back()
{
    atomic {
        do
        :: done_head != END -> pop(done_head, i)
        :: else -> break
        od;
        i = 0;
        if
        :: next_sequence <= done_count -> next_sequence = done_count + 1
        :: else -> skip
        fi
    };
    do
    :: atomic { done_count > 0 ->
#ifdef TAKEN_FORWARD
            at = previous;
            previous++;
#else
            at = done_count - 1;
#endif
            do
            :: state[i] != DONE || INDEX(number[i] - own_rsp_prod) != at -> i++
            :: else -> break
            od;
            state[i] = IN_FLIGHT;
#ifdef TAKEN_AS_LATEST
            number[i] = next_sequence + at;
#else
            number[i] = at + 1;
#endif
            push(replay_head, i);
            in_flight++;
            done_count--;
            at = 0;
            i = 0
        }
    :: atomic { done_count == 0 -> previous = 0; break }
    od
}

/* settle_attempts(): a commit each. */
inline settle_attempts()
{
    at = replay_head;
    do
    :: atomic { at != END ->
            if
#ifdef KILL_COUNTED
            :: start[at] != NO ->
#else
            :: start[at] != NO && crashed ->
#endif
#ifndef NOT_COUNTED
                crashes[at] = crashes[at] + 1;
#endif
                proved[at] = proved[at] || start[at] == ALONE
            :: else ->
#ifdef PROOF_FORGOTTEN
                proved[at] = false
#else
                skip
#endif
            fi;
#ifndef COUNTED_TWICE
            start[at] = NO;
#endif
            suspects = suspects + (crashes[at] > 0);
            at = next[at]
        }
    :: atomic { at == END -> at = 0; break }
    od
}

/* ring_back_pardon(): a commit each. */
inline ring_back_pardon()
{
    at = replay_head;
    do
    :: atomic { at != END ->
#ifndef NO_PARDON
            crashes[at] = 0;
            proved[at] = false;
#endif
            start[at] = NO;
            true_crashes[copy_low[at]] = 0;
            true_proof[copy_low[at]] = false;
            at = next[at]
        }
    :: atomic { at == END -> at = 0; break }
    od;
    suspects = 0
}

inline ring_back_recover()
{
    bind();
    if
    :: drained == generation -> result = DRAINED
    :: drained != generation && (live == 0 || live != formatted || live != generation) -> result = EBADMSG
    :: else ->
        if
        :: INDEX(target - base) > SLOTS -> result = EBADMSG
        :: else -> skip
        fi
    fi;
    if
    :: result == OK ->
        atomic { load(own_rsp_prod, rsp_prod) };
        atomic { load(requests, req_prod) };
        atomic {
            if
            :: own_rsp_prod != base && own_rsp_prod != target -> result = EPROTO
            :: else -> scan_entries()
            fi;
            if
            :: result == OK -> check_consistency(requests)
            :: else -> skip
            fi;
#ifdef IN_ORDER
            if
            :: result == OK -> can_take_back()
            :: else -> skip
            fi;
#endif
            requests = 0;
            done_seen = 0;
            done_span = 0;
            misplaced = false;
            req_cons = INDEX(own_rsp_prod + in_flight + done_count);
            req_seen = req_cons
        };
        if
        :: result == OK ->
#if defined(IN_ORDER) && !defined(NOT_TAKEN_BACK)
            if
            :: own_rsp_prod == target -> take_back()
            :: else -> skip
            fi;
#endif
            settle_attempts();
            release(announced_head);
            if
            :: done_count > 0 -> ring_back_publish()
            :: else -> skip
            fi
        :: else -> skip
        fi
    :: else -> skip
    fi
}

/* replay_next(): the first, or of those with the fewest crashes the first. */
inline replay_next(n)
{
#ifdef IN_ORDER
    n = replay_head
#else
    at = replay_head;
    n = END;
    do
    :: at != END ->
        if
#ifdef WORST_FIRST
        :: n == END || crashes[at] > crashes[n] -> n = at
#else
        :: n == END || crashes[at] < crashes[n] -> n = at
#endif
        :: else -> skip
        fi;
        at = next[at]
    :: else -> break
    od;
    at = 0
#endif
}

/* Takes an entry out of the replay list. */
inline replay_remove(n)
{
    if
    :: replay_head == n -> replay_head = next[n]
    :: else ->
        at = replay_head;
        do
        :: next[at] != n -> at = next[at] /* unreached: it takes a list of three */
        :: else -> break
        od;
        next[at] = next[n];
        at = 0
    fi;
    next[n] = END
}

inline ring_back_replay(how)
{
    atomic {
        replay_next(i);
        replay_remove(i);
        suspects = suspects - (crashes[i] > 0)
    };
#ifndef START_NOT_STORED
    start[i] = how;
#endif
    atomic {
#ifndef HOSTILE
        must(crashes[i] > 0 || copy_low[i] > replayed, out_of_order);
        if
        :: crashes[i] == 0 -> replayed = copy_low[i]
        :: else -> skip
        fi;
#endif
        hand_out()
    }
}

/* ---- The caller: daemons/blkback/worker/queue.c ---- */

#if SLOTS > 2
#define EXECUTING (held[0] + held[1] + held[2] + held[3])
#else
#define EXECUTING (held[0] + held[1])
#endif

/* A request is in the caller's hands: its disk may execute it from now on. */
inline hand_out()
{
    execute();
#ifndef HOSTILE
    must(true_crashes[copy_low[i]] < ATTEMPTS_MAX || !true_proof[copy_low[i]], executed_after_the_limit);
#endif
    held[i] = true;
    must(!alone || EXECUTING == 1, not_alone);
    i = 0
}

/* ...until it is responded to. */
inline execute()
{
#ifdef HOSTILE
    /* blkif_validate() let it through (1), or it was answered without being executed (0). */
    if
    :: copy_low[i] == 1 ->
#ifdef READ_TWICE
        must(slot[i] != 0, used_unchecked)
#else
        must(copy_low[i] == 1, used_unchecked)
#endif
    :: else -> skip
    fi
#else
    must(copy_low[i] != STALE, older_generation_executed);
    must(copy_low[i] > 0 && copy_low[i] <= REQUESTS && copy_low[i] == copy_high[i], half_copied);
    must(!announced[copy_low[i]], acknowledged_executed_again)
#endif
}

#ifdef HOSTILE
#define MORE_REQUESTS (consumed < REQUESTS)
#else
#define MORE_REQUESTS (req_seen != req_cons || req_prod != req_cons)
#endif

/* What is executed brings the process down. */
inline crash()
{
    crash_count++;
    i = 0;
    do
    :: i < SLOTS ->
        if
        :: held[i] ->
            true_crashes[copy_low[i]]++;
            true_proof[copy_low[i]] = true_proof[copy_low[i]] || alone
        :: else -> skip
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    by_crash = true;
    killed = true
}
#define holds_poison (held[0] && copy_low[0] == poison || held[1] && copy_low[1] == poison)

/* caution.c, for one queue. */
#define is_cautious (suspects > 0 || (alone && EXECUTING > 0))

/* queue.c: park(). What is left is only what may not be executed again. */
inline park()
{
    must(true_crashes[copy_low[i]] >= ATTEMPTS_MAX && copy_low[i] == poison, parked_without_cause);
    must(in_flight == 1, innocent_waits);
    if
    :: pardons < PARDONS -> pardons++; pardon = true; killed = true /* its memory is gone, as if it were dead */
    :: parked = true
    fi
}

/* One request alone, or none any more. */
inline start_alone()
{
    alone = true;
    atomic {
        replay_next(i);
#ifdef NEVER_PARKED
        if
        :: false -> skip
#else
        if
        :: proved[i] && crashes[i] >= ATTEMPTS_MAX -> park()
#endif
        :: else -> skip
        fi;
        i = 0
    };
    if
    :: killed || parked -> skip
    :: else -> ring_back_replay(ALONE)
    fi
}

/* A ring in order is answered in order. */
#define NOT_BEFORE(i, j) (state[j] != IN_FLIGHT || number[i] <= number[j])
#ifndef IN_ORDER
#define DUE(i) held[i]
#elif SLOTS > 2
#define DUE(i) (held[i] && NOT_BEFORE(i, 0) && NOT_BEFORE(i, 1) && NOT_BEFORE(i, 2) && NOT_BEFORE(i, 3))
#else
#define DUE(i) (held[i] && NOT_BEFORE(i, 0) && NOT_BEFORE(i, 1))
#endif

/* One more step of the loop, whichever: the disk ends requests in any order, a batch is as large as it happens to be. */
inline serve_once()
{
    if
#ifdef BESIDE_OTHERS
    :: is_cautious && suspects > 0 -> start_alone()
#else
    :: is_cautious && suspects > 0 && EXECUTING == 0 -> start_alone()
#endif
    :: !is_cautious && replay_head != END -> alone = false; ring_back_replay(TOGETHER)
#ifdef MORE_TAKEN
    :: replay_head == END && !draining && MORE_REQUESTS -> alone = false; ring_back_consume()
    :: is_cautious && in_flight + done_count < SLOTS && !draining && MORE_REQUESTS -> ring_back_consume()
#else
    :: !is_cautious && replay_head == END && !draining && MORE_REQUESTS -> alone = false; ring_back_consume()
#endif
    :: DUE(0) -> ring_back_respond(0)
    :: DUE(1) -> ring_back_respond(1)
#if SLOTS > 2
    :: DUE(2) -> ring_back_respond(2)
    :: DUE(3) -> ring_back_respond(3)
#endif
#if defined(IN_ORDER) && !defined(HOSTILE)
    :: atomic { done_count > 0 -> group_end = INDEX(own_rsp_prod + done_count) }; ring_back_publish()
#else
    :: done_count > 0 -> ring_back_publish()
#endif
#ifndef HOSTILE
    :: atomic { crash_count < CRASHES && holds_poison -> crash() }
    :: !draining && drains < DRAINS -> drains++; draining = true
    :: draining -> draining = false /* whoever wanted it is gone */
#ifdef DRAINED_TOO_EARLY
    :: draining ->
#else
    :: draining && in_flight == 0 && done_count == 0 ->
#endif
        drained = generation;
        if
        :: killed = true /* it ends */
        :: true ->
#ifndef MARK_KEPT
            drained = 0;
#endif
            draining = false
        fi
#endif
    fi;
    atomic {
        must(in_flight + done_count == INDEX(req_cons - own_rsp_prod), counters_disagree);
        must(in_flight + done_count <= SLOTS, counters_disagree)
    }
}

/* What a corrupted process may have left. */
inline scribble()
{
#ifdef SCRIBBLED
    any(base, INDICES);
    any(target, INDICES);
    i = 0;
    do
    :: i < SLOTS ->
        any(value, 4);
        state[i] = value;
        any(value, INDICES + 1);
        number[i] = value;
        copy_low[i] = 1;
        i++
    :: else -> break
    od;
    i = 0;
    value = 0
#else
    skip
#endif
}

active proctype back()
{
    byte req_cons, req_seen, own_rsp_prod, in_flight, done_count, next_sequence;
    byte free_head, done_head, replay_head, announced_head = END;
    byte next[SLOTS];
    bool held[SLOTS];
    byte i, value, at, previous, requests, done_seen, done_span, result, replayed, suspects;
    bool misplaced, alone, draining;

    /* The journal of an earlier connection, with requests of its own: one in flight, or one announced last. */
    atomic {
        copy_low[0] = STALE;
        copy_high[0] = STALE;
        base = INDEX(START - 1);
        target = START;
#if CRASHES > 0
        if
        :: poison = 1
        :: poison = 2
        fi;
#endif
        if
        :: drained = 1
        :: skip
        fi;
        if
        :: state[0] = IN_FLIGHT; number[0] = 1
        :: state[0] = DONE; number[0] = INDEX(START - 1)
        fi
    };

life:
    {
        /* serve.c: a ring that nobody saw connected is attached anew. It may be recovered instead, but then a journal that
         * is not complete must be refused. */
        if
        :: !connected -> goto attach
        :: generation > 1 -> skip
        fi;
        ring_back_recover();
        if
        :: result == OK ->
            must(formatting == false, half_formatted_accepted);
            if
            :: pardon -> ring_back_pardon()
            :: else -> skip
            fi;
            goto serve
        :: result == DRAINED -> result = OK; goto take_over
        :: result != OK && !connected -> result = OK
        :: else -> goto refused
        fi;
attach:
        generation++;
take_over:
        ring_back_attach();
        if
        :: result != OK -> goto refused
        :: else -> skip
        fi;
serve:
        atomic {
            connected = true;
            told = true;
            crashed = false;
            pardon = false;
#ifndef HOSTILE
            i = 0;
            do
            :: i < SLOTS ->
                must(state[i] != IN_FLIGHT || crashes[i] == true_crashes[copy_low[i]], miscounted);
                must(state[i] != IN_FLIGHT || proved[i] == true_proof[copy_low[i]], proved_wrongly);
                i++
            :: else -> break
            od;
            i = 0
#endif
        };
end_idle:
        do
        :: serve_once();
            if
            :: result != OK -> goto refused
            :: parked -> goto parked_for_good
            :: else -> skip
            fi
        od
    } unless {
        atomic {
            killed;
            killed = false;
            if
            :: told -> crashed = by_crash
            :: else -> skip /* it executed nothing: what is to be said of the one before stays */
            fi;
            told = false; by_crash = false; suspects = 0; alone = false; draining = false;
            req_cons = 0; req_seen = 0; own_rsp_prod = 0; in_flight = 0; done_count = 0; next_sequence = 0;
            free_head = END; done_head = END; replay_head = END; announced_head = END;
            i = 0;
            do
            :: i < SLOTS -> next[i] = 0; held[i] = false; i++
            :: else -> break
            od;
            i = 0; value = 0; at = 0; previous = 0; requests = 0; done_seen = 0; done_span = 0; result = OK; replayed = 0;
            misplaced = false;
            if
            :: connected -> scribble()
            :: else -> skip
            fi;
            goto life
        }
    };

refused: /* the device is closed */
#ifndef HOSTILE
    honest_ring_refused = true;
    assert(!honest_ring_refused);
#endif
parked_for_good:
    skip
}

active proctype killer()
{
    byte kills;

end:
    do
    :: atomic { kills < KILLS && !killed -> killed = true; kills++ }
    :: atomic { kills < KILLS && !killed -> kills = KILLS } /* it gives up: nobody may rely on a kill that may still come */
    od
}

#ifndef HOSTILE
/* front.c, with an eye on each answer. */
active proctype front()
{
    byte sent, answered, rsp_cons = START;
    bool waiting[IDS];
    byte id;

    do
    :: connected && sent < REQUESTS && INDEX(req_prod - rsp_cons) < SLOTS ->
        atomic {
            sent++;
            waiting[sent] = true;
            slot[SLOT(req_prod)] = sent;
            req_prod = INDEX(req_prod + 1)
        }
    :: rsp_prod != rsp_cons ->
        atomic {
            must(slot[SLOT(rsp_cons)] > RESPONSE, announced_without_response);
            id = slot[SLOT(rsp_cons)] - RESPONSE;
            must(waiting[id], answered_unasked);
            waiting[id] = false;
            id = 0;
            answered++;
            rsp_cons = INDEX(rsp_cons + 1)
        }
    :: answered == REQUESTS -> break
    :: parked -> goto end_parked
    od;
    timeout; /* everybody is through */
    id = 0;
    do
    :: id < SLOTS -> must(state[id] == FREE, left_behind); id++
    :: else -> break
    od;
end_parked:
    skip
}
#endif
