/* notes: keeps notes, one file each, in /notes.
 *
 *   notes add TITLE TEXT…     notes list            notes remove TITLE
 *   notes show TITLE          notes rename OLD NEW  notes tree
 *
 * Without arguments it takes such commands from standard input, one a line, so
 * that one run can both write and read.
 *
 * A note is saved under another name first and renamed into place: a reader
 * never sees half of one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE "/notes"
#define MAX_NOTES 256
#define MAX_WORDS 64

static int complain(const char *what, const char *about) {
    fflush(stdout);
    fprintf(stderr, "notes: cannot %s '%s': %s\n", what, about, strerror(errno));
    return 1;
}

static int path_of(char path[512], const char *title, const char *suffix) {
    if (strchr(title, '/') || title[0] == '.' || strlen(title) > 200) {
        fflush(stdout);
        fprintf(stderr, "notes: '%s' cannot be a title\n", title);
        return -1;
    }
    sprintf(path, STORE "/%s%s", title, suffix);
    return 0;
}

static int add(const char *title, int words, char **text) {
    char path[512], draft[512];
    if (path_of(path, title, ".txt") || path_of(draft, title, ".draft"))
        return 1;
    if (mkdir(STORE, 0777) != 0 && errno != EEXIST)
        return complain("make", STORE);
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL, 0666);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (!file)
        return complain("save", title);
    for (int i = 0; i < words; i++)
        fprintf(file, "%s%c", text[i], i + 1 < words ? ' ' : '\n');
    int unsaved = fflush(file) || fsync(fileno(file));
    unsaved |= fclose(file);
    if (unsaved || rename(draft, path) != 0) {
        int result = complain("save", title);
        unlink(draft);
        return result;
    }
    printf("saved %s\n", title);
    return 0;
}

static int show(const char *title) {
    char path[512], line[256];
    if (path_of(path, title, ".txt"))
        return 1;
    FILE *file = fopen(path, "r");
    if (!file)
        return complain("read", title);
    while (fgets(line, sizeof line, file))
        fputs(line, stdout);
    fclose(file);
    return 0;
}

static int remove_note(const char *title) {
    char path[512];
    if (path_of(path, title, ".txt"))
        return 1;
    if (unlink(path) != 0)
        return complain("remove", title);
    printf("removed %s\n", title);
    return 0;
}

static int rename_note(const char *from, const char *to) {
    char old[512], new[512];
    struct stat st;
    if (path_of(old, from, ".txt") || path_of(new, to, ".txt"))
        return 1;
    if (stat(new, &st) == 0) {
        errno = EEXIST;
        return complain("rename to", to);
    }
    if (rename(old, new) != 0)
        return complain("rename", from);
    printf("renamed %s to %s\n", from, to);
    return 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_in(const char *directory, char *names[MAX_NOTES]) {
    DIR *dir = opendir(directory);
    int count = 0;
    if (!dir)
        return -1;
    for (struct dirent *entry; (entry = readdir(dir)) && count < MAX_NOTES;)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            names[count++] = strdup(entry->d_name);
    closedir(dir);
    qsort(names, count, sizeof *names, by_name);
    return count;
}

static int list(void) {
    char *names[MAX_NOTES], path[512];
    int count = names_in(STORE, names);
    if (count < 0)
        return complain("list", STORE);
    for (int i = 0; i < count; i++) {
        struct stat st;
        snprintf(path, sizeof path, STORE "/%s", names[i]);
        size_t length = strlen(names[i]);
        if (stat(path, &st) != 0)
            return complain("look at", path);
        if (length > 4 && !strcmp(names[i] + length - 4, ".txt"))
            printf("%5lld  %.*s\n", (long long)st.st_size, (int)length - 4, names[i]);
        free(names[i]);
    }
    return 0;
}

/* Everything there is, with contents: what is left can be compared. */
static int tree(const char *directory) {
    char *names[MAX_NOTES], path[1024];
    int count = names_in(directory, names), result = 0;
    if (count < 0)
        return complain("list", directory);
    for (int i = 0; i < count; i++) {
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", strcmp(directory, "/") ? directory : "", names[i]);
        free(names[i]);
        if (lstat(path, &st) != 0) {
            result = complain("look at", path);
        } else if (S_ISDIR(st.st_mode)) {
            printf("%s/\n", path);
            result |= tree(path);
        } else {
            FILE *file = fopen(path, "r");
            char text[256];
            size_t n = file ? fread(text, 1, sizeof text - 1, file) : 0;
            text[n] = 0;
            text[strcspn(text, "\n")] = 0;
            printf("%s %lld \"%s\"\n", path, (long long)st.st_size, text);
            if (file)
                fclose(file);
        }
    }
    return result;
}

static int command(int words, char **word) {
    if (words >= 3 && !strcmp(word[0], "add"))
        return add(word[1], words - 2, word + 2);
    if (words == 2 && !strcmp(word[0], "show"))
        return show(word[1]);
    if (words == 2 && !strcmp(word[0], "remove"))
        return remove_note(word[1]);
    if (words == 3 && !strcmp(word[0], "rename"))
        return rename_note(word[1], word[2]);
    if (words == 1 && !strcmp(word[0], "list"))
        return list();
    if (words == 1 && !strcmp(word[0], "tree"))
        return tree("/");
    fflush(stdout);
    fprintf(stderr, "usage: notes [add TITLE TEXT… | show TITLE | remove TITLE |"
                    " rename OLD NEW | list | tree]\n");
    return 2;
}

int main(int argc, char **argv) {
    if (argc > 1)
        return command(argc - 1, argv + 1);
    int result = 0;
    char line[1024];
    while (fgets(line, sizeof line, stdin)) {
        char *word[MAX_WORDS];
        int words = 0;
        for (char *w = strtok(line, " \n"); w && words < MAX_WORDS; w = strtok(NULL, " \n"))
            word[words++] = w;
        if (words)
            result |= command(words, word);
    }
    return result;
}
