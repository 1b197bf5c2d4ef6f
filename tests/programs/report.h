/* Calls with their results, a line each. */
#ifndef REPORT_H
#define REPORT_H

#include <fcntl.h>
#include <stdarg.h>

#include "tree.h"

/* Prints an expression and what came of it: a number, or the errno. */
#define TRY(expression) (errno = 0, report(#expression, (long long)(expression)))

/* The same for what gives a pointer, of which only NULL says something. */
#define HAVE(expression) (errno = 0, report_pointer(#expression, (const void *)(expression)))

/* The same for what gives a descriptor: hosts number them as they like. */
#define OPEN(expression) (errno = 0, report_descriptor(#expression, (expression)))

static long long report(const char *what, long long value) {
    if (value < 0)
        printf("%s = %lld (%s)\n", what, value, strerror(errno));
    else
        printf("%s = %lld\n", what, value);
    return value;
}

static const void *report_pointer(const char *what, const void *pointer) {
    printf("%s: %s\n", what, pointer ? "done" : strerror(errno));
    return pointer;
}

static int report_descriptor(const char *what, int fd) {
    if (fd < 0)
        report(what, fd);
    else
        printf("%s is open\n", what);
    return fd;
}

/* A line of its own. */
static void say(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

/* A new file of this text. */
static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    if (!file || fputs(text, file) < 0 || fclose(file) != 0)
        tree_fail(path);
}

/* Prints a file's size and how it begins. */
static void show(const char *path) {
    char text[60];
    FILE *file = fopen(path, "rb");
    if (!file) {
        say("%s: %s", path, strerror(errno));
        return;
    }
    size_t n = fread(text, 1, sizeof text, file), size = n;
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ')
            text[i] = text[i] == '\n' ? '$' : '.';
    while (getc(file) != EOF)
        size++;
    fclose(file);
    say("%s: %zu bytes '%.*s'", path, size, (int)n, text);
}

#endif
