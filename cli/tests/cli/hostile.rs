//! Archives that lie about sizes are read in little memory: where the process may have no
//! more, it ends with an error of its own and not by a signal.

use std::fs;
use std::process::Command;

use super::Place;

/// What a process may have, in KiB: its libraries and threads, but not what these
/// archives speak of.
const MOST: usize = 400_000;

#[test]
fn what_is_announced_is_not_taken_before_it_is_there() {
    let place = Place::new();
    let header = |kind: u8, size: &str| {
        let mut header = vec![0; 512];
        header[..4].copy_from_slice(b"file");
        header[124..124 + size.len()].copy_from_slice(size.as_bytes());
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        header
    };
    let mut archives: Vec<(String, &str, Vec<u8>)> = Vec::new();
    // Members, long names and extended headers of 8 GiB.
    for kind in *b"0LKxgS" {
        let bytes = [header(kind, "77777777777"), vec![b'x'; 512]].concat();
        let what = format!("tar, {}", char::from(kind));
        archives.push((
            format!("{what}, zstd"),
            "tar",
            zstd::encode_all(&bytes[..], 1).unwrap(),
        ));
        archives.push((what, "tar", bytes));
    }
    // Much from little.
    let bomb = [header(b'0', "17777777777"), vec![0; 64 << 20]].concat();
    archives.push((
        "bomb".into(),
        "tar",
        zstd::encode_all(&bomb[..], 1).unwrap(),
    ));
    // An end record of a zip archive with as many members and bytes as there can be.
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([0xfe, 0xff, 0xfe, 0xff]);
    end.extend([0xf0, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    archives.push(("zip".into(), "zip", [vec![b'x'; 100], end].concat()));
    // A manifest that is said to be huge.
    archives.push((
        "manifest".into(),
        "oci",
        [header(b'0', "77777777777"), b"[".repeat(512)].concat(),
    ));
    for (what, flag, bytes) in archives {
        fs::write(place.path().join("archive"), bytes).unwrap();
        let monaka = env!("CARGO_BIN_EXE_monaka");
        let script = format!(
            "ulimit -v {MOST}; exec '{monaka}' image --{flag} /in::archive --dry-run -q \
             --max-unpacked 8M"
        );
        let mut command = Command::new("sh");
        let output = (command.args(["-c", &script]).current_dir(place.path())).output();
        let output = output.unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{what}: {stderr}");
        assert!(stderr.starts_with("error: cannot "), "{what}: {stderr}");
        assert!(stderr.contains("\n  hint: "), "{what}: {stderr}");
    }
}
