/* Reads every byte of a large packed file in several ways, then writes into it:
 * only what is written may change. /large holds byte i = (i * 31 + i / 4096) & 255.
 */
#include <fcntl.h>

#include "tree.h"

static unsigned char expected(long long i) {
    return (unsigned char)(i * 31 + i / 4096);
}

static int check(const unsigned char *data, long long at, long long n) {
    for (long long i = 0; i < n; i++)
        if (data[i] != expected(at + i)) {
            printf("byte %lld is %d, not %d\n", at + i, data[i], expected(at + i));
            return 1;
        }
    return 0;
}

int main(void) {
    static unsigned char buffer[1 << 20];
    struct stat st;
    int fd = open("/large", O_RDWR);
    if (fd < 0 || fstat(fd, &st) != 0)
        tree_fail("/large");
    printf("%lld bytes\n", (long long)st.st_size);

    long long at = 0;
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0; at += n)
        if (check(buffer, at, n))
            return 1;
    printf("read %lld in a row\n", at);

    unsigned seed = 1;
    for (int i = 0; i < 2000; i++) {
        seed = seed * 1103515245 + 12345;
        at = seed % (unsigned)st.st_size;
        ssize_t n = pread(fd, buffer, 1 + seed % 9000, at);
        if (n <= 0 || check(buffer, at, n))
            return 1;
    }
    puts("read 2000 times here and there");

    /* Overwrites around chunk borders, then looks at both sides of each. */
    for (at = 4000; at + 9000 < st.st_size; at += 65536 + 13) {
        memset(buffer, 0xAA, 200);
        if (pwrite(fd, buffer, 200, at) != 200)
            return 1;
        if (pread(fd, buffer, 600, at - 200) != 600 || check(buffer, at - 200, 200) ||
            check(buffer + 400, at + 200, 200))
            return 1;
        for (int i = 200; i < 400; i++)
            if (buffer[i] != 0xAA)
                return 1;
    }
    puts("wrote into it");
    if (ftruncate(fd, st.st_size / 2) != 0 || lseek(fd, 0, SEEK_END) != st.st_size / 2)
        return 1;
    memset(buffer, 'z', sizeof buffer);
    if (write(fd, buffer, sizeof buffer) != (ssize_t)sizeof buffer)
        return 1;
    close(fd);
    puts("cut it and appended");
    dump_tree();
    return 0;
}
