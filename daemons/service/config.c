/* SPDX-License-Identifier: MIT */
/*
 * Configuration: values in the structs of the daemons, described by tables. inih splits the file; what a value may be
 * is decided in config_set().
 *
 * Lines reach inih through config_read_line(): it counts them for the messages, refuses those longer than inih's buffer
 * (which would otherwise be cut in two) and removes leading blanks (which inih takes for the continuation of the line
 * before).
 */
#include "config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const config_type_names[] = {"TEXT", "PATH", "NUMBER", "SIZE", "yes|no", NULL};
static_assert(sizeof(config_type_names) / sizeof(config_type_names[0]) == CONFIG_TYPES, "one name a type");

static const char *config_value_name(const struct config_key *key)
{
    return key->type == CONFIG_CHOICE ? key->choices : config_type_names[key->type];
}

static int config_refuse(struct config_error *ret_error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int config_refuse(struct config_error *ret_error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ret_error->text, sizeof(ret_error->text), format, args);
    va_end(args);
    return -EINVAL;
}

/* Strict decimal. */
static int config_parse_number(const char *text, const char **ret_end, uint64_t *ret_number)
{
    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0)
        return -ERANGE;
    *ret_end = end;
    *ret_number = number;
    return 0;
}

static int config_parse_size(const char *text, const char **ret_end, uint64_t *ret_size)
{
    const char *end;
    uint64_t number;
    int result = config_parse_number(text, &end, &number);
    if (result < 0)
        return result;
    static const char units[] = "KMGT";
    const char *unit = *end == '\0' ? NULL : strchr(units, *end);
    if (unit != NULL) {
        unsigned shift = 10 * (unsigned)(unit - units + 1);
        if (number > UINT64_MAX >> shift)
            return -ERANGE;
        number <<= shift;
        end++;
    }
    *ret_end = end;
    *ret_size = number;
    return 0;
}

static int config_set_number(const struct config_key *key, const char *text, uint64_t *ret_value,
                             struct config_error *ret_error)
{
    const char *end = text;
    uint64_t number = 0;
    int result =
        key->type == CONFIG_SIZE ? config_parse_size(text, &end, &number) : config_parse_number(text, &end, &number);
    if (result == -ERANGE)
        return config_refuse(ret_error, "%s: '%s' is too large", key->name, text);
    if (result < 0 || *end != '\0')
        return config_refuse(ret_error, "%s: '%s' is not a %s", key->name, text,
                             key->type == CONFIG_SIZE ? "size (as 65536, 64K, 16M, 2G)" : "number");
    if (number < key->min || (key->max != 0 && number > key->max))
        return config_refuse(ret_error, "%s: %llu is not between %llu and %llu", key->name, (unsigned long long)number,
                             (unsigned long long)key->min, (unsigned long long)(key->max != 0 ? key->max : UINT64_MAX));
    *ret_value = number;
    return 0;
}

static int config_set_choice(const struct config_key *key, const char *text, unsigned *ret_value,
                             struct config_error *ret_error)
{
    size_t length = strlen(text);
    unsigned index = 0;
    for (const char *choice = key->choices;; index++) {
        size_t choice_length = strcspn(choice, "|");
        if (choice_length == length && memcmp(choice, text, length) == 0) {
            *ret_value = index;
            return 0;
        }
        if (choice[choice_length] == '\0')
            return config_refuse(ret_error, "%s: '%s' is none of %s", key->name, text, key->choices);
        choice += choice_length + 1;
    }
}

/* `ret_value` NULL: checks only. */
static int config_set_string(const struct config_key *key, const char *text, char **ret_value,
                             struct config_error *ret_error)
{
    if (text[0] == '\0')
        return config_refuse(ret_error, "%s: empty", key->name);
    if (key->type == CONFIG_PATH && text[0] != '/')
        return config_refuse(ret_error, "%s: '%s' is not an absolute path", key->name, text);
    if (ret_value == NULL)
        return 0;
    char *copy = strdup(text);
    if (copy == NULL)
        return -ENOMEM;
    free(*ret_value);
    *ret_value = copy;
    return 0;
}

static int config_set_bool(const struct config_key *key, const char *text, bool *ret_value,
                           struct config_error *ret_error)
{
    if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
        return config_refuse(ret_error, "%s: '%s' is neither yes nor no", key->name, text);
    *ret_value = text[0] == 'y';
    return 0;
}

/* Checks a value and, where the table keeps values, stores it. */
static int config_set(const struct config_table *table, const struct config_key *key, const char *text,
                      struct config_error *ret_error)
{
    union {
        uint64_t number;
        unsigned choice;
        bool yes;
    } unkept;
    char *kept = table->values != NULL ? (char *)table->values + key->offset : NULL;
    void *value = kept != NULL ? (void *)kept : (void *)&unkept;

