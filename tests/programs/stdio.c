/* Standard C input and output: modes, positions, pushing back, buffering. */
#include <stdarg.h>

#include "tree.h"

static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void try_mode(const char *path, const char *mode) {
    char text[64];
    FILE *file = fopen(path, mode);
    if (!file) {
        say("fopen %s %s: %s", path, mode, strerror(errno));
        return;
    }
    int wrote = fputs("<new>", file);
    int write_failed = ferror(file) != 0;
    clearerr(file);
    fflush(file);
    long at = ftell(file);
    rewind(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    say("fopen %s %s: %s, at %ld, reads '%s'", path, mode,
        wrote < 0 || write_failed ? "no writing" : "writes", at, text);
    fclose(file);
}

int main(void) {
    static const char *const modes[] = {"r", "r+", "a", "a+", "w", "w+", "wx", "w+x"};
    char line[64];

    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        try_mode("/text", modes[i]);
    try_mode("/missing", "r");
    try_mode("/missing", "r+");
    try_mode("/fresh", "wx");
    try_mode("/missing/deep", "w");

    FILE *file = fopen("/lines", "w+");
    for (int i = 0; i < 1000; i++)
        fprintf(file, "line %d of %s\n", i, "many");
    say("wrote, at %ld", ftell(file));
    fseek(file, 500, SEEK_SET);
    fgets(line, sizeof line, file);
    fgets(line, sizeof line, file);
    line[strcspn(line, "\n")] = 0;
    say("'%s' ends at %ld", line, ftell(file));
    int c = getc(file);
    ungetc('L', file);
    say("'%c' pushed back as '%c', at %ld", c, getc(file), ftell(file));
    fpos_t position;
    fgetpos(file, &position);
    fseek(file, -6, SEEK_END);
    say("near the end '%s'", strtok(fgets(line, sizeof line, file), "\n"));
    say("then %s", fgets(line, sizeof line, file) ? "more" : feof(file) ? "the end" : "an error");
    fsetpos(file, &position);
    say("eof is %s after fsetpos", feof(file) ? "still set" : "cleared");
    int number = 0;
    char word[8];
    fscanf(file, "ine %d of %7s", &number, word);
    say("scanned %d %s", number, word);
    fseek(file, 100, SEEK_END);
    fputs("beyond", file);
    fflush(file);
    fseek(file, 0, SEEK_END);
    say("ends at %ld", ftell(file));

    setvbuf(file, NULL, _IONBF, 0);
    rewind(file);
    fputs("FIRST", file);
    FILE *again = fopen("/lines", "r");
    fgets(line, sizeof line, again);
    say("unbuffered shows '%s'", strtok(line, "\n"));
    again = freopen("/text", "a", again);
    fputs("reopened", again);
    fclose(again);
    fclose(file);

    say("remove: %d", remove("/text"));
    say("remove again: %s", remove("/text") ? strerror(errno) : "done");
    say("rename: %d", rename("/lines", "/dir/lines"));
    say("remove a directory: %s", remove("/dir") ? strerror(errno) : "done");

    while (fgets(line, sizeof line, stdin))
        say("stdin: %s", strtok(line, "\n"));
    fputs("to stderr\n", stderr);
    dump_tree();
    return 0;
}
