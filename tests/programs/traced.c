/* Calls of WASI, one after the other, and what each answered: for what a trace says of them.
 *
 *   traced         reads, looks and writes
 *   traced exit    ends by proc_exit
 */
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

/* The directory that is open from the start. */
#define ROOT 3

#define READ __WASI_RIGHTS_FD_READ
#define WRITE __WASI_RIGHTS_FD_WRITE

static __wasi_fd_t open_at(const char *path, __wasi_oflags_t flags, __wasi_rights_t rights) {
    __wasi_fd_t fd = 0;
    int got = __wasi_path_open(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, flags, rights, 0, 0,
                               &fd);
    if (got)
        printf("open %s: %d\n", path, got);
    return fd;
}

static void write_to(__wasi_fd_t fd, const char *text) {
    __wasi_ciovec_t part = {(const uint8_t *)text, strlen(text)};
    __wasi_size_t written = 0;
    int got = __wasi_fd_write(fd, &part, 1, &written);
    printf("write: %d, %zu\n", got, (size_t)written);
}

int main(int argc, char **argv) {
    uint8_t bytes[64];
    __wasi_iovec_t part = {bytes, sizeof bytes};
    __wasi_size_t count = 0;
    __wasi_filesize_t at;
    __wasi_filestat_t stat;

    __wasi_fd_t fd = open_at("etc/motd", 0, READ);
    __wasi_fd_seek(fd, -5, __WASI_WHENCE_END, &at);
    __wasi_fd_read(fd, &part, 1, &count);
    __wasi_fd_close(fd);
    __wasi_path_filestat_get(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "nope \"\n", &stat);
    __wasi_path_filestat_get(ROOT, 0, "etc/link", &stat);
    __wasi_path_filestat_get(ROOT, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, "etc/link", &stat);
    __wasi_path_create_directory(ROOT, "db");
    fd = open_at("db/a", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC, READ | WRITE);
    write_to(fd, "one");
    write_to(fd, "two");
    write_to(fd, "three");
    __wasi_fd_close(fd);
    __wasi_path_rename(ROOT, "db/a", ROOT, "db/b");
    fflush(stdout);
    if (argc > 1 && strcmp(argv[1], "exit") == 0)
        __wasi_proc_exit(7);
    return 0;
}
