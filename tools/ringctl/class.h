/* SPDX-License-Identifier: MIT */
/*
 * The classes of devices, and which daemon serves each.
 */
#ifndef RINGCTL_CLASS_H
#define RINGCTL_CLASS_H

enum class_id { CLASS_DISK, CLASS_CARD, CLASSES };

struct device_class {
    enum class_id id;
    const char *name;   /* "disk", "card": `class` of a device's JSON */
    const char *daemon; /* "blkbackd" */
    const char *socket; /* its control socket, unless --socket tells another */
    const char *kind;   /* of its back end nodes, unless --device-kind tells another */
};
extern const struct device_class device_classes[CLASSES];

#endif
