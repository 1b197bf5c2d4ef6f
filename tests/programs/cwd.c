/* getcwd and chdir, and what relative paths mean after them. */
#include "report.h"

static void here(void) {
    char path[256];
    errno = 0;
    say("in %s", getcwd(path, sizeof path) ? path : strerror(errno));
}

static void go(const char *path) {
    errno = 0;
    int failed = chdir(path);
    printf("chdir '%s': %s, ", path, failed ? strerror(errno) : "done");
    here();
}

static void look(const char *path) {
    struct stat st;
    errno = 0;
    if (stat(path, &st) != 0)
        say("  %s: %s", path, strerror(errno));
    else
        say("  %s: %s", path, S_ISDIR(st.st_mode) ? "directory" : "file");
}

/* Opens, makes, renames and removes by relative paths. */
static void work(void) {
    show("text");
    show("./text");
    show("sub/../text");
    look("sub");
    look("..");
    look("../data");
    look(".");
    put("made", "made here");
    show("made");
    TRY(rename("made", "sub/moved"));
    show("sub/moved");
    TRY(unlink("sub/moved"));
    TRY(mkdir("dir", 0777));
    TRY(symlink("text", "dir/link"));
    TRY(link("text", "dir/hard"));
    TRY(access("dir/hard", R_OK));
    TRY(unlink("dir/link"));
    TRY(unlink("dir/hard"));
    TRY(rmdir("dir"));
    int count = 0;
    DIR *dir = opendir(".");
    HAVE(dir);
    while (dir && readdir(dir))
        count++;
    TRY(count);
    if (dir)
        closedir(dir);
}

int main(void) {
    char small[3];
    here();
    look("data");
    look("data/text");
    go("/data");
    work();
    go("sub");
    look("aa");
    show("../text");
    go("..");
    go(".");
    look("sub/aa");
    go("/data/sub/");
    look("bb");
    go("/none");
    go("/data/text");
    go("text");
    go("/data/link-to-sub");
    look("aa");
    go("/data/dangling");
    go("/");
    look("data/sub/aa");
    go("data/sub");
    look("aa");
    look("../../work");
    HAVE(getcwd(small, sizeof small));
    HAVE(getcwd(small, 0));
    char *own = getcwd(NULL, 0);
    say("%s", own ? own : strerror(errno));
    free(own);
    go("");
    // Where one is removed: its path is all that libc keeps.
    TRY(mkdir("/work/gone", 0777));
    go("/work/gone");
    TRY(rmdir("/work/gone"));
    here();
    look(".");
    OPEN(open("new", O_WRONLY | O_CREAT, 0666));
    go("..");
    return 0;
}
