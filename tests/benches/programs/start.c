// Says the first byte of the file that it is asked for, and ends.
#include <fcntl.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char byte;
    int file = open(argc > 1 ? argv[1] : "/first", O_RDONLY);
    if (file < 0 || read(file, &byte, 1) != 1) {
        return 1;
    }
    return write(1, &byte, 1) != 1;
}
