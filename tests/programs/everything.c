/* Every file call of POSIX that wasi-libc has, in well-behaved and in refused
 * form, each with its result. Nothing here depends on the host: the same lines
 * are expected on a real directory and on a packed one.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/time.h>
#include <time.h>

#include "tree.h"

/* Prints an expression and what came of it: a number, or the errno. */
#define TRY(expression) result(#expression, (long long)(expression))

/* The same for what gives a descriptor: hosts number them as they like. */
#define OPEN(expression) opened(#expression, (expression))

static long long result(const char *what, long long value) {
    if (value < 0)
        printf("%s = -1 (%s)\n", what, strerror(errno));
    else
        printf("%s = %lld\n", what, value);
    return value;
}

static int opened(const char *what, int fd) {
    if (fd < 0)
        result(what, fd);
    else
        printf("%s is open\n", what);
    return fd;
}

static void print_stat(const char *path, int follow) {
    struct stat st;
    if ((follow ? stat : lstat)(path, &st) != 0) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    printf("%s: %s size %lld\n", path,
           S_ISDIR(st.st_mode)   ? "directory"
           : S_ISLNK(st.st_mode) ? "link"
           : S_ISREG(st.st_mode) ? "file"
                                 : "other",
           S_ISREG(st.st_mode) ? (long long)st.st_size : 0);
}

static void opening(void) {
    puts("# open");
    int fd = OPEN(open("/new", O_RDWR | O_CREAT | O_EXCL, 0666));
    OPEN(open("/new", O_RDWR | O_CREAT | O_EXCL, 0666));
    TRY(close(fd));
    TRY(close(fd));
    OPEN(open("/missing", O_RDONLY));
    OPEN(open("/missing/deeper", O_RDWR | O_CREAT, 0666));
    OPEN(open("/new/below", O_RDONLY));
    OPEN(open("/dir", O_WRONLY));
    OPEN(open("/new", O_RDONLY | O_DIRECTORY));
    fd = OPEN(open("/dir", O_RDONLY | O_DIRECTORY));
    char byte;
    int inner = OPEN(openat(fd, "file", O_RDONLY));
    TRY(read(inner, &byte, 1));
    TRY(write(inner, &byte, 1));
    TRY(faccessat(fd, "file", R_OK, 0));
    TRY(faccessat(fd, "missing", F_OK, 0));
    TRY(close(inner));
    TRY(close(fd));
    fd = OPEN(open("/dir/file", O_WRONLY | O_TRUNC));
    TRY(read(fd, &byte, 1));
    TRY(write(fd, "short", 5));
    TRY(close(fd));
}

