/* Measures small calls from inside, on / whatever that is: packed or the host's.
 * /big has a MiB or more, /one/two/three/file is three directories down.
 *
 *   calls REPEAT all|reads
 */
#include "bench.h"

/* Many short ones: in some of them the machine does nothing else. */
#define PASSES 60
#define STORMS 24
/* A directory for storms does not get larger. */
#define MANY 10000

static const char *const deep = "/one/two/three/file";
static char byte;

static void reading(long repeat) {
    double read1 = NEVER, pread1 = NEVER, open_close = NEVER, stats = NEVER;
    struct stat st;
    int fd = open_or_fail("/big", O_RDONLY);
    /* Not every file system has it. */
    int has_pread = pread(fd, &byte, 1, 0) == 1 || errno != ENOTSUP;
    for (int pass = 0; pass < PASSES; pass++) {
        lseek(fd, 0, SEEK_SET);
        double start = now();
        for (long i = 0; i < repeat; i++)
            if (read(fd, &byte, 1) != 1)
                fail("read");
        double next = now();
        least(&read1, next - start);
        for (long i = 0; has_pread && i < repeat; i++)
            if (pread(fd, &byte, 1, i * 4099 % MIB) != 1)
                fail("pread");
        least(&pread1, now() - next);
        start = now();
        for (long i = 0; i < repeat; i++)
            close(open_or_fail(deep, O_RDONLY));
        next = now();
        least(&open_close, next - start);
        for (long i = 0; i < repeat; i++)
            if (stat(deep, &st) != 0)
                fail("stat");
        least(&stats, now() - next);
    }
    close(fd);
    report("read", read1, repeat);
    if (has_pread)
        report("pread", pread1, repeat);
    report("open", open_close, repeat);
    report("stat", stats, repeat);
}

static void writing(long repeat) {
    static char line[100];
    double write1 = NEVER, append100 = NEVER;
    for (int pass = 0; pass < PASSES; pass++) {
        int fd = open_or_fail("/written", O_CREAT | O_TRUNC | O_RDWR);
        double start;
        /* The first time over, the file grows. */
        for (int over = 0; over < 2; over++) {
            lseek(fd, 0, SEEK_SET);
            start = now();
            for (long i = 0; i < repeat; i++)
                if (write(fd, &byte, 1) != 1)
                    fail("write");
        }
        least(&write1, now() - start);
        close(fd);
        fd = open_or_fail("/written", O_TRUNC | O_WRONLY | O_APPEND);
        start = now();
        for (long i = 0; i < repeat; i++)
            if (write(fd, line, sizeof line) != sizeof line)
                fail("write");
        least(&append100, now() - start);
        close(fd);
    }
    unlink("/written");
    report("write", write1, repeat);
    report("append", append100, repeat);
}

/* printf would cost more than what is measured. */
static char *numbered(char *name, long i) {
    for (char *digit = name + strlen(name) - 1; *digit != '-'; digit--, i >>= 4)
        *digit = "0123456789abcdef"[i & 15];
    return name;
}

static void storms(long repeat) {
    static char from[] = "/storm/from-0000", to[] = "/storm/to-0000";
    double create = NEVER, renames = NEVER, removal = NEVER, mkdirs = NEVER, rmdirs = NEVER;
    long n = repeat < MANY ? repeat : MANY;
    if (mkdir("/storm", 0777) != 0)
        fail("/storm");
    for (int pass = 0; pass < STORMS; pass++) {
        double start = now();
        for (long i = 0; i < n; i++) {
            int fd = open_or_fail(numbered(from, i), O_CREAT | O_EXCL | O_WRONLY);
            if (write(fd, "hello", 5) != 5)
                fail("write");
            close(fd);
        }
        double next = now();
        least(&create, next - start);
        for (long i = 0; i < n; i++)
            if (rename(numbered(from, i), numbered(to, i)) != 0)
                fail("rename");
        start = now();
        least(&renames, start - next);
        for (long i = 0; i < n; i++)
            if (unlink(numbered(to, i)) != 0)
                fail("unlink");
        next = now();
        least(&removal, next - start);
        for (long i = 0; i < n; i++)
            if (mkdir(numbered(to, i), 0777) != 0)
                fail("mkdir");
        start = now();
        least(&mkdirs, start - next);
        for (long i = 0; i < n; i++)
            if (rmdir(numbered(to, i)) != 0)
                fail("rmdir");
        least(&rmdirs, now() - start);
    }
    rmdir("/storm");
    report("create", create, n);
    report("rename", renames, n);
    report("unlink", removal, n);
    report("mkdir", mkdirs, n);
    report("rmdir", rmdirs, n);
}

int main(int argc, char **argv) {
    long repeat = argc > 1 ? atol(argv[1]) : 1000;
    if (repeat == 0)
        return 0;
    reading(repeat);
    if (!reads_only(argc, argv)) {
        writing(repeat);
        storms(repeat);
    }
    return 0;
}
