//! Sources as trees: here those of the host, in files of their own the others.

mod choice;
mod hostile;
mod image;
mod oci;
mod tar;
mod zip;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use monaka_vfs_core::image::{Dump, Image, write};
use tempfile::TempDir;

use super::host::{entries, meta};
use super::*;

/// A host directory; every entry is of second 7 unless said otherwise.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        Host(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn directory(&self, name: &str) -> &Self {
        fs::create_dir_all(self.path(name)).unwrap();
        self
    }

    fn file(&self, name: &str, contents: &str) -> &Self {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), contents).unwrap();
        self.at(name, 7, 0)
    }

    fn at(&self, name: &str, seconds: u64, nanos: u32) -> &Self {
        let time = UNIX_EPOCH + Duration::new(seconds, nanos);
        let file = File::open(self.path(name)).unwrap();
        file.set_modified(time).unwrap();
        self
    }

    fn mapdir(&self, guest: &str, name: &str) -> Mapping {
        Mapping::from_mapdir(&argument(guest, &self.path(name))).unwrap()
    }
}

/// `GUEST::PATH`.
fn argument(guest: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(format!("{guest}::"));
    argument.push(path);
    argument
}

/// The flags, as they would be given.
fn try_choice(args: &[&str]) -> Result<Choice, String> {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        choice: Choice,
    }
    let args = ["pack"].iter().chain(args);
    let cli = <Cli as clap::Parser>::try_parse_from(args);
    cli.map(|cli| cli.choice).map_err(|error| error.to_string())
}

fn choice(args: &[&str]) -> Choice {
    try_choice(args).unwrap()
}

/// A file's contents.
fn contents(tree: &Tree<Source>, node: NodeId) -> Vec<u8> {
    let Contents::Regular { len, source, .. } = tree.contents(node) else {
        panic!("it is no file");
    };
    let mut contents = Vec::new();
    source.copy_to(len, &[], &mut contents).unwrap();
    contents
}

fn fresh() -> Tree<Source> {
    Tree::new(Meta::default())
}

/// Scans and answers the tree with what was passed over.
fn scanned(mappings: &[Mapping]) -> (Tree<Source>, Vec<String>) {
    let (mut tree, mut warnings) = (fresh(), Vec::new());
    add(&mut tree, mappings, &mut warnings);
    (tree, warnings)
}

fn add(tree: &mut Tree<Source>, mappings: &[Mapping], warnings: &mut Vec<String>) {
    let choice = Choice::default();
    let mut scanner = Scanner::new(&choice, Progress::default());
    for mapping in mappings {
        scanner.scan(tree, mapping).unwrap();
    }
    warnings.extend(scanner.finish());
    preopens(tree, mappings).unwrap();
}

fn tables(tree: Tree<Source>) -> Vec<u8> {
    write(&tree.validate().unwrap()).unwrap().tables
}

/// The dump's lines but for the first.
fn dump(tree: Tree<Source>) -> Vec<String> {
    let tables = tables(tree);
    let text = Dump(Image::open(&tables).unwrap()).to_string();
    text.lines().skip(1).map(str::to_owned).collect()
}

fn names(tree: &Tree<Source>) -> Vec<&[u8]> {
    tree.preopens().map(|(name, _)| name).collect()
}

fn refused(mappings: &[Mapping]) -> ScanError {
    let choice = Choice::default();
    let (mut tree, mut scanner) = (fresh(), Scanner::new(&choice, Progress::default()));
    let result = mappings
        .iter()
        .try_for_each(|mapping| scanner.scan(&mut tree, mapping))
        .and_then(|()| preopens(&mut tree, mappings));
    let error = result.unwrap_err().downcast::<ScanError>().unwrap();
    assert!(!error.hint().is_empty());
    error
}

