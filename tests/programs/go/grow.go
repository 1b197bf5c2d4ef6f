package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// A block of the heap and the seed of its contents.
type block struct {
	seed  uint32
	bytes []byte
}

// Allocates and writes until both are as large; every third block and file goes
// again, so that the collector has something to do.
func grow(megabytes int) {
	var blocks []block
	var files []uint32
	seed, size := uint32(1), 0
	for size < megabytes<<20 {
		seed = next(seed)
		made := block{seed, contents(seed)}
		blocks, size = append(blocks, made), size+len(made.bytes)
		seed = next(seed)
		check(os.WriteFile(path(len(files)), contents(seed), 0o644))
		files = append(files, seed)
		if seed%3 == 0 {
			gone := int(seed) % len(blocks)
			size -= len(blocks[gone].bytes)
			blocks[gone] = blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			file := int(seed) % len(files)
			files[file] = next(files[file])
			check(os.WriteFile(path(file), contents(files[file]), 0o644))
		}
		if len(blocks) == 0 {
			continue
		}
		// What was made lately, and something old.
		verifyFile(len(files)-1, files[len(files)-1])
		old := int(seed/7) % len(files)
		verifyFile(old, files[old])
		blocks[int(seed/5)%len(blocks)].verify()
	}
	hash := uint64(0)
	for _, block := range blocks {
		block.verify()
		hash ^= sum(block.bytes)
	}
	for number, seed := range files {
		verifyFile(number, seed)
	}
	fmt.Printf("%d blocks, %d files, %016x\n", len(blocks), len(files), hash)
}

// Has a heap of that size and writes files until there is no space, twice.
func limit(megabytes int) {
	for round := 1; round <= 2; round++ {
		var heap []block
		for seed := range uint32(megabytes) {
			heap = append(heap, block{seed, bytes.Repeat([]byte{byte(seed)}, 1<<20)})
		}
		written := 0
		var err error
		for {
			if err = os.WriteFile(path(written), contents(uint32(written)), 0o644); err != nil {
				break
			}
			written++
		}
		if !errors.Is(err, syscall.ENOSPC) {
			panic(err)
		}
		for _, block := range heap {
			if bytes.Count(block.bytes, []byte{byte(block.seed)}) != 1<<20 {
				panic("the heap was changed")
			}
		}
		for number := range written {
			verifyFile(number, uint32(number))
			check(os.Remove(path(number)))
		}
		// What did not fit leaves a shorter file.
		check(os.Remove(path(written)))
		fmt.Printf("round %d: full, and more than 100 files: %v\n", round, written > 100)
	}
}

func path(number int) string { return at(strconv.Itoa(number)) }

func (b block) verify() {
	if !bytes.Equal(b.bytes, contents(b.seed)) {
		panic("the heap was changed")
	}
}

func verifyFile(number int, seed uint32) {
	if !bytes.Equal(must(os.ReadFile(path(number))), contents(seed)) {
		panic(fmt.Sprintf("file %d was changed", number))
	}
}

// Between 4 KB and 1 MB that only the seed decides.
func contents(seed uint32) []byte {
	length := 4096 + int((seed*2_654_435_761)>>12)
	made := make([]byte, 0, length+4)
	for word := seed | 1; len(made) < length; {
		word = next(word)
		made = binary.LittleEndian.AppendUint32(made, word)
	}
	return made
}

// The next of a sequence of numbers without pattern.
func next(number uint32) uint32 {
	return number*1_664_525 + 1_013_904_223
}
