/* SPDX-License-Identifier: MIT */
/*
 * Sections that a file may have any number of, each with a name of its own: see struct config_family.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int refuse(const char *name, const char *kind, const char *why, struct config_error *ret_error)
{
    snprintf(ret_error->text, sizeof(ret_error->text), "[%s %.64s]: %s", kind, name, why);
    return -EINVAL;
}

/* Adds a table whose values are the defaults; takes `section` over when that succeeds. */
static int add(struct config_family *family, char *section, struct config_error *ret_error)
{
    struct config_table *tables, *table;

    tables = reallocarray(family->tables, family->count + 1, sizeof(*tables));
    if (tables == NULL)
        return -ENOMEM;
    family->tables = tables;
    table = &tables[family->count];
    *table = (struct config_table){.section = section, .keys = family->keys, .count = family->key_count};
    table->values = calloc(1, config_values_size(table));
    if (table->values == NULL)
        return -ENOMEM;
    int result = config_set_defaults(table, 1, ret_error);
    if (result < 0) {
        config_fini(table, 1);
        free(table->values);
        return result;
    }
    family->count++;
    return 0;
}

int config_family_find(struct config_family *family, const char *section, size_t length,
                       const struct config_table **ret_table, struct config_error *ret_error)
{
    const size_t kind = strlen(family->kind);

    if (length < kind || memcmp(section, family->kind, kind) != 0 || (length > kind && section[kind] != ' '))
        return -ENOENT;
    for (unsigned t = 0; t < family->count; t++)
        if (strlen(family->tables[t].section) == length && memcmp(family->tables[t].section, section, length) == 0) {
            *ret_table = &family->tables[t];
            return 0;
        }
    char *copy = strndup(section, length);
    if (copy == NULL)
        return -ENOMEM;
    const char *name = length > kind ? copy + kind + 1 : "";
    int result;
    if (!family->name_is_valid(name))
        result = refuse(name, family->kind, "not a name", ret_error);
    else if (family->count >= family->max)
        result = refuse(name, family->kind, "one section too many of this kind", ret_error);
    else
        result = add(family, copy, ret_error);
    if (result < 0) {
        free(copy);
        return result;
    }
    *ret_table = &family->tables[family->count - 1];
    return 0;
}

const char *config_family_name(const struct config_family *family, unsigned index)
{
    return family->tables[index].section + strlen(family->kind) + 1;
}

void config_family_fini(struct config_family *family)
{
    for (unsigned t = 0; t < family->count; t++) {
        config_fini(&family->tables[t], 1);
        free(family->tables[t].values);
        free((char *)family->tables[t].section);
    }
    free(family->tables);
    family->tables = NULL;
    family->count = 0;
}
