//! Images in files of their own; those in modules are packed from the command
//! line.

use super::*;

/// A tree as a file: tables, then contents.
fn image(tree: Tree<Source>) -> Vec<u8> {
    let valid = tree.validate().unwrap();
    let written = write(&valid).unwrap();
    let mut bytes = written.tables.clone();
    for content in &written.contents {
        bytes.resize(written.tables.len() + content.offset as usize, 0);
        content
            .source
            .copy_to(content.len, &[], &mut bytes)
            .unwrap();
    }
    bytes.resize(written.tables.len() + written.data_len as usize, 0);
    bytes
}

fn of(guest: &str, path: &Path) -> Mapping {
    Mapping::of(Origin::Image, &argument(guest, path)).unwrap()
}

#[test]
fn an_image_is_what_was_packed() {
    let host = Host::new();
    host.file("r/d/f", "contents")
        .file("r/g", "")
        .at("r/d", 3, 4)
        .at("r", 5, 0);
    fs::hard_link(host.path("r/d/f"), host.path("r/h")).unwrap();
    symlink("d/f", host.path("r/l")).unwrap();
    host.at("r", 5, 0);
    let (tree, _) = scanned(&[host.mapdir("/", "r")]);
    fs::write(host.path("i"), image(tree.clone())).unwrap();
    let (again, _) = scanned(&[of("/", &host.path("i"))]);
    let node = again.lookup(b"/d/f").unwrap();
    assert_eq!(contents(&again, node), b"contents");
    assert_eq!(dump(again), dump(tree));
    let (below, _) = scanned(&[of("/a/b", &host.path("i"))]);
    assert!(below.lookup(b"/a/b/d/f").is_some());
}

#[test]
fn a_damaged_image_is_refused_or_another() {
    let host = Host::new();
    host.file("r/d/f", "contents").file("r/g", "more");
    let (tree, _) = scanned(&[host.mapdir("/", "r")]);
    let bytes = image(tree);
    let read = |bytes: &[u8]| {
        fs::write(host.path("i"), bytes).unwrap();
        let choice = Choice::default();
        let mut scanner = Scanner::new(&choice, Progress::default());
        scanner.scan(&mut fresh(), &of("/", &host.path("i")))
    };
    assert!(read(&bytes).is_ok());
    for len in 8..bytes.len() {
        let error = read(&bytes[..len]).unwrap_err();
        assert!(error.is::<ScanError>(), "{len}: {error:#}");
    }
    for at in 8..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        if let Err(error) = read(&damaged) {
            assert!(error.is::<ScanError>(), "{at}: {error:#}");
        }
    }
}
