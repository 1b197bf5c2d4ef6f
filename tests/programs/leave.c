/* leave: does to its files what its arguments say, one command after the other.
 * What it leaves is looked at from outside (tests/tests/save.rs). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *command;

static int ok(int result) {
    if (result < 0) {
        fprintf(stderr, "leave: %s: %s\n", command, strerror(errno));
        exit(99);
    }
    return result;
}

static int put(const char *path, const char *text) {
    int fd = ok(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666));
    ok((int)write(fd, text, strlen(text)));
    return fd;
}

/* LEVELS directories, one in the other. */
static void deep(int levels) {
    int at = ok(open("/", O_RDONLY | O_DIRECTORY));
    for (int i = 0; i < levels; i++) {
        ok(mkdirat(at, "d", 0777));
        int next = ok(openat(at, "d", O_RDONLY | O_DIRECTORY));
        close(at);
        at = next;
    }
    int fd = ok(openat(at, "bottom", O_WRONLY | O_CREAT, 0666));
    ok((int)write(fd, "deep", 4));
}

static void big(const char *path, long megabytes) {
    static char block[1 << 20];
    int fd = ok(open(path, O_WRONLY | O_CREAT, 0666));
    for (long i = 0; i < megabytes; i++) {
        memset(block, (int)i + 1, sizeof block);
        ok((int)write(fd, block, sizeof block));
    }
    ok(close(fd));
}

/* Writes over memory, the program's or not. */
static void smash(long at, long len, int byte) {
    memset((unsigned char *)at, byte, (size_t)len);
}

int main(int argc, char **argv) {
    char **at = argv + 1;
    while (at < argv + argc) {
        command = *at++;
#define IS(name, arguments) \
    (strcmp(command, name) == 0 && at + arguments <= argv + argc && (at += arguments))
        if (IS("put", 2))
            ok(close(put(at[-2], at[-1])));
        else if (IS("unclosed", 2))
            put(at[-2], at[-1]);
        else if (IS("removed", 1)) {
            put(at[-1], "nobody sees this");
            ok(unlink(at[-1]));
        } else if (IS("append", 2)) {
            int fd = ok(open(at[-2], O_WRONLY | O_APPEND));
            ok((int)write(fd, at[-1], strlen(at[-1])));
            ok(close(fd));
        } else if (IS("size", 2))
            ok(truncate(at[-2], atoll(at[-1])));
        else if (IS("touch", 1))
            ok(utimensat(AT_FDCWD, at[-1], NULL, 0));
        else if (IS("date", 2)) {
            struct timespec times[2] = {{atoll(at[-1]), 0}, {atoll(at[-1]), 0}};
            ok(utimensat(AT_FDCWD, at[-2], times, 0));
        } else if (IS("move", 2))
            ok(rename(at[-2], at[-1]));
        else if (IS("link", 2))
            ok(link(at[-2], at[-1]));
        else if (IS("symlink", 2))
            ok(symlink(at[-2], at[-1]));
        else if (IS("mkdir", 1))
            ok(mkdir(at[-1], 0777));
        else if (IS("remove", 1))
            ok(remove(at[-1]));
        else if (IS("deep", 1))
            deep(atoi(at[-1]));
        else if (IS("big", 2))
            big(at[-2], atol(at[-1]));
        else if (IS("close", 0))
            for (int fd = 3; fd < 20; fd++)
                close(fd);
        else if (IS("smash", 3))
            smash(atol(at[-3]), atol(at[-2]), atoi(at[-1]));
        else if (IS("say", 1))
            puts(at[-1]);
        else if (IS("exit", 1))
            exit(atoi(at[-1]));
        else if (IS("trap", 0))
            __builtin_trap();
        else {
            fprintf(stderr, "leave: %s is no command\n", command);
            return 98;
        }
    }
    return 0;
}
