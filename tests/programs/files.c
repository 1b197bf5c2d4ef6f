/* Descriptors, directories and trees through libc: what is found below a
 * directory, positions in it, calls relative to it, vectors of buffers, sizes,
 * times, links, waiting.
 */
#include <fnmatch.h>
#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>

#include "report.h"

/* The libc of 2022 lacks some of what its headers declare. */
#if __has_include(<fts.h>)
#include <fts.h>
#define NEWER 1
#endif

static char type_of(const struct stat *st) {
    return S_ISDIR(st->st_mode) ? 'd' : S_ISLNK(st->st_mode) ? 'l' : S_ISREG(st->st_mode) ? 'f' : '?';
}

static int short_names(const struct dirent *entry) {
    return strlen(entry->d_name) < 4 && entry->d_name[0] != '.';
}

static int backwards(const struct dirent **a, const struct dirent **b) {
    return -alphasort(a, b);
}

static void list(const char *what, int count, struct dirent **entries) {
    if (count < 0) {
        say("%s: %s", what, strerror(errno));
        return;
    }
    printf("%s:", what);
    for (int i = 0; i < count; i++) {
        printf(" %s(%d)", entries[i]->d_name, entries[i]->d_type);
        free(entries[i]);
    }
    free(entries);
    puts("");
}

static void scanning(void) {
    puts("# scandir");
    struct dirent **entries = NULL;
    list("all", scandir("/data", &entries, NULL, alphasort), entries);
    list("short, backwards", scandir("/data/sub", &entries, short_names, backwards), entries);
    list("missing", scandir("/none", &entries, NULL, alphasort), entries);
    list("a file", scandir("/data/text", &entries, NULL, alphasort), entries);
}

static char walked[64][96];
static int walks, limit;

