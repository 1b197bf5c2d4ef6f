/* Heap and files that grow in turn, each verified while the other grows. */
#ifndef GROW_H
#define GROW_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
    size_t length;
    unsigned char *data;
};

/* A block of the heap and the seed of its contents. */
struct block {
    uint32_t seed;
    struct bytes bytes;
};

static void fail(const char *what) {
    printf("%s: %s\n", what, strerror(errno));
    fflush(stdout);
    _Exit(99);
}

static void *allocate(size_t length) {
    void *data = malloc(length);
    if (!data)
        fail("malloc");
    return data;
}

/* Whether the whole file was written; what was not is left short. */
static int try_write(const char *path, const unsigned char *data, size_t length) {
    FILE *file = fopen(path, "wb");
    if (!file)
        return 0;
    size_t written = fwrite(data, 1, length, file);
    int flushed = fclose(file);
    return written == length && flushed == 0;
}

static void write_file(const char *path, const unsigned char *data, size_t length) {
    if (!try_write(path, data, length))
        fail(path);
}

/* The contents with a zero behind. */
static struct bytes read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        fail(path);
    long length = ftell(file);
    rewind(file);
    struct bytes found = {(size_t)length, allocate((size_t)length + 1)};
    if (fread(found.data, 1, found.length, file) != found.length)
        fail(path);
    found.data[length] = 0;
    fclose(file);
    return found;
}

/* FNV-1a. */
static unsigned long long fnv(const struct bytes *bytes) {
    unsigned long long hash = 14695981039346656037u;
    for (size_t i = 0; i < bytes->length; i++)
        hash = (hash ^ bytes->data[i]) * 1099511628211u;
    return hash;
}

/* The next of a sequence of numbers without pattern. */
static uint32_t next(uint32_t number) {
    return number * 1664525u + 1013904223u;
}

/* Between 4 KB and 1 MB that only `seed` decides. */
static struct bytes contents(uint32_t seed) {
    uint32_t words = (4096 + (seed * 2654435761u >> 12)) / 4, word = seed | 1;
    struct bytes made = {words * 4, allocate(words * 4)};
    for (uint32_t i = 0; i < words; i++) {
        word = next(word);
        memcpy(made.data + 4 * i, &word, 4);
    }
    return made;
}

static void verify(const char *what, const struct bytes *found, uint32_t seed) {
    struct bytes made = contents(seed);
    if (found->length != made.length || memcmp(found->data, made.data, made.length) != 0)
        fail(what);
    free(made.data);
}

static const char *path_of(size_t number) {
    static char path[32];
    sprintf(path, "/work/%zu", number);
    return path;
}

static void verify_file(size_t number, uint32_t seed) {
    struct bytes found = read_file(path_of(number));
    verify("a file was changed", &found, seed);
    free(found.data);
}

static void write_seed(size_t number, uint32_t seed) {
    struct bytes made = contents(seed);
    write_file(path_of(number), made.data, made.length);
    free(made.data);
}

/* Allocates and writes until both are `megabytes` large; every third block and
 * file goes again, so that the allocators have holes to fill. */
static void grow(unsigned megabytes) {
    enum { MOST = 65536 };
    struct block *blocks = allocate(MOST * sizeof *blocks);
    uint32_t *files = allocate(MOST * sizeof *files), seed = 1;
    size_t have = 0, written = 0, size = 0;
    while (size < (size_t)megabytes << 20) {
        seed = next(seed);
        blocks[have] = (struct block){seed, contents(seed)};
        size += blocks[have++].bytes.length;
        seed = next(seed);
        files[written] = seed;
        write_seed(written++, seed);
        if (seed % 3 == 0) {
            struct block *gone = &blocks[seed % have];
            size -= gone->bytes.length;
            free(gone->bytes.data);
            *gone = blocks[--have];
            size_t again = seed % written;
            files[again] = next(files[again]);
            write_seed(again, files[again]);
        }
        /* What was made lately, and something old. */
        verify_file(written - 1, files[written - 1]);
        verify_file(seed / 7 % written, files[seed / 7 % written]);
        if (have > 0) {
            struct block *old = &blocks[seed / 5 % have];
            verify("the heap was changed", &old->bytes, old->seed);
        }
    }
    unsigned long long sum = 0;
    for (size_t i = 0; i < have; i++) {
        verify("the heap was changed", &blocks[i].bytes, blocks[i].seed);
        sum ^= fnv(&blocks[i].bytes);
    }
    for (size_t i = 0; i < written; i++)
        verify_file(i, files[i]);
    printf("%zu blocks, %zu files, %016llx\n", have, written, sum);
}

/* Has a heap of `megabytes` and writes files until there is no space, twice. */
static void limit(unsigned megabytes) {
    for (int round = 1; round <= 2; round++) {
        struct bytes *heap = allocate(megabytes * sizeof *heap);
        for (unsigned i = 0; i < megabytes; i++) {
            heap[i] = (struct bytes){1 << 20, allocate(1 << 20)};
            memset(heap[i].data, (int)i & 255, 1 << 20);
        }
        size_t written = 0;
        for (;; written++) {
            struct bytes made = contents((uint32_t)written);
            int done = try_write(path_of(written), made.data, made.length);
            free(made.data);
            if (!done)
                break;
        }
        if (errno != ENOSPC)
            fail("not full");
        for (unsigned i = 0; i < megabytes; i++) {
            for (size_t at = 0; at < heap[i].length; at++)
                if (heap[i].data[at] != (i & 255))
                    fail("the heap was changed");
            free(heap[i].data);
        }
        free(heap);
        for (size_t i = 0; i < written; i++) {
            verify_file(i, (uint32_t)i);
            unlink(path_of(i));
        }
        /* What did not fit leaves a shorter file. */
        unlink(path_of(written));
        printf("round %d: full, and more than 100 files: %s\n", round,
               written > 100 ? "true" : "false");
    }
}

#endif
