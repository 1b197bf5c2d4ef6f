/* Measures reading of all files below /, wherever they are.
 *
 *   reads              reads the first bytes of one file, and measures nothing
 *   reads PASSES       prints `NAME VALUE`: how many files and bytes there are, what a
 *                      MiB costs when all are read in order, and what opening a random
 *                      file and reading 100 bytes anywhere in it costs, in nanoseconds
 */
#include <dirent.h>

#include "bench.h"

#define PIECE (64 << 10)
#define LOOKS 2000

struct file {
    char *path;
    long size;
};

static struct file *files;
static long count, room;
static char buffer[PIECE];

static void note(const char *path, long size) {
    if (count == room) {
        room = room ? 2 * room : 256;
        files = realloc(files, room * sizeof *files);
    }
    char *copy = strdup(path);
    if (!files || !copy)
        fail("memory");
    files[count++] = (struct file){copy, size};
}

/* Notes the files below a directory, but stops at the first if one is enough. */
static void find(const char *directory, int one) {
    DIR *dir = opendir(directory);
    struct dirent *entry;
    if (!dir)
        fail(directory);
    while (!(one && count) && (entry = readdir(dir))) {
        char path[4096];
        struct stat st;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s%s%s", directory, directory[1] ? "/" : "", entry->d_name);
        if (lstat(path, &st) != 0)
            fail(path);
        if (S_ISDIR(st.st_mode))
            find(path, one);
        else if (S_ISREG(st.st_mode) && st.st_size >= 100)
            note(path, st.st_size);
    }
    closedir(dir);
}

static void read_all(long passes) {
    double best = NEVER;
    long bytes = 0;
    for (long pass = 0; pass < passes; pass++) {
        double start = now();
        bytes = 0;
        for (long at = 0; at < count; at++) {
            int fd = open_or_fail(files[at].path, O_RDONLY);
            long got, sum = 0;
            while ((got = read(fd, buffer, PIECE)) > 0)
                sum += got;
            if (got < 0 || sum != files[at].size)
                fail(files[at].path);
            bytes += sum;
            close(fd);
        }
        least(&best, now() - start);
    }
    printf("files %ld\nbytes %ld\nread %.0f\n", count, bytes, best * MIB / bytes);
}

static void look_anywhere(void) {
    double start = now();
    for (int look = 0; look < LOOKS; look++) {
        struct file *file = &files[number_below(count)];
        int fd = open_or_fail(file->path, O_RDONLY);
        if (pread(fd, buffer, 100, number_below(file->size - 99)) != 100)
            fail(file->path);
        close(fd);
    }
    printf("look %.0f\n", (now() - start) / LOOKS);
}

int main(int argc, char **argv) {
    long passes = argc > 1 ? atol(argv[1]) : 0;
    find("/", passes == 0);
    if (count == 0)
        return 1;
    if (passes == 0) {
        int fd = open_or_fail(files[0].path, O_RDONLY);
        return read(fd, buffer, 100) != 100;
    }
    read_all(passes);
    look_anywhere();
    return 0;
}
