/* The smallest program: `make size` measures what linking adds to nothing. */
int main(void) {
    return 0;
}
