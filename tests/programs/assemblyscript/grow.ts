// Heap and files that grow in turn, each verified while the other grows.
import { errno } from "@assemblyscript/wasi-shim/assembly/bindings/wasi_snapshot_preview1";
import * as fs from "./fs";

// Allocates and writes until both are as large; every third block and file goes
// again, so that the collector has something to do.
export function grow(megabytes: i32): void {
  // What the blocks hold is decided by their seeds.
  const blocks: ArrayBuffer[] = [];
  const seeds: u32[] = [];
  const files: u32[] = [];
  let seed: u32 = 1;
  let size = 0;
  while (size < megabytes << 20) {
    seed = next(seed);
    const made = contents(seed);
    blocks.push(made);
    seeds.push(seed);
    size += made.byteLength;
    seed = next(seed);
    assert(write(files.length, seed), "write");
    files.push(seed);
    if (seed % 3 == 0) {
      const gone = <i32>(seed % <u32>blocks.length);
      size -= blocks[gone].byteLength;
      blocks.splice(gone, 1);
      seeds.splice(gone, 1);
      const file = <i32>(seed % <u32>files.length);
      files[file] = next(files[file]);
      assert(write(file, files[file]), "write");
    }
    // What was made lately, and something old.
    verifyFile(files.length - 1, files[files.length - 1]);
    const old = <i32>((seed / 7) % <u32>files.length);
    verifyFile(old, files[old]);
    if (blocks.length > 0) {
      const block = <i32>((seed / 5) % <u32>blocks.length);
      assert(same(blocks[block], contents(seeds[block])), "the heap was changed");
    }
  }
  let sum: u64 = 0;
  for (let i = 0; i < blocks.length; i++) {
    assert(same(blocks[i], contents(seeds[i])), "the heap was changed");
    sum ^= fnv(blocks[i]);
  }
  for (let i = 0; i < files.length; i++) verifyFile(i, files[i]);
  console.log(`${blocks.length} blocks, ${files.length} files, ${sum.toString(16).padStart(16, "0")}`);
}

// Has a heap of that size and writes files until there is no space, twice.
export function limit(megabytes: i32): void {
  for (let round = 1; round <= 2; round++) {
    const heap: ArrayBuffer[] = [];
    for (let seed = 0; seed < megabytes; seed++) {
      const block = new ArrayBuffer(1 << 20);
      memory.fill(changetype<usize>(block), <u8>seed, 1 << 20);
      heap.push(block);
    }
    let written = 0;
    while (write(written, written)) written++;
    assert(fs.failure == errno.NOSPC, "not NOSPC");
    for (let seed = 0; seed < megabytes; seed++) {
      assert(isFilled(heap[seed], <u8>seed), "the heap was changed");
    }
    for (let number = 0; number < written; number++) {
      verifyFile(number, number);
      assert(fs.unlink(path(number)), "unlink");
    }
    // What did not fit leaves a shorter file.
    assert(fs.unlink(path(written)), "unlink");
    console.log(`round ${round}: full, and more than 100 files: ${written > 100}`);
  }
}

function path(number: i32): string {
  return "work/" + number.toString();
}

function write(number: i32, seed: u32): bool {
  return fs.writeFile(path(number), contents(seed));
}

function verifyFile(number: i32, seed: u32): void {
  assert(same(fs.readFile(path(number)), contents(seed)), "a file was changed");
}

function isFilled(bytes: ArrayBuffer, byte: u8): bool {
  for (let at = 0; at < bytes.byteLength; at++) {
    if (load<u8>(changetype<usize>(bytes) + at) != byte) return false;
  }
  return true;
}

function same(a: ArrayBuffer, b: ArrayBuffer): bool {
  return (
    a.byteLength == b.byteLength &&
    memory.compare(changetype<usize>(a), changetype<usize>(b), a.byteLength) == 0
  );
}

// Between 4 KB and 1 MB that only the seed decides.
function contents(seed: u32): ArrayBuffer {
  const words = <i32>((4096 + ((seed * 2_654_435_761) >> 12)) / 4);
  const made = new ArrayBuffer(words * 4);
  let word = seed | 1;
  for (let at = 0; at < words; at++) {
    word = next(word);
    store<u32>(changetype<usize>(made) + at * 4, word);
  }
  return made;
}

// The next of a sequence of numbers without pattern.
function next(number: u32): u32 {
  return number * 1_664_525 + 1_013_904_223;
}

// FNV-1a.
export function fnv(bytes: ArrayBuffer): u64 {
  let hash: u64 = 0xcbf29ce484222325;
  for (let at = 0; at < bytes.byteLength; at++) {
    hash = (hash ^ load<u8>(changetype<usize>(bytes) + at)) * 0x100000001b3;
  }
  return hash;
}
