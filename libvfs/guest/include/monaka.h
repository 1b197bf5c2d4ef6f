/*
 * monaka.h: the file system of monaka, linked into a WASI Preview 1 program.
 *
 * A program needs nothing of this file: it opens and reads files as always.
 * Link it with the library and pack it:
 *
 *     clang --target=wasm32-wasip1 app.c libmonaka_vfs.a -o app.wasm
 *     monaka pack app.wasm --mapdir /::./root -o out.wasm
 *
 * or, when installed, `$CC app.c $(pkg-config --libs monaka) -o app.wasm`.
 * The library may stand before or after the program's own objects. A program
 * that is linked with it but never packed behaves as without it.
 *
 * Library and command belong together: `monaka lib -o libmonaka_vfs.a
 * --header monaka.h` writes the pair that `monaka pack` accepts.
 */
#ifndef MONAKA_H
#define MONAKA_H

#ifdef __cplusplus
extern "C" {
#endif

/* The contract between the library and `monaka pack`. A library and a command
 * of different numbers refuse each other. */
#define MONAKA_ABI 3

/*
 * Starting already initialised.
 *
 * `monaka pack --init-run` runs the program up to this call and packs it as it is then:
 * later runs return from here. It needs no library. Packed without that flag, and under
 * `monaka run`, the call does nothing; a program that is not packed imports it as
 * `monaka.checkpoint`, which no other host has.
 *
 * What the program took from its environment before is that of pack time, in every run:
 * arguments, variables, the time, buffered output that was not flushed. The two functions
 * below replace arguments and variables by those of the run.
 */
#ifdef __wasm__
__attribute__((import_module("monaka"), import_name("checkpoint")))
#endif
void monaka_checkpoint(void);

#if defined(__wasi__) && __has_include(<wasi/api.h>) && __has_include(<wasi/libc-environ.h>)
#include <stdlib.h>
#include <wasi/api.h>
#include <wasi/libc-environ.h>

/* Sets *argc and *argv to the arguments of this run, of which the first is the program's
 * name. Answers 0, or -1 with both as they were. What they were is not freed. */
static inline int monaka_refresh_args(int *argc, char ***argv) {
    __wasi_size_t count, size;
    if (__wasi_args_sizes_get(&count, &size) != 0)
        return -1;
    char **list = (char **)calloc((size_t)count + 1, sizeof(char *));
    char *text = (char *)malloc(size ? size : 1);
    if (!list || !text || __wasi_args_get((uint8_t **)list, (uint8_t *)text) != 0) {
        free(list);
        free(text);
        return -1;
    }
    *argc = (int)count;
    *argv = list;
    return 0;
}

/* Lets getenv() and environ be those of this run. Changes by setenv() are lost. */
static inline void monaka_refresh_environ(void) {
    __wasilibc_deinitialize_environ();
    __wasilibc_maybe_reinitialize_environ_eagerly();
}
#endif

#ifdef __cplusplus
}
#endif

#endif /* MONAKA_H */