static void io(void) {
    puts("# read and write");
    char buffer[64] = {0};
    int fd = OPEN(open("/io", O_RDWR | O_CREAT | O_TRUNC, 0666));
    TRY(write(fd, "0123456789", 10));
    TRY(lseek(fd, 2, SEEK_SET));
    TRY(read(fd, buffer, 3));
    printf("%.3s\n", buffer);
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(pread(fd, buffer, 4, 6));
    printf("%.4s\n", buffer);
    TRY(pwrite(fd, "AB", 2, 4));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(lseek(fd, -1, SEEK_SET));
    TRY(lseek(fd, 5, SEEK_END));
    TRY(read(fd, buffer, 1));
    TRY(write(fd, "tail", 4));
    TRY(lseek(fd, 0, SEEK_END));
    TRY(pread(fd, buffer, sizeof buffer, 0));
    for (int i = 0; i < 19; i++)
        putchar(buffer[i] ? buffer[i] : '.');
    putchar('\n');
    TRY(ftruncate(fd, 6));
    TRY(ftruncate(fd, 12));
    TRY(pread(fd, buffer, sizeof buffer, 0));
    for (int i = 0; i < 12; i++)
        putchar(buffer[i] ? buffer[i] : '.');
    putchar('\n');
    TRY(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    TRY(fsync(fd));
    TRY(fdatasync(fd));
    TRY(fcntl(fd, F_GETFL) & O_APPEND);
    TRY(fcntl(fd, F_SETFL, O_APPEND));
    TRY((fcntl(fd, F_GETFL) & O_APPEND) != 0);
    TRY(lseek(fd, 0, SEEK_SET));
    TRY(write(fd, "appended", 8));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(close(fd));

    struct pollfd ready = {.fd = OPEN(open("/io", O_RDWR)), .events = POLLIN | POLLOUT};
    TRY(poll(&ready, 1, 0));
    printf("%s\n", ready.revents & (POLLERR | POLLHUP | POLLNVAL) ? "broken" : "ready");
    TRY(close(ready.fd));
}

static void names(void) {
    puts("# names");
    TRY(mkdir("/made", 0777));
    TRY(mkdir("/made", 0777));
    TRY(mkdir("/missing/made", 0777));
    TRY(mkdir("/made/inner", 0777));
    TRY(rmdir("/made"));
    TRY(rmdir("/new"));
    TRY(unlink("/made"));
    TRY(unlink("/missing"));
    TRY(link("/io", "/made/hard"));
    TRY(link("/io", "/made/hard"));
    TRY(symlink("../io", "/made/soft"));
    TRY(symlink("nowhere", "/made/dangling"));
    TRY(symlink("loop", "/made/loop"));
    char target[64];
    ssize_t n = TRY(readlink("/made/soft", target, sizeof target));
    printf("%.*s\n", (int)n, target);
    TRY(readlink("/io", target, sizeof target));
    print_stat("/made/soft", 1);
    print_stat("/made/soft", 0);
    print_stat("/made/dangling", 1);
    OPEN(open("/made/loop", O_RDONLY));
    OPEN(open("/made/soft", O_RDONLY | O_NOFOLLOW));
    OPEN(open("/made/dangling", O_RDONLY));
    TRY(rename("/new", "/made/moved"));
    TRY(rename("/missing", "/made/moved"));
    TRY(rename("/made", "/made/inner/self"));
    TRY(rename("/dir/file", "/made/moved"));
    TRY(rename("/made/inner", "/made/moved"));
    TRY(rename("/made/moved", "/made/inner"));
    TRY(rename("/made/inner", "/renamed"));
    TRY(rename("/dir", "/made"));
    TRY(unlink("/made/hard"));
    print_stat("/io", 1);
    TRY(rmdir("/renamed"));
    TRY(access("/io", R_OK | W_OK));
    TRY(access("/renamed", F_OK));
}

static void open_unlinked(void) {
    puts("# open, then unlinked");
    char buffer[8];
    int fd = OPEN(open("/ghost", O_RDWR | O_CREAT, 0666));
    TRY(write(fd, "boo", 3));
    TRY(unlink("/ghost"));
    print_stat("/ghost", 1);
    TRY(pread(fd, buffer, sizeof buffer, 0));
    struct stat st;
    TRY(fstat(fd, &st));
    TRY(st.st_nlink);
    TRY(close(fd));
}

static void times(void) {
    puts("# times");
    struct timespec when[2] = {{1000000000, 5}, {1234567890, 123456789}};
    struct stat st;
    TRY(utimensat(AT_FDCWD, "/io", when, 0));
    TRY(stat("/io", &st));
    printf("%lld.%09ld %lld.%09ld\n", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
           (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    int fd = OPEN(open("/io", O_RDWR));
    when[0].tv_nsec = UTIME_OMIT;
    when[1].tv_sec = 7;
    TRY(futimens(fd, when));
    TRY(fstat(fd, &st));
    printf("%lld.%09ld %lld.%09ld\n", (long long)st.st_atim.tv_sec, st.st_atim.tv_nsec,
           (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    TRY(write(fd, "x", 1));
    TRY(fstat(fd, &st));
    printf("written %s\n", st.st_mtim.tv_sec > 1600000000 ? "now" : "long ago");
    TRY(close(fd));
    TRY(utimensat(AT_FDCWD, "/missing", when, 0));
}

static void directories(void) {
    puts("# directories");
    char name[32];
    TRY(mkdir("/many", 0777));
    for (int i = 0; i < 300; i++) {
        sprintf(name, "/many/%03d", i);
        close(open(name, O_WRONLY | O_CREAT, 0666));
    }
    DIR *dir = opendir("/many");
    int seen[300] = {0}, strange = 0;
    long middle = 0;
    char after[256] = "";
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)); count++) {
        if (count == 151)
            strcpy(after, entry->d_name);
        if (count == 150)
            middle = telldir(dir);
        if (entry->d_name[0] == '.')
            strange += entry->d_type != DT_DIR;
        else
            seen[atoi(entry->d_name)]++, strange += entry->d_type != DT_REG;
    }
    int once = 0;
    for (int i = 0; i < 300; i++)
        once += seen[i] == 1;
    printf("%d entries, %d names once, %d of a strange type\n", count, once, strange);
    seekdir(dir, middle);
    struct dirent *entry = readdir(dir);
    printf("seekdir %s\n", entry && !strcmp(entry->d_name, after) ? "came back" : "went astray");
    rewinddir(dir);
    TRY(readdir(dir) != NULL);
    TRY(closedir(dir));
    for (int i = 0; i < 300; i++) {
        sprintf(name, "/many/%03d", i);
        unlink(name);
    }
    TRY(rmdir("/many"));
    TRY(opendir("/io") != NULL);
    TRY(opendir("/missing") != NULL);
}

int main(void) {
    opening();
    io();
    names();
    open_unlinked();
    times();
    directories();
    dump_tree();
    return 0;
}
