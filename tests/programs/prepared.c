/* Opens, reads and writes files, comes to a checkpoint deep in calls, and goes on with
 * what it had: open files, memory, and the arguments and variables of this run.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../libvfs/guest/include/monaka.h"

static double deep(int n, double x, const char *name) {
    char local[64];
    snprintf(local, sizeof local, "%s %d", name, n);
    if (n == 3)
        monaka_checkpoint();
    if (n > 0)
        x = deep(n - 1, x * 1.5, name) + n;
    printf("%s: %g\n", local, x);
    return x;
}

static int before(const void *a, const void *b) {
    int one = *(const int *)a, other = *(const int *)b;
    static int compared;
    if (++compared == 20)
        monaka_checkpoint();
    return (one > other) - (one < other);
}

int main(int argc, char **argv) {
    char text[32] = "";
    FILE *poem = fopen("/data/poem.txt", "r");
    FILE *new = fopen("/data/new.txt", "w+");
    if (!poem || !new || !fgets(text, sizeof text, poem))
        return 1;
    printf("first line: %s", text);
    fputs("written before", new);
    unlink("/data/gone.txt");
    char *large = malloc(1 << 20);
    memset(large, 7, 1 << 20);
    fflush(NULL);
    if (argc > 1 && strcmp(argv[1], "sort") == 0) {
        int numbers[50];
        for (int i = 0; i < 50; i++)
            numbers[i] = i * 37 % 50;
        qsort(numbers, 50, sizeof *numbers, before);
        for (int i = 0; i < 50; i++)
            printf("%d ", numbers[i]);
        puts("");
    } else {
        printf("%g\n", deep(8, 2.5, "deep"));
    }
    if (monaka_refresh_args(&argc, &argv) != 0)
        return 2;
    monaka_refresh_environ();
    for (int i = 1; i < argc; i++)
        printf("argument %d: %s\n", i, argv[i]);
    const char *greeting = getenv("GREETING");
    printf("GREETING=%s\n", greeting ? greeting : "(none)");
    if (fgets(text, sizeof text, poem))
        printf("second line: %s", text);
    fputs(" and behind", new);
    rewind(new);
    if (fgets(text, sizeof text, new))
        printf("new: %s\n", text);
    errno = 0;
    printf("gone: %d, %d\n", access("/data/gone.txt", F_OK), errno == ENOENT);
    char *more = malloc(2 << 20);
    memset(more, 1, 2 << 20);
    printf("memory: %d %d\n", large[(1 << 20) - 1], more[5]);
    if (fgets(text, sizeof text, stdin))
        printf("stdin: %s\n", text);
    return 7;
}
