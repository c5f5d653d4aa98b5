/* SPDX-License-Identifier: MIT */
#include "compute/load.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "compute/backend.h"

#define PATH_MOST 4096
#define NAME_MOST 32

/* The running program's folder, with its last slash.  Links to the program are followed. */
static int program_folder(char folder[PATH_MOST])
{
    ssize_t n = readlink("/proc/self/exe", folder, PATH_MOST - 1);
    char *slash;

    if (n < 1)
        return err_errno(ERR_IO, "/proc/self/exe: cannot read, so the program does not know its folder");
    folder[n] = 0;
    if (n == PATH_MOST - 1 || !(slash = strrchr(folder, '/')))
        return err_set(ERR_LIMIT, "%s: too long for the folder of a program", folder);
    slash[1] = 0;
    return 0;
}

/* The object that an environment variable names: a file, also where the name has no slash. */
static int named(char path[PATH_MOST], const char *variable, const char *file)
{
    int n = snprintf(path, PATH_MOST, "%s%s", strchr(file, '/') ? "" : "./", file);

    if (n >= PATH_MOST)
        return err_set(ERR_LIMIT, "%s: the path is too long", variable);
    return access(path, R_OK) == 0 ? 0 : err_errno(ERR_UNSUPPORTED, "%s: %s: cannot read", variable, file);
}

static int find(char path[PATH_MOST], const char *name)
{
    static const char *const places[] = {"", "../lib/armchair/"};
    char folder[PATH_MOST], variable[NAME_MOST];
    const char *chosen;
    int rc, n;

    n = snprintf(variable, sizeof variable, "ARMCHAIR_%s", name);
    for (int i = 0; i < n && i < NAME_MOST - 1; i++)
        variable[i] = (char)toupper((unsigned char)variable[i]);
    if ((chosen = getenv(variable)) && *chosen)
        return named(path, variable, chosen);
    if ((rc = program_folder(folder)) != 0)
        return rc;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        n = snprintf(path, PATH_MOST, "%s%slibarmchair_%s.so", folder, places[i], name);
        if (n < PATH_MOST && access(path, F_OK) == 0)
            return 0;
    }
    return err_set(ERR_UNSUPPORTED, "libarmchair_%s.so is neither in %s nor in %s%s: it is built by make %s=1", name, folder,
                   folder, places[1], variable + strlen("ARMCHAIR_"));
}

/* The linker's words begin with the object that it could not load: the backend, or a library that it needs. */
static int cannot_load(const char *path)
{
    const char *why = dlerror();
    size_t size = strlen(path);

    if (strncmp(why, path, size) == 0 && why[size] == ':')
        return err_set(ERR_UNSUPPORTED, "%s", why);
    return err_set(ERR_UNSUPPORTED, "%s: needs %s", path, why);
}

int backend_load(const struct backend **ops, const char *name)
{
    char path[PATH_MOST];
    backend_entry *entry;
    void *object, *symbol;
    int rc = find(path, name);

    if (rc != 0)
        return rc;
    if (!(object = dlopen(path, RTLD_NOW | RTLD_LOCAL)))
        return cannot_load(path);
    if (!(symbol = dlsym(object, BACKEND_ENTRY)))
        return err_set(ERR_UNSUPPORTED, "%s: not a backend of this program", path);
    memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from an object to a function */
    if (!(*ops = entry(BACKEND_ABI, sizeof **ops, err_set)))
        return err_set(ERR_UNSUPPORTED, "%s: belongs to another version of this program", path);
    return 0;
}
