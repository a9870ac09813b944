/* SPDX-License-Identifier: MIT */
/*
 * Virtual disk numbers. Small disks have the numbers of Linux' old device nodes, the others an extended number:
 *
 *   xvd   disks 0..15, partitions 0..15    202 << 8 | disk << 4 | partition
 *   sd    the same                           8 << 8 | disk << 4 | partition
 *   hd    disks 0..3, partitions 0..63     (3 or 22) << 8 | (disk & 1) << 6 | partition
 *   xvd   else                             1 << 28 | disk << 8 | partition
 */
#include "vdev.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VDEV_MAJOR_XVD     202u
#define VDEV_MAJOR_SD      8u
#define VDEV_MAJOR_HD      3u
#define VDEV_MAJOR_HD2     22u
#define VDEV_EXTENDED      (1u << 28)
#define VDEV_DISK_MAX      ((1u << 20) - 1)
#define VDEV_PARTITION_MAX 255u

/* Reads decimal digits up to `max`; moves *text behind them. Returns 0 or -EINVAL. */
static int vdev_parse_number(const char **text, uint32_t max, uint32_t *ret_number)
{
    if (!isdigit((unsigned char)**text))
        return -EINVAL;
    char *end;
    errno = 0;
    unsigned long number = strtoul(*text, &end, 10);
    if (errno != 0 || number > max)
        return -EINVAL;
    *text = end;
    *ret_number = (uint32_t)number;
    return 0;
}

/* Reads a disk's letters: a is 0, z 25, aa 26. */
static int vdev_parse_letters(const char **text, uint32_t *ret_disk)
{
    uint32_t disk = 0;
    const char *letter = *text;
    for (; *letter >= 'a' && *letter <= 'z'; letter++) {
        disk = disk * 26 + (uint32_t)(*letter - 'a') + 1;
        if (disk > VDEV_DISK_MAX + 1)
            return -EINVAL;
    }
    if (letter == *text)
        return -EINVAL;
    *text = letter;
    *ret_disk = disk - 1;
    return 0;
}

static uint32_t vdev_xvd(uint32_t disk, uint32_t partition)
{
    return disk < 16 && partition < 16 ? VDEV_MAJOR_XVD << 8 | disk << 4 | partition
                                       : VDEV_EXTENDED | disk << 8 | partition;
}

int vdev_parse(const char *text, uint32_t *ret_number)
{
    uint32_t disk;
    uint32_t partition = 0;
    if (isdigit((unsigned char)text[0])) {
        int result = vdev_parse_number(&text, UINT32_MAX >> 1, &disk);
        if (result < 0 || *text != '\0')
            return -EINVAL;
        *ret_number = disk;
        return 0;
    }

    size_t prefix = strncmp(text, "xvd", 3) == 0                                 ? 3
                    : strncmp(text, "hd", 2) == 0 || strncmp(text, "sd", 2) == 0 ? 2
                                                                                 : 0;
    char kind = text[0];
    text += prefix;
    if (prefix == 0 && kind == 'd') {
        text++;
        if (vdev_parse_number(&text, VDEV_DISK_MAX, &disk) < 0 ||
            (*text == 'p' && (text++, vdev_parse_number(&text, VDEV_PARTITION_MAX, &partition) < 0)))
            return -EINVAL;
    } else if (prefix == 0 || vdev_parse_letters(&text, &disk) < 0 ||
               (*text != '\0' && vdev_parse_number(&text, VDEV_PARTITION_MAX, &partition) < 0)) {
        return -EINVAL;
    }
    if (*text != '\0' || (kind == 'h' && (disk > 3 || partition > 63)) ||
        (kind == 's' && (disk > 15 || partition > 15)))
        return -EINVAL;

    if (kind == 'h')
        *ret_number = (disk < 2 ? VDEV_MAJOR_HD : VDEV_MAJOR_HD2) << 8 | (disk & 1) << 6 | partition;
    else if (kind == 's')
        *ret_number = VDEV_MAJOR_SD << 8 | disk << 4 | partition;
    else
        *ret_number = vdev_xvd(disk, partition);
    return 0;
}

static void vdev_format(char ret_name[VDEV_NAME_SIZE], const char *prefix, uint32_t disk, uint32_t partition)
{
    char letters[8];
    char *first = letters + sizeof(letters) - 1;
    *first = '\0';
    for (uint32_t rest = disk + 1; rest > 0; rest = (rest - 1) / 26)
        *--first = (char)('a' + (rest - 1) % 26);
    if (partition == 0)
        snprintf(ret_name, VDEV_NAME_SIZE, "%s%s", prefix, first);
    else
        snprintf(ret_name, VDEV_NAME_SIZE, "%s%s%u", prefix, first, partition);
}

void vdev_name(uint32_t number, char ret_name[VDEV_NAME_SIZE])
{
    uint32_t major = number >> 8;
    if ((number & ~(VDEV_EXTENDED - 1)) == VDEV_EXTENDED)
        vdev_format(ret_name, "xvd", (number & (VDEV_EXTENDED - 1)) >> 8, number & 255);
    else if (major == VDEV_MAJOR_XVD)
        vdev_format(ret_name, "xvd", number >> 4 & 15, number & 15);
    else if (major == VDEV_MAJOR_SD)
        vdev_format(ret_name, "sd", number >> 4 & 15, number & 15);
    else if ((major == VDEV_MAJOR_HD || major == VDEV_MAJOR_HD2) && (number & 255) < 128)
        vdev_format(ret_name, "hd", (major == VDEV_MAJOR_HD2 ? 2 : 0) + (number >> 6 & 1), number & 63);
    else
        snprintf(ret_name, VDEV_NAME_SIZE, "%u", number);
}
