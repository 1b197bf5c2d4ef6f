/* The devices of /dev through libc.
 *
 *   devices          those that every machine has
 *   devices stdio    /dev/stdin, /dev/stdout and /dev/stderr, and a file in /tmp
 */
#include <poll.h>

#include "report.h"

static int is_zero(const void *bytes, size_t size) {
    const char *byte = bytes;
    while (size && !*byte)
        byte++, size--;
    return size == 0;
}

static void attributes(const char *path) {
    struct stat st;
    say("# %s", path);
    TRY(stat(path, &st));
    TRY(S_ISCHR(st.st_mode) != 0);
    TRY(st.st_size);
    TRY(access(path, R_OK | W_OK));
    TRY(mkdir(path, 0777));
    OPEN(open(path, O_RDWR | O_CREAT | O_EXCL, 0666));
    OPEN(open(path, O_RDONLY | O_DIRECTORY));
    HAVE(opendir(path));
    char below[32];
    sprintf(below, "%s/below", path);
    OPEN(open(below, O_RDONLY));
}

static void null_device(void) {
    char text[8];
    FILE *file = fopen("/dev/null", "w");
    HAVE(file);
    TRY(fputs("dropped", file));
    TRY(fflush(file));
    TRY(fclose(file));
    file = fopen("/dev/null", "r+");
    TRY(fread(text, 1, sizeof text, file));
    TRY(feof(file) != 0);
    TRY(ferror(file) != 0);
    TRY(fclose(file));
    file = fopen("/dev/null", "a");
    TRY(fputs("dropped", file));
    TRY(fclose(file));
    int fd = OPEN(open("/dev/null", O_RDWR | O_TRUNC | O_CREAT, 0666));
    TRY(write(fd, text, sizeof text));
    TRY(read(fd, text, sizeof text));
    TRY(pwrite(fd, text, sizeof text, 1000));
    TRY(pread(fd, text, sizeof text, 1000));
    TRY(isatty(fd));
    struct pollfd polled = {fd, POLLOUT, 0};
    TRY(poll(&polled, 1, 10000));
    TRY(close(fd));
}

static void zero_device(void) {
    static char bytes[70000];
    memset(bytes, 1, sizeof bytes);
    FILE *file = fopen("/dev/zero", "r");
    TRY(fread(bytes, 1, sizeof bytes, file));
    TRY(is_zero(bytes, sizeof bytes));
    TRY(fclose(file));
    int fd = OPEN(open("/dev/zero", O_RDWR));
    bytes[99] = 1;
    TRY(pread(fd, bytes, 100, 12345678));
    TRY(is_zero(bytes, 100));
    TRY(write(fd, bytes, 100));
    TRY(close(fd));
}

static void full_device(void) {
    char byte = 1;
    FILE *file = fopen("/dev/full", "w");
    TRY(fputs("does not fit", file));
    TRY(fflush(file));
    TRY(ferror(file) != 0);
    TRY(fclose(file));
    file = fopen("/dev/full", "w");
    setvbuf(file, NULL, _IONBF, 0);
    TRY(putc('x', file));
    TRY(fclose(file));
    int fd = OPEN(open("/dev/full", O_RDWR));
    TRY(write(fd, &byte, 1));
    TRY(read(fd, &byte, 1));
    TRY(byte);
    TRY(close(fd));
}

static void random_device(const char *path) {
    unsigned char a[64] = {0}, b[64] = {0}, c[64] = {0};
    FILE *file = fopen(path, "r");
    setvbuf(file, NULL, _IONBF, 0);
    TRY(fread(a, 1, sizeof a, file));
    TRY(fread(b, 1, sizeof b, file));
    TRY(getentropy(c, sizeof c));
    TRY(is_zero(a, sizeof a) || is_zero(b, sizeof b) || is_zero(c, sizeof c));
    TRY(!memcmp(a, b, sizeof a) || !memcmp(a, c, sizeof a) || !memcmp(b, c, sizeof b));
    TRY(fclose(file));
}

/* Reads stdin and writes stdout and stderr by name, beside the real ones. */
static void standard_streams(void) {
    char text[64] = "";
    attributes("/dev/stdin");
    int fd = OPEN(open("/dev/stdin", O_RDONLY));
    if (fd < 0)
        return;
    TRY(read(fd, text, 6));
    say("'%s'", text);
    TRY(read(STDIN_FILENO, text, 7));
    say("'%s'", text);
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(close(fd));
    FILE *file = fopen("/dev/stdin", "r");
    while (fgets(text, sizeof text, file))
        say("line: %s", strtok(text, "\n"));
    TRY(fclose(file));
    TRY(read(STDIN_FILENO, text, 1));
    fflush(stdout);
    file = fopen("/dev/stdout", "w");
    TRY(fputs("to /dev/stdout\n", file));
    // What comes first is written first, whichever stream it goes through.
    fflush(stdout);
    TRY(fclose(file));
    file = fopen("/dev/stderr", "a");
    TRY(fputs("to /dev/stderr\n", file));
    TRY(fclose(file));
    fputs("stderr is open\n", stderr);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) {
        put("/tmp/new", "temporary");
        show("/tmp/new");
        standard_streams();
        return 0;
    }
    attributes("/dev/null");
    null_device();
    attributes("/dev/zero");
    zero_device();
    attributes("/dev/full");
    full_device();
    attributes("/dev/random");
    random_device("/dev/random");
    attributes("/dev/urandom");
    random_device("/dev/urandom");
    puts("# from /dev");
    TRY(chdir("/dev"));
    OPEN(open("null", O_RDONLY));
    TRY(access("./zero", R_OK));
    OPEN(open("none", O_RDONLY));
    return 0;
}
