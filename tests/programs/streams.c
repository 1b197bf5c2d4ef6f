/* All of stdio: modes, pushing back, positions, buffering, freopen, formats,
 * lines, streams in memory, wide characters, temporary files.
 */
#include <stdio_ext.h>
#include <wchar.h>

#include "report.h"

static void try_mode(const char *path, const char *mode) {
    char text[16];
    FILE *file = fopen(path, mode);
    if (!file) {
        say("%-4s %s: %s", mode, path, strerror(errno));
        return;
    }
    size_t n = fread(text, 1, 3, file);
    int unread = ferror(file) != 0;
    clearerr(file);
    fseek(file, 0, SEEK_CUR);
    int written = fprintf(file, "<%s>", mode);
    int unwritten = fflush(file) != 0 || ferror(file);
    long at = ftell(file);
    fseek(file, 0, SEEK_END);
    say("%-4s %s: read '%.*s'%s, wrote %d%s, at %ld of %ld, close %d", mode, path, (int)n, text,
        unread ? " failed" : "", written, unwritten ? " failed" : "", at, ftell(file),
        fclose(file));
}

static void modes(void) {
    static const char *const all[] = {"r",  "w",   "a",   "r+",  "w+",  "a+",  "rb",  "wb",
                                      "ab", "r+b", "rb+", "w+b", "a+b", "wx",  "w+x", "wbx",
                                      "ax", "re",  "we",  "a+e", "",    "q",   "xw",  "rw"};
    char name[32];
    puts("# modes");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        put("/work/there", "0123456789");
        try_mode("/work/there", all[i]);
        sprintf(name, "/work/new-%zu", i);
        try_mode(name, all[i]);
        try_mode("/data", all[i]);
        try_mode("/data/dangling", all[i]);
        remove("/data/nothing");
        try_mode("/data/loop", all[i]);
        try_mode("/data/text/below", all[i]);
        try_mode("/data/sub/", all[i]);
        try_mode("/work/none/x", all[i]);
    }
    show("/work/there");
}

static void pushing_back(void) {
    puts("# ungetc");
    put("/work/u", "abc");
    FILE *file = fopen("/work/u", "r+");
    TRY(ungetc('z', file));
    TRY(ftell(file));
    TRY(getc(file));
    TRY(getc(file));
    TRY(ungetc('y', file));
    TRY(ungetc('x', file));
    TRY(ftell(file));
    TRY(fseek(file, 1, SEEK_SET));
    TRY(getc(file));
    TRY(ungetc(EOF, file));
    fseek(file, 0, SEEK_END);
    TRY(getc(file));
    TRY(feof(file) != 0);
    TRY(ungetc('e', file));
    TRY(feof(file) != 0);
    TRY(getc(file));
    TRY(getc(file));
    TRY(fclose(file));
    show("/work/u");
}

static void positions(void) {
    puts("# positions");
    fpos_t here;
    FILE *file = fopen("/work/p", "w+");
    TRY(fputs("0123456789", file));
    TRY(ftell(file));
    TRY(fgetpos(file, &here));
    TRY(fseek(file, -4, SEEK_CUR));
    TRY(getc(file));
    TRY(fseek(file, -11, SEEK_END));
    TRY(ftell(file));
    TRY(fseek(file, -1, SEEK_SET));
    TRY(fsetpos(file, &here));
    TRY(ftell(file));
    TRY(putc('!', file));
    rewind(file);
    TRY(getc(file));
    TRY(fseeko(file, (off_t)5 << 30, SEEK_SET));
    TRY(ftello(file));
    TRY(getc(file));
    TRY(feof(file) != 0);
    rewind(file);
    TRY(feof(file) != 0);
    TRY(fseek(file, 10, SEEK_END));
    TRY(fputs("end", file));
    TRY(fflush(file));
    TRY(ftell(file));
    TRY(fclose(file));
    show("/work/p");
    file = fopen("/data/text", "r");
    TRY(putc('x', file));
    TRY(ferror(file) != 0);
    rewind(file);
    TRY(ferror(file) != 0);
    TRY(fclose(file));
}

