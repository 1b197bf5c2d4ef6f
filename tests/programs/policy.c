/* The calls without descriptors, one by one as the arguments name them, and what came of
 * each. Without arguments that are known it tells arguments and environment alone.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wasi/api.h>

#include "tree.h"

extern char **environ;

/* Headers of today no longer have it. */
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_raise")))
int raise_signal(int signal);

static void clock_of(const char *what, __wasi_clockid_t id) {
    __wasi_timestamp_t now = 0, step = 0;
    int got = __wasi_clock_time_get(id, 1, &now);
    int res = __wasi_clock_res_get(id, &step);
    if (got)
        printf("%s: errno %d, %d\n", what, got, res);
    else
        printf("%s: %llu.%09llu, %s\n", what, now / 1000000000, now % 1000000000,
               step ? "has a resolution" : "has none");
}

static void random_of(size_t len) {
    unsigned char bytes[64] = {0};
    int got = __wasi_random_get(bytes + 1, len);
    if (got) {
        printf("random: errno %d\n", got);
        return;
    }
    printf("random:");
    for (size_t i = 0; i < len + 2; i++)
        printf(" %02x", bytes[i]);
    puts("");
}

/* What lies outside of the memory is refused, by ours and the host's. */
static void outside(void) {
    void *end = (void *)(__builtin_wasm_memory_size(0) * 65536 - 2);
    size_t count;
    printf("outside: %d %d %d %d\n", __wasi_random_get(end, 3),
           __wasi_clock_time_get(0, 1, end), __wasi_environ_sizes_get(end, &count),
           __wasi_args_sizes_get(&count, end));
}

static void file(void) {
    struct stat before;
    FILE *stream = fopen("/tmp/new", "w");
    if (!stream || fputs("text", stream) < 0 || fclose(stream) || stat("/tmp/new", &before))
        printf("file: %s\n", strerror(errno));
    else
        printf("file: %lld.%09ld\n", (long long)before.st_mtim.tv_sec, before.st_mtim.tv_nsec);
    stream = fopen("/dev/urandom", "r");
    unsigned char bytes[4];
    if (stream && fread(bytes, 1, 4, stream) == 4)
        printf("urandom: %02x%02x%02x%02x\n", bytes[0], bytes[1], bytes[2], bytes[3]);
    else
        printf("urandom: %s\n", strerror(errno));
}

static void text_of(const char *path) {
    char text[32] = "";
    FILE *stream = fopen(path, "r");
    printf("%s: %s\n", path, stream && fgets(text, sizeof text, stream) ? text : strerror(errno));
}

/* What was added to the memory for a while is as new. */
static void fresh(void) {
    size_t pages = __builtin_wasm_memory_size(0);
    for (int i = 0; i < 3; i++) {
        size_t count = 0, bytes = 0;
        int got = __wasi_environ_sizes_get(&count, &bytes);
        printf("sizes: %d, %zu, %zu\n", got, count, bytes);
    }
    const char *byte = (const char *)(pages * 65536);
    const char *end = (const char *)(__builtin_wasm_memory_size(0) * 65536);
    size_t dirty = 0;
    for (; byte < end; byte++)
        dirty += *byte != 0;
    printf("dirty: %zu\n", dirty);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 0; i < argc; i++)
        printf("argv[%d] = '%s'\n", i, i == 0 && strstr(argv[0], ".wasm") ? "*.wasm" : argv[i]);
    for (char **variable = environ; *variable; variable++)
        printf("env %s\n", *variable);
    for (int i = 1; i < argc; i++) {
        const char *what = argv[i];
        if (!strcmp(what, "clock")) {
            clock_of("realtime", 0);
            clock_of("monotonic", 1);
        } else if (!strcmp(what, "random")) {
            random_of(3);
            random_of(19);
        } else if (!strcmp(what, "file"))
            file();
        else if (!strcmp(what, "outside"))
            outside();
        else if (!strcmp(what, "put") && i + 1 < argc) {
            FILE *stream = fopen("/tmp/put", "w");
            if (!stream || fputs(argv[++i], stream) < 0 || fclose(stream))
                perror("/tmp/put");
        } else if (!strcmp(what, "fresh"))
            fresh();
        else if (!strcmp(what, "cwd")) {
            const char *const paths[] = {"here", "./here", "/etc/conf", "/work/here"};
            for (size_t p = 0; p < sizeof paths / sizeof *paths; p++)
                text_of(paths[p]);
        } else if (!strcmp(what, "exit"))
            exit(3);
        else if (!strcmp(what, "raise"))
            printf("raise: %d\n", raise_signal(17));
        else if (!strcmp(what, "yield"))
            printf("yield: %d\n", (int)__wasi_sched_yield());
        else if (!strcmp(what, "table")) {
            /* By a pointer, so through the table. */
            __wasi_errno_t (*volatile yield)(void) = __wasi_sched_yield;
            printf("table: %d\n", yield());
        }
    }
}
