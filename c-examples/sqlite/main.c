/* sqlite: opens the packed database, queries it and changes it.
 *
 *   sqlite                          works on /library.db, as told below
 *   sqlite build SCRIPT DATABASE    makes a database from a file of SQL
 *
 * Each rollback journal mode treats the file system differently: DELETE creates
 * and unlinks the journal, TRUNCATE cuts it to nothing, PERSIST overwrites its
 * header. Locks are directories, made and removed around each transaction.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sqlite3.h"

#define DATABASE "/library.db"

static sqlite3 *db;

static void fail(const char *what) {
    fflush(stdout);
    fprintf(stderr, "sqlite: %s: %s\n", what, sqlite3_errmsg(db));
    exit(1);
}

static int print_row(void *unused, int columns, char **value, char **name) {
    (void)unused;
    (void)name;
    for (int i = 0; i < columns; i++)
        printf("%s%s", i ? " | " : "  ", value[i] ? value[i] : "NULL");
    putchar('\n');
    return 0;
}

static void run(const char *sql) {
    char *message;
    if (sqlite3_exec(db, sql, print_row, NULL, &message) != SQLITE_OK)
        fail(sql);
}

static void show(const char *sql) {
    printf("%s\n", sql);
    run(sql);
}

static void open_database(const char *path) {
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
        fail(path);
    /* A cache of few pages makes transactions spill to the file early. */
    run("PRAGMA cache_size = 10");
}

static void close_database(void) {
    if (sqlite3_close(db) != SQLITE_OK)
        fail("close");
}

/* FNV-1a of a file's bytes: what two runs left behind can be compared. */
static uint64_t digest(const char *path) {
    uint64_t hash = 14695981039346656037u;
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    for (int c; (c = getc(file)) != EOF;)
        hash = (hash ^ (uint64_t)c) * 1099511628211u;
    fclose(file);
    return hash;
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

static void list_root(int with_digest) {
    char names[32][64];
    int count = 0;
    DIR *dir = opendir("/");
    if (!dir) {
        perror("/");
        exit(1);
    }
    for (struct dirent *entry; (entry = readdir(dir)) && count < 32;)
        if (!strncmp(entry->d_name, "library.", 8))
            snprintf(names[count++], sizeof names[0], "/%.60s", entry->d_name);
    closedir(dir);
    qsort(names, (size_t)count, sizeof names[0], by_name);
    for (int i = 0; i < count; i++) {
        struct stat st;
        if (stat(names[i], &st) != 0) {
            perror(names[i]);
            exit(1);
        }
        if (S_ISDIR(st.st_mode))
            printf("  [%s/]", names[i]);
        else if (with_digest)
            printf("  %s %lld bytes %016llx\n", names[i], (long long)st.st_size,
                   (unsigned long long)digest(names[i]));
        else
            printf("  [%s %s]", names[i], st.st_size ? "filled" : "empty");
    }
    if (!with_digest)
        putchar('\n');
}

static void transaction(const char *mode) {
    char sql[256];
    printf("\njournal mode %s\n", mode);
    snprintf(sql, sizeof sql, "PRAGMA journal_mode = %s", mode);
    run(sql);

    run("BEGIN");
    snprintf(sql, sizeof sql,
             "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
             " INSERT INTO book (author, title, year)"
             " SELECT 1 + i %% 3, '%s, volume ' || i, 1900 + i %% 100 FROM n",
             mode);
    run(sql);
    printf("  within:");
    list_root(0);
    run("COMMIT");
    printf("  after: ");
    list_root(0);

    run("BEGIN");
    run("DELETE FROM book WHERE id > 5");
    run("UPDATE book SET title = upper(title)");
    run("ROLLBACK");
    show("SELECT count(*), min(title), max(year) FROM book");
}

static void build(const char *script, const char *database) {
    static char sql[65536];
    FILE *file = fopen(script, "rb");
    if (!file) {
        perror(script);
        exit(1);
    }
    size_t length = fread(sql, 1, sizeof sql - 1, file);
    fclose(file);
    if (length == sizeof sql - 1) {
        fprintf(stderr, "sqlite: %s is longer than %zu bytes\n", script, sizeof sql - 1);
        exit(1);
    }
    open_database(database);
    run("BEGIN");
    run(sql);
    run("COMMIT");
    close_database();
    printf("built %s\n", database);
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "build")) {
        build(argv[2], argv[3]);
        return 0;
    }
    if (argc != 1) {
        fprintf(stderr, "usage: sqlite [build SCRIPT DATABASE]\n");
        return 2;
    }

    struct stat st;
    if (stat(DATABASE, &st) != 0) {
        perror("sqlite: " DATABASE);
        return 1;
    }
    open_database(DATABASE);
    show("SELECT name, title, year FROM book JOIN author ON author.id = book.author ORDER BY year");

    transaction("DELETE");
    transaction("TRUNCATE");
    transaction("PERSIST");

    puts("");
    /* More rows than the cache holds: the sorter goes through temporary files. */
    show("SELECT count(*), sum(length(a.title)) FROM"
         " (SELECT title FROM book ORDER BY title || year LIMIT -1 OFFSET 3) AS a");
    show("PRAGMA integrity_check");
    run("DELETE FROM book WHERE id % 2");
    run("PRAGMA journal_mode = DELETE");
    show("VACUUM");
    show("PRAGMA integrity_check");
    close_database();

    open_database(DATABASE);
    show("SELECT count(*) FROM book");
    close_database();
    puts("left behind");
    list_root(1);
    return 0;
}
