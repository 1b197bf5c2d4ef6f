use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use monaka_vfs_core::device::Device;
use monaka_vfs_core::image::Limits;

use super::*;
use crate::mapdir::{Mapping, Origin};
use crate::progress::Progress;
use crate::scan::{Choice, Scanner, Source};

/// A time with parts of a second, and with none.
const TIMES: [u64; 2] = [1_600_000_000_123_456_789, 1_500_000_000_000_000_000];

fn meta(at: usize) -> Meta {
    Meta {
        mtime: TIMES[at],
        executable: false,
    }
}

/// Everything that a tree can hold; contents are their own source.
fn sample() -> Tree<Vec<u8>> {
    let mut tree = Tree::new(meta(1));
    let root = NodeId::ROOT;
    let file = |tree: &mut Tree<Vec<u8>>, parent, name: &[u8], meta, contents: Vec<u8>| {
        let len = contents.len() as u64;
        tree.add_file(parent, name, meta, len, contents).unwrap()
    };
    let executable = Meta {
        executable: true,
        ..meta(0)
    };
    let tool = file(&mut tree, root, b"tool", executable, b"#!".to_vec());
    let deep = tree.make_directories(b"/deep/er", meta(0)).unwrap();
    tree.add_link(deep, b"tool again", tool).unwrap();
    file(
        &mut tree,
        deep,
        b"not utf-8 \xff\xfe",
        meta(1),
        b"x".repeat(512),
    );
    file(&mut tree, deep, b"\n", meta(1), Vec::new());
    let mut holes = vec![0; 300_000];
    holes[200_000] = 1;
    file(&mut tree, deep, b"holes", meta(1), holes);
    let long = tree.add_directory(deep, &[b'd'; 250], meta(1)).unwrap();
    file(&mut tree, long, &[b'f'; 255], meta(0), b"long".to_vec());
    for (name, target) in [
        (&b"absolute"[..], &b"/etc/passwd"[..]),
        (b"above", b"../../..//x/./"),
        (b"long", &[b't'; 4000]),
    ] {
        tree.add_symlink(long, name, meta(0), target).unwrap();
    }
    tree.add_directory(root, b"empty", meta(0)).unwrap();
    tree.add_device(root, b"null", meta(0), Device::Null)
        .unwrap();
    tree.set_limits(Limits::default());
    tree
}

#[expect(
    clippy::ptr_arg,
    reason = "a tree's contents are referred to as they are"
)]
fn copy(source: &Vec<u8>, _: u64, out: &mut dyn Write) -> Result<()> {
    Ok(out.write_all(source)?)
}

/// A tree as text: path, kind, contents, times, further names.
fn text<S>(tree: &Tree<S>, mut contents: impl FnMut(&S, u64) -> Vec<u8>) -> Vec<String> {
    let mut lines = Vec::new();
    walk(tree, |path, step| {
        let what = match step {
            Step::Enter(meta) => format!("directory {}", meta.mtime),
            Step::Leave(_) => return Ok(()),
            Step::File { meta, len, source } => {
                let contents = contents(source, len);
                assert_eq!(contents.len() as u64, len);
                format!("file {meta:?} {:?}", Shown(&contents).to_string())
            }
            Step::Symlink { meta, target } => format!("{} -> {}", meta.mtime, Shown(target)),
            Step::Link { first, .. } => format!("= {}", Shown(first)),
        };
        lines.push(format!("/{} {what}", Shown(path)));
        Ok(())
    })
    .unwrap();
    lines
}

/// What a mapping of the host brings, as text.
fn scanned(mapping: Mapping) -> Vec<String> {
    let mut tree = Tree::new(Meta::default());
    let choice = Choice::default();
    let mut scanner = Scanner::new(&choice, Progress::new(true));
    scanner.scan(&mut tree, &mapping).unwrap();
    assert_eq!(scanner.finish(), [""; 0]);
    text(&tree, |source: &Source, len| {
        let mut contents = Vec::new();
        source.copy_to(len, &[], &mut contents).unwrap();
        contents
    })
}

fn expected() -> Vec<String> {
    text(&sample(), |contents, _| contents.clone())
}

#[test]
fn a_directory_holds_all_that_the_tree_does() {
    let host = tempfile::tempdir().unwrap();
    for name in ["new", "empty"] {
        let path = host.path().join(name);
        if name == "empty" {
            fs::create_dir(&path).unwrap();
        }
        let count = Place::of(&path).unwrap().write(&sample(), copy).unwrap();
        assert_eq!(
            count.to_string(),
            "5 files (301 KB), 4 directories, 3 symbolic links, 1 hard link; without 1 device"
        );
        let mut argument = OsString::from("/::");
        argument.push(&path);
        let mapping = Mapping::from_mapdir(&argument).unwrap();
        assert_eq!(scanned(mapping), expected());
        // Zeros take no room.
        let holes = fs::metadata(path.join("deep/er/holes")).unwrap();
        assert!(holes.blocks() * 512 < 150_000, "{}", holes.blocks());
    }
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 2);
}

#[test]
fn an_archive_holds_all_that_the_tree_does_and_is_the_same_each_time() {
    let host = tempfile::tempdir().unwrap();
    let path = host.path().join("out.TAR");
    Place::of(&path).unwrap().write(&sample(), copy).unwrap();
    let mut argument = OsString::from("/::");
    argument.push(&path);
    let mapping = Mapping::of(Origin::Tar, &argument).unwrap();
    assert_eq!(scanned(mapping), expected());
    let first = fs::read(&path).unwrap();
    Place::of(&path).unwrap().write(&sample(), copy).unwrap();
    assert!(fs::read(&path).unwrap() == first);
}

#[test]
fn nothing_is_overwritten_and_nothing_left_behind() {
    let host = tempfile::tempdir().unwrap();
    let path = host.path().join("full");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("mine"), "mine").unwrap();
    let file = path.join("mine");
    let missing = host.path().join("missing/out");
    for (path, what) in [
        (&path, "is not empty"),
        (&file, "is not a directory"),
        (&missing, "does not exist"),
        (&missing.with_extension("tar"), "does not exist"),
    ] {
        let place = Place::of(path).unwrap();
        let error = place.check().unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
        assert!(place.write(&sample(), copy).is_err());
    }
    assert_eq!(fs::read(file).unwrap(), b"mine");

    // Contents that fail, end early or are too long.
    for end in [None, Some(1), Some(3)] {
        let failing = |source: &Vec<u8>, _: u64, out: &mut dyn Write| {
            let broken = &b"abc"[..end.context("unreadable")?];
            Ok(out.write_all(if source == b"#!" { broken } else { source })?)
        };
        for name in ["new", "new.tar"] {
            let place = Place::of(&host.path().join(name)).unwrap();
            let error = format!("{:#}", place.write(&sample(), failing).unwrap_err());
            assert!(error.starts_with("cannot write /"), "{error}");
        }
    }
    assert_eq!(fs::read_dir(host.path()).unwrap().count(), 1);
}

#[test]
fn archives_of_other_kinds_are_refused() {
    for name in ["x.tar.gz", "x.tgz", "x.zip", "x.TAR.XZ"] {
        let error = Place::of(Path::new(name)).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
    for (name, archive) in [("-", true), ("a.tar", true), ("dir", false), ("a.d", false)] {
        let place = Place::of(Path::new(name)).unwrap();
        assert_eq!(matches!(place, Place::Archive(_)), archive, "{name}");
    }
}
