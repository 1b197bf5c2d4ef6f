/* What programs share that measure themselves. They print `NAME NANOSECONDS`: the
 * least of some passes, for whatever else the machine does only adds. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (1L << 20)

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static int open_or_fail(const char *path, int flags) {
    int fd = open(path, flags, 0666);
    if (fd < 0)
        fail(path);
    return fd;
}

/* The compiler must neither drop a copy nor know what is in the buffers. */
static void used(void *memory) {
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/* The same each time. */
static unsigned number_below(unsigned n) {
    static unsigned state = 0x9e3779b9;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

/* A time that `least` has not seen yet. */
#define NEVER 1e300

static void least(double *best, double value) {
    if (value < *best)
        *best = value;
}

/* Prints what one of `calls` calls took. */
static void report(const char *name, double took, long calls) {
    printf("%s %.2f\n", name, took / calls);
    fflush(stdout);
}

/* The same of a series. */
static void report_at(const char *name, long size, double took, long calls) {
    printf("%s.%ld %.2f\n", name, size, took / calls);
    fflush(stdout);
}

/* Whether the second argument asks for what only reads. */
static int reads_only(int argc, char **argv) {
    return argc > 2 && strcmp(argv[argc - 1], "reads") == 0;
}