#[test]
fn what_is_found_is_kept() {
    let host = Host::new();
    host.file("bin/tool", "tool").file("a.txt", "hello");
    fs::set_permissions(host.path("bin/tool"), PermissionsExt::from_mode(0o610)).unwrap();
    fs::hard_link(host.path("bin/tool"), host.path("tool2")).unwrap();
    symlink("../no\nwhere", host.path("link")).unwrap();
    fs::hard_link(host.path("link"), host.path("link2")).unwrap();
    fs::write(host.path("").join(OsStr::from_bytes(b"\xff")), "").unwrap();
    host.at("a.txt", 1_700_000_000, 123_456_789);
    host.at("bin", 8, 0).at("", 9, 1);
    let link = fs::symlink_metadata(host.path("link")).unwrap();
    let link = meta(&link).mtime;
    let empty = fs::metadata(host.path("").join(OsStr::from_bytes(b"\xff"))).unwrap();
    let empty = meta(&empty).mtime;
    let time = |mtime: u64| format!("{}.{:09}", mtime / 1_000_000_000, mtime % 1_000_000_000);

    let (tree, warnings) = scanned(&[host.mapdir("/", "")]);
    assert_eq!(warnings, [""; 0]);
    assert_eq!(
        dump(tree),
        [
            "preopen 3 / /",
            "/ directory 9.000000001 1",
            "/a.txt file 1700000000.123456789 1 size=5 start=0",
            "/bin directory 8.000000000 1",
            "/bin/tool file+x 7.000000000 2 size=4 start=8",
            &format!("/link symlink {} 2 ../no\\x0awhere", time(link)),
            "/link2 hardlink /link",
            "/tool2 hardlink /bin/tool",
            &format!("/\\xff file {} 1 size=0 start=0", time(empty)),
        ]
    );
}

#[test]
fn directories_are_merged_and_later_files_win() {
    let host = Host::new();
    host.file("one/d/a", "1").file("one/d/b", "1");
    host.file("two/d/b", "22").file("two/d/c", "22");
    host.at("one/d", 1, 0).at("one", 2, 0);
    host.at("two/d", 3, 0).at("two", 4, 0);
    let (tree, _) = scanned(&[host.mapdir("/", "one"), host.mapdir("/", "two")]);
    assert_eq!(
        dump(tree),
        [
            "preopen 3 / /",
            "/ directory 4.000000000 1",
            "/d directory 3.000000000 1",
            "/d/a file 7.000000000 1 size=1 start=0",
            "/d/b file 7.000000000 1 size=2 start=8",
            "/d/c file 7.000000000 1 size=2 start=16",
        ]
    );
}

#[test]
fn missing_directories_have_the_time_of_the_source() {
    let host = Host::new();
    host.directory("d").at("d", 5, 6);
    let (tree, _) = scanned(&[host.mapdir("/usr/lib/d", "d")]);
    assert_eq!(
        dump(tree),
        [
            "preopen 3 /usr/lib/d /usr/lib/d",
            "preopen 4 / /",
            "/ directory 5.000000006 1",
            "/usr directory 5.000000006 1",
            "/usr/lib directory 5.000000006 1",
            "/usr/lib/d directory 5.000000006 1",
        ]
    );
}

#[test]
fn a_single_file_is_named_by_the_guest_path_or_goes_into_it() {
    let host = Host::new();
    host.file("my.conf", "x").directory("etc");
    symlink("my.conf", host.path("link")).unwrap();
    for (guest, name, path) in [
        ("/etc/app.conf", "my.conf", "/etc/app.conf"),
        ("/etc", "my.conf", "/etc/my.conf"),
        ("/new/", "my.conf", "/new/my.conf"),
        ("/new", "my.conf", "/new"),
        ("/", "my.conf", "/my.conf"),
        ("/etc/", "link", "/etc/link"),
    ] {
        let (tree, _) = scanned(&[host.mapdir("/etc", "etc"), host.mapdir(guest, name)]);
        let node = tree.lookup(path.as_bytes()).expect(path);
        let Contents::Regular { len: 1, source, .. } = tree.contents(node) else {
            panic!("{path} is no file of one byte");
        };
        let mut contents = Vec::new();
        source.copy_to(1, &[], &mut contents).unwrap();
        assert_eq!(contents, b"x");
        assert_eq!(names(&tree), [&b"/etc"[..], b"/"], "a file opens nothing");
    }
}

#[test]
fn a_mapped_symbolic_link_is_followed() {
    let host = Host::new();
    host.file("real/f", "x");
    symlink("real", host.path("link")).unwrap();
    let (tree, _) = scanned(&[host.mapdir("/d", "link")]);
    assert!(tree.lookup(b"/d/f").is_some());
}

