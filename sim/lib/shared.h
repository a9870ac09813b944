/* SPDX-License-Identifier: MIT */
/*
 * What every process of one simulated host shares: the memory layout and the broker's protocol.
 *
 * Theory of operation.  The broker (../broker) plays the hypervisor.  It creates one memfd holding `struct sim_host`, which
 * every handle maps, and one memfd per domain, the domain's memory.  Who may change what:
 *
 *   - port flags           anybody, atomically: this is notify, delivery and unmask, the hot path of event channels;
 *   - port peer and handle the broker only; read by notify;
 *   - grant words          the broker only; read by grant copy, the hot path of grants;
 *   - copier sequence      the handle that owns the slot; the broker reads it to know that a revoked page is at rest.
 *
 * Everything that allocates, binds, maps or revokes is a request to the broker over a SOCK_SEQPACKET connection, one
 * connection per handle: the connection is the handle's life, so a process that dies by any means closes its ports and
 * drops its mappings, as the kernel does it for the descriptors of a dead process.
 *
 * Events are delivered through one pipe per event channel handle, which carries the number of each port that became
 * pending, as reading /dev/xen/evtchn does.  A port's number is in its pipe at most once between two unmasks.
 */
#ifndef SIM_SHARED_H
#define SIM_SHARED_H

#include <stdatomic.h>
#include <stdint.h>

enum {
    SIM_DOMAINS = 128,         /* domains that exist at the same time, dom0 and dying ones included */
    SIM_PORTS = 4096,          /* event channels of one domain, number 0 is never used; Xen's 2-level limit */
    SIM_GRANTS = 32768,        /* grant references of one domain; Xen's default of 64 frames */
    SIM_RESERVED_GRANTS = 8,   /* as Linux and Xen reserve them: 0 console, 1 xenstore */
    SIM_GRANT_XENSTORE = 1,    /* GNTTAB_RESERVED_XENSTORE */
    SIM_EVTCHN_HANDLES = 1024, /* open event channel handles */
    SIM_COPIERS = 1024,        /* open grant handles */
    SIM_FAULTS = 8,            /* fault rules per domain, and per process */
    SIM_BATCH = 8192,          /* grant references in one map or share request */
    SIM_PAGE = 4096,
    SIM_DOMID_MAX = 0x7ff0, /* DOMID_FIRST_RESERVED */
};

/* Port flags.  PENDING: an event came since the last delivery.  MASKED: delivered, no further event until unmask.
 * QUEUED: the port's number has been written to its handle's pipe; lets the broker finish what a killed sender began. */
enum { SIM_PORT_PENDING = 1, SIM_PORT_MASKED = 2, SIM_PORT_QUEUED = 4 };

struct sim_port {
    _Alignas(64) _Atomic uint32_t flags;
    _Atomic uint32_t handle; /* event channel handle slot + 1; 0: no process listens */
    _Atomic uint64_t peer;   /* SIM_PEER() of the other end; 0: not interdomain, sends are dropped */
};

#define SIM_PEER(slot, port) (UINT64_C(1) << 63 | (uint64_t)(slot) << 32 | (port))
#define SIM_PEER_SLOT(peer)  ((uint32_t)((peer) >> 32) & 0xffff)
#define SIM_PEER_PORT(peer)  ((uint32_t)(peer))

/* A grant word: VALID, READONLY, and the domain granted to.  Reference N of a domain is page N of its memory. */
#define SIM_GRANT_VALID          1u
#define SIM_GRANT_READONLY       2u
#define SIM_GRANT_WORD(flags, d) ((flags) | (uint32_t)(d) << 16)
#define SIM_GRANT_DOMID(word)    ((word) >> 16)

/* A fault rule: at the `countdown`-th operation of its kind from now, do `action`.  See fault.h. */
struct sim_fault {
    _Atomic uint32_t op_action; /* enum sim_fault_op << 16 | enum sim_fault_action; 0: unused */
    _Atomic int32_t countdown;
    _Atomic uint32_t argument;
    _Atomic uint32_t bytes;  /* of the operation; 0: any */
    _Atomic uint32_t always; /* no countdown */
};

enum sim_domain_state { SIM_DOMAIN_FREE, SIM_DOMAIN_ALIVE, SIM_DOMAIN_DYING };

struct sim_domain {
    _Alignas(64) _Atomic uint32_t state;
    _Atomic uint32_t domid;
    _Atomic uint32_t generation; /* grows each time the slot is used for another domain */
    _Atomic uint32_t nfaults;    /* rules in use */
    uint8_t uuid[16];
    _Atomic uint32_t foreign_maps; /* pages of this domain that others map now */
    _Atomic uint32_t grants;       /* references granted now */
    _Atomic uint32_t ports;        /* ports allocated now */
    _Atomic uint64_t
        revoked_while_mapped; /* unshare calls that had to be deferred: a bug of the frontend or of the backend */
    struct sim_fault faults[SIM_FAULTS];
    _Atomic uint32_t grant[SIM_GRANTS];
    struct sim_port port[SIM_PORTS];
};

/* Odd while the owner of the slot is inside grant copy. */
struct sim_copier {
    _Alignas(64) _Atomic uint64_t sequence;
};

struct sim_host {
    _Atomic uint32_t slot_of[SIM_DOMID_MAX]; /* domain id -> slot + 1; 0: no such domain */
    struct sim_copier copier[SIM_COPIERS];
    struct sim_domain domain[SIM_DOMAINS];
};

/*
 * The protocol.  One request, one reply; arrays follow the fixed part in the same packet, descriptors ride with it.
 */
enum sim_kind { SIM_KIND_EVTCHN = 1, SIM_KIND_GNTTAB, SIM_KIND_GNTSHR, SIM_KIND_CONTROL };

enum sim_op {
    SIM_OP_HELLO =
        1, /* kind, domid, inode of a pipe to adopt (lo, hi) -> slot, domain slot; fds: host [pipe read, write] */
    SIM_OP_CLOSE,            /* end this handle before the reply */
    SIM_OP_BIND_UNBOUND,     /* remote domid -> port */
    SIM_OP_BIND_INTERDOMAIN, /* remote domid, remote port -> port */
    SIM_OP_BIND_VIRQ,        /* virq -> port */
    SIM_OP_UNBIND,           /* port */
    SIM_OP_RESTRICT,         /* domid */
    SIM_OP_WAKER,            /* event channel handle slot -> ; fds: write end */
    SIM_OP_NOTIFY_LATER,     /* port, milliseconds */
    SIM_OP_MEMORY,           /* domain slot -> generation; fds: memory read-write, read-only */
    SIM_OP_MAP,     /* prot, notify offset, notify port; count pairs -> id; count slots; fds: memory of the first */
    SIM_OP_UNMAP,   /* id */
    SIM_OP_SHARE,   /* domid, writable, notify offset, notify port; count -> id; count references; fds: memory */
    SIM_OP_UNSHARE, /* id */
    SIM_OP_CREATE,  /* domid or 0, uuid -> domid, xenstore port */
    SIM_OP_DESTROY, /* domid */
    SIM_OP_FAULT,   /* domid, op << 16 | action, n, argument, bytes; op 0 clears */
};

struct sim_request {
    uint32_t op;
    uint32_t count;
    uint32_t arg[6];
};

struct sim_reply {
    int32_t error; /* 0 or a positive errno */
    uint32_t count;
    uint32_t value[4];
};

struct sim_ref {
    uint32_t domid;
    uint32_t ref;
};

#define SIM_SOCKET      "broker" /* in the host directory */
#define SIM_NOTIFY_NONE UINT32_MAX

#endif