static long size_of(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void buffering(void) {
    puts("# setvbuf");
    static char own[100];
    static const struct {
        const char *name;
        int mode;
        char *buffer;
        size_t size;
    } ways[] = {{"none", _IONBF, NULL, 0},      {"line", _IOLBF, NULL, 64},
                {"full of 16", _IOFBF, own, 16}, {"full of 100", _IOFBF, own, 100},
                {"full of 1", _IOFBF, own, 1},   {"full of 0", _IOFBF, NULL, 0}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        FILE *file = fopen("/work/b", "w");
        int set = setvbuf(file, ways[i].buffer, ways[i].mode, ways[i].size);
        long sizes[4];
        fputs("half", file);
        sizes[0] = size_of("/work/b");
        fputs(" a line\n", file);
        sizes[1] = size_of("/work/b");
        for (int n = 0; n < 150; n++)
            putc('x', file);
        sizes[2] = size_of("/work/b");
        fflush(file);
        sizes[3] = size_of("/work/b");
        say("%s: %d, %ld %ld %ld %ld, buffer of %zu", ways[i].name, set, sizes[0], sizes[1],
            sizes[2], sizes[3], __fbufsize(file));
        TRY(fclose(file));
    }
    FILE *one = fopen("/work/one", "w"), *two = fopen("/work/two", "w");
    fputs("waiting", one);
    fputs("waiting too", two);
    TRY(__fpending(one));
    TRY(fflush(NULL));
    say("after fflush(NULL) %ld %ld", size_of("/work/one"), size_of("/work/two"));
    fputs("dropped", one);
    __fpurge(one);
    fclose(one);
    fclose(two);
    show("/work/one");
}

static void opening_again(void) {
    puts("# freopen, fdopen");
    char text[32] = "";
    put("/work/f", "first file");
    put("/work/g", "second file");
    FILE *file = fopen("/work/f", "r");
    getc(file);
    file = freopen("/work/g", "r+", file);
    HAVE(file);
    TRY(ftell(file));
    HAVE(fgets(text, sizeof text, file));
    say("'%s'", text);
    file = freopen("/work/f", "a", file);
    TRY(fputs(" and more", file));
    file = freopen("/work/none/x", "r", file);
    HAVE(file);
    show("/work/f");
    int fd = open("/work/g", O_RDWR);
    TRY(lseek(fd, 7, SEEK_SET));
    file = fdopen(fd, "r+");
    TRY(fileno(file) == fd);
    HAVE(fgets(text, sizeof text, file));
    say("'%s'", text);
    HAVE(fdopen(fd, "q"));
    TRY(fclose(file));
    TRY(close(fd));
    HAVE(fdopen(fd, "r"));
    fd = open("/work/g", O_RDONLY);
    file = fdopen(fd, "w");
    fputs("x", file);
    TRY(fclose(file));
    show("/work/g");
}

static void formats(void) {
    puts("# fprintf, fscanf, getline, getdelim");
    FILE *file = fopen("/work/s", "w+");
    TRY(fprintf(file, "%5d|%-6s|%08.3f|%x|%c|%%|%.3s\n", 42, "left", 3.14159, 0xbeef, 'c', "abcdef"));
    TRY(fprintf(file, "%*d %lld %zu\nkey = value ; 7,8,9\nlast", 12, -3, 1LL << 40, (size_t)9));
    rewind(file);
    int number = 0, a = 0, b = 0, c = 0, count = 0;
    char word[16] = "", key[16] = "", value[16] = "";
    double real = 0;
    TRY(fscanf(file, "%d|%15[^|]|%lf|%x|%n", &number, word, &real, (unsigned *)&a, &count));
    say("%d '%s' %.3f %x %d", number, word, real, a, count);
    TRY(fscanf(file, "%*[^\n]"));
    long long large = 0;
    TRY(fscanf(file, "%d %lld %*d", &number, &large));
    say("%d %lld", number, large);
    TRY(fscanf(file, " %15s = %15s ; %d,%d,%d", key, value, &a, &b, &c));
    say("%s %s %d %d %d", key, value, a, b, c);
    TRY(fscanf(file, "%d", &a));
    TRY(fscanf(file, "%15s", word));
    TRY(fscanf(file, "%d", &a));
    TRY(fclose(file));

    file = fopen("/work/l", "w+");
    for (int i = 0; i < 5; i++)
        fprintf(file, "%*s;%d\n", i * 400, "", i * i);
    for (int i = 0; i < 3000; i++)
        putc(i % 100 ? 'x' : 0, file);
    fputs("\n\n;no end", file);
    rewind(file);
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; (n = getline(&line, &room, file)) >= 0;)
        say("line of %zd", n);
    rewind(file);
    for (ssize_t n; (n = getdelim(&line, &room, ';', file)) >= 0;)
        say("part of %zd", n);
    rewind(file);
    TRY(getdelim(&line, &room, 0, file));
    free(line);
    TRY(fclose(file));

    // Members that do not come out even.
    char block[3000];
    file = fopen("/work/l", "r");
    TRY(fread(block, 7, 3, file));
    TRY(fread(block, 3000, 1, file));
    TRY(fread(block, 0, 5, file));
    TRY(fread(block, 1000, 3, file));
    TRY(fclose(file));
}