#[test]
fn special_files_are_passed_over_with_a_warning() {
    let host = Host::new();
    let _listener = UnixListener::bind(host.path("socket")).unwrap();
    let (tree, warnings) = scanned(&[host.mapdir("/", "")]);
    assert_eq!(tree.lookup(b"/socket"), None);
    let path = host.path("socket");
    assert_eq!(
        warnings,
        [format!("{}: a socket is not packed", path.display())]
    );
    assert_eq!(
        refused(&[host.mapdir("/s", "socket")]),
        ScanError::SpecialSource {
            host: path,
            kind: "socket"
        }
    );
}

#[test]
fn a_source_that_does_not_exist_is_refused() {
    let host = Host::new();
    assert_eq!(
        refused(&[host.mapdir("/", "gone")]),
        ScanError::NoSource {
            host: host.path("gone"),
            meant: None,
        }
    );
}

#[test]
fn a_mapping_over_a_link_or_a_file_is_refused() {
    let host = Host::new();
    host.file("root/file", "").directory("d");
    symlink("usr/lib", host.path("root/lib")).unwrap();
    let root = host.mapdir("/", "root");
    for guest in ["/lib", "/lib/d"] {
        assert_eq!(
            refused(&[root.clone(), host.mapdir(guest, "d")]),
            ScanError::Symlink {
                link: b"/lib".to_vec(),
                target: b"usr/lib".to_vec()
            }
        );
    }
    for guest in ["/file", "/file/d"] {
        assert_eq!(
            refused(&[root.clone(), host.mapdir(guest, "d")]),
            ScanError::File {
                file: b"/file".to_vec()
            }
        );
    }
}

#[test]
fn a_mapped_directory_that_was_replaced_is_refused() {
    let host = Host::new();
    host.directory("d").file("other/e", "");
    assert_eq!(
        refused(&[host.mapdir("/x/e", "d"), host.mapdir("/x", "other")]),
        ScanError::Replaced {
            guest: b"/x/e".to_vec()
        }
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let host = Host::new();
    host.file("f", "");
    let error = entries(&host.path("f")).unwrap_err().to_string();
    assert!(
        error.contains(&*host.path("f").to_string_lossy()),
        "{error}"
    );
}

#[test]
fn the_first_mapped_directory_is_descriptor_3_and_the_root_comes_last() {
    let host = Host::new();
    host.directory("a").directory("b").file("f", "");
    let map = |guest: &str, name: &str| host.mapdir(guest, name);
    for (mappings, expected) in [
        (vec![], vec!["/"]),
        (vec![map("/f", "f")], vec!["/"]),
        (vec![map("/b", "b"), map("/a", "a")], vec!["/b", "/a", "/"]),
        (vec![map("/a", "a"), map("/a", "b")], vec!["/a", "/"]),
        (vec![map("/a", "a"), map("/a", "f")], vec!["/a", "/"]),
        (vec![map("/a", "a"), map("/", "b")], vec!["/"]),
    ] {
        let (tree, _) = scanned(&mappings);
        let expected: Vec<_> = expected.iter().map(|name| name.as_bytes()).collect();
        assert_eq!(names(&tree), expected, "{mappings:?}");
    }
}

#[test]
fn packing_twice_is_packing_once() {
    let host = Host::new();
    host.file("a/f", "1").file("b/f", "22").file("b/g", "");
    fs::hard_link(host.path("b/f"), host.path("b/h")).unwrap();
    host.at("a", 1, 0).at("b", 2, 0);
    let one = [host.mapdir("/a", "a"), host.mapdir("/x/f", "a/f")];
    for guest in ["/b", "/a", "/", "/a/b"] {
        let other = [host.mapdir(guest, "b")];
        let (once, _) = scanned(&[&one[..], &other].concat());
        let (first, _) = scanned(&one);
        let first = tables(first);
        let mut twice = Image::open(&first)
            .unwrap()
            .to_tree(|start, _| Source::Packed { start });
        add(&mut twice, &other, &mut Vec::new());
        assert_eq!(dump(twice), dump(once), "{guest}");
    }
}
