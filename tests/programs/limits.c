/* What a program is told that may not change or add everything.
 *
 *   limits gone          /dev and /tmp are not there
 *   limits read-only     / is read-only, /tmp and the devices are not
 *   limits bytes N       N bytes can be written
 *   limits inodes N      N files can be created
 */
#include <stdlib.h>

#include "report.h"

static void gone(void) {
    HAVE(fopen("/dev/null", "w"));
    HAVE(opendir("/dev"));
    HAVE(opendir("/tmp"));
    OPEN(open("/tmp/new", O_WRONLY | O_CREAT | O_EXCL, 0600));
    put("/new", "written");
    show("/new");
}

static void read_only(void) {
    show("/text");
    HAVE(fopen("/text", "r+"));
    HAVE(fopen("/new", "w"));
    OPEN(open("/text", O_RDONLY | O_TRUNC));
    OPEN(open("/text", O_RDONLY | O_CREAT, 0666));
    TRY(mkdir("/new", 0777));
    TRY(mkdir("/dir", 0777));
    TRY(unlink("/text"));
    TRY(rmdir("/tmp"));
    TRY(rename("/text", "/renamed"));
    TRY(rename("/text", "/tmp/text"));
    TRY(link("/text", "/tmp/text"));
    TRY(symlink("text", "/soft"));
    struct timespec times[2] = {{1, 0}, {2, 0}};
    TRY(utimensat(AT_FDCWD, "/text", times, 0));
    show("/text");
    OPEN(open("/tmp/new", O_WRONLY | O_CREAT | O_EXCL, 0600));
    put("/tmp/new", "temporary");
    show("/tmp/new");
    TRY(unlink("/tmp/new"));
    FILE *file = fopen("/dev/null", "w");
    TRY(fputs("dropped", file));
    TRY(fclose(file));
}

/* Writes until there is no more room; answers how many bytes. */
static long fill(const char *path, size_t at_once) {
    char *bytes = calloc(1, at_once);
    int fd = open(path, O_WRONLY | O_CREAT, 0666);
    long written = 0;
    for (ssize_t n; (n = write(fd, bytes, at_once)) > 0;)
        written += n;
    say("%s: %ld bytes, then %s", path, written, strerror(errno));
    close(fd);
    free(bytes);
    return written;
}

static void bytes(long limit) {
    TRY(fill("/new", 1000) == limit);
    TRY(fill("/text", 1000) == 0);
    show("/text");
    FILE *file = fopen("/other", "w");
    TRY(fputs("does not fit", file) < 0);
    TRY(fflush(file));
    fclose(file);
    TRY(unlink("/new"));
    TRY(fill("/other", 4 * limit) == limit);
    TRY(truncate("/other", limit / 2));
    TRY(fill("/new", 7) == limit - limit / 2);
}

static void inodes(int limit) {
    char path[16];
    for (int i = 0; i <= limit; i++) {
        sprintf(path, "/new%d", i);
        OPEN(open(path, O_WRONLY | O_CREAT, 0666));
    }
    TRY(mkdir("/more", 0777));
    TRY(symlink("text", "/more"));
    TRY(link("/text", "/more"));
    TRY(rename("/new0", "/more"));
    TRY(unlink("/text"));
    TRY(mkdir("/new0", 0777));
    TRY(mkdir("/another", 0777));
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "gone"))
        gone();
    else if (!strcmp(what, "read-only"))
        read_only();
    else if (!strcmp(what, "bytes") && argc > 2)
        bytes(atol(argv[2]));
    else if (!strcmp(what, "inodes") && argc > 2)
        inodes(atoi(argv[2]));
    else
        return 2;
    return 0;
}
