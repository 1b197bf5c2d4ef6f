// Files by WASI's own calls, for AssemblyScript has no library of them. As its
// programs do, this takes 3 for the directory that all names start from.
import {
  dirent,
  errno,
  fd_close,
  fd_filestat_get,
  fd_filestat_set_size,
  fd_read,
  fd_readdir,
  fd_seek,
  fd_sync,
  fd_write,
  fdflags,
  filestat,
  filetype,
  lookupflags,
  oflags,
  path_create_directory,
  path_filestat_get,
  path_link,
  path_open,
  path_readlink,
  path_remove_directory,
  path_rename,
  path_symlink,
  path_unlink_file,
  rights,
} from "@assemblyscript/wasi-shim/assembly/bindings/wasi_snapshot_preview1";

const ROOT: u32 = 3;
const READ: u64 = rights.FD_READ | rights.FD_SEEK | rights.FD_TELL | rights.FD_FILESTAT_GET;
const WRITE: u64 = rights.FD_WRITE | rights.FD_FILESTAT_SET_SIZE | rights.FD_SYNC;

// Where calls put their answers, and what they read or write.
const answer = memory.data(16);
const vector = memory.data(8);
const stat = memory.data(64, 8);

// The errno of what was called last.
export let failure: u16 = 0;

// A path as bytes, kept where the collector sees it while a call uses it.
function utf8(path: string): ArrayBuffer {
  return String.UTF8.encode(path);
}

function start(bytes: ArrayBuffer): usize {
  return changetype<usize>(bytes);
}

function done(result: u16): bool {
  failure = result;
  return result == errno.SUCCESS;
}

export function open(path: string, how: u16, flags: u16 = 0): i32 {
  const name = utf8(path);
  const directory = (how & oflags.DIRECTORY) != 0;
  const base = directory ? rights.FD_READDIR : READ | WRITE;
  const opened = done(
    path_open(ROOT, lookupflags.SYMLINK_FOLLOW, start(name), name.byteLength, how, base, 0, flags, answer),
  );
  return opened ? load<i32>(answer) : -1;
}

export function close(fd: i32): void {
  assert(done(fd_close(fd)), "close");
}

export function write(fd: i32, bytes: ArrayBuffer): bool {
  let at = start(bytes);
  let left = <usize>bytes.byteLength;
  while (left > 0) {
    store<usize>(vector, at);
    store<usize>(vector, left, 4);
    if (!done(fd_write(fd, vector, 1, answer))) return false;
    at += load<usize>(answer);
    left -= load<usize>(answer);
  }
  return true;
}

export function read(fd: i32, size: i32): ArrayBuffer {
  const bytes = new ArrayBuffer(size);
  let got: usize = 0;
  while (got < <usize>size) {
    store<usize>(vector, start(bytes) + got);
    store<usize>(vector, <usize>size - got, 4);
    assert(done(fd_read(fd, vector, 1, answer)), "read");
    if (load<usize>(answer) == 0) break;
    got += load<usize>(answer);
  }
  return bytes.slice(0, <i32>got);
}

export function seek(fd: i32, offset: i64, whence: u8): u64 {
  assert(done(fd_seek(fd, offset, whence, answer)), "seek");
  return load<u64>(answer);
}

export function resize(fd: i32, size: u64): bool {
  return done(fd_filestat_set_size(fd, size));
}

export function sync(fd: i32): bool {
  return done(fd_sync(fd));
}

export function size(fd: i32): u64 {
  assert(done(fd_filestat_get(fd, changetype<filestat>(stat))), "fd_filestat_get");
  return changetype<filestat>(stat).size;
}

export function kind(path: string): u8 {
  const name = utf8(path);
  const found = done(path_filestat_get(ROOT, 0, start(name), name.byteLength, changetype<filestat>(stat)));
  return found ? changetype<filestat>(stat).filetype : filetype.UNKNOWN;
}

export function writeFile(path: string, bytes: ArrayBuffer): bool {
  const fd = open(path, oflags.CREAT | oflags.TRUNC);
  if (fd < 0) return false;
  const written = write(fd, bytes);
  const why = failure;
  close(fd);
  failure = why;
  return written;
}

export function append(path: string, bytes: ArrayBuffer): bool {
  const fd = open(path, 0, fdflags.APPEND);
  if (fd < 0) return false;
  const written = write(fd, bytes);
  close(fd);
  return written;
}

export function readFile(path: string): ArrayBuffer {
  const fd = open(path, 0);
  assert(fd >= 0, "open to read");
  const bytes = read(fd, <i32>size(fd));
  close(fd);
  return bytes;
}

export function mkdir(path: string): bool {
  const name = utf8(path);
  return done(path_create_directory(ROOT, start(name), name.byteLength));
}

export function rmdir(path: string): bool {
  const name = utf8(path);
  return done(path_remove_directory(ROOT, start(name), name.byteLength));
}

export function unlink(path: string): bool {
  const name = utf8(path);
  return done(path_unlink_file(ROOT, start(name), name.byteLength));
}

export function rename(from: string, to: string): bool {
  const a = utf8(from);
  const b = utf8(to);
  return done(path_rename(ROOT, start(a), a.byteLength, ROOT, start(b), b.byteLength));
}

export function link(from: string, to: string): bool {
  const a = utf8(from);
  const b = utf8(to);
  return done(path_link(ROOT, 0, start(a), a.byteLength, ROOT, start(b), b.byteLength));
}

export function symlink(target: string, path: string): bool {
  const a = utf8(target);
  const b = utf8(path);
  return done(path_symlink(start(a), a.byteLength, ROOT, start(b), b.byteLength));
}

export function readlink(path: string): string {
  const name = utf8(path);
  const target = new ArrayBuffer(256);
  assert(done(path_readlink(ROOT, start(name), name.byteLength, start(target), 256, answer)), "readlink");
  return String.UTF8.decode(target.slice(0, load<i32>(answer)));
}

// The names in a directory, sorted. What does not fit the buffer is asked for again.
export function names(path: string): string[] {
  const fd = open(path, oflags.DIRECTORY);
  assert(fd >= 0, "open a directory");
  const found: string[] = [];
  const buffer = new ArrayBuffer(512);
  const head = offsetof<dirent>();
  let cookie: u64 = 0;
  let used: usize;
  do {
    assert(done(fd_readdir(fd, start(buffer), 512, cookie, answer)), "readdir");
    used = load<usize>(answer);
    let at: usize = 0;
    while (at + head <= used) {
      const entry = changetype<dirent>(start(buffer) + at);
      const next = at + head + entry.namlen;
      if (next > used) break;
      const name = String.UTF8.decodeUnsafe(start(buffer) + at + head, entry.namlen);
      if (name != "." && name != "..") found.push(name);
      cookie = entry.next;
      at = next;
    }
  } while (used == 512);
  close(fd);
  return found.sort();
}
