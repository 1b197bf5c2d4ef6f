/* Shows several mounts as the program sees them: preopens, times, links. */
#include <fcntl.h>

#include "tree.h"

static void show(const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0)
        printf("%s: %s\n", path, strerror(errno));
    else
        printf("%s mtime %lld.%09ld links %u\n", path, (long long)st.st_mtim.tv_sec,
               st.st_mtim.tv_nsec, S_ISREG(st.st_mode) ? (unsigned)st.st_nlink : 0);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        show(argv[i]);
    dump_tree();
    return 0;
}
