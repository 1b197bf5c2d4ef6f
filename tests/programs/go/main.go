// Uses files through Go's os and io/fs.
//
//	subject files        every operation once, a line per result
//	subject grow MB      heap and files grow in turn, both are verified
//	subject limit MB     the same heap, and files until there is no space
//
// It works in /work, and prints in the end what is below.
package main

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	switch os.Args[1] {
	case "files":
		files()
	case "grow":
		grow(megabytes())
	case "limit":
		limit(megabytes())
	default:
		panic("there is no mode " + os.Args[1])
	}
	fmt.Println("--- tree")
	list()
}

func megabytes() int {
	return must(strconv.Atoi(os.Args[2]))
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func at(name string) string { return "/work/" + name }

func files() {
	fmt.Println("# create, append, read")
	check(os.Mkdir(at("dir"), 0o755))
	check(os.MkdirAll(at("a/b/c"), 0o755))
	check(os.WriteFile(at("dir/text"), []byte("one\n"), 0o644))
	file := must(os.OpenFile(at("dir/text"), os.O_APPEND|os.O_WRONLY, 0))
	must(file.WriteString("two\n"))
	check(file.Close())
	fmt.Printf("%q\n", must(os.ReadFile(at("dir/text"))))
	fmt.Printf("%q\n", must(os.ReadFile("/data/packed.txt")))

	fmt.Println("# seek, overwrite, truncate")
	file = must(os.OpenFile(at("seek"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644))
	must(file.WriteString("0123456789"))
	fmt.Println(must(file.Seek(3, io.SeekStart)))
	must(file.WriteString("abc"))
	fmt.Println(must(file.Seek(5, io.SeekEnd)))
	must(file.WriteString("end"))
	check(file.Truncate(16))
	fmt.Println(must(file.Seek(-18, io.SeekCurrent)))
	fmt.Printf("%q\n", must(io.ReadAll(file)))
	must(file.WriteAt([]byte("at"), 1))
	two := make([]byte, 2)
	must(file.ReadAt(two, 1))
	fmt.Printf("%q\n", two)
	check(os.Truncate(at("seek"), 4))
	fmt.Println(must(file.Stat()).Size())
	check(file.Sync())
	check(file.Close())

	fmt.Println("# stat")
	for _, name := range []string{"dir", "dir/text", "seek"} {
		info := must(os.Stat(at(name)))
		fmt.Println(info.Name(), info.IsDir(), info.Mode().Type())
	}

	fmt.Println("# rename, link, symlink")
	check(os.Rename(at("dir/text"), at("a/renamed")))
	check(os.Rename(at("a"), at("moved")))
	check(os.Link(at("moved/renamed"), at("hard")))
	check(os.Symlink("moved/renamed", at("soft")))
	fmt.Println(must(os.Readlink(at("soft"))))
	fmt.Printf("%q\n", must(os.ReadFile(at("soft"))))
	fmt.Println(must(os.Lstat(at("soft"))).Mode().Type())
	fmt.Println(os.SameFile(must(os.Stat(at("hard"))), must(os.Stat(at("soft")))))

	fmt.Println("# errors")
	report("open what is not there", second(os.Open(at("none"))))
	report("create what is there", second(os.OpenFile(at("hard"), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)))
	report("create below a file", os.WriteFile(at("hard/x"), nil, 0o644))
	report("open a directory to write", os.WriteFile(at("dir"), nil, 0o644))
	report("mkdir what is there", os.Mkdir(at("dir"), 0o755))
	report("rmdir of a full directory", syscall.Rmdir(at("moved")))
	report("unlink a directory", syscall.Unlink(at("dir")))

	fmt.Println("# remove")
	check(os.Remove(at("hard")))
	check(os.RemoveAll(at("moved/b")))
	check(os.Remove(at("dir")))

	fmt.Println("# many entries")
	check(os.Mkdir(at("many"), 0o755))
	for number := range 1000 {
		check(os.WriteFile(at(fmt.Sprintf("many/%04d", number)), []byte(strconv.Itoa(number)), 0o644))
	}
	seen := 0
	for _, entry := range must(os.ReadDir(at("many"))) {
		path := at("many/" + entry.Name())
		number := must(strconv.Atoi(string(must(os.ReadFile(path)))))
		seen += number
		if number%100 != 0 {
			check(os.Remove(path))
		}
	}
	fmt.Println(seen)
	matches := must(filepath.Glob(at("many/0[2-5]*")))
	fmt.Println(matches)
}

func second[T any](_ T, err error) error { return err }

func report(what string, err error) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		panic(fmt.Sprint(what, ": ", err))
	}
	fmt.Printf("%s: %d\n", what, int(errno))
}

// Prints what is below /work, as tests/src/tree.rs does.
func list() {
	check(filepath.WalkDir("/work", func(path string, entry fs.DirEntry, err error) error {
		check(err)
		shown := strings.TrimPrefix(path, "/work")
		switch {
		case shown == "":
		case entry.IsDir():
			fmt.Println(shown + "/")
		case entry.Type()&fs.ModeSymlink != 0:
			fmt.Println(shown, "->", must(os.Readlink(path)))
		default:
			bytes := must(os.ReadFile(path))
			fmt.Printf("%s %d %016x\n", shown, len(bytes), sum(bytes))
		}
		return nil
	}))
}

func sum(bytes []byte) uint64 {
	hash := fnv.New64a()
	hash.Write(bytes)
	return hash.Sum64()
}
