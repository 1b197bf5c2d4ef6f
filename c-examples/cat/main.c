/* cat: prints the files named on the command line; a directory is listed with
 * everything below it, each file with its size. Without arguments: `cat /`.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed;

static void complain(const char *path) {
    fflush(stdout);
    fprintf(stderr, "cat: %s: %s\n", path, strerror(errno));
    failed = 1;
}

static void print_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        complain(path);
        return;
    }
    char buffer[4096];
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, file)) > 0)
        fwrite(buffer, 1, n, stdout);
    if (ferror(file))
        complain(path);
    fclose(file);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in directory `path`, sorted; the caller frees each and the array. */
static char **names_in(const char *path, size_t *count) {
    DIR *dir = opendir(path);
    char **names = NULL;
    size_t capacity = 0;
    *count = 0;
    if (!dir) {
        complain(path);
        return NULL;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            names = realloc(names, capacity * sizeof *names);
        }
        names[(*count)++] = strdup(entry->d_name);
    }
    closedir(dir);
    if (*count)
        qsort(names, *count, sizeof *names, by_name);
    return names;
}

static void list(const char *path) {
    size_t count;
    char **names = names_in(path, &count);
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(path);
        const char *slash = length && path[length - 1] == '/' ? "" : "/";
        char *child = malloc(length + strlen(names[i]) + 2);
        struct stat st;
        sprintf(child, "%s%s%s", path, slash, names[i]);
        if (lstat(child, &st) != 0) {
            complain(child);
        } else if (S_ISDIR(st.st_mode)) {
            printf("%10s  %s/\n", "", child);
            list(child);
        } else if (S_ISLNK(st.st_mode)) {
            char target[1024];
            ssize_t n = readlink(child, target, sizeof target);
            if (n < 0)
                complain(child);
            else
                printf("%10s  %s -> %.*s\n", "", child, (int)n, target);
        } else {
            printf("%10lld  %s\n", (long long)st.st_size, child);
        }
        free(child);
        free(names[i]);
    }
    free(names);
}

static void cat(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0)
        complain(path);
    else if (S_ISDIR(st.st_mode))
        list(path);
    else
        print_file(path);
}

int main(int argc, char **argv) {
    if (argc < 2)
        cat("/");
    for (int i = 1; i < argc; i++)
        cat(argv[i]);
    return failed;
}
