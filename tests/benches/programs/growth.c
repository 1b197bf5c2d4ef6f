/* What calls cost as paths get deeper, files more and larger, and open ones more.
 *
 *   growth CALLS MOST OPEN     at least so many calls in a pass, on up to so many files
 *                              or pieces of one, with up to so many open at once
 */
#include "bench.h"

#define PASSES 5

static long enough, most;

static long repeats_of(long n) { return n < enough ? enough / n : 1; }

static void depth(long n) {
    static char path[4096];
    double best = NEVER;
    struct stat st;
    strcpy(path, "/depth");
    for (long i = 0; i < n; i++) {
        if (mkdir(path, 0777) != 0 && errno != EEXIST)
            fail(path);
        strcat(path, "/d");
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        fail(path);
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < enough; i++)
            if (stat(path, &st) != 0)
                fail(path);
        least(&best, now() - start);
    }
    report_at("depth", n, best, enough);
    do
        rmdir(path);
    while ((*strrchr(path, '/') = 0, *path));
}

/* printf would cost more than what is measured. */
static const char *file(long i) {
    static char name[] = "/files/d-000/f-000";
    static char *const ends[] = {name + 11, name + 17};
    for (int part = 0; part < 2; part++) {
        long number = part == 0 ? i / 100 : i % 100;
        for (char *digit = ends[part]; *digit != '-'; digit--, number >>= 4)
            *digit = "0123456789abcdef"[number & 15];
    }
    return name;
}

/* The directory of a file. */
static const char *directory(long i) {
    static char name[16];
    memcpy(name, file(i), 12);
    return name;
}

/* Files of a byte, a hundred to a directory. */
static void files(long n) {
    double create = NEVER, stats = NEVER, opens = NEVER, removal = NEVER;
    struct stat st;
    char byte = 1;
    for (int pass = 0; pass < PASSES; pass++) {
        if (mkdir("/files", 0777) != 0)
            fail("/files");
        for (long i = 0; i < n; i += 100)
            if (mkdir(directory(i), 0777) != 0)
                fail("mkdir");
        double start = now();
        for (long i = 0; i < n; i++) {
            int fd = open_or_fail(file(i), O_CREAT | O_EXCL | O_WRONLY);
            if (write(fd, &byte, 1) != 1)
                fail("write");
            close(fd);
        }
        double next = now();
        least(&create, next - start);
        for (long i = 0; i < enough; i++)
            if (stat(file(number_below(n)), &st) != 0)
                fail("stat");
        start = now();
        least(&stats, start - next);
        for (long i = 0; i < enough; i++) {
            int fd = open_or_fail(file(number_below(n)), O_RDONLY);
            if (read(fd, &byte, 1) != 1)
                fail("read");
            close(fd);
        }
        next = now();
        least(&opens, next - start);
        for (long i = 0; i < n; i++)
            if (unlink(file(i)) != 0)
                fail("unlink");
        least(&removal, now() - next);
        for (long i = 0; i < n; i += 100)
            rmdir(directory(i));
        rmdir("/files");
    }
    report_at("file_create", n, create, n);
    report_at("file_stat", n, stats, enough);
    report_at("file_read", n, opens, enough);
    report_at("file_unlink", n, removal, n);
}

static void appends(const char *name, long n, size_t len) {
    static char bytes[100];
    double best = NEVER;
    long repeat = repeats_of(n);
    for (int pass = 0; pass < PASSES; pass++) {
        double took = 0;
        for (long again = 0; again < repeat; again++) {
            int fd = open_or_fail("/file", O_CREAT | O_EXCL | O_WRONLY | O_APPEND);
            double start = now();
            for (long i = 0; i < n; i++)
                if (write(fd, bytes, len) != (ssize_t)len)
                    fail("write");
            took += now() - start;
            close(fd);
            unlink("/file");
        }
        least(&best, took);
    }
    report_at(name, n, best, n * repeat);
}

/* Reads at random offsets of a file of which each mebibyte begins with 64 KiB. */
static void sizes(long kib) {
    static char block[65536], bytes[100];
    double best = NEVER;
    off_t size = (off_t)kib << 10;
    int fd = open_or_fail("/file", O_CREAT | O_EXCL | O_RDWR);
    for (off_t at = 0; at < size; at += MIB) {
        size_t len = size - at < (off_t)sizeof block ? (size_t)(size - at) : sizeof block;
        if (pwrite(fd, block, len, at) != (ssize_t)len)
            fail("pwrite");
    }
    if (ftruncate(fd, size) != 0)
        fail("ftruncate");
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < enough; i++) {
            off_t at = ((off_t)number_below(kib) << 10) + number_below(900);
            if (pread(fd, bytes, sizeof bytes, at) != sizeof bytes)
                fail("pread");
        }
        least(&best, now() - start);
    }
    close(fd);
    unlink("/file");
    report_at("pread", kib, best, enough);
}

/* Single bytes at random places of a file of holes. */
static void scattered(long n) {
    double best = NEVER;
    long repeat = repeats_of(n);
    for (int pass = 0; pass < PASSES; pass++) {
        double took = 0;
        for (long again = 0; again < repeat; again++) {
            int fd = open_or_fail("/file", O_CREAT | O_EXCL | O_RDWR);
            double start = now();
            for (long i = 0; i < n; i++)
                if (pwrite(fd, "x", 1, (off_t)number_below(1 << 20) << 12) != 1)
                    fail("pwrite");
            took += now() - start;
            close(fd);
            unlink("/file");
        }
        least(&best, took);
    }
    report_at("scatter", n, best, n * repeat);
}

/* Opening a file while n are open: behind all others, and where the lowest number
 * is free but the one behind it is not. */
static void descriptors(long n) {
    double top = NEVER, gap = NEVER;
    int *opened = malloc(n * sizeof *opened);
    if (!opened)
        fail("malloc");
    for (long i = 0; i < n; i++)
        opened[i] = open_or_fail("/file", O_CREAT | O_RDONLY);
    for (int pass = 0; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < enough; i++)
            close(open_or_fail("/file", O_RDONLY));
        double middle = now();
        for (long i = 0; i < enough; i++) {
            close(opened[0]);
            opened[0] = open_or_fail("/file", O_RDONLY);
            close(open_or_fail("/file", O_RDONLY));
        }
        least(&top, middle - start);
        least(&gap, now() - middle);
    }
    for (long i = 0; i < n; i++)
        close(opened[i]);
    free(opened);
    unlink("/file");
    report_at("open", n, top, enough);
    report_at("reopen", n, gap, 2 * enough);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    enough = atol(argv[1]);
    most = atol(argv[2]);
    for (long n = 1; n <= 64; n *= 2)
        depth(n);
    for (long n = 100; n <= most; n *= 10)
        files(n);
    for (long n = 100; n <= 10 * most; n *= 10)
        appends("append1", n, 1);
    for (long n = 100; n <= 10 * most; n *= 10)
        appends("append100", n, 100);
    for (long kib = 1; kib <= 1 << 20; kib <<= 5)
        sizes(kib);
    for (long n = 10; n <= most / 10; n *= 10)
        scattered(n);
    for (long n = 1; n <= atol(argv[3]); n *= 10)
        descriptors(n);
    return 0;
}
