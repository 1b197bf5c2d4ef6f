/* What calls on the entries of a directory cost, with ten entries and with more.
 *
 *   directories CALLS MOST all      at least so many calls in a pass, up to so many
 *                                   entries, of directories that it makes
 *   directories CALLS MOST reads    the same of directories that are there: /d-10,
 *                                   /d-100, ..., each with empty files entry-00000 on
 */
#include "bench.h"
#include <dirent.h>

#define PASSES 5
/* How long a name is that is looked up. */
#define ROOM 64
/* The names that are looked up again and again. */
#define SET 1000

static long enough;
/* The directory, and the name of an entry, of which the end is still to be written. */
static char directory[ROOM / 2], name[ROOM];
static char *name_end;

static void choose(const char *path) {
    strcpy(directory, path);
    name_end = name + sprintf(name, "%s/entry-00000", path);
}

/* printf would cost more than what is measured. */
static const char *entry(long i) {
    for (char *digit = name_end - 1; *digit != '-'; digit--, i >>= 4)
        *digit = "0123456789abcdef"[i & 15];
    return name;
}

static void create_all(long n) {
    if (mkdir(directory, 0777) != 0)
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
        close(open_or_fail(directory, O_RDONLY | O_DIRECTORY));
    return now() - start;
}

static double list(long n, long repeat) {
    struct dirent *found;
    long seen = 0;
    double start = now();
    for (long again = 0; again < repeat; again++) {
        DIR *dir = opendir(directory);
        if (!dir)
            fail("opendir");
        /* Not every file system lists `.` and `..`. */
        while ((found = readdir(dir)))
            seen += found->d_name[0] != '.';
        closedir(dir);
    }
    double took = now() - start;
    if (seen != n * repeat)
        fail("a listing is not complete");
    return took;
}

/* The first entry of the directory that is neither `.` nor `..`. */
static int first(char *path, size_t size) {
    DIR *dir = opendir(directory);
    struct dirent *found;
    if (!dir)
        fail("opendir");
    while ((found = readdir(dir)) && found->d_name[0] == '.')
        ;
    if (found)
        snprintf(path, size, "%s/%s", directory, found->d_name);
    closedir(dir);
    return found != NULL;
}

/* Removes what is listed first until nothing is left, as `rm -r` may do. */
static double drain(long n) {
    char path[ROOM + 256];
    long removed = 0;
    double start = now();
    while (first(path, sizeof path)) {
        if (unlink(path) != 0)
            fail(path);
        removed++;
    }
    double took = now() - start;
    if (removed != n || rmdir(directory) != 0)
        fail("not all was removed");
    return took;
}

/* The times of what looks at a directory. */
struct looks {
    double lookup, set, miss, opening, listing;
};

static void look_around(struct looks *best, long n, long repeat) {
    least(&best->lookup, look(0, n, 1));
    least(&best->set, look_in_set(n));
    least(&best->miss, look(n, n, 0));
    least(&best->opening, open_again());
    least(&best->listing, list(n, repeat));
}

static void report_looks(const struct looks *best, long n, long repeat) {
    report_at("lookup", n, best->lookup, enough);
    report_at("lookup_set", n, best->set, enough);
    report_at("miss", n, best->miss, enough);
    report_at("opendir", n, best->opening, enough);
    report_at("list", n, best->listing, n * repeat);
}

static void made(long n, long repeat) {
    struct looks best = {NEVER, NEVER, NEVER, NEVER, NEVER};
    double create = NEVER, drained = NEVER;
    choose("/growth");
    for (int pass = 0; pass < PASSES; pass++) {
        double created = 0, removed = 0;
        for (long again = 0; again < repeat; again++) {
            double start = now();
            create_all(n);
            created += now() - start;
            if (again + 1 == repeat)
                look_around(&best, n, repeat);
            removed += drain(n);
        }
        least(&create, created);
        least(&drained, removed);
    }
    report_looks(&best, n, repeat);
    report_at("create", n, create, n * repeat);
    /* With fewer, each listing is shorter as well. */
    if (n >= 1000)
        report_at("drain", n, drained, n * repeat);
}

static void there(long n, long repeat) {
    struct looks best = {NEVER, NEVER, NEVER, NEVER, NEVER};
    char path[ROOM / 2];
    snprintf(path, sizeof path, "/d-%ld", n);
    choose(path);
    for (int pass = 0; pass < PASSES; pass++)
        look_around(&best, n, repeat);
    report_looks(&best, n, repeat);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 2;
    enough = atol(argv[1]);
    long most = atol(argv[2]);
    for (long n = 10; n <= most; n *= 10) {
        /* Small directories are made and listed several times. */
        long repeat = n < enough ? enough / n : 1;
        if (reads_only(argc, argv))
            there(n, repeat);
        else
            made(n, repeat);
    }
    return 0;
}
