/* Calls an import itself, past the libc, as the bindings of other languages do. */
#include <stdio.h>

__attribute__((import_module("wasi_snapshot_preview1"), import_name("path_symlink")))
int path_symlink(const char *target, int target_len, int fd, const char *path, int path_len);

int main(void) {
    printf("%d\n", path_symlink("text", 4, 3, "soft", 4));
    return 0;
}
