/* Uses files through libc.
 *
 *     subject files        every operation once, a line per result
 *     subject grow MB      heap and files grow in turn, both are verified
 *     subject limit MB     the same heap, and files until there is no space
 *
 * It works in /work, and prints in the end what is below.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "grow.h"

static void try(const char *what, int result) {
    if (result < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %d\n", what, result);
}

static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void writes(const char *path, const char *text) {
    write_file(path, (const unsigned char *)text, strlen(text));
}

static void shows(const char *path) {
    struct bytes found = read_file(path);
    printf("'%.*s'\n", (int)found.length, found.data);
    free(found.data);
}

static void positions(void) {
    puts("# positions, truncate");
    int fd = open("/work/seek", O_RDWR | O_CREAT | O_EXCL, 0666);
    char bytes[20] = {0};
    try("write", (int)write(fd, "0123456789", 10));
    try("seek", (int)lseek(fd, 3, SEEK_SET));
    try("write", (int)write(fd, "abc", 3));
    try("pwrite", (int)pwrite(fd, "end", 3, 15));
    try("ftruncate", ftruncate(fd, 16));
    try("pread", (int)pread(fd, bytes, sizeof bytes, 1));
    printf("'%s' %d '%s'\n", bytes, bytes[9], bytes + 14);
    try("ftruncate", ftruncate(fd, 4));
    try("size", (int)lseek(fd, 0, SEEK_END));
    try("fsync", fsync(fd));
    try("close", close(fd));
}

static void links(void) {
    puts("# rename, link, symlink");
    char target[40] = {0};
    struct stat st;
    try("rename", rename("/work/dir/text", "/work/a/renamed"));
    try("rename", rename("/work/a", "/work/moved"));
    try("link", link("/work/moved/renamed", "/work/hard"));
    try("symlink", symlink("moved/renamed", "/work/soft"));
    try("readlink", (int)readlink("/work/soft", target, sizeof target - 1));
    puts(target);
    shows("/work/soft");
    try("lstat", lstat("/work/soft", &st));
    printf("%d, %d links\n", S_ISLNK(st.st_mode), (int)st.st_nlink);
    writes("/work/copy", "one\ntwo\n");
}

static void errors(void) {
    puts("# errors");
    char byte;
    try("open what is not there", open("/work/none", O_RDONLY));
    try("create what is there", open("/work/copy", O_CREAT | O_EXCL | O_WRONLY, 0666));
    try("create below a file", open("/work/copy/x", O_CREAT | O_WRONLY, 0666));
    try("open a directory to write", open("/work/dir", O_WRONLY));
    try("mkdir what is there", mkdir("/work/dir", 0777));
    try("rmdir of a full directory", rmdir("/work/moved"));
    try("unlink a directory", unlink("/work/dir"));
    int fd = open("/work/copy", O_WRONLY);
    try("read from a write-only file", (int)read(fd, &byte, 1));
    close(fd);
}

static void many(void) {
    puts("# many entries");
    struct dirent **entries;
    char path[64], text[8];
    unsigned seen = 0;
    mkdir("/work/many", 0777);
    for (int i = 0; i < 1000; i++) {
        sprintf(path, "/work/many/%04d", i);
        sprintf(text, "%d", i);
        writes(path, text);
    }
    int count = scandir("/work/many", &entries, visible, by_name);
    for (int i = 0; i < count; i++) {
        sprintf(path, "/work/many/%s", entries[i]->d_name);
        struct bytes found = read_file(path);
        seen += (unsigned)atoi(memcpy(text, found.data, found.length + 1));
        free(found.data);
        if (atoi(entries[i]->d_name) % 100 != 0)
            unlink(path);
        free(entries[i]);
    }
    free(entries);
    printf("%u\n", seen);
}

static void files(void) {
    puts("# create, append, read");
    try("mkdir", mkdir("/work/dir", 0777));
    try("mkdir", mkdir("/work/a", 0777));
    try("mkdir", mkdir("/work/a/b", 0777));
    writes("/work/dir/text", "one\n");
    FILE *appended = fopen("/work/dir/text", "a");
    fputs("two\n", appended);
    fclose(appended);
    shows("/work/dir/text");
    shows("/data/packed.txt");
    positions();
    links();
    errors();
    puts("# remove");
    try("unlink", unlink("/work/hard"));
    try("rmdir", rmdir("/work/moved/b"));
    try("rmdir", rmdir("/work/dir"));
    many();
}

/* Prints what is below a directory, as tests/src/tree.rs does. */
static void list(const char *directory, const char *prefix) {
    struct dirent **entries;
    int count = scandir(directory, &entries, NULL, by_name);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char path[128], shown[128], target[40] = {0};
        struct stat st;
        sprintf(path, "%s/%s", directory, name);
        sprintf(shown, "%s/%s", prefix, name);
        if (!strcmp(name, ".") || !strcmp(name, ".."))
            continue;
        if (lstat(path, &st) != 0)
            fail(path);
        if (S_ISDIR(st.st_mode)) {
            printf("%s/\n", shown);
            list(path, shown);
        } else if (S_ISLNK(st.st_mode)) {
            readlink(path, target, sizeof target - 1);
            printf("%s -> %s\n", shown, target);
        } else {
            struct bytes found = read_file(path);
            printf("%s %zu %016llx\n", shown, found.length, fnv(&found));
            free(found.data);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    unsigned megabytes = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    if (!strcmp(mode, "files"))
        files();
    else if (!strcmp(mode, "grow"))
        grow(megabytes);
    else if (!strcmp(mode, "limit"))
        limit(megabytes);
    else
        return 2;
    puts("--- tree");
    list("/work", "");
    return 0;
}
