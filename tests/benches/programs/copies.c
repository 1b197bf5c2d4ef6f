/* Measures reading and writing in pieces of a byte to a MiB, one after the other and
 * at random, beside memcpy of the same bytes at the same offsets in the same passes:
 * what the machine can do. /big is the file to read.
 *
 *   copies CALLS MIB all|reads     so many calls in a pass, on so much of the file
 */
#include "bench.h"

#define PASSES 8

static char *buffer, *mirror;
/* Where the calls of a pass that jumps go. */
static unsigned *places;
static long region, most;

/* How many calls of this size a pass has. */
static long calls_of(long size) {
    long calls = region / size;
    return calls < most ? calls : most;
}

static void jump_about(long size, long calls) {
    for (long i = 0; i < calls; i++)
        places[i] = number_below((unsigned)(region / size)) * size;
}

/* A call that did less than it was asked to is made again for the rest. */
#define ALL(call, fd, size, at)                                                        \
    for (long done = 0; done < (size);) {                                              \
        ssize_t more = call((fd), buffer + done, (size) - done, (at) + done);          \
        if (more <= 0)                                                                 \
            fail(#call);                                                               \
        done += more;                                                                  \
    }

#define read_next(fd, to, size, at) read(fd, to, size)
#define write_next(fd, from, size, at) write(fd, from, size)

/* The first pass touches every page and does not count. */
static void reads(int fd, long size) {
    double copies = NEVER, calls = NEVER;
    long n = calls_of(size);
    for (int pass = -1; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < n; i++) {
            __builtin_memcpy(buffer, mirror + i * size, size);
            used(buffer);
        }
        double copied = now();
        lseek(fd, 0, SEEK_SET);
        for (long i = 0; i < n; i++)
            ALL(read_next, fd, size, 0)
        if (pass >= 0) {
            least(&calls, now() - copied);
            least(&copies, copied - start);
        }
    }
    report_at("copy_out", size, copies, n);
    report_at("read", size, calls, n);
}

static ssize_t seek_and_read(int fd, void *to, size_t size, off_t at) {
    return lseek(fd, at, SEEK_SET) < 0 ? -1 : read(fd, to, size);
}

/* Calls that move nothing, and together take about as long as one that reads a byte. */
static void between(int fd) {
    for (int i = 0; i < 3; i++)
        lseek(fd, 0, SEEK_SET);
}

/* Reports under these names: copies by themselves, copies with calls in between, and
 * calls that read. */
static void random_reads(int fd, long size, const char *const names[3]) {
    double copies = NEVER, apart = NEVER, calls = NEVER;
    long n = calls_of(size);
    int has_pread = pread(fd, buffer, 1, 0) == 1 || errno != ENOTSUP;
    for (int pass = -1; pass < PASSES; pass++) {
        jump_about(size, n);
        double start = now();
        for (long i = 0; i < n; i++) {
            __builtin_memcpy(buffer, mirror + places[i], size);
            used(buffer);
        }
        double copied = now();
        for (long i = 0; i < n; i++) {
            __builtin_memcpy(buffer, mirror + places[i], size);
            used(buffer);
            between(fd);
        }
        double copied_apart = now();
        if (has_pread)
            for (long i = 0; i < n; i++)
                ALL(pread, fd, size, places[i])
        else
            for (long i = 0; i < n; i++)
                ALL(seek_and_read, fd, size, places[i])
        if (pass >= 0) {
            least(&calls, now() - copied_apart);
            least(&apart, copied_apart - copied);
            least(&copies, copied - start);
        }
    }
    report_at(names[0], size, copies, n);
    report_at(names[1], size, apart, n);
    report_at(names[2], size, calls, n);
}

/* A new file, then the same again over its bytes. */
static void writes(long size) {
    double copies = NEVER, calls = NEVER, overs = NEVER;
    long n = calls_of(size);
    for (int pass = -1; pass < PASSES; pass++) {
        double start = now();
        for (long i = 0; i < n; i++) {
            __builtin_memcpy(mirror + i * size, buffer, size);
            used(mirror);
        }
        double copied = now();
        int fd = open_or_fail("/new", O_RDWR | O_CREAT | O_EXCL);
        for (long i = 0; i < n; i++)
            ALL(write_next, fd, size, 0)
        double written = now();
        lseek(fd, 0, SEEK_SET);
        for (long i = 0; i < n; i++)
            ALL(write_next, fd, size, 0)
        double over = now();
        close(fd);
        unlink("/new");
        if (pass >= 0) {
            least(&copies, copied - start);
            least(&calls, written - copied);
            least(&overs, over - written);
        }
    }
    report_at("copy_in", size, copies, n);
    report_at("write", size, calls, n);
    report_at("overwrite", size, overs, n);
}

static void random_writes(int fd, long size) {
    double copies = NEVER, calls = NEVER;
    long n = calls_of(size);
    for (int pass = -1; pass < PASSES; pass++) {
        jump_about(size, n);
        double start = now();
        for (long i = 0; i < n; i++) {
            __builtin_memcpy(mirror + places[i], buffer, size);
            used(mirror);
        }
        double copied = now();
        for (long i = 0; i < n; i++)
            ALL(pwrite, fd, size, places[i])
        if (pass >= 0) {
            least(&calls, now() - copied);
            least(&copies, copied - start);
        }
    }
    report_at("random_copy_in", size, copies, n);
    report_at("random_write", size, calls, n);
}

int main(int argc, char **argv) {
    static const char *const packed[] = {"random_copy_out", "random_copy_out_apart",
                                         "random_read"};
    static const char *const written[] = {"random_copy_back", "random_copy_back_apart",
                                          "random_read_back"};
    static const long sizes[] = {1, 64, 512, 4 << 10, 64 << 10, MIB};
    const int kinds = sizeof sizes / sizeof *sizes;
    if (argc < 4)
        return 2;
    most = atol(argv[1]);
    region = atol(argv[2]) * MIB;
    buffer = malloc(MIB);
    mirror = malloc(region);
    places = malloc(most * sizeof *places);
    if (!buffer || !mirror || !places)
        fail("malloc");
    memset(buffer, 1, MIB);
    memset(mirror, 2, region);
    int fd = open_or_fail("/big", O_RDONLY);
    for (int kind = 0; kind < kinds; kind++) {
        reads(fd, sizes[kind]);
        random_reads(fd, sizes[kind], packed);
    }
    close(fd);
    if (reads_only(argc, argv))
        return 0;
    for (int kind = 0; kind < kinds; kind++)
        writes(sizes[kind]);
    fd = open_or_fail("/new", O_RDWR | O_CREAT | O_EXCL);
    for (long at = 0; at < region; at += MIB)
        ALL(write_next, fd, MIB, 0)
    for (int kind = 0; kind < kinds; kind++) {
        random_writes(fd, sizes[kind]);
        random_reads(fd, sizes[kind], written);
    }
    close(fd);
    unlink("/new");
    return 0;
}
