/* What calls cost as things grow: directories, paths, files, open descriptors.
 * Prints `NAME SIZE NANOSECONDS`, per call (per entry, per component): the least of
 * some passes, for all else is what others did on the machine.
 *
 *   growth          all of it, in /growth
 *
 * Whatever is cheap is done often enough for the clock, which is not.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PASSES 7
/* A measurement takes at least so many calls. */
#define ENOUGH 20000

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void report(const char *name, long size, const double *values) {
    double least = values[0];
    for (int pass = 1; pass < PASSES; pass++)
        if (values[pass] < least)
            least = values[pass];
    printf("%s %ld %.2f\n", name, size, least);
    fflush(stdout);
}

static unsigned long state = 0x9e3779b9;

static unsigned long number_below(unsigned long n) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

static int open_or_fail(const char *path, int flags) {
    int fd = open(path, flags, 0666);
    if (fd < 0)
        fail(path);
    return fd;
}

static char path[4096];

/* printf would cost more than what is measured. */
static const char *entry(long i) {
    static char name[] = "/growth/dir/entry-00000";
    for (char *digit = name + sizeof name - 2; *digit != '-'; digit--, i >>= 4)
        *digit = "0123456789abcdef"[i & 15];
    return name;
}

/* The first entry of a directory that is neither `.` nor `..`. */
static int first(char *name, size_t size) {
    DIR *dir = opendir("/growth/dir");
    struct dirent *found;
    if (!dir)
        fail("opendir");
    while ((found = readdir(dir)) && found->d_name[0] == '.')
        ;
    if (found)
        snprintf(name, size, "/growth/dir/%s", found->d_name);
    closedir(dir);
    return found != NULL;
}

static void directories(long n) {
    double create[PASSES], look[PASSES], miss[PASSES], opened[PASSES], list[PASSES];
    double drain[PASSES];
    long repeat = n < ENOUGH ? ENOUGH / n : 1;
    struct stat st;
    for (int pass = 0; pass < PASSES; pass++) {
        create[pass] = drain[pass] = 0;
        /* Small directories are made several times. */
        for (long r = 0; r < repeat; r++) {
            double start = now();
            if (mkdir("/growth/dir", 0777) != 0)
                fail("mkdir");
            for (long i = 0; i < n; i++)
                close(open_or_fail(entry(i), O_CREAT | O_EXCL | O_WRONLY));
            create[pass] += now() - start;
            if (r + 1 == repeat) {
                start = now();
                for (long i = 0; i < ENOUGH; i++)
                    if (stat(entry(number_below(n)), &st) != 0)
                        fail("stat");
                look[pass] = (now() - start) / ENOUGH;
                start = now();
                for (long i = 0; i < ENOUGH; i++)
                    if (stat(entry(n + number_below(n)), &st) == 0)
                        fail("there is no such entry");
                miss[pass] = (now() - start) / ENOUGH;
                start = now();
                for (long i = 0; i < ENOUGH; i++)
                    close(open_or_fail("/growth/dir", O_RDONLY | O_DIRECTORY));
                opened[pass] = (now() - start) / ENOUGH;
                long seen = 0;
                start = now();
                for (long again = 0; again < repeat; again++) {
                    DIR *dir = opendir("/growth/dir");
                    if (!dir)
                        fail("opendir");
                    while (readdir(dir))
                        seen++;
                    closedir(dir);
                }
                list[pass] = (now() - start) / seen;
                if (seen != (n + 2) * repeat)
                    fail("a listing is not complete");
            }
            char name[64];
            long removed = 0;
            start = now();
            while (first(name, sizeof name)) {
                if (unlink(name) != 0)
                    fail(name);
                removed++;
            }
            drain[pass] += now() - start;
            if (removed != n || rmdir("/growth/dir") != 0)
                fail("not all was removed");
        }
        create[pass] /= n * repeat;
        drain[pass] /= n * repeat;
    }
    report("create", n, create);
    report("lookup", n, look);
    report("miss", n, miss);
    report("opendir", n, opened);
    report("list", n, list);
    /* With fewer, each listing is shorter as well. */
    if (n >= 1000)
        report("drain", n, drain);
}

static void depth(long n) {
    double times[PASSES];
    struct stat st;
    strcpy(path, "/growth");
    for (long i = 0; i < n; i++) {
        strcat(path, "/d");
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            fail(path);
    }
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < ENOUGH; i++)
            if (stat(path, &st) != 0)
                fail(path);
        times[pass] = (now() - start) / ENOUGH / n;
    }
    report("depth", n, times);
}

