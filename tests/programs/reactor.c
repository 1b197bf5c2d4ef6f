/* A reactor: no main, exported functions that use files. State and descriptors
 * last from one call to the next.
 */
#include <fcntl.h>

#include "tree.h"

#define EXPORT(name) __attribute__((export_name(#name)))

static int constructed;

__attribute__((constructor)) static void construct(void) {
    char text[64] = "";
    FILE *file = fopen("/text", "r");
    if (file) {
        fgets(text, sizeof text, file);
        fclose(file);
    }
    constructed++;
    printf("constructor %d: %s", constructed, *text ? text : "(no file)\n");
    fflush(stdout);
}

/* The sum of the bytes of /text and, if it is there, /added. */
EXPORT(checksum) int checksum(void) {
    int sum = 0;
    const char *paths[] = {"/text", "/added"};
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(paths[i], "rb");
        if (!file)
            continue;
        for (int c; (c = getc(file)) != EOF;)
            sum += c;
        fclose(file);
    }
    return sum;
}

/* Appends a byte to /count and answers the file's length. */
EXPORT(count) int count(void) {
    struct stat st;
    int fd = open("/count", O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &st) != 0)
        return -errno;
    close(fd);
    return (int)st.st_size;
}

/* How often the constructor has run. */
EXPORT(constructions) int constructions(void) {
    return constructed;
}

EXPORT(dump) int dump(void) {
    tree_below("");
    fflush(stdout);
    return 0;
}
