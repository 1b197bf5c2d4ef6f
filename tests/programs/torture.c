/* SQLite under random transactions, its contents mirrored in memory.
 *
 *   torture build           makes a database in /db and the mirror of it
 *   torture run ROUNDS      works on it; any difference ends it with 1
 *
 * 1. Each round is a transaction with savepoints, over two databases, in one of
 *    five journal modes, committed or rolled back.
 * 2. Between rounds: VACUUM, reopening, sorting with temporary files, tables that
 *    come and go, integrity_check, and a comparison with the mirror.
 * 3. A crash is played by copying database and journal in the middle of a
 *    transaction: what is recovered from them must be the state before it.
 */
#include <stdarg.h>
#include <stdint.h>

#include "sqlite3.h"
#include "tree.h"

enum { TABLES = 8, MAIN = 6, KEYS = 120 };

/* What is in the databases: contents are made from a seed. */
struct row {
    uint32_t seed; /* 0: no such row */
    uint32_t size;
};
struct world {
    int exists[TABLES];
    struct row rows[TABLES][KEYS];
};

static struct world now;
static sqlite3 *db;
/* How many of the tables are used: a transaction over two databases needs fsync
 * of a directory, which a host may lack. */
static int tables = TABLES;
static int mode;
static const char *const modes[] = {"delete", "truncate", "persist", "memory", "wal"};
enum { WAL = 4 };

static void fail(const char *what) {
    printf("FAILED: %s: %s\n", what, db ? sqlite3_errmsg(db) : strerror(errno));
    fflush(stdout);
    exit(1);
}

