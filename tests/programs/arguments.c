/* What reaches the program from outside, and what goes back: arguments,
 * environment, exit code. `arguments HOW CODE …` leaves in the way HOW.
 */
#include "tree.h"

static void at_exit(void) {
    puts("atexit ran");
}

int main(int argc, char **argv) {
    static const char *const names[] = {"GREETING", "EMPTY", "UNSET"};
    atexit(at_exit);
    for (int i = 1; i < argc; i++)
        printf("argv[%d] = '%s'\n", i, argv[i]);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        printf("%s = %s%s%s\n", names[i], value ? "'" : "", value ? value : "unset",
               value ? "'" : "");
    }
    FILE *file = fopen("/text", "r");
    printf("the file is %s\n", file ? "there" : strerror(errno));
    fflush(stdout);
    const char *how = argc > 1 ? argv[1] : "return";
    int code = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(how, "_Exit"))
        _Exit(code);
    if (!strcmp(how, "exit"))
        exit(code);
    return code;
}