static void in_memory(void) {
    puts("# fmemopen, open_memstream");
    char buffer[16] = "0123456789";
    FILE *file = fmemopen(buffer, sizeof buffer, "r+");
    TRY(fseek(file, 3, SEEK_SET));
    TRY(fputs("abc", file));
    TRY(fclose(file));
    say("'%s'", buffer);
    HAVE(fmemopen(buffer, 4, "q"));
    file = fmemopen(buffer, 4, "r");
    TRY(fread(buffer + 8, 1, 8, file));
    TRY(fclose(file));
    char *text = NULL;
    size_t size = 0;
    file = open_memstream(&text, &size);
    for (int i = 0; i < 1000; i++)
        fprintf(file, "%d,", i);
    TRY(fseek(file, 2, SEEK_SET));
    TRY(fputs("!", file));
    TRY(fclose(file));
    say("%zu '%.10s'", size, text);
    free(text);
}

static void wide(void) {
    puts("# wide characters");
    FILE *file = fopen("/work/w", "w+");
    TRY(fwide(file, 1));
    TRY(fputws(L"wide text\n", file));
    TRY(fwprintf(file, L"%ls %d\n", L"and", 5));
    rewind(file);
    TRY(fgetwc(file));
    TRY(ungetwc(L'W', file));
    wchar_t line[20];
    HAVE(fgetws(line, 20, file));
    TRY(wcslen(line));
    TRY(fgetc(file) == 'a');
    TRY(fclose(file));
    show("/work/w");
}

static void temporary(void) {
    puts("# temporary files");
    puts("skipped: tmpfile, tmpnam, mkstemp, mkdtemp: no libc for WASI has them");
    char name[32];
    FILE *files[20];
    for (int i = 0; i < 20; i++) {
        // As they do it: a new name, then without it where nobody is to know.
        int fd, n = 0;
        do
            sprintf(name, "/tmp/t-%06d", n++);
        while ((fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0600)) < 0 && errno == EEXIST);
        files[i] = fdopen(fd, "w+");
        if (i % 2)
            remove(name);
        fprintf(files[i], "file %d", i);
    }
    for (int i = 0; i < 20; i++) {
        char text[16] = "";
        rewind(files[i]);
        fgets(text, sizeof text, files[i]);
        printf("'%s' ", text);
        fclose(files[i]);
    }
    puts("");
}

static void names(void) {
    puts("# remove, rename");
    put("/work/n", "n");
    TRY(mkdir("/work/d", 0777));
    TRY(rename("/work/n", "/work/d"));
    TRY(rename("/work/d", "/work/n"));
    TRY(rename("/work/n", "/work/d/n"));
    TRY(remove("/work/d"));
    TRY(remove("/work/d/n/"));
    FILE *file = fopen("/work/d/n", "r+");
    TRY(rename("/work/d/n", "/work/m"));
    TRY(fputs("N", file));
    TRY(fflush(file));
    show("/work/m");
    TRY(remove("/work/m"));
    TRY(fputs("still", file));
    TRY(fflush(file));
    TRY(fseek(file, 0, SEEK_END));
    TRY(ftell(file));
    TRY(fclose(file));
    TRY(remove("/work/d"));
    TRY(remove("/data/dangling"));
    TRY(remove("/"));
}

int main(void) {
    modes();
    pushing_back();
    positions();
    buffering();
    opening_again();
    formats();
    in_memory();
    wide();
    temporary();
    names();
    dump_tree();
    return 0;
}
