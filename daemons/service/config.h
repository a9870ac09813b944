/* SPDX-License-Identifier: MIT */
/*
 * Configuration: an INI file and the command line, checked against tables of keys.
 *
 * A daemon declares each section it knows as one table; the tables are the only list of keys there is: they check the
 * file, they are the
 * `--KEY=VALUE` options and the text of `--help`. What is not in a table is refused, with the file, the line and the
 * reason.
 */
#ifndef SERVICE_CONFIG_H
#define SERVICE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type {
    CONFIG_STRING, /* char *, never NULL, not empty, heap */
    CONFIG_PATH,   /* the same, absolute */
    CONFIG_NUMBER, /* uint64_t, decimal, min..max */
    CONFIG_SIZE,   /* uint64_t, bytes; takes K, M, G, T (powers of 1024), min..max */
    CONFIG_BOOL,   /* bool: yes or no */
    CONFIG_CHOICE, /* unsigned: the index of one of `choices` */
    CONFIG_TYPES
};

struct config_key {
    const char *name; /* as in the file and, after "--", on the command line; unique over all tables of a daemon */
    enum config_type type;
    bool live;            /* can change while the daemon runs; else it takes effect at the next start */
    size_t offset;        /* of the value in the struct the table fills */
    const char *fallback; /* the default, as it would be written in the file */
    uint64_t min, max;    /* CONFIG_NUMBER, CONFIG_SIZE; max 0: no limit */
    const char *choices;  /* CONFIG_CHOICE: "error|warning|info" */
    const char *(*check)(const char *text); /* what is wrong with it beside that, or NULL; may be NULL */
    const char *help;                       /* one line, no full stop */
};

struct config_table {
    const char *section;
    const struct config_key
        *keys; /* NULL: the section, or with "KIND *" any of its kind, is another daemon's: not looked at */
    unsigned count;
    void *values; /* the struct filled; NULL: the section is checked, its values are not kept */
};

/*
 * Sections "[KIND NAME]", of which a file may have any number: each becomes a table of its own, which begins with the defaults. They are in the file
 * only, and replaced as a whole when it is read again.
 */
struct config_family {
    const char *kind; /* "bridge" */
    const struct config_key *keys;
    unsigned key_count;
    unsigned max; /* sections */
    bool (*name_is_valid)(const char *name);
    struct config_table *tables; /* their sections: "bridge lan" */
    unsigned count;
};

/* Why a configuration was refused: "/etc/ringback/ringback.conf:12: ...", no trailing newline. */
struct config_error {
    char text[512];
};

/* Sets every value to its default. The structs must be zeroed or filled before. Returns 0, -ENOMEM, or -EINVAL for a
 * default that is none (with `ret_error` filled). */
int config_set_defaults(const struct config_table *tables, unsigned count, struct config_error *ret_error);

/* Reads a file over the values; the last of two equal keys counts. Returns 0; -EINVAL for what the tables do not allow,
 * another -errno when the file cannot be read; `ret_error` is filled then and values read before the error are kept. */
int config_read_file(const struct config_table *tables, unsigned count, const char *path,
                     struct config_error *ret_error);
/* The same, with sections of a family (may be NULL) that begins empty. */
int config_read_file_with(const struct config_table *tables, unsigned count, struct config_family *family,
                          const char *path, struct config_error *ret_error);

/* Sets one value from the command line: `argument` is "--KEY=VALUE". Returns 0, or -EINVAL with `ret_error` filled. */
int config_set_argument(const struct config_table *tables, unsigned count, const char *argument,
                        struct config_error *ret_error);

/* Bytes of a struct that has room for a table's values. */
size_t config_values_size(const struct config_table *table);

/* Takes over from `fresh`, the same tables with other values, those of live keys; calls `kept` for each other key whose value differs. Returns how
 * many live ones did. */
unsigned config_take(const struct config_table *tables, const struct config_table *fresh, unsigned count,
                     void (*kept)(const struct config_key *key));

/* Prints the options the tables make, one line of help each with its default. */
void config_print_help(const struct config_table *tables, unsigned count, FILE *stream);

/* Frees the values; they may be set again. */
void config_fini(const struct config_table *tables, unsigned count);

/* ---- Families. ---------------------------------------------------------------------------------------------------- */

/* The table of the section "KIND NAME", of `length` characters, made if there is none yet. Returns 0; -ENOENT when it is of another kind;
 * -EINVAL with `ret_error` filled; -ENOMEM. */
int config_family_find(struct config_family *family, const char *section, size_t length,
                       const struct config_table **ret_table, struct config_error *ret_error);
/* NAME of a table of the family. */
const char *config_family_name(const struct config_family *family, unsigned index);
/* What --help says of it. */
void config_family_print_help(const struct config_family *family, FILE *stream);
/* Frees all tables. */
void config_family_fini(struct config_family *family);

#endif