static int visit(const char *path, const struct stat *st, int kind, struct FTW *at) {
    static const char *const kinds[] = {"", "file", "dir", "unreadable", "no stat", "link", "dir after", "dangling"};
    sprintf(walked[walks++], "%s: %s %c level %d, name at %d", path, kinds[kind],
            kind == FTW_NS || kind == FTW_SLN ? '-' : type_of(st), at->level, at->base);
    return walks == limit ? 77 : 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

static void walk(const char *root, int flags, int until) {
    walks = 0;
    limit = until;
    errno = 0;
    int ended = nftw(root, visit, 5, flags);
    say("nftw %s %d: %d %s", root, flags, ended, ended < 0 ? strerror(errno) : "");
    if (until)
        return;
    // Directories come in any order.
    qsort(walked, walks, sizeof *walked, by_text);
    for (int i = 0; i < walks; i++)
        say("  %s", walked[i]);
}

static void walking(void) {
    puts("# nftw");
    walk("/data", FTW_PHYS, 0);
    walk("/data", FTW_PHYS | FTW_DEPTH, 0);
    walk("/data/sub", 0, 0);
    walk("/data", FTW_PHYS, 3);
    walk("/data/text", 0, 0);
    walk("/none", 0, 0);
#ifdef NEWER
    puts("# fts");
    char *roots[] = {"/data/sub", "/data/text", NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    walks = 0;
    for (FTSENT *entry; tree && (entry = fts_read(tree));)
        sprintf(walked[walks++], "%s: %d, level %d", entry->fts_path, entry->fts_info, entry->fts_level);
    qsort(walked, walks, sizeof *walked, by_text);
    for (int i = 0; i < walks; i++)
        say("  %s", walked[i]);
    TRY(fts_close(tree));
#else
    puts("skipped: fts, this libc has none");
#endif
}

static void positions(void) {
    puts("# telldir, seekdir, rewinddir, dirfd");
    char names[40][32], path[64];
    mkdir("/work/many", 0777);
    for (int i = 0; i < 30; i++) {
        sprintf(path, "/work/many/entry-%02d", i);
        put(path, "");
    }
    DIR *dir = opendir("/work/many");
    long at[40];
    int count = 0;
    for (struct dirent *entry; at[count] = telldir(dir), (entry = readdir(dir));)
        strcpy(names[count++], entry->d_name);
    TRY(count);
    int wrong = 0;
    for (int i = count - 1; i >= 0; i--) {
        seekdir(dir, at[i]);
        wrong += strcmp(readdir(dir)->d_name, names[i]) != 0;
    }
    TRY(wrong);
    seekdir(dir, at[count]);
    TRY(readdir(dir) == NULL);
    rewinddir(dir);
    TRY(strcmp(readdir(dir)->d_name, names[0]));
    struct stat st;
    TRY(fstatat(dirfd(dir), "entry-07", &st, 0));
    TRY(fstat(dirfd(dir), &st));
    TRY(S_ISDIR(st.st_mode) != 0);
    // What is added while it is listed appears once at most, what stays once.
    int stayed = 0, added = 0;
    rewinddir(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        stayed += !strncmp(entry->d_name, "entry-", 6);
        added += !strcmp(entry->d_name, "late");
        if (stayed == 5)
            put("/work/many/late", "");
    }
    TRY(stayed);
    TRY(added <= 1);
    TRY(closedir(dir));
    int fd = OPEN(open("/work/many", O_RDONLY | O_DIRECTORY));
    dir = fdopendir(fd);
    HAVE(dir);
    TRY(dirfd(dir) == fd);
    TRY(closedir(dir));
    TRY(close(fd));
    HAVE(fdopendir(fd));
    fd = open("/data/text", O_RDONLY);
    errno = 0;
    report_pointer("fdopendir(fd), of a file", fdopendir(fd));
    close(fd);
    HAVE(opendir("/data/text"));
    HAVE(opendir("/none"));
    HAVE(opendir(""));
}

static void print_at(int dir, const char *path, int flags) {
    struct stat st;
    errno = 0;
    if (fstatat(dir, path, &st, flags) != 0)
        say("fstatat %s %d: %s", path, flags, strerror(errno));
    else
        say("fstatat %s %d: %c, %lld bytes", path, flags, type_of(&st),
            S_ISREG(st.st_mode) ? (long long)st.st_size : 0);
}

static void relative(void) {
    puts("# calls relative to a directory");
    char target[64];
    int dir = OPEN(open("/work", O_RDONLY | O_DIRECTORY));
    TRY(mkdirat(dir, "at", 0777));
    int fd = OPEN(openat(dir, "at/file", O_RDWR | O_CREAT | O_EXCL, 0666));
    TRY(write(fd, "12345", 5));
    TRY(close(fd));
    TRY(symlinkat("file", dir, "at/link"));
    TRY(symlinkat("/absolute", dir, "at/absolute"));
    TRY(readlinkat(dir, "at/link", target, sizeof target));
    TRY(readlinkat(dir, "at/link", target, 2));
    TRY(readlinkat(dir, "at/file", target, sizeof target));
    TRY(linkat(dir, "at/file", dir, "at/hard", 0));
    TRY(linkat(dir, "at/link", dir, "at/hard-link", 0));
    TRY(linkat(dir, "at", dir, "at/directory", 0));
    print_at(dir, "at/link", 0);
    print_at(dir, "at/link", AT_SYMLINK_NOFOLLOW);
    print_at(dir, "at/hard", 0);
    print_at(dir, "at/hard-link", AT_SYMLINK_NOFOLLOW);
    print_at(dir, "at/", 0);
    print_at(dir, "at/file/", 0);
    print_at(dir, ".", 0);
    print_at(dir, "../data", 0);
    print_at(dir, "/data/text", 0);
    print_at(99, "/data/text", 0);
    print_at(99, "at", 0);
    print_at(AT_FDCWD, "data/text", 0);
    TRY(faccessat(dir, "at/hard", R_OK | W_OK, 0));
    TRY(faccessat(dir, "at/none", F_OK, 0));
    TRY(renameat(dir, "at/file", dir, "at/moved"));
    TRY(unlinkat(dir, "at", 0));
    TRY(unlinkat(dir, "at", AT_REMOVEDIR));
    TRY(unlinkat(dir, "at/moved", AT_REMOVEDIR));
    TRY(unlinkat(dir, "at/moved", 0));
    OPEN(openat(dir, "at/link", O_RDONLY));
    OPEN(openat(dir, "at/hard", O_RDONLY | O_NOFOLLOW | O_DIRECTORY));
    TRY(close(dir));
}

/* Moves all that the buffers have room for, in as many calls as it takes: a host
 * may stop behind any of them. `at` is the offset, or -1 for the descriptor's. */
static long long move_all(ssize_t (*move)(int, struct iovec *, int, off_t), int fd,
                          const struct iovec *buffers, int count, off_t at) {
    struct iovec left[8];
    long long moved = 0;
    memcpy(left, buffers, count * sizeof *left);
    for (;;) {
        ssize_t n = move(fd, left, count, at < 0 ? -1 : at + moved);
        if (n <= 0)
            return n < 0 && !moved ? n : moved;
        moved += n;
        for (int i = 0; i < count; i++) {
            size_t part = (size_t)n < left[i].iov_len ? (size_t)n : left[i].iov_len;
            left[i].iov_base = (char *)left[i].iov_base + part;
            left[i].iov_len -= part;
            n -= part;
        }
    }
}

static ssize_t reads(int fd, struct iovec *buffers, int count, off_t at) {
    return at < 0 ? readv(fd, buffers, count) : preadv(fd, buffers, count, at);
}

static ssize_t writes(int fd, struct iovec *buffers, int count, off_t at) {
    return at < 0 ? writev(fd, buffers, count) : pwritev(fd, buffers, count, at);
}

static void vectors(void) {
    puts("# readv, writev, preadv, pwritev");
    char a[4] = "", b[8] = "", c[16] = "", none[1];
    struct iovec out[] = {{"one", 3}, {"", 0}, {"two and ", 8}, {"three", 5}};
    struct iovec in[] = {{a, 3}, {none, 0}, {b, 7}, {c, 15}};
    int fd = OPEN(open("/work/v", O_RDWR | O_CREAT | O_TRUNC, 0666));
    TRY(move_all(writes, fd, out, 4, -1));
    TRY(move_all(writes, fd, out, 4, 20));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(move_all(reads, fd, in, 4, 1));
    say("'%s' '%s' '%s'", a, b, c);
    TRY(lseek(fd, 2, SEEK_SET));
    TRY(move_all(reads, fd, in, 3, -1));
    say("'%s' '%s'", a, b);
    TRY(move_all(reads, fd, in, 4, 30));
    TRY(move_all(reads, fd, in, 4, 99));
    TRY(preadv(fd, in, 4, -1));
    TRY(readv(fd, in, 0));
    TRY(close(fd));
    TRY(readv(fd, in, 1));
    show("/work/v");
}

static void sizes(void) {
    puts("# truncate, ftruncate, posix_fallocate, posix_fadvise");
    put("/work/t", "0123456789");
    TRY(truncate("/work/t", 4));
    show("/work/t");
    TRY(truncate("/work/t", 8));
    show("/work/t");
    TRY(truncate("/work/t", -1));
    TRY(truncate("/work", 0));
    TRY(truncate("/work/none", 0));
    int fd = OPEN(open("/work/t", O_RDWR));
    TRY(lseek(fd, 100, SEEK_SET));
    TRY(ftruncate(fd, 2));
    TRY(write(fd, "x", 1));
    TRY(ftruncate(fd, -1));
    TRY(posix_fallocate(fd, 0, 200));
    TRY(posix_fallocate(fd, 0, 0));
    TRY(posix_fadvise(fd, 0, 10, POSIX_FADV_WILLNEED));
    TRY(close(fd));
    fd = OPEN(open("/work/t", O_RDONLY));
    TRY(ftruncate(fd, 0));
    TRY(close(fd));
    TRY(truncate("/work/t", 101));
    show("/work/t");
}

static void print_times(const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0)
        say("%s: %s", path, strerror(errno));
    else
        say("%s: accessed %lld.%09ld, modified %lld.%09ld", path, (long long)st.st_atim.tv_sec,
            st.st_atim.tv_nsec, (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void times(void) {
    puts("# utimensat, futimens");
    struct timespec early[] = {{1000, 1}, {2000, 999999999}};
    struct timespec modified[] = {{0, UTIME_OMIT}, {3000, 3}};
    struct timespec now[] = {{0, UTIME_NOW}, {0, UTIME_OMIT}};
    struct timespec neither[] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    put("/work/times", "x");
    symlink("times", "/work/times-link");
    TRY(utimensat(AT_FDCWD, "/work/times", early, 0));
    print_times("/work/times");
    TRY(utimensat(AT_FDCWD, "/work/times-link", modified, 0));
    print_times("/work/times");
    TRY(utimensat(AT_FDCWD, "/work/times-link", early, AT_SYMLINK_NOFOLLOW));
    print_times("/work/times-link");
    TRY(utimensat(AT_FDCWD, "/work/times", neither, 0));
    print_times("/work/times");
    TRY(utimensat(AT_FDCWD, "/work/none", early, 0));
    TRY(utimensat(AT_FDCWD, "/work", early, 0));
    print_times("/work");
    int fd = OPEN(open("/work/times", O_RDWR));
    TRY(futimens(fd, modified));
    print_times("/work/times");
    struct stat st;
    TRY(futimens(fd, now));
    TRY(fstat(fd, &st));
    TRY(st.st_atim.tv_sec > 1000000000);
    TRY(st.st_mtim.tv_sec);
    TRY(write(fd, "y", 1));
    TRY(close(fd));
    TRY(stat("/work/times", &st));
    TRY(st.st_mtim.tv_sec > 1000000000);
    TRY(st.st_ctim.tv_sec >= st.st_mtim.tv_sec);
    TRY(st.st_mtim.tv_sec - time(NULL) > -100 && st.st_mtim.tv_sec <= time(NULL));
}

static void links(void) {
    puts("# link, symlink, readlink, lstat");
    struct stat a, b;
    char text[80];
    put("/work/l", "links");
    TRY(link("/work/l", "/work/m"));
    TRY(link("/work/l", "/work/m"));
    TRY(stat("/work/l", &a));
    TRY(stat("/work/m", &b));
    TRY(a.st_nlink);
    TRY(a.st_ino == b.st_ino && a.st_dev == b.st_dev);
    TRY(unlink("/work/l"));
    TRY(stat("/work/m", &b));
    TRY(b.st_nlink);
    TRY(b.st_ino == a.st_ino);
    TRY(symlink("m", "/work/s"));
    TRY(symlink("m", "/work/s"));
    TRY(symlink("", "/work/empty"));
    TRY(readlink("/work/s", text, sizeof text));
    TRY(readlink("/work/m", text, sizeof text));
    TRY(lstat("/work/s", &a));
    TRY(S_ISLNK(a.st_mode) && a.st_size == 1);
    TRY(stat("/work/s", &a));
    TRY(a.st_ino == b.st_ino);
    TRY(unlink("/work/m"));
    TRY(stat("/work/s", &a));
    TRY(access("/work/s", F_OK));
    TRY(access("/work", W_OK));
    TRY(access("/work", 99));
    TRY(mkdir("/work/x", 0777));
    TRY(mkdir("/work/x/y", 0777));
    TRY(stat("/work/x", &a));
    TRY(a.st_nlink);
    TRY(rmdir("/work/x"));
    TRY(rmdir("/work/x/y"));
    TRY(rmdir("/work/x/"));
    TRY(rmdir("/work/x"));
}

static void flags(void) {
    puts("# fcntl, dup, isatty");
    int fd = OPEN(open("/work/f", O_RDWR | O_CREAT | O_APPEND, 0666));
    TRY((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    TRY((fcntl(fd, F_GETFL) & O_APPEND) != 0);
    TRY(write(fd, "12345", 5));
    TRY(lseek(fd, 0, SEEK_SET));
    TRY(write(fd, "67", 2));
    TRY(lseek(fd, 0, SEEK_CUR));
    TRY(fcntl(fd, F_SETFL, 0));
    TRY(lseek(fd, 0, SEEK_SET));
    TRY(write(fd, "ab", 2));
    TRY(fcntl(fd, F_GETFD));
    TRY(fcntl(fd, F_SETFD, FD_CLOEXEC));
    TRY(isatty(fd));
    TRY(fsync(fd));
    TRY(fdatasync(fd));
    TRY(close(fd));
    TRY(isatty(fd));
    TRY(fcntl(fd, F_GETFL));
    show("/work/f");
    puts("skipped: dup, dup2, pipe: no libc for WASI has them");
}

static void waiting(void) {
    puts("# poll, select");
    int fd = OPEN(open("/data/text", O_RDWR));
    struct pollfd in = {fd, POLLIN, 0}, out = {fd, POLLOUT, 0};
    struct timeval late = {10, 0}, soon = {0, 1000};
    fd_set set;
    TRY(poll(&in, 1, 10000));
    TRY(in.revents == POLLIN);
    TRY(poll(&out, 1, 10000));
    TRY(out.revents == POLLOUT);
    FD_ZERO(&set);
    FD_SET(fd, &set);
    TRY(select(fd + 1, &set, NULL, NULL, &late));
    TRY(FD_ISSET(fd, &set) != 0);
    TRY(select(fd + 1, NULL, &set, NULL, &late));
    TRY(FD_ISSET(fd, &set) != 0);
    TRY(select(0, NULL, NULL, NULL, &soon));
    TRY(close(fd));
}

static void print_glob(const char *pattern, int flags) {
    glob_t found;
    int ended = glob(pattern, flags, NULL, &found);
    printf("glob %s %d: %d", pattern, flags, ended);
    for (size_t i = 0; !ended && i < found.gl_pathc; i++)
        printf(" %s", found.gl_pathv[i]);
    puts("");
    if (!ended)
        globfree(&found);
}

static void patterns(void) {
    puts("# glob, fnmatch, realpath");
    print_glob("/data/*", 0);
    print_glob("/data/*/*", GLOB_MARK);
    print_glob("/data/sub/[a-b]?", 0);
    print_glob("/d?ta/t*t", 0);
    print_glob("/none/*", 0);
    print_glob("/none/*", GLOB_NOCHECK);
    print_glob("/data/sub/{aa,bb}", 0);
    TRY(fnmatch("*.[ch]", "file.c", 0));
    TRY(fnmatch("*", ".hidden", FNM_PERIOD));
    TRY(fnmatch("a/*", "a/b/c", FNM_PATHNAME));
#ifdef NEWER
    static const char *const paths[] = {"/data/link", "/data/sub/../text", "/data//./sub/", "/", "/none",
                                        "/data/loop", "/data/text/x", "data/sub", "", "/data/up"};
    char room[4096];
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        errno = 0;
        char *real = realpath(paths[i], room);
        say("realpath '%s': %s", paths[i], real ? real : strerror(errno));
    }
#else
    puts("skipped: realpath, this libc has none");
#endif
}

int main(void) {
    scanning();
    walking();
    positions();
    relative();
    vectors();
    sizes();
    times();
    links();
    flags();
    waiting();
    patterns();
    dump_tree();
    return 0;
}
