/* What clang turns setjmp and longjmp into. */
#include <setjmp.h>

/* The tag of the exception that a longjmp is. */
__asm__(".globl __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");

void __wasm_setjmp(jmp_buf target, unsigned label, void *invocation) {
    target->invocation = invocation;
    target->label = label;
}

/* The label to go on at, if `target` was set in this invocation. */
unsigned __wasm_setjmp_test(jmp_buf target, void *invocation) {
    return target->invocation == invocation ? target->label : 0;
}

_Noreturn void __wasm_longjmp(jmp_buf target, int value) {
    target->thrown.target = target;
    target->thrown.value = value ? value : 1;
    __builtin_wasm_throw(1, &target->thrown);
}
