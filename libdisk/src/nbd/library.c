/* SPDX-License-Identifier: MIT */
/* See library.h. It is never unloaded. */
#include "nbd/library.h"

#include <dlfcn.h>
#include <errno.h>

#include "kind.h"

#define NBD_LIBRARY_FILE "libnbd.so.0"

struct nbd_library nbd_library;

bool nbd_library_is_loaded(void)
{
    return nbd_library.nbd_create != NULL;
}

/* Finds all of the functions, or says which is missing. */
static const char *find_functions(void *handle, struct nbd_library *ret_library)
{
#define X(name)                                                  \
    *(void **)(void *)&ret_library->name = dlsym(handle, #name); \
    if (!ret_library->name)                                      \
        return #name;
    NBD_LIBRARY_FUNCTIONS(X)
#undef X
    return NULL;
}

int nbd_library_load(struct disk_error *ret_error)
{
    struct nbd_library found;
    if (nbd_library_is_loaded())
        return 0;
    void *handle = dlopen(NBD_LIBRARY_FILE, RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return disk_refuse(ret_error, -ENOPKG, "NBD disks need libnbd (package libnbd0): %.180s", dlerror());
    const char *missing = find_functions(handle, &found);
    if (missing)
        return disk_refuse(ret_error, -ENOPKG, "NBD disks need a newer libnbd: this one has no %s", missing);
    nbd_library = found;
    return 0;
}