static uint32_t chance(uint32_t below) {
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static unsigned char *contents(struct row row) {
    static unsigned char bytes[1 << 20];
    uint32_t state = row.seed;
    for (uint32_t i = 0; i < row.size; i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = state >> 24;
    }
    return bytes;
}

static void run(const char *format, ...) {
    char sql[256];
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail(sql);
}

static sqlite3_stmt *prepare(sqlite3 *in, const char *format, ...) {
    char sql[256];
    sqlite3_stmt *statement;
    va_list args;
    va_start(args, format);
    vsnprintf(sql, sizeof sql, format, args);
    va_end(args);
    if (sqlite3_prepare_v2(in, sql, -1, &statement, NULL) != SQLITE_OK)
        fail(sql);
    return statement;
}

/* The first column of the first row, as text. */
static const char *ask(sqlite3 *in, const char *sql) {
    static char answer[256];
    sqlite3_stmt *statement = prepare(in, "%s", sql);
    if (sqlite3_step(statement) != SQLITE_ROW)
        fail(sql);
    snprintf(answer, sizeof answer, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    return answer;
}

static const char *table_name(int table) {
    static char name[16];
    snprintf(name, sizeof name, "%s.t%d", table < MAIN ? "main" : "other", table);
    return name;
}

/* Fails unless the first `count` tables of `in` hold what `world` says. */
static void compare(sqlite3 *in, const struct world *world, int count, const char *when) {
    for (int table = 0; table < count; table++) {
        if (!world->exists[table])
            continue;
        sqlite3_stmt *rows = prepare(in, "SELECT k, seed, v FROM %s ORDER BY k", table_name(table));
        for (int key = 0; key < KEYS; key++) {
            struct row row = world->rows[table][key];
            if (!row.seed)
                continue;
            if (sqlite3_step(rows) != SQLITE_ROW || sqlite3_column_int(rows, 0) != key ||
                (uint32_t)sqlite3_column_int64(rows, 1) != row.seed ||
                (uint32_t)sqlite3_column_bytes(rows, 2) != row.size ||
                memcmp(sqlite3_column_blob(rows, 2), contents(row), row.size) != 0) {
                printf("%s key %d, %s\n", table_name(table), key, when);
                fail("a row is not what was written");
            }
        }
        if (sqlite3_step(rows) != SQLITE_DONE)
            fail("more rows than were written");
        sqlite3_finalize(rows);
    }
}

static void check_integrity(sqlite3 *in) {
    const char *answer = ask(in, "PRAGMA integrity_check");
    if (strcmp(answer, "ok") != 0)
        fail(answer);
}

static void open_databases(void) {
    if (sqlite3_open("/db/main.db", &db) != SQLITE_OK)
        fail("open");
    // Without shared memory the log needs the files for itself, from the start.
    if (mode == WAL)
        run("PRAGMA locking_mode = EXCLUSIVE");
    run("ATTACH '/db/other.db' AS other");
    run("PRAGMA main.cache_size = 8; PRAGMA other.cache_size = 8; PRAGMA temp_store = 1");
}

static void close_databases(void) {
    if (sqlite3_close(db) != SQLITE_OK)
        fail("close");
    db = NULL;
}

static void set_mode(int wanted) {
    char sql[64];
    if (wanted == WAL)
        run("PRAGMA locking_mode = EXCLUSIVE");
    for (int i = 0; i < 2; i++) {
        snprintf(sql, sizeof sql, "PRAGMA %s.journal_mode = %s", i ? "other" : "main", modes[wanted]);
        if (strcmp(ask(db, sql), modes[wanted]) != 0)
            fail(sql);
    }
    if (wanted != WAL) {
        run("PRAGMA locking_mode = NORMAL");
        run("SELECT * FROM main.sqlite_schema; SELECT * FROM other.sqlite_schema");
    }
    mode = wanted;
}

static void create(int table) {
    run("CREATE TABLE %s (k INTEGER PRIMARY KEY, seed INTEGER, v BLOB)", table_name(table));
    run("CREATE INDEX %s_seed ON t%d (seed)", table_name(table), table);
    now.exists[table] = 1;
}

static void put(int table, int key) {
    static const uint32_t largest[] = {10, 300, 300, 3000, 3000, 20000, 20000, 300000};
    struct row row = {chance(1 << 30) + 1, chance(largest[chance(8)])};
    sqlite3_stmt *insert = prepare(db, "INSERT OR REPLACE INTO %s VALUES (?, ?, ?)", table_name(table));
    sqlite3_bind_int(insert, 1, key);
    sqlite3_bind_int64(insert, 2, row.seed);
    sqlite3_bind_blob(insert, 3, contents(row), row.size, SQLITE_STATIC);
    if (sqlite3_step(insert) != SQLITE_DONE)
        fail("insert");
    sqlite3_finalize(insert);
    now.rows[table][key] = row;
}

static void change(void) {
    int table = chance(tables), key = chance(KEYS), count = chance(20);
    if (!now.exists[table]) {
        create(table);
        return;
    }
    switch (chance(12)) {
    case 0:
        run("DROP TABLE %s", table_name(table));
        now.exists[table] = 0;
        memset(now.rows[table], 0, sizeof now.rows[table]);
        break;
    case 1:
        run("DELETE FROM %s", table_name(table));
        memset(now.rows[table], 0, sizeof now.rows[table]);
        break;
    case 2:
    case 3:
        run("DELETE FROM %s WHERE k BETWEEN %d AND %d", table_name(table), key, key + count);
        for (int i = key; i <= key + count && i < KEYS; i++)
            now.rows[table][i] = (struct row){0, 0};
        break;
    default:
        for (int i = 0; i < count; i++)
            put(table, chance(KEYS));
    }
}

static void copy_file(const char *from, const char *to) {
    static char bytes[8192];
    FILE *in = fopen(from, "rb");
    if (!in)
        return;
    FILE *out = fopen(to, "wb");
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, in)) > 0;)
        if (fwrite(bytes, 1, n, out) != n)
            fail("copy");
    fclose(in);
    fclose(out);
}

/* What is left if the program ended here is the world before the transaction. */
static void play_crash(const struct world *before) {
    copy_file("/db/main.db", "/db/crash.db");
    copy_file("/db/main.db-journal", "/db/crash.db-journal");
    copy_file("/db/main.db-wal", "/db/crash.db-wal");
    sqlite3 *crashed;
    if (sqlite3_open("/db/crash.db", &crashed) != SQLITE_OK)
        fail("open what the crash left");
    if (mode == WAL)
        sqlite3_exec(crashed, "PRAGMA locking_mode = EXCLUSIVE", NULL, NULL, NULL);
    check_integrity(crashed);
    compare(crashed, before, MAIN, "after a crash");
    sqlite3_close(crashed);
    remove("/db/crash.db");
    remove("/db/crash.db-journal");
}

