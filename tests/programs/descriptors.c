/* The calls of Preview 1 on descriptors, as they are: what POSIX functions hide
 * or refuse themselves. Only what hosts agree on, so the same lines are expected
 * on a real directory and on a packed one.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

/* Prints a call and its errno. */
#define TRY(call) printf("%s: %d\n", #call, (int)__wasi_##call)

/* The same, and a number that it answered. */
#define GET(number, call) \
    printf("%s: %d", #call, (int)__wasi_##call), printf(", %lld\n", (long long)(number))

enum { ROOT = 3, READ = 1 << 1, WRITE = 1 << 6, CREATE = 1, APPEND = 1 };

static const uint64_t huge = UINT64_C(1) << 63;
static uint8_t bytes[4096];
static __wasi_size_t n;
static __wasi_filesize_t offset;
static __wasi_filestat_t stat;
static __wasi_fdstat_t fdstat;

static const __wasi_iovec_t in = {bytes, 10}, nowhere = {bytes, 0};
static const __wasi_ciovec_t out = {(const uint8_t *)"0123456789", 10};

static __wasi_fd_t opened(const char *path, int create, uint64_t rights, int flags) {
    __wasi_fd_t fd = 99;
    int errno = __wasi_path_open(ROOT, 0, path, create, rights, READ | WRITE, flags, &fd);
    printf("open %s: %d, %u\n", path, errno, fd);
    return fd;
}

static void io(__wasi_fd_t file, __wasi_fd_t reader, __wasi_fd_t writer, __wasi_fd_t dir) {
    puts("# reading and writing");
    GET(n, fd_write(file, &out, 1, &n));
    GET(n, fd_read(file, &in, 1, &n));
    GET(n, fd_read(file, &in, 0, &n));
    GET(n, fd_pread(file, &in, 1, 4, &n));
    GET(n, fd_pread(file, &in, 1, UINT64_C(1) << 62, &n));
    GET(n, fd_pwrite(file, &out, 0, UINT64_C(1) << 62, &n));
    TRY(fd_pread(file, &in, 1, INT64_MAX, &n));
    TRY(fd_pwrite(file, &out, 1, INT64_MAX, &n));
    TRY(fd_pread(file, &in, 1, huge, &n));
    TRY(fd_pread(file, &in, 0, UINT64_MAX, &n));
    TRY(fd_pwrite(file, &out, 1, huge, &n));
    TRY(fd_read(writer, &in, 1, &n));
    TRY(fd_read(writer, &nowhere, 1, &n));
    TRY(fd_write(reader, &out, 1, &n));
    TRY(fd_write(reader, &out, 0, &n));
    TRY(fd_read(dir, &in, 1, &n));
    TRY(fd_read(dir, &in, 0, &n));
    TRY(fd_write(dir, &out, 1, &n));
    TRY(fd_pread(dir, &in, 1, 0, &n));
    TRY(fd_pwrite(dir, &out, 1, 0, &n));
    TRY(fd_read(1000, &in, 1, &n));
    TRY(fd_read(UINT32_MAX, &in, 1, &n));
}

static void offsets(__wasi_fd_t file, __wasi_fd_t reader, __wasi_fd_t dir) {
    puts("# offsets, sizes and times");
    GET(offset, fd_seek(file, 5, __WASI_WHENCE_SET, &offset));
    TRY(fd_seek(file, -6, __WASI_WHENCE_CUR, &offset));
    TRY(fd_seek(file, -1, __WASI_WHENCE_SET, &offset));
    TRY(fd_seek(file, -11, __WASI_WHENCE_END, &offset));
    TRY(fd_seek(file, INT64_MIN, __WASI_WHENCE_SET, &offset));
    GET(offset, fd_seek(file, 1000, __WASI_WHENCE_END, &offset));
    GET(n, fd_read(file, &in, 1, &n));
    GET(offset, fd_tell(file, &offset));
    TRY(fd_seek(dir, 0, __WASI_WHENCE_SET, &offset));
    TRY(fd_tell(dir, &offset));
    TRY(fd_filestat_set_size(file, huge));
    TRY(fd_filestat_set_size(file, UINT64_MAX));
    TRY(fd_filestat_set_size(reader, 5));
    TRY(fd_filestat_set_size(reader, huge));
    TRY(fd_filestat_set_size(dir, 5));
    TRY(fd_filestat_set_size(file, UINT64_C(1) << 40));
    GET(stat.size, fd_filestat_get(file, &stat));
    TRY(fd_filestat_set_size(file, 5));
    GET(stat.size, fd_filestat_get(reader, &stat));
    TRY(fd_filestat_set_times(file, 1, 2, 0));
    TRY(fd_filestat_set_times(file, 1, 2, 3));
    TRY(fd_filestat_set_times(file, 1, 2, 12));
    TRY(fd_filestat_set_times(reader, 1000000007, 2000000011, 5));
    GET(stat.atim, fd_filestat_get(file, &stat));
    GET(stat.mtim, fd_filestat_get(file, &stat));
    TRY(fd_filestat_set_times(dir, 1, 2, 5));
    TRY(fd_sync(file));
    TRY(fd_datasync(reader));
    TRY(fd_sync(dir));
    TRY(fd_datasync(dir));
    TRY(fd_advise(file, 0, 0, 5));
    TRY(fd_advise(file, huge, 1, 0));
    TRY(fd_advise(file, 0, huge, 0));
    TRY(fd_advise(dir, 0, 0, 0));
    TRY(fd_allocate(dir, 0, 1));
}

static void flags(__wasi_fd_t reader, __wasi_fd_t dir) {
    puts("# flags");
    __wasi_fd_t fd = opened("appended", CREATE, READ | WRITE, APPEND);
    GET(n, fd_write(fd, &out, 1, &n));
    GET(n, fd_pwrite(fd, &out, 1, 0, &n));
    GET(offset, fd_tell(fd, &offset));
    GET(offset, fd_seek(fd, 3, __WASI_WHENCE_SET, &offset));
    GET(n, fd_read(fd, &in, 1, &n));
    GET(n, fd_write(fd, &out, 1, &n));
    GET(offset, fd_tell(fd, &offset));
    TRY(fd_fdstat_set_flags(fd, 0));
    GET(n, fd_pwrite(fd, &out, 1, 0, &n));
    GET(stat.size, fd_filestat_get(fd, &stat));
    TRY(fd_fdstat_set_flags(reader, __WASI_FDFLAGS_NONBLOCK));
    GET(fdstat.fs_flags, fd_fdstat_get(reader, &fdstat));
    GET(fdstat.fs_filetype, fd_fdstat_get(dir, &fdstat));
    TRY(fd_fdstat_set_flags(dir, APPEND));
    TRY(fd_close(fd));
}

static void directories(__wasi_fd_t dir) {
    puts("# directories");
    GET(n, fd_readdir(dir, bytes, 0, 0, &n));
    GET(n, fd_readdir(dir, bytes, 10, 0, &n));
    GET(n, fd_readdir(dir, bytes, 30, 0, &n));
    GET(n, fd_readdir(dir, bytes, sizeof bytes, 1, &n));
    GET(n, fd_readdir(dir, bytes, sizeof bytes, 1000, &n));
    GET(n, fd_readdir(dir, bytes, sizeof bytes, UINT64_MAX, &n));
    __wasi_prestat_t prestat;
    GET(prestat.u.dir.pr_name_len, fd_prestat_get(ROOT, &prestat));
    TRY(fd_prestat_get(dir, &prestat));
    TRY(fd_prestat_get(0, &prestat));
    TRY(fd_prestat_get(1000, &prestat));
    TRY(fd_prestat_dir_name(ROOT, bytes, 0));
    memset(bytes, '#', 3);
    TRY(fd_prestat_dir_name(ROOT, bytes, 3));
    printf("%.3s\n", (const char *)bytes);
}

/* Waits to read and to write. Which of two that are ready a host reports first
 * is its own affair. */
static void wait(const char *what, __wasi_fd_t reads, __wasi_fd_t writes) {
    __wasi_subscription_t both[2];
    __wasi_event_t events[2];
    memset(both, 0, sizeof both);
    both[0].u.tag = __WASI_EVENTTYPE_FD_READ;
    both[0].u.u.fd_read.file_descriptor = reads;
    both[1].u.tag = __WASI_EVENTTYPE_FD_WRITE;
    both[1].u.u.fd_write.file_descriptor = writes;
    n = 0;
    int errno = __wasi_poll_oneoff(both, events, 2, &n);
    printf("wait for %s: %d", what, errno);
    if (errno == 0) printf(", ready: %d, %d", n != 0, events[0].error);
    puts("");
}

static void waiting(__wasi_fd_t file, __wasi_fd_t dir) {
    puts("# waiting");
    wait("a file", file, file);
    wait("a directory", file, dir);
    wait("nothing", 1000, file);
    wait("a file and stdout", file, 1);
    TRY(poll_oneoff(NULL, NULL, 0, &n));
    TRY(sock_shutdown(file, 1));
    TRY(sock_shutdown(dir, 1));
    TRY(sock_shutdown(1, 1));
    TRY(sock_shutdown(1000, 1));
}

static void numbers(__wasi_fd_t file) {
    puts("# numbers");
    TRY(fd_renumber(file, 1000));
    TRY(fd_renumber(1000, file));
    TRY(fd_renumber(1000, 1000));
    TRY(fd_renumber(file, UINT32_MAX));
    TRY(fd_renumber(file, file));
    __wasi_fd_t one = opened("f", 0, READ, 0), two = opened("dir/file", 0, READ, 0);
    TRY(fd_renumber(two, one));
    GET(stat.size, fd_filestat_get(one, &stat));
    TRY(fd_filestat_get(two, &stat));
    opened("f", 0, READ, 0);
    TRY(fd_close(one));
    TRY(fd_close(one));
    opened("f", 0, READ, 0);
    TRY(path_unlink_file(ROOT, "f"));
    GET(stat.nlink, fd_filestat_get(file, &stat));
    GET(n, fd_pread(file, &in, 1, 0, &n));
}

static void streams(void) {
    puts("# standard streams");
    TRY(fd_read(1, &in, 1, &n));
    TRY(fd_write(0, &out, 1, &n));
    TRY(fd_seek(1, 0, __WASI_WHENCE_CUR, &offset));
    TRY(fd_tell(1, &offset));
    TRY(fd_close(0));
    TRY(fd_read(0, &in, 1, &n));
    opened("dir/file", 0, READ, 0);
    GET(n, fd_read(0, &in, 1, &n));
    __wasi_fd_t log = opened("log", CREATE, READ | WRITE, 0);
    TRY(fd_renumber(log, 2));
    fputs("to stderr", stderr);
    log = opened("log", 0, READ, 0);
    GET(n, fd_read(log, &in, 1, &n));
    TRY(fd_close(ROOT));
    TRY(path_create_directory(ROOT, "x"));
    GET(stat.size, fd_filestat_get(log, &stat));
}

int main(void) {
    __wasi_fd_t file = opened("f", CREATE, READ | WRITE, 0);
    __wasi_fd_t reader = opened("f", 0, READ, 0), writer = opened("f", 0, WRITE, 0);
    __wasi_fd_t neither = opened("f", 0, 0, 0);
    __wasi_fd_t dir = opened("dir", __WASI_OFLAGS_DIRECTORY, READ, 0);
    io(file, reader, writer, dir);
    GET(n, fd_pread(neither, &in, 1, 0, &n));
    TRY(fd_write(neither, &out, 1, &n));
    offsets(file, reader, dir);
    flags(reader, dir);
    directories(dir);
    waiting(file, dir);
    numbers(file);
    streams();
    return 0;
}
