//! What stands in memory when a packed program starts, and where.

use std::fs;

use serde_json::Value;

use super::Place;

/// A program with this memory.
fn put(place: &Place, memory: &str) {
    place.put(
        "app.wasm",
        &format!(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_sync" (func (param i32) (result i32)))
                (memory {memory}) (data (i32.const 8) "the program's"))"#
        ),
    );
}

fn inspected(place: &Place) -> Value {
    serde_json::from_slice(&place.ok("inspect out.wasm --json")).unwrap()
}

#[test]
fn programs_have_room_to_grow_where_they_may() {
    // Initial and maximum pages, bytes of a file, pages of room.
    let cases = [
        ("1", 1, 64..=64),
        ("1 65536", 1, 64..=64),
        ("1 1", 1, 0..=0),
        ("1 4", 1, 3..=3),
        // About as much as there would be to move.
        ("1", 10 << 20, 150..=165),
        ("1", 40 << 20, 256..=256),
        // As long as it is still mapped, which it is not at all in the last.
        ("240", 1, 10..=14),
        ("400", 1, 64..=64),
    ];
    for (memory, size, room) in cases {
        let place = Place::new();
        put(&place, memory);
        fs::write(place.path().join("root/file"), vec![b'x'; size]).unwrap();
        place.ok("pack app.wasm --mapdir /::root -o out.wasm");
        let found = inspected(&place)["memories"][0]["headroom"].as_u64();
        let found = found.expect("bytes") >> 16;
        assert!(room.contains(&found), "{memory}, {size} bytes: {found}");
        place.ok("verify out.wasm");
        // Packing again is packing once.
        let once = place.read("out.wasm");
        place.ok("pack out.wasm --mapdir /::root -o out.wasm");
        assert!(once == place.read("out.wasm"), "{memory}, {size} bytes");
    }
}

#[test]
fn what_is_copied_at_each_start_is_said() {
    let place = Place::new();
    // 64 MiB, with data in the first page.
    put(&place, "1024");
    fs::write(place.path().join("root/file"), vec![b'x'; 2 << 20]).unwrap();
    let pack = |memory: &str, said: &str| {
        let output = place.monaka(&format!(
            "pack app.wasm --mapdir /::root --memory {memory} -o out.wasm"
        ));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let warned: String = stderr
            .lines()
            .filter(|line| line.contains("wasmtime"))
            .collect();
        assert_eq!(warned, said);
        assert_eq!(inspected(&place)["mapped"], Value::Bool(said.is_empty()));
        let shown = place.text("inspect out.wasm");
        assert_eq!(
            shown.contains("wasmtime copies 2.1 MB"),
            !said.is_empty(),
            "{shown}"
        );
    };
    pack(
        "single",
        "warning: wasmtime copies 2.1 MB at each start, as the data is too sparse to be \
         mapped; --memory multi leaves the program's as it is",
    );
    pack("multi", "");
}