static void transaction(void) {
    static struct world before, saved;
    int crash = mode != 3 && chance(6) == 0;
    before = now;
    run("BEGIN");
    for (int steps = chance(6) + 1; steps > 0; steps--) {
        saved = now;
        run("SAVEPOINT s");
        for (int changes = chance(4); changes > 0; changes--)
            change();
        if (chance(4) == 0) {
            run("ROLLBACK TO s");
            now = saved;
        }
        run("RELEASE s");
    }
    if (crash)
        play_crash(&before);
    if (chance(4) == 0) {
        run("ROLLBACK");
        now = before;
    } else {
        run("COMMIT");
    }
}

/* A copy that VACUUM makes, and a temporary table of everything, sorted. */
static void derive(void) {
    run("VACUUM main INTO '/db/copy.db'");
    sqlite3 *copy;
    if (sqlite3_open("/db/copy.db", &copy) != SQLITE_OK)
        fail("open the copy");
    check_integrity(copy);
    compare(copy, &now, MAIN, "in the copy");
    sqlite3_close(copy);
    remove("/db/copy.db");

    int rows = 0;
    run("CREATE TEMP TABLE every (k, seed, v)");
    for (int table = 0; table < TABLES; table++)
        for (int key = 0; now.exists[table] && key < KEYS; key++)
            rows += now.rows[table][key].seed != 0;
    for (int table = 0; table < TABLES; table++)
        if (now.exists[table])
            run("INSERT INTO every SELECT * FROM %s", table_name(table));
    sqlite3_stmt *sorted = prepare(db, "SELECT v FROM every ORDER BY v DESC, k");
    while (sqlite3_step(sorted) == SQLITE_ROW)
        rows--;
    sqlite3_finalize(sorted);
    if (rows)
        fail("sorting lost rows");
    run("DROP TABLE every");
}

static void between(int round) {
    switch (chance(10)) {
    case 0:
        run("VACUUM main");
        break;
    case 1:
        run("VACUUM other");
        break;
    case 2:
        close_databases();
        open_databases();
        break;
    case 3:
        if (mode != WAL)
            run("PRAGMA main.page_size = %d; VACUUM", 512 << chance(6));
        break;
    case 4:
        run("PRAGMA main.auto_vacuum = %d; VACUUM", chance(3));
        break;
    case 5:
        derive();
        break;
    default:
        set_mode(chance(5));
    }
    if (round % 5 == 0) {
        check_integrity(db);
        compare(db, &now, TABLES, "between transactions");
    }
}

/* The mirror outlives the process that made it in a file. */
static void keep(const char *how) {
    FILE *file = fopen("/db/mirror", how);
    size_t n = *how == 'r' ? fread(&now, sizeof now, 1, file) : fwrite(&now, sizeof now, 1, file);
    if (n != 1 || fclose(file) != 0)
        fail("the mirror");
}

int main(int argc, char **argv) {
    if (argc == 2) {
        tables = MAIN;
        open_databases();
        for (int round = 0; round < 20; round++)
            transaction();
        close_databases();
        keep("wb");
        return 0;
    }
    keep("rb");
    open_databases();
    check_integrity(db);
    compare(db, &now, TABLES, "as it was packed");
    for (int round = 1, rounds = atoi(argv[2]); round <= rounds; round++) {
        transaction();
        between(round);
        if (round % 20 == 0) {
            printf("round %d: journal %s, next %u, ", round, modes[mode], chance(1000));
            printf("pages %s, ", ask(db, "PRAGMA main.page_count"));
            printf("free %s\n", ask(db, "PRAGMA main.freelist_count"));
        }
    }
    set_mode(0);
    check_integrity(db);
    compare(db, &now, TABLES, "at the end");
    close_databases();
    open_databases();
    compare(db, &now, TABLES, "opened again");
    close_databases();
    remove("/db/mirror");
    if (unlink("/db/main.db") != 0 || unlink("/db/other.db") != 0 || rmdir("/db") != 0)
        fail("a journal, lock or temporary file is left");
    puts("done");
    return 0;
}
