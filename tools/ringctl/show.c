/* SPDX-License-Identifier: MIT */
/*
 * `ringctl list`, `ringctl show` and `ringctl resume`: what the daemons say about their devices, and what one is told to do with one.
 */
#include "ringctl.h"

#include <stdio.h>
#include <string.h>

#include "class.h"
#include "daemon.h"
#include "domain.h"
#include "render.h"

/* A daemon of another version does not say which class its devices are of. */
static void show_set_class(json_t *device, const struct device_class *class)
{
    if (json_is_object(device) && json_object_get(device, "class") == NULL)
        json_object_set_new(device, "class", json_string(class->name));
}

/* ---- List. ------------------------------------------------------------------------------------------------------ */

/* What each daemon answered; NULL: it was not asked, or did not. */
struct listing {
    json_t *devices[CLASSES];
};

/* Whose devices these are: as the first one says, else as the daemon at --socket does. */
static const struct device_class *list_class(const struct ringctl_options *options, const json_t *devices)
{
    const struct device_class *class = &device_classes[CLASS_DISK];
    const char *name = json_string_value(json_object_get(json_array_get(devices, 0), "class"));
    json_t *status = NULL;
    if (name == NULL && daemon_ask(options, class, "GET", "/v1/status", "the daemon has no status", &status) == 0)
        name = json_string_value(json_object_get(status, "daemon"));
    if (name != NULL &&
        (strcmp(name, device_classes[CLASS_CARD].name) == 0 || strcmp(name, device_classes[CLASS_CARD].daemon) == 0))
        class = &device_classes[CLASS_CARD];
    json_decref(status);
    return class;
}

/* Asks one daemon; `class` NULL: the one at --socket, whichever that is. */
static enum ringctl_exit list_ask(const struct ringctl_options *options, const struct device_class *class,
                                  struct listing *listing)
{
    json_t *body = NULL;
    json_t *device;
    size_t index;
    enum ringctl_exit status = daemon_ask(options, class != NULL ? class : &device_classes[CLASS_DISK], "GET",
                                          "/v1/devices", "the daemon has no devices", &body);
    if (status != RINGCTL_OK)
        return status;
    json_t *devices = json_incref(json_object_get(body, "devices"));
    json_decref(body);
    if (class == NULL)
        class = list_class(options, devices);
    json_array_foreach(devices, index, device)
    {
        show_set_class(device, class);
    }
    listing->devices[class->id] = devices != NULL ? devices : json_array();
    return RINGCTL_OK;
}

/* Asks all daemons. One that is not running matters only when none is. */
static enum ringctl_exit list_ask_all(const struct ringctl_options *options, struct listing *listing)
{
    enum ringctl_exit result = RINGCTL_NO_DAEMON;
    for (int id = 0; id < CLASSES; id++) {
        enum ringctl_exit status = list_ask(options, &device_classes[id], listing);
        if (result == RINGCTL_NO_DAEMON || (status != RINGCTL_OK && status != RINGCTL_NO_DAEMON))
            result = status;
    }
    return result;
}

static void list_print_json(const struct listing *listing)
{
    json_t *all = json_array();
    for (int id = 0; id < CLASSES; id++)
        if (listing->devices[id] != NULL)
            json_array_extend(all, listing->devices[id]);
    json_t *body = json_pack("{s:o}", "devices", all);
    daemon_print(body);
    json_decref(body);
}

static void list_print(const struct listing *listing)
{
    if (listing->devices[CLASS_DISK] != NULL)
        render_disks(listing->devices[CLASS_DISK], stdout);
    if (listing->devices[CLASS_DISK] != NULL && listing->devices[CLASS_CARD] != NULL)
        putchar('\n');
    if (listing->devices[CLASS_CARD] != NULL)
        render_cards(listing->devices[CLASS_CARD], stdout);
}

enum ringctl_exit ringctl_list(const struct ringctl_options *options)
{
    struct listing listing = {{NULL}};
    enum ringctl_exit status =
        options->socket != NULL ? list_ask(options, NULL, &listing) : list_ask_all(options, &listing);
    bool any = false;
    for (int id = 0; id < CLASSES; id++)
        any = any || listing.devices[id] != NULL;
    if (any && options->json)
        list_print_json(&listing);
    else if (any)
        list_print(&listing);
    for (int id = 0; id < CLASSES; id++)
        json_decref(listing.devices[id]);
    return status;
}

/* ---- One device. ------------------------------------------------------------------------------------------------ */

/* Asks about a device, at its path with `tail`. */
static enum ringctl_exit show_ask_device(const struct ringctl_options *options, const char *method,
                                         struct target *target, const char *tail, json_t **ret_body)
{
    enum ringctl_exit status = target_find(NULL, target);
    if (status != RINGCTL_OK)
        return status;

    char path[64];
    char label[TARGET_LABEL_SIZE];
    char missing[128];
    target_label(target, label);
    snprintf(path, sizeof(path), "/v1/devices/%u/%u%s", target->domid, target->devid, tail);
    snprintf(missing, sizeof(missing), "the daemon serves no %s to domain %u", label, target->domid);
    return daemon_ask(options, target->class, method, path, missing, ret_body);
}

enum ringctl_exit ringctl_show(const struct ringctl_options *options, const char *text)
{
    struct target target;
    json_t *device = NULL;
    enum ringctl_exit status = target_parse(text, &target);
    if (status == RINGCTL_OK)
        status = show_ask_device(options, "GET", &target, "", &device);
    if (status != RINGCTL_OK)
        return status;
    show_set_class(device, target.class);
    if (options->json)
        daemon_print(device);
    else if (target.class->id == CLASS_CARD)
        render_card(device, stdout);
    else
        render_disk(device, stdout);
    json_decref(device);
    return RINGCTL_OK;
}

enum ringctl_exit ringctl_resume(const struct ringctl_options *options, const char *text)
{
    struct target target;
    json_t *answer = NULL;
    enum ringctl_exit status = target_parse(text, &target);
    if (status != RINGCTL_OK)
        return status;
    if (target.class->id != CLASS_DISK)
        return ringctl_fail(RINGCTL_USAGE, "'%s' is a network card: only disks are ever parked", text);
    status = show_ask_device(options, "POST", &target, "/resume", &answer);
    if (status != RINGCTL_OK)
        return status;
    if (options->json)
        daemon_print(answer);
    else
        printf("%s is tried again\n", text);
    json_decref(answer);
    return RINGCTL_OK;
}
