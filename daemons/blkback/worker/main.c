/* SPDX-License-Identifier: MIT */
/*
 * blkbackd-worker: serves the disks of one guest. What it is beside that, all workers are (backend/worker/worker.h).
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <backend/worker/worker.h>
#include <supervise/sandbox.h>
#include <xendev/grant.h>

#include "device.h"
#include "look.h"

static_assert(WORKER_HELD_FDS_MAX >= 1 + BLKBACK_PARENTS_MAX, "a chain can be held");

static struct caution caution = {.members = LIST_HEAD_INITIALIZER(caution.members)};
static struct device_host host = {.caution = &caution};

static const struct blkback_message *message_of(const struct backend_head *head)
{
    return (const struct blkback_message *)head;
}

static void on_device_parked(uint32_t devid, const struct blkback_request *request)
{
    const struct blkback_message message = {.head = {.type = BACKEND_PARKED, .devid = devid}, .parked = *request};

    worker_let_go(devid, &message.head);
}

static void on_device_resized(uint32_t devid, int result, uint64_t sectors)
{
    struct blkback_message answer = {.head = {.type = BLKBACK_RESIZED, .devid = devid, .result = result},
                                     .resized.sectors = sectors};

    if (result < 0)
        snprintf(answer.head.reason, sizeof answer.head.reason, "%s",
                 result == -ENOTSUP ? "a parent is larger than the disk, and would show" : strerrordesc_np(-result));
    /* A supervisor that has just come asks again. */
    (void)worker_try_to_say(&answer.head);
}

static bool on_device_dials(uint32_t devid, const char *why)
{
    struct blkback_message message = {.head = {.type = BLKBACK_DIAL, .devid = devid}};

    snprintf(message.head.reason, sizeof message.head.reason, "%s", why);
    return worker_try_to_say(&message.head); /* a supervisor that has just come asks */
}

static bool on_device_coalesced(uint32_t devid, int result)
{
    struct blkback_message answer = {.head = {.type = BLKBACK_COALESCED, .devid = devid, .result = result}};

    if (result < 0)
        snprintf(answer.head.reason, sizeof answer.head.reason, "%s", strerrordesc_np(-result));
    return worker_try_to_say(&answer.head);
}

static void guest(const struct backend_head *head, struct worker_guest *ret_guest)
{
    const struct blkback_message *message = message_of(head);

    *ret_guest = (struct worker_guest){
        .domid = message->serve.domid,
        .poll = {.time_ns = UINT64_C(1000) * message->serve.poll_time_us, .percent = message->serve.poll_percent},
    };
}

