/* What a packed file system does and today's hosts do not: wasmtime has no
 * posix_fallocate, numbers descriptors upwards, and skips entries of a directory
 * that shrinks while it is listed. Expected values stand here; there is nothing to
 * compare with.
 */
#include <fcntl.h>
#include <poll.h>

#include "tree.h"

static int failures;

static void expect(const char *what, long long value, long long expected) {
    printf("%s: %lld\n", what, value);
    if (value != expected) {
        printf("  should be %lld\n", expected);
        failures++;
    }
}

static void remove_while_listing(void) {
    char name[64];
    mkdir("/many", 0777);
    for (int i = 0; i < 1000; i++) {
        sprintf(name, "/many/entry-%d", i);
        close(open(name, O_WRONLY | O_CREAT, 0666));
    }
    int removed = 0;
    DIR *dir = opendir("/many");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        sprintf(name, "/many/%.40s", entry->d_name);
        removed += entry->d_name[0] != '.' && unlink(name) == 0;
    }
    closedir(dir);
    expect("entries removed while listing", removed, 1000);
    expect("rmdir", rmdir("/many"), 0);
}

static void allocate(void) {
    struct stat st;
    int fd = open("/room", O_RDWR | O_CREAT, 0666);
    expect("posix_fallocate", posix_fallocate(fd, 4000, 1000), 0);
    expect("fstat", fstat(fd, &st), 0);
    expect("size", st.st_size, 5000);
    struct pollfd both = {.fd = fd, .events = POLLIN | POLLOUT};
    expect("poll", poll(&both, 1, 0) > 0, 1);
    expect("readable or writable", (both.revents & (POLLIN | POLLOUT)) != 0, 1);
    close(fd);
}

/* A descriptor that was closed is the next to be given out. */
static void lowest_number(void) {
    int first = open("/text", O_RDONLY), second = open("/text", O_RDONLY);
    close(first);
    int third = open("/text", O_RDONLY);
    expect("the closed number comes back", third == first, 1);
    close(second);
    close(third);
    int last = -1;
    for (int i = 0; i < 5000; i++) {
        last = open("/text", O_RDONLY);
        if (last < 0 || close(last) != 0)
            break;
    }
    expect("5000 opens later", last == first, 1);
}

int main(void) {
    remove_while_listing();
    allocate();
    lowest_number();
    return failures != 0;
}
