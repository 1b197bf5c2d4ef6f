// Global constructors run once each, in order, before main, and can read files
// from the first one on.
#include <cstdio>
#include <string>

#include "tree.h"

static int order;

struct Reader {
    int number;
    std::string line;

    Reader(const char *name, const char *path) : number(++order) {
        FILE *file = fopen(path, "r");
        char text[64] = "(no file)\n";
        if (file) {
            if (!fgets(text, sizeof text, file))
                strcpy(text, "(nothing)\n");
            fclose(file);
        }
        line = std::string(text, strcspn(text, "\n"));
        printf("constructor %d, %s: %s\n", number, name, line.c_str());
        if (FILE *log = fopen("/log", "a")) {
            fprintf(log, "%d %s\n", number, name);
            fclose(log);
        }
    }

    ~Reader() { printf("destructor of %d\n", number); }
};

static Reader third("third", "/dir/file");
static Reader fourth("fourth", "/missing");
__attribute__((init_priority(200))) static Reader first("first", "/text");
__attribute__((init_priority(300))) static Reader second("second", "/text");

int main() {
    static Reader local("local", "/log");
    printf("main: %s, %s, %d constructed\n", first.line.c_str(), third.line.c_str(), order);
    dump_tree();
    return order == 5 ? 0 : 1;
}
