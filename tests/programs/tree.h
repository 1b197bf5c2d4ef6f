/* Prints a tree as lines that can be compared: what a packed program leaves
 * behind dies with it, so it has to show it itself.
 *
 *   /dir/                        a directory
 *   /dir/file 12 1 00c0ffee…     size, links, FNV-1a of the contents
 *   /dir/link -> target
 *   /dir/null device
 */
#ifndef TREE_H
#define TREE_H

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void tree_fail(const char *path) {
    printf("%s: %s\n", path, strerror(errno));
    fflush(stdout);
    _Exit(99);
}

static int tree_by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void tree_file(const char *path, const struct stat *st) {
    uint64_t hash = 14695981039346656037u;
    FILE *file = fopen(path, "rb");
    if (!file)
        tree_fail(path);
    for (int c; (c = getc(file)) != EOF;)
        hash = (hash ^ (uint64_t)c) * 1099511628211u;
    fclose(file);
    printf("%s %lld %u %016llx\n", path, (long long)st->st_size, (unsigned)st->st_nlink,
           (unsigned long long)hash);
}

/* Prints what is below directory `path`; "" is the root. */
static void tree_below(const char *path) {
    size_t count = 0, capacity = 0;
    char **names = NULL;
    DIR *dir = opendir(*path ? path : "/");
    if (!dir)
        tree_fail(path);
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry && errno)
            tree_fail(path);
        if (!entry)
            break;
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            names = (char **)realloc(names, capacity * sizeof *names);
        }
        names[count++] = strdup(entry->d_name);
    }
    closedir(dir);
    if (count)
        qsort(names, count, sizeof *names, tree_by_name);
    for (size_t i = 0; i < count; i++) {
        char *child = (char *)malloc(strlen(path) + strlen(names[i]) + 2);
        struct stat st;
        sprintf(child, "%s/%s", path, names[i]);
        if (lstat(child, &st) != 0)
            tree_fail(child);
        if (S_ISDIR(st.st_mode)) {
            printf("%s/\n", child);
            tree_below(child);
        } else if (S_ISLNK(st.st_mode)) {
            char target[1024];
            ssize_t n = readlink(child, target, sizeof target);
            if (n < 0)
                tree_fail(child);
            printf("%s -> %.*s\n", child, (int)n, target);
        } else if (!S_ISREG(st.st_mode)) {
            printf("%s device\n", child);
        } else {
            tree_file(child, &st);
        }
        free(child);
        free(names[i]);
    }
    free(names);
}

/* Prints the whole tree if the environment asks for it. */
static void dump_tree(void) {
    if (!getenv("MONAKA_DUMP"))
        return;
    puts("--- tree");
    tree_below("");
    fflush(stdout);
}

#endif
