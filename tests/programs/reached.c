/* Tries what its arguments say, in their order, and ends with the number of the first
 * that is not as it says:
 *
 *   in=TEXT  in!ERRNO            what reading all of stdin gives
 *   out=TEXT out!ERRNO           writing to stdout; err the same to stderr
 *   sleep    sleep!ERRNO         waiting for a moment
 *   ready=N                      how many of stdin, stdout and stderr poll finds at once
 *   read:PATH=TEXT read:PATH!ERRNO
 *   write:PATH=TEXT write:PATH!ERRNO
 *   tty!                         none of the streams is a terminal
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char buffer[256];

/* What a file holds; less than 0 with errno. */
static int take(int fd) {
    size_t length = 0;
    ssize_t count;
    while ((count = read(fd, buffer + length, sizeof buffer - 1 - length)) > 0) length += count;
    buffer[length] = 0;
    return count < 0 ? -1 : (int)length;
}

static int give(int fd, const char *text) {
    return write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static int at_path(const char *what, const char *text) {
    char path[64];
    const char *start = strchr(what, ':') + 1;
    snprintf(path, sizeof path, "%.*s", (int)(text - 1 - start), start);
    int reads = what[0] == 'r';
    int fd = open(path, reads ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd < 0) return -1;
    int outcome = reads ? take(fd) : give(fd, text);
    close(fd);
    return outcome;
}

static int pause_a_moment(void) {
    struct timespec moment = {0, 1000000};
    int failed = clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
    errno = failed;
    return failed ? -1 : 0;
}

static int ready(void) {
    struct pollfd all[3] = {{0, POLLIN, 0}, {1, POLLOUT, 0}, {2, POLLOUT, 0}};
    return poll(all, 3, 0);
}

/* Whether what is tried goes as it is said. */
static int holds(const char *what) {
    const char *text = what + strcspn(what, "=!") + 1;
    int outcome, reads = 0;
    errno = 0;
    if (!strncmp(what, "tty", 3)) return !isatty(0) && !isatty(1) && !isatty(2);
    if (!strncmp(what, "ready", 5)) return ready() == atoi(text);
    if (!strncmp(what, "in", 2)) outcome = take(0), reads = 1;
    else if (!strncmp(what, "out", 3)) outcome = give(1, text);
    else if (!strncmp(what, "err", 3)) outcome = give(2, text);
    else if (!strncmp(what, "sleep", 5)) outcome = pause_a_moment();
    else outcome = at_path(what, text), reads = what[0] == 'r';
    if (what[strcspn(what, "=!")] == '!') return outcome < 0 && errno == atoi(text);
    return outcome >= 0 && (!reads || !strcmp(buffer, text));
}

int main(int count, char **arguments) {
    for (int i = 1; i < count; i++)
        if (!holds(arguments[i])) return i;
    return 0;
}