    const char *wrong = key->check != NULL && text[0] != '\0' ? key->check(text) : NULL;
    if (wrong != NULL)
        return config_refuse(ret_error, "%s: '%s': %s", key->name, text, wrong);
    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
        return config_set_number(key, text, value, ret_error);
    case CONFIG_CHOICE:
        return config_set_choice(key, text, value, ret_error);
    case CONFIG_BOOL:
        return config_set_bool(key, text, value, ret_error);
    case CONFIG_STRING:
    case CONFIG_PATH:
    case CONFIG_TYPES:
        break;
    }
    return config_set_string(key, text, (char **)(void *)kept, ret_error);
}

static const struct config_key *config_find(const struct config_table *table, const char *name, size_t length)
{
    for (unsigned i = 0; i < table->count; i++)
        if (strlen(table->keys[i].name) == length && memcmp(table->keys[i].name, name, length) == 0)
            return &table->keys[i];
    return NULL;
}

int config_set_defaults(const struct config_table *tables, unsigned count, struct config_error *ret_error)
{
    for (unsigned t = 0; t < count; t++)
        for (unsigned k = 0; k < tables[t].count; k++) {
            int result = config_set(&tables[t], &tables[t].keys[k], tables[t].keys[k].fallback, ret_error);
            if (result < 0)
                return result;
        }
    return 0;
}

struct config_reader {
    const struct config_table *tables;
    unsigned count;
    struct config_family *family; /* may be NULL */
    FILE *file;
    const char *path;
    unsigned line;
    int result; /* of the first error */
    struct config_error *error;
};

/* Records the first error, in front of it where it is. */
static void config_reader_refuse(struct config_reader *reader, int result, const char *reason)
{
    if (reader->result != 0)
        return;
    reader->result = result;
    snprintf(reader->error->text, sizeof(reader->error->text), "%s:%u: %.*s", reader->path, reader->line, 384, reason);
}

/* Whether a table is of this section: by its name, or of its kind ("bridge *"). */
static bool config_section_matches(const struct config_table *table, const char *name, size_t length)
{
    size_t own = strlen(table->section);
    if (own > 1 && table->section[own - 1] == '*')
        return length >= own && memcmp(table->section, name, own - 1) == 0;
    return own == length && memcmp(table->section, name, length) == 0;
}

/* The table of a section. Returns 0; -ENOENT when there is none; -EINVAL with the reason; -ENOMEM. */
static int config_find_section(const struct config_reader *reader, const char *name, size_t length,
                               const struct config_table **ret_table, struct config_error *reason)
{
    for (unsigned t = 0; t < reader->count; t++)
        if (config_section_matches(&reader->tables[t], name, length)) {
            *ret_table = &reader->tables[t];
            return 0;
        }
    return reader->family != NULL ? config_family_find(reader->family, name, length, ret_table, reason) : -ENOENT;
}

/* inih reports no section by itself, so one without keys would pass unseen. `line` is what follows the bracket. */
static void config_check_section(struct config_reader *reader, const char *line)
{
    size_t length = strcspn(line, "]");
    if (line[length] == '\0')
        return;
    const struct config_table *table;
    struct config_error reason = {""};
    int result = config_find_section(reader, line, length, &table, &reason);
    if (result == -ENOENT)
        config_refuse(&reason, "unknown section [%.*s]", (int)(length < 64 ? length : 64), line);
    if (result < 0)
        config_reader_refuse(reader, result == -ENOMEM ? result : -EINVAL,
                             result == -ENOMEM ? strerror(ENOMEM) : reason.text);
}

static char *config_read_line(char *line, int size, void *stream)
{
    struct config_reader *reader = stream;
    if (reader->result != 0 || fgets(line, size, reader->file) == NULL)
        return NULL;
    reader->line++;
    size_t length = strlen(line);
    if (length + 1 == (size_t)size && line[length - 1] != '\n' && !feof(reader->file)) {
        config_reader_refuse(reader, -EINVAL, "line too long");
        return NULL;
    }
    size_t blanks = strspn(line, " \t");
    memmove(line, line + blanks, length - blanks + 1);
    if (line[0] == '[')
        config_check_section(reader, line + 1);
    return line;
}

/* inih's handler: 0 refuses the line. */
static int config_read_value(void *user, const char *section, const char *name, const char *value)
{
    struct config_reader *reader = user;
    struct config_error reason = {""};
    const struct config_table *table = NULL;
    const struct config_key *key = NULL;
    int result = config_find_section(reader, section, strlen(section), &table, &reason);
    if (result == 0 && table->keys == NULL)
        return 1;
    if (result == 0)
        key = config_find(table, name, strlen(name));
    if (key != NULL)
        result = config_set(table, key, value, &reason);
    else if (section[0] == '\0')
        result = config_refuse(&reason, "%s: outside of any [section]", name);
    else if (result != -ENOMEM)
        result = config_refuse(&reason, "unknown key '%s' in [%s]", name, section);
    if (result < 0)
        config_reader_refuse(reader, result, result == -EINVAL ? reason.text : strerror(-result));
    return result == 0;
}

int config_read_file(const struct config_table *tables, unsigned count, const char *path,
                     struct config_error *ret_error)
{
    return config_read_file_with(tables, count, NULL, path, ret_error);
}

