/* setjmp and longjmp as clang's -wasm-enable-sjlj calls them, for every libc
 * alike: the old one has none.
 */
#ifndef SETJMP_H
#define SETJMP_H

/* The invocation and the place in it that setjmp was called from; what longjmp
 * throws. */
typedef struct {
    void *invocation;
    unsigned label;
    struct {
        void *target;
        int value;
    } thrown;
} jmp_buf[1];

int setjmp(jmp_buf) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf, int);

#endif
