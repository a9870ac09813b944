/* SPDX-License-Identifier: MIT */
/*
 * What a rendering is made of: cells, tables, lines.
 */
#ifndef RINGCTL_RENDER_PARTS_H
#define RINGCTL_RENDER_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/* The value at "ring.slots" of an object, or NULL. */
const json_t *render_find(const json_t *value, const char *path);

/* A value as text of any length: "-" for what is neither text, number nor truth. */
void render_value(const json_t *value, FILE *stream);

#define CELL_SIZE 64

/* 1536 -> "1.5K". */
void render_size(uint64_t bytes, char cell[CELL_SIZE]);

/* ---- Tables. ---- */

enum column_look { COLUMN_NUMBER, COLUMN_SIZE, COLUMN_TEXT };

struct column {
    const char *title;
    const char *path; /* of the value */
    enum column_look look;
    void (*make)(const json_t *device, char cell[CELL_SIZE]); /* when it is no value as it stands; else NULL */
};

/* The last column is printed whole, and is text; cells of the others are cut at CELL_SIZE - 1. */
#define RENDER_COLUMNS_MAX 16
void render_table(const json_t *devices, const struct column *columns, size_t count, FILE *stream);

/* ---- Lines of one device. ---- */

struct line {
    const char *group; /* a title is printed where it changes */
    const char *label;
    const char *path;
    bool size; /* bytes, shown in units too */
};

void render_lines(const json_t *device, const struct line *lines, size_t count, FILE *stream);
void render_line(const json_t *device, const char *label, const char *path, FILE *stream);

/* A title, then a line for each reason that occurred: `counts` has a number for each. */
void render_counts(const char *title, json_t *counts, FILE *stream);

/* What there is of every kind of device: itself, and what serves it. */
void render_device(const json_t *device, FILE *stream);
void render_worker(const json_t *device, FILE *stream);

/* When, how and where a worker died. */
void render_death(const json_t *object, FILE *stream);
/* That, under a title, and how many requests it may have been. */
void render_crash(const json_t *crash, FILE *stream);

#endif