int config_read_file_with(const struct config_table *tables, unsigned count, struct config_family *family,
                          const char *path, struct config_error *ret_error)
{
    struct config_reader reader = {
        .tables = tables, .count = count, .family = family, .path = path, .error = ret_error};
    reader.file = fopen(path, "re");
    if (reader.file == NULL) {
        int result = -errno;
        snprintf(ret_error->text, sizeof(ret_error->text), "%s: %s", path, strerror(-result));
        return result;
    }
    int line = ini_parse_stream(config_read_line, &reader, config_read_value, &reader);
    if (ferror(reader.file))
        config_reader_refuse(&reader, -EIO, "cannot be read");
    else if (line != 0)
        config_reader_refuse(&reader, -EINVAL, "neither a [section] nor KEY = VALUE");
    fclose(reader.file);
    return reader.result;
}

int config_set_argument(const struct config_table *tables, unsigned count, const char *argument,
                        struct config_error *ret_error)
{
    const char *name = strncmp(argument, "--", 2) == 0 ? argument + 2 : argument;
    size_t length = strcspn(name, "=");
    for (unsigned t = 0; t < count; t++) {
        const struct config_key *key = config_find(&tables[t], name, length);
        if (key == NULL)
            continue;
        if (name[length] == '\0')
            return config_refuse(ret_error, "%s: needs a value, as --%s=%s", argument, key->name, key->fallback);
        struct config_error reason = {""};
        int result = config_set(&tables[t], key, name + length + 1, &reason);
        if (result < 0)
            config_refuse(ret_error, "--%.*s", 400, result == -EINVAL ? reason.text : strerror(-result));
        return result;
    }
    return config_refuse(ret_error, "unknown option '%s'", argument);
}

/* ---- Other values for a daemon that runs. --------------------------------------------------------------------------------------- */

static size_t config_value_size(const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_SIZE:
        return sizeof(uint64_t);
    case CONFIG_CHOICE:
        return sizeof(unsigned);
    case CONFIG_BOOL:
        return sizeof(bool);
    default:
        return sizeof(char *);
    }
}

size_t config_values_size(const struct config_table *table)
{
    size_t size = 0;
    for (unsigned k = 0; k < table->count; k++) {
        size_t end = table->keys[k].offset + config_value_size(&table->keys[k]);
        size = end > size ? end : size;
    }
    return size;
}

static bool config_is_text(const struct config_key *key)
{
    return key->type == CONFIG_STRING || key->type == CONFIG_PATH;
}

static bool config_value_differs(const struct config_key *key, const void *value, const void *other)
{
    if (config_is_text(key))
        return strcmp(*(char *const *)value, *(char *const *)other) != 0;
    return memcmp(value, other, config_value_size(key)) != 0;
}

unsigned config_take(const struct config_table *tables, const struct config_table *fresh, unsigned count,
                     void (*kept)(const struct config_key *key))
{
    unsigned taken = 0;
    for (unsigned t = 0; t < count; t++)
        for (unsigned k = 0; k < tables[t].count; k++) {
            const struct config_key *key = &tables[t].keys[k];
            void *value = (char *)tables[t].values + key->offset;
            void *other = (char *)fresh[t].values + key->offset;
            if (!config_value_differs(key, value, other))
                continue;
            if (!key->live) {
                kept(key);
                continue;
            }
            unsigned char swapped[sizeof(uint64_t)];
            memcpy(swapped, value, config_value_size(key));
            memcpy(value, other, config_value_size(key));
            memcpy(other, swapped, config_value_size(key)); /* for config_fini() */
            taken++;
        }
    return taken;
}

void config_print_help(const struct config_table *tables, unsigned count, FILE *stream)
{
    for (unsigned t = 0; t < count; t++) {
        if (tables[t].keys == NULL)
            continue;
        fprintf(stream, "\n[%s]\n", tables[t].section);
        for (unsigned k = 0; k < tables[t].count; k++) {
            const struct config_key *key = &tables[t].keys[k];
            fprintf(stream, "  --%s=%s\n      %s (%s)\n", key->name, config_value_name(key), key->help, key->fallback);
        }
    }
}

void config_family_print_help(const struct config_family *family, FILE *stream)
{
    fprintf(stream, "\nIn the file only, any number of times:\n\n[%s NAME]\n", family->kind);
    for (unsigned k = 0; k < family->key_count; k++) {
        const struct config_key *key = &family->keys[k];
        fprintf(stream, "  %s = %s\n      %s (%s)\n", key->name, config_value_name(key), key->help, key->fallback);
    }
}

void config_fini(const struct config_table *tables, unsigned count)
{
    for (unsigned t = 0; t < count; t++)
        for (unsigned k = 0; tables[t].values != NULL && k < tables[t].count; k++) {
            const struct config_key *key = &tables[t].keys[k];
            if (!config_is_text(key))
                continue;
            char **value = (char **)(void *)((char *)tables[t].values + key->offset);
            free(*value);
            *value = NULL;
        }
}
