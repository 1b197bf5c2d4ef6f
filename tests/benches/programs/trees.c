/* Copies trees of files: with readdir, open, read, write and close, as cp -r does.
 *
 *   trees N…       copies /trees/N, which has so many files, to /copy and removes that
 *
 * Prints nanoseconds per file, and what memcpy takes of as many bytes in as many parts.
 */
#include <dirent.h>

#include "bench.h"

#define PASSES 3
#define BUFFER (64 * 1024)

static char buffer[BUFFER];
static long files, bytes;
/* Of what was copied, for memcpy. */
static int *lengths;
static long room;

static void noted(int length) {
    if (files == room) {
        room = room ? 2 * room : 1024;
        lengths = realloc(lengths, room * sizeof *lengths);
        if (!lengths)
            fail("realloc");
    }
    lengths[files++] = length;
    bytes += length;
}

static void copy_file(const char *from, const char *to) {
    int source = open_or_fail(from, O_RDONLY);
    int target = open_or_fail(to, O_CREAT | O_EXCL | O_WRONLY);
    ssize_t length;
    int whole = 0;
    while ((length = read(source, buffer, BUFFER)) > 0) {
        if (write(target, buffer, length) != length)
            fail(to);
        whole += length;
    }
    if (length < 0)
        fail(from);
    close(source);
    close(target);
    noted(whole);
}

/* Both paths have room for a name more. */
static void copy_tree(char *from, char *to) {
    size_t from_end = strlen(from), to_end = strlen(to);
    DIR *dir = opendir(from);
    struct dirent *entry;
    if (!dir)
        fail(from);
    if (mkdir(to, 0777) != 0)
        fail(to);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        from[from_end] = to[to_end] = '/';
        strcpy(from + from_end + 1, entry->d_name);
        strcpy(to + to_end + 1, entry->d_name);
        if (entry->d_type == DT_DIR)
            copy_tree(from, to);
        else
            copy_file(from, to);
        from[from_end] = to[to_end] = 0;
    }
    closedir(dir);
}

static void remove_tree(char *path) {
    size_t end = strlen(path);
    DIR *dir = opendir(path);
    struct dirent *entry;
    if (!dir)
        fail(path);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        path[end] = '/';
        strcpy(path + end + 1, entry->d_name);
        if (entry->d_type == DT_DIR)
            remove_tree(path);
        else if (unlink(path) != 0)
            fail(path);
        path[end] = 0;
    }
    closedir(dir);
    if (rmdir(path) != 0)
        fail(path);
}

/* From and to places that no cache has, as those of files are not. */
static double copy_bytes(void) {
    char *from = malloc(bytes + 1), *to = malloc(bytes + 1);
    if (!from || !to)
        fail("malloc");
    memset(from, 'x', bytes);
    memset(to, 'y', bytes);
    double start = now();
    char *at = from, *place = to;
    for (long file = 0; file < files; file++) {
        memcpy(place, at, lengths[file]);
        at += lengths[file];
        place += lengths[file];
    }
    used(to);
    double took = now() - start;
    free(from);
    free(to);
    return took;
}

int main(int argc, char **argv) {
    for (int arg = 1; arg < argc; arg++) {
        char from[1024] = "/trees/", to[1024] = "/copy";
        double copied = NEVER, removed = NEVER, moved = NEVER;
        strcat(from, argv[arg]);
        for (int pass = 0; pass < PASSES; pass++) {
            files = bytes = 0;
            double start = now();
            copy_tree(from, to);
            least(&copied, now() - start);
            start = now();
            remove_tree(to);
            least(&removed, now() - start);
            least(&moved, copy_bytes());
        }
        if (files != atol(argv[arg])) {
            fprintf(stderr, "%s has %ld files\n", from, files);
            return 1;
        }
        report_at("copy", files, copied, files);
        report_at("remove", files, removed, files);
        report_at("memcpy", files, moved, files);
    }
    return 0;
}
