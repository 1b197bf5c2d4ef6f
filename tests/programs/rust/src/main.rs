//! Uses files through Rust's std.
//!
//!     monaka-subject files        every operation once, a line per result
//!     monaka-subject grow MB      heap and files grow in turn, both are verified
//!     monaka-subject limit MB     the same heap, and files until there is no space
//!
//! It works in /work, and prints in the end what is below.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

mod grow;

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let megabytes = || args[1].parse().expect("a number of megabytes");
    match args[0].as_str() {
        "files" => files()?,
        "grow" => grow::grow(megabytes())?,
        "limit" => grow::limit(megabytes())?,
        other => panic!("there is no mode {other}"),
    }
    println!("--- tree");
    list(Path::new("/work"), "")
}

fn files() -> io::Result<()> {
    let at = |name: &str| format!("/work/{name}");

    println!("# create, append, read");
    fs::create_dir(at("dir"))?;
    fs::create_dir_all(at("a/b/c"))?;
    fs::write(at("dir/text"), "one\n")?;
    let mut appended = OpenOptions::new().append(true).open(at("dir/text"))?;
    appended.write_all(b"two\n")?;
    println!("appended at {}", appended.stream_position()?);
    println!("{:?}", fs::read_to_string(at("dir/text"))?);
    println!("{:?}", fs::read_to_string("/data/packed.txt")?);

    println!("# seek, overwrite, truncate");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(at("seek"))?;
    file.write_all(b"0123456789")?;
    println!("{}", file.seek(SeekFrom::Start(3))?);
    file.write_all(b"abc")?;
    println!("{}", file.seek(SeekFrom::End(5))?);
    file.write_all(b"end")?;
    file.set_len(16)?;
    println!("{}", file.seek(SeekFrom::Current(-18))?);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    println!("{:?}", String::from_utf8_lossy(&bytes));
    file.set_len(4)?;
    println!("{} bytes are left", file.metadata()?.len());
    file.sync_all()?;

    println!("# stat");
    for name in ["dir", "dir/text", "seek"] {
        let meta = fs::metadata(at(name))?;
        println!("{name}: dir {} file {}", meta.is_dir(), meta.is_file());
    }
    println!("{}", fs::metadata("/data/packed.txt")?.len());

    println!("# rename, link, symlink");
    fs::rename(at("dir/text"), at("a/renamed"))?;
    fs::rename(at("a"), at("moved"))?;
    fs::hard_link(at("moved/renamed"), at("hard"))?;
    #[allow(deprecated)]
    fs::soft_link("moved/renamed", at("soft"))?;
    println!("{:?}", fs::read_link(at("soft"))?);
    println!("{:?}", fs::read_to_string(at("soft"))?);
    println!("{}", fs::symlink_metadata(at("soft"))?.is_symlink());
    println!("{}", fs::copy(at("hard"), at("copy"))?);

    println!("# errors");
    let kinds: [(&str, io::Result<()>); 8] = [
        ("open what is not there", File::open(at("none")).map(drop)),
        (
            "create what is there",
            File::create_new(at("copy")).map(drop),
        ),
        ("create below a file", fs::write(at("copy/x"), "")),
        ("open a directory to write", fs::write(at("dir"), "")),
        ("mkdir what is there", fs::create_dir(at("dir"))),
        ("rmdir of a full directory", fs::remove_dir(at("moved"))),
        ("unlink a directory", fs::remove_file(at("dir"))),
        ("read from a write-only file", write_only(&at("copy"))),
    ];
    for (what, result) in kinds {
        let error = result.expect_err(what);
        println!("{what}: {:?}", error.raw_os_error());
    }

    println!("# remove");
    fs::remove_file(at("hard"))?;
    fs::remove_dir_all(at("moved/b"))?;
    fs::remove_dir(at("dir"))?;

    println!("# many entries");
    fs::create_dir(at("many"))?;
    for number in 0..1000 {
        fs::write(at(&format!("many/{number:04}")), number.to_string())?;
    }
    let mut seen = 0;
    // At once: wasmtime leaves entries out when others are removed meanwhile.
    for entry in fs::read_dir(at("many"))?.collect::<io::Result<Vec<_>>>()? {
        let number: u32 = fs::read_to_string(entry.path())?.parse().expect("a number");
        seen += number;
        if number % 100 != 0 {
            fs::remove_file(entry.path())?;
        }
    }
    println!("{seen}");
    Ok(())
}

fn write_only(path: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    let mut byte = [0];
    file.read(&mut byte).map(drop)
}

/// Prints what is below `directory`, as `tests/src/tree.rs` does.
fn list(directory: &Path, prefix: &str) -> io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let shown = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            println!("{shown}/");
            list(&entry.path(), &shown)?;
        } else if kind.is_symlink() {
            println!("{shown} -> {}", fs::read_link(entry.path())?.display());
        } else {
            let bytes = fs::read(entry.path())?;
            println!("{shown} {} {:016x}", bytes.len(), grow::fnv(&bytes));
        }
    }
    Ok(())
}

/// Whether a write failed because the file system is full.
fn is_full(error: &io::Error) -> bool {
    error.kind() == ErrorKind::StorageFull
}
