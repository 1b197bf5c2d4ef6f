// Uses files from AssemblyScript.
//
//     subject files        every operation once, a line per result
//     subject grow MB      heap and files grow in turn, both are verified
//     subject limit MB     the same heap, and files until there is no space
//
// It works in work, and prints in the end what is below.
import { filetype, oflags, whence } from "@assemblyscript/wasi-shim/assembly/bindings/wasi_snapshot_preview1";
import * as fs from "./fs";
import { fnv, grow, limit } from "./grow";

const mode = process.argv[1];
if (mode == "files") files();
else if (mode == "grow") grow(megabytes());
else if (mode == "limit") limit(megabytes());
else throw new Error("there is no mode " + mode);
console.log("--- tree");
list("work", "");

function megabytes(): i32 {
  return I32.parseInt(process.argv[2]);
}

function text(bytes: ArrayBuffer): string {
  return String.UTF8.decode(bytes);
}

function bytes(text: string): ArrayBuffer {
  return String.UTF8.encode(text);
}

function files(): void {
  console.log("# create, append, read");
  assert(fs.mkdir("work/dir"));
  assert(fs.mkdir("work/a"));
  assert(fs.mkdir("work/a/b"));
  assert(fs.writeFile("work/dir/text", bytes("one\n")));
  assert(fs.append("work/dir/text", bytes("two\n")));
  console.log(text(fs.readFile("work/dir/text")));
  console.log(text(fs.readFile("data/packed.txt")));

  console.log("# seek, overwrite, truncate");
  const fd = fs.open("work/seek", oflags.CREAT | oflags.EXCL);
  fs.write(fd, bytes("0123456789"));
  console.log(fs.seek(fd, 3, whence.SET).toString());
  fs.write(fd, bytes("abc"));
  console.log(fs.seek(fd, 5, whence.END).toString());
  fs.write(fd, bytes("end"));
  assert(fs.resize(fd, 16));
  console.log(fs.seek(fd, -18, whence.CUR).toString());
  console.log(Uint8Array.wrap(fs.read(fd, 20)).toString());
  assert(fs.resize(fd, 4));
  assert(fs.sync(fd));
  console.log(fs.size(fd).toString() + " bytes are left");
  fs.close(fd);

  console.log("# rename, link, symlink, stat");
  assert(fs.rename("work/dir/text", "work/a/renamed"));
  assert(fs.rename("work/a", "work/moved"));
  assert(fs.link("work/moved/renamed", "work/hard"));
  assert(fs.symlink("moved/renamed", "work/soft"));
  console.log(fs.readlink("work/soft"));
  console.log(text(fs.readFile("work/soft")));
  const kinds = ["work/dir", "work/hard", "work/soft", "work/none"].map<string>((p) => fs.kind(p).toString());
  console.log(kinds.join(" "));

  console.log("# errors");
  report("open what is not there", fs.open("work/none", 0) >= 0);
  report("create what is there", fs.open("work/hard", oflags.CREAT | oflags.EXCL) >= 0);
  report("create below a file", fs.writeFile("work/hard/x", bytes("")));
  report("mkdir what is there", fs.mkdir("work/dir"));
  report("rmdir of a full directory", fs.rmdir("work/moved"));
  report("unlink a directory", fs.unlink("work/dir"));
  report("leave the directory", fs.open("../none", 0) >= 0);

  console.log("# remove");
  assert(fs.unlink("work/hard"));
  assert(fs.rmdir("work/moved/b"));
  assert(fs.rmdir("work/dir"));

  console.log("# many entries");
  assert(fs.mkdir("work/many"));
  for (let number = 0; number < 1000; number++) {
    assert(fs.writeFile("work/many/" + number.toString().padStart(4, "0"), bytes(number.toString())));
  }
  let seen = 0;
  const all = fs.names("work/many");
  for (let i = 0; i < all.length; i++) {
    const number = I32.parseInt(text(fs.readFile("work/many/" + all[i])));
    seen += number;
    if (number % 100 != 0) assert(fs.unlink("work/many/" + all[i]));
  }
  console.log(seen.toString());
}

function report(what: string, succeeded: bool): void {
  assert(!succeeded, what);
  console.log(what + ": " + fs.failure.toString());
}

// Prints what is below a directory, as tests/src/tree.rs does.
function list(directory: string, prefix: string): void {
  const all = fs.names(directory);
  for (let i = 0; i < all.length; i++) {
    const path = directory + "/" + all[i];
    const shown = prefix + "/" + all[i];
    const kind = fs.kind(path);
    if (kind == filetype.DIRECTORY) {
      console.log(shown + "/");
      list(path, shown);
    } else if (kind == filetype.SYMBOLIC_LINK) {
      console.log(shown + " -> " + fs.readlink(path));
    } else {
      const content = fs.readFile(path);
      const hash = fnv(content).toString(16).padStart(16, "0");
      console.log(shown + " " + content.byteLength.toString() + " " + hash);
    }
  }
}