/* Has what is mapped for speed counted in the budget of the host. Takes the descriptor over. */
static void join_budget(int fd, uint32_t slot)
{
    void *budget = mmap(NULL, xendev_grant_budget_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (budget == MAP_FAILED)
        worker_die("cannot map the budget", errno);
    close(fd);
    host.may_map = slot < XENDEV_BUDGET_SLOTS;
    xendev_grants_set_budget(host.grants, budget, slot);
}

static void serve(const struct worker_host *worker, const struct backend_head *head, const int *fds)
{
    host.base = worker->base;
    host.spin = worker->spin;
    host.events = worker->events;
    host.grants = worker->grants;
    host.domid = worker->domid;
    host.fence_fd = worker->fence_fd;
    host.failed = worker_failed;
    host.drained = worker_drained;
    host.parked = on_device_parked;
    host.resized = on_device_resized;
    host.dial = on_device_dials;
    host.coalesced = on_device_coalesced;
    join_budget(fds[0], message_of(head)->serve.grant_slot);
}

static int parents_due(uint32_t parents)
{
    if (parents > BLKBACK_PARENTS_MAX)
        worker_die("the supervisor handed over an impossible chain", EPROTO);
    return (int)parents;
}

static int fds_due(const struct backend_head *head)
{
    switch (head->type) {
    case BLKBACK_CHECK:
        return 1 + parents_due(message_of(head)->check.parents);
    case BLKBACK_THROTTLE:
        return 0;
    case BACKEND_CONNECT:
        return BLKBACK_CONNECT_FDS + parents_due(message_of(head)->connect.parents);
    case BLKBACK_RESIZE:
    case BLKBACK_DIALS:
    case BLKBACK_DESCRIBE:
    case BLKBACK_COALESCE:
        return 0;
    case BLKBACK_DIALED:
        return 1;
    default:
        return -1;
    }
}

/* Says as many of the locators as there is room for. */
static void tell_parent(const struct disk_parent *parent, struct blkback_parent *ret_told)
{
    char *at = ret_told->locators, *const end = at + sizeof ret_told->locators;

    snprintf(ret_told->kind, sizeof ret_told->kind, "%s", disk_kind_name(parent->kind));
    for (; ret_told->count < parent->count; ret_told->count++) {
        const char *locator = parent->locators[ret_told->count];
        size_t size = strlen(locator) + 1;
        if (size > (size_t)(end - at))
            break;
        memcpy(at, locator, size);
        at += size;
    }
}

static void say_checked(uint32_t devid, int result, const struct disk_info *info, const struct disk_error *error)
{
    struct blkback_message answer = {.head = {.type = BLKBACK_CHECKED, .devid = devid, .result = result}};

    if (result < 0) {
        snprintf(answer.head.reason, sizeof answer.head.reason, "%s",
                 result == -ENOPKG && host.no_nbd.text[0] != '\0' ? host.no_nbd.text : error->text);
    } else {
        answer.checked.sectors = info->size / DISK_SECTOR_SIZE;
        answer.checked.sector_size = info->sector_size;
        answer.checked.physical_sector_size = info->physical_sector_size;
        answer.checked.discard_granularity = info->discard_granularity;
    }
    worker_say(&answer.head);
}

static void check(const struct backend_head *head, const int *fds)
{
    struct blkback_message answer = {.head = {.type = BLKBACK_CHECKED, .devid = head->devid}};
    struct disk_info info;
    struct disk_parent parent;
    struct disk_error error;

    if (strncmp(message_of(head)->check.image.kind, "nbd", sizeof "nbd") == 0) {
        look_begin(&host, head->devid, &message_of(head)->check, fds[0], say_checked);
        return;
    }
    answer.head.result = device_check(&host, &message_of(head)->check, fds, &info, &parent, &error);
    if (answer.head.result > 0) {
        answer.head.type = BLKBACK_PARENT;
        answer.head.result = 0;
        tell_parent(&parent, &answer.parent);
        worker_say(&answer.head);
    } else {
        say_checked(head->devid, answer.head.result, &info, &error);
    }
}

static void describe(uint32_t devid, const struct device *device)
{
    struct blkback_message answer = {.head = {.type = BLKBACK_DESCRIBED, .devid = devid}};
    struct disk_error error;

    answer.head.result = device_describe(device, &answer.described.size, answer.described.uuid, &error);
    if (answer.head.result < 0)
        snprintf(answer.head.reason, sizeof answer.head.reason, "%s", error.text);
    worker_say(&answer.head);
}

static void own(const struct backend_head *head, void *device, const int *fds)
{
    if (head->type == BLKBACK_CHECK)
        check(head, fds);
    else if (head->type == BLKBACK_DIALED && device == NULL)
        close(fds[0]);
    else if (device == NULL) /* let go of before it heard that, or parked meanwhile, as the supervisor was told */
        return;
    else if (head->type == BLKBACK_THROTTLE)
        device_throttle(device, &message_of(head)->throttle);
    else if (head->type == BLKBACK_DIALED)
        device_dialed(device, fds[0]);
    else if (head->type == BLKBACK_DIALS)
        device_dials(device);
    else if (head->type == BLKBACK_DESCRIBE)
        describe(head->devid, device);
    else if (head->type == BLKBACK_COALESCE && message_of(head)->coalesce.cancel != 0)
        device_stop_coalescing(device);
    else if (head->type == BLKBACK_COALESCE)
        device_coalesce(device, message_of(head)->coalesce.limit);
    else
        device_resize(device, message_of(head)->resize.size);
}

static int connect_device(const struct backend_head *head, const int *fds, void **ret_device,
                          struct backend_head *ret_answer, char ret_reason[BACKEND_REASON_SIZE])
{
    const struct blkback_order *order = &message_of(head)->connect;
    struct device_files files = {.image = fds[BLKBACK_CONNECT_IMAGE],
                                 .journal = fds[BLKBACK_CONNECT_JOURNAL],
                                 .counters = fds[BLKBACK_CONNECT_COUNTERS],
                                 .parents = fds + BLKBACK_CONNECT_FDS,
                                 .parent_count = order->parents};
    const struct blkback_connection *connection = &order->connection;
    struct disk_error error;
    struct device *device;

    if (connection->version != BLKBACK_CONNECTION_VERSION || connection->abi >= BLKIF_ABIS ||
        connection->ring_order > BLKIF_RING_ORDER_MAX || connection->queue_count == 0 ||
        connection->queue_count > BLKBACK_QUEUES_MAX || connection->indirect_segments > BLKIF_INDIRECT_SEGMENTS)
        worker_die("the supervisor asked for an impossible connection", EPROTO);
    int result = device_open(&host, head->devid, order, &files, &device, &error);
    if (result < 0) {
        snprintf(ret_reason, BACKEND_REASON_SIZE, "%s", error.text);
        return result;
    }
    device_suspects(device, &((struct blkback_message *)ret_answer)->suspects);
    *ret_device = device;
    return 0;
}

static void disconnect_device(void *device, bool recoverable)
{
    device_close(device, recoverable);
}

static void drain(void *device)
{
    device_drain(device);
}

static void undrain(void *device)
{
    device_undrain(device);
}

static unsigned held(void *device, struct backend_head *ret_message, int ret_fds[WORKER_HELD_FDS_MAX])
{
    ret_message->generation = device_generation(device);
    return device_images(device, ret_fds);
}

static struct worker_kind kind = {
    .name = "blkbackd-worker",
    .protocol_version = BLKBACK_PROTOCOL_VERSION,
    .message_size = sizeof(struct blkback_message),
    .serve_fds = 1,
    .sandbox = SANDBOX_PUNCHES,
    .guest = guest,
    .serve = serve,
    .fds_due = fds_due,
    .connect = connect_device,
    .disconnect = disconnect_device,
    .drain = drain,
    .undrain = undrain,
    .forget = look_drop,
    .held = held,
    .own = own,
};

/* With the argument "nbd" it can serve disks of NBD servers; without libnbd it cannot, and says so when it is asked to. */
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "nbd") == 0 && disk_kind_load(disk_kind_find("nbd"), &host.no_nbd) == 0)
        kind.sandbox |= SANDBOX_TALKS;
    worker_run(&kind);
}
