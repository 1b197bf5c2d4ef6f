/* Measures file calls from inside, on / whatever that is: packed or the host's.
 * /big is 100 MB, /one/two/three/file is three directories down.
 *
 *   calls REPEAT      prints `NAME NANOSECONDS`, per call or per MiB; 0 does nothing
 *
 * The reference is memory.copy between two places of this module's memory, over
 * as much memory as the file has, in the same passes: what the machine can do.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (1 << 20)
#define PASSES 24

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

/* The compiler must neither drop a copy nor know what is in the buffers. */
static void used(void *memory) {
    __asm__ volatile("" : : "r"(memory) : "memory");
}

/* Whatever else the machine does only adds. */
static double least(const double *values, int n) {
    double value = values[0];
    for (int i = 1; i < n; i++)
        if (values[i] < value)
            value = values[i];
    return value;
}

static char *buffer, *mirror;

/* One pass over the file in pieces of 1 MiB beside one of memory.copy. */
static void read_all(void) {
    struct stat st;
    double copies[PASSES], reads[PASSES];
    int fd = open("/big", O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0)
        fail("/big");
    long pieces = st.st_size / MIB;
    for (int pass = -1; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < pieces; i++) {
            __builtin_memcpy(buffer, mirror + i * MIB, MIB);
            used(buffer);
        }
        double middle = now();
        lseek(fd, 0, SEEK_SET);
        for (long i = 0; i < pieces; i++)
            if (read(fd, buffer, MIB) != MIB)
                fail("read");
        double end = now();
        if (pass < 0)
            continue; /* touches every page once */
        copies[pass] = (middle - start) / pieces;
        reads[pass] = (end - middle) / pieces;
    }
    close(fd);
    printf("copy_out %.1f\nread %.1f\n", least(copies, PASSES), least(reads, PASSES));
}

/* A new file of 64 MiB, then the same bytes again into the existing one. */
static void write_all(void) {
    double copies[PASSES], news[PASSES], overs[PASSES];
    const int pieces = 64;
    for (int pass = -1; pass < PASSES; pass++) {
        double start = now();
        for (int i = 0; i < pieces; i++) {
            __builtin_memcpy(mirror + (long)i * MIB, buffer, MIB);
            used(mirror);
        }
        double copied = now();
        int fd = open("/new", O_RDWR | O_CREAT | O_EXCL, 0666);
        for (int i = 0; i < pieces; i++)
            if (write(fd, buffer, MIB) != MIB)
                fail("write");
        double written = now();
        lseek(fd, 0, SEEK_SET);
        for (int i = 0; i < pieces; i++)
            if (write(fd, buffer, MIB) != MIB)
                fail("write");
        double over = now();
        close(fd);
        unlink("/new");
        if (pass < 0)
            continue;
        copies[pass] = (copied - start) / pieces;
        news[pass] = (written - copied) / pieces;
        overs[pass] = (over - written) / pieces;
    }
    printf("copy_in %.1f\nwrite %.1f\noverwrite %.1f\n", least(copies, PASSES),
           least(news, PASSES), least(overs, PASSES));
}

static void small_calls(long repeat) {
    double preads[PASSES], opens[PASSES], stats[PASSES];
    struct stat st;
    int fd = open("/big", O_RDONLY);
    for (int pass = -1; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < repeat; i++)
            if (pread(fd, buffer, 1, i * 4099 % MIB) != 1)
                fail("pread");
        double pread_done = now();
        for (long i = 0; i < repeat; i++) {
            int file = open("/one/two/three/file", O_RDONLY);
            if (file < 0)
                fail("open");
            close(file);
        }
        double open_done = now();
        for (long i = 0; i < repeat; i++)
            if (stat("/one/two/three/file", &st) != 0)
                fail("stat");
        double stat_done = now();
        if (pass < 0)
            continue;
        preads[pass] = (pread_done - start) / repeat;
        opens[pass] = (open_done - pread_done) / repeat;
        stats[pass] = (stat_done - open_done) / repeat;
    }
    close(fd);
    printf("pread %.1f\nopen %.1f\nstat %.1f\n", least(preads, PASSES), least(opens, PASSES),
           least(stats, PASSES));
}

int main(int argc, char **argv) {
    long repeat = argc > 1 ? atol(argv[1]) : 1000;
    if (repeat == 0)
        return 0;
    buffer = malloc(MIB);
    mirror = malloc(100 * MIB);
    if (!buffer || !mirror)
        fail("malloc");
    memset(buffer, 1, MIB);
    memset(mirror, 2, 100 * MIB);
    read_all();
    write_all();
    small_calls(repeat);
    return 0;
}