static void appends(const char *name, long n, size_t len) {
    static char bytes[100];
    double times[PASSES];
    long repeat = n < ENOUGH ? ENOUGH / n : 1;
    for (int pass = 0; pass < PASSES; pass++) {
        times[pass] = 0;
        for (long r = 0; r < repeat; r++) {
            int fd = open_or_fail("/growth/file", O_CREAT | O_EXCL | O_WRONLY | O_APPEND);
            double start = now();
            for (long i = 0; i < n; i++)
                if (write(fd, bytes, len) != (ssize_t)len)
                    fail("write");
            times[pass] += now() - start;
            close(fd);
            unlink("/growth/file");
        }
        times[pass] /= n * repeat;
    }
    report(name, n, times);
}

/* Reads at random offsets of a file of which each mebibyte begins with 64 KiB. */
static void sizes(long kib) {
    static char block[65536], bytes[100];
    double times[PASSES];
    off_t size = (off_t)kib << 10;
    int fd = open_or_fail("/growth/file", O_CREAT | O_EXCL | O_RDWR);
    for (off_t at = 0; at < size; at += 1 << 20) {
        size_t len = size - at < (off_t)sizeof block ? (size_t)(size - at) : sizeof block;
        if (pwrite(fd, block, len, at) != (ssize_t)len)
            fail("pwrite");
    }
    if (ftruncate(fd, size) != 0)
        fail("ftruncate");
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < ENOUGH; i++) {
            off_t at = ((off_t)number_below(kib) << 10) + number_below(900);
            if (pread(fd, bytes, sizeof bytes, at) != sizeof bytes)
                fail("pread");
        }
        times[pass] = (now() - start) / ENOUGH;
    }
    close(fd);
    unlink("/growth/file");
    report("pread", kib, times);
}

/* Single bytes at random places of a file of holes. */
static void scattered(long n) {
    double times[PASSES];
    long repeat = n < ENOUGH ? ENOUGH / n : 1;
    for (int pass = 0; pass < PASSES; pass++) {
        times[pass] = 0;
        for (long r = 0; r < repeat; r++) {
            int fd = open_or_fail("/growth/file", O_CREAT | O_EXCL | O_RDWR);
            double start = now();
            for (long i = 0; i < n; i++)
                if (pwrite(fd, "x", 1, (off_t)number_below(1 << 20) << 12) != 1)
                    fail("pwrite");
            times[pass] += now() - start;
            close(fd);
            unlink("/growth/file");
        }
        times[pass] /= n * repeat;
    }
    report("scatter", n, times);
}

/* Opening a file while n are open: behind all others, and where the lowest number
 * is free but the one behind it is not. */
static void descriptors(long n) {
    double top[PASSES], gap[PASSES];
    int *open_files = malloc(n * sizeof *open_files);
    if (!open_files)
        fail("malloc");
    for (long i = 0; i < n; i++)
        open_files[i] = open_or_fail("/growth/open", O_CREAT | O_RDONLY);
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < ENOUGH; i++)
            close(open_or_fail("/growth/open", O_RDONLY));
        double middle = now();
        for (long i = 0; i < ENOUGH; i++) {
            close(open_files[0]);
            open_files[0] = open_or_fail("/growth/open", O_RDONLY);
            close(open_or_fail("/growth/open", O_RDONLY));
        }
        top[pass] = (middle - start) / ENOUGH;
        gap[pass] = (now() - middle) / ENOUGH / 2;
    }
    for (long i = 0; i < n; i++)
        close(open_files[i]);
    free(open_files);
    report("open", n, top);
    report("reopen", n, gap);
}

int main(void) {
    if (mkdir("/growth", 0777) != 0)
        fail("mkdir");
    for (long n = 10; n <= 100000; n *= 10)
        directories(n);
    for (long n = 1; n <= 64; n *= 2)
        depth(n);
    for (long n = 100; n <= 1000000; n *= 10)
        appends("append1", n, 1);
    for (long n = 100; n <= 1000000; n *= 10)
        appends("append100", n, 100);
    for (long kib = 1; kib <= 1 << 20; kib <<= 5)
        sizes(kib);
    for (long n = 10; n <= 10000; n *= 10)
        scattered(n);
    for (long n = 1; n <= 100000; n *= 10)
        descriptors(n);
    return 0;
}
