/* What calls on the entries of a directory cost, with ten entries and with more.
 *
 *   directories CALLS MOST     at least so many calls in a pass, up to so many entries
 */
#include "bench.h"
#include <dirent.h>

#define PASSES 5
#define DIRECTORY "/growth"
/* The names that are looked up again and again. */
#define SET 1000

static long enough;

/* printf would cost more than what is measured. */
static const char *entry(long i) {
    static char name[] = DIRECTORY "/entry-00000";
    for (char *digit = name + sizeof name - 2; *digit != '-'; digit--, i >>= 4)
        *digit = "0123456789abcdef"[i & 15];
    return name;
}

static void create_all(long n) {
    if (mkdir(DIRECTORY, 0777) != 0)
        fail("mkdir");
    for (long i = 0; i < n; i++)
        close(open_or_fail(entry(i), O_CREAT | O_EXCL | O_WRONLY));
}

/* Looks up names from the first to before the last, at random; whether they are there. */
static double look(long first, long n, int there) {
    struct stat st;
    double start = now();
    for (long i = 0; i < enough; i++)
        if ((stat(entry(first + number_below(n)), &st) == 0) != there)
            fail("stat");
    return now() - start;
}

/* Some names of all, at random: how large the directory is, and not the caches, is
 * what differs. */
static double look_in_set(long n) {
    static long set[SET];
    struct stat st;
    for (int i = 0; i < SET; i++)
        set[i] = number_below(n);
    /* They are in the caches, if there is room. */
    for (int i = 0; i < SET; i++)
        if (stat(entry(set[i]), &st) != 0)
            fail("stat");
    double start = now();
    for (long i = 0; i < enough; i++)
        if (stat(entry(set[number_below(SET)]), &st) != 0)
            fail("stat");
    return now() - start;
}

static double open_again(void) {
    double start = now();
    for (long i = 0; i < enough; i++)
        close(open_or_fail(DIRECTORY, O_RDONLY | O_DIRECTORY));
    return now() - start;
}

static double list(long n, long repeat) {
    long seen = 0;
    double start = now();
    for (long again = 0; again < repeat; again++) {
        DIR *dir = opendir(DIRECTORY);
        if (!dir)
            fail("opendir");
        while (readdir(dir))
            seen++;
        closedir(dir);
    }
    double took = now() - start;
    if (seen != (n + 2) * repeat)
        fail("a listing is not complete");
    return took;
}

/* The first entry of the directory that is neither `.` nor `..`. */
static int first(char *name, size_t size) {
    DIR *dir = opendir(DIRECTORY);
    struct dirent *found;
    if (!dir)
        fail("opendir");
    while ((found = readdir(dir)) && found->d_name[0] == '.')
        ;
    if (found)
        snprintf(name, size, DIRECTORY "/%s", found->d_name);
    closedir(dir);
    return found != NULL;
}

/* Removes what is listed first until nothing is left, as `rm -r` may do. */
static double drain(long n) {
    char name[64];
    long removed = 0;
    double start = now();
    while (first(name, sizeof name)) {
        if (unlink(name) != 0)
            fail(name);
        removed++;
    }
    double took = now() - start;
    if (removed != n || rmdir(DIRECTORY) != 0)
        fail("not all was removed");
    return took;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    enough = atol(argv[1]);
    long most = atol(argv[2]);
    for (long n = 10; n <= most; n *= 10) {
        double create = NEVER, lookup = NEVER, set = NEVER, miss = NEVER, opening = NEVER;
        double listing = NEVER, drained = NEVER;
        /* Small directories are made and listed several times. */
        long repeat = n < enough ? enough / n : 1;
        for (int pass = 0; pass < PASSES; pass++) {
            double created = 0, removed = 0;
            for (long again = 0; again < repeat; again++) {
                double start = now();
                create_all(n);
                created += now() - start;
                if (again + 1 == repeat) {
                    least(&lookup, look(0, n, 1));
                    least(&set, look_in_set(n));
                    least(&miss, look(n, n, 0));
                    least(&opening, open_again());
                    least(&listing, list(n, repeat));
                }
                removed += drain(n);
            }
            least(&create, created);
            least(&drained, removed);
        }
        report_at("create", n, create, n * repeat);
        report_at("lookup", n, lookup, enough);
        report_at("lookup_set", n, set, enough);
        report_at("miss", n, miss, enough);
        report_at("opendir", n, opening, enough);
        report_at("list", n, listing, (n + 2) * repeat);
        /* With fewer, each listing is shorter as well. */
        if (n >= 1000)
            report_at("drain", n, drained, n * repeat);
    }
    return 0;
}
