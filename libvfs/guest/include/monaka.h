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

#ifdef __cplusplus
}
#endif

#endif /* MONAKA_H */
