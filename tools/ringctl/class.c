/* SPDX-License-Identifier: MIT */
#include "class.h"

const struct device_class device_classes[CLASSES] = {
    [CLASS_DISK] = {CLASS_DISK, "disk", "blkbackd", "/run/ringback/blkbackd.sock", "vbd"},
    [CLASS_CARD] = {CLASS_CARD, "card", "netbackd", "/run/ringback/netbackd.sock", "vif"},
};
