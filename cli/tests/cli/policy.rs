//! What the file system itself asks its host for is under the program's policy, too.

use super::*;

/// A program that reads files and asks for nothing else, by a WASI of that name.
fn program(wasi: &str, more: &str) -> String {
    format!(
        r#"(module
            (import "{wasi}" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
            (import "{wasi}" "fd_filestat_get" (func (param i32 i32) (result i32)))
            {more}
            (memory (export "memory") 1)
            (func (export "_start")))"#
    )
}

fn asked(place: &Place, module: &str) -> Vec<String> {
    let imports = place.text(&format!("inspect {module} --imports"));
    let asked = ["clock_time_get", "clock_res_get", "random_get"];
    let imports = imports
        .lines()
        .filter_map(|line| line.strip_prefix("wasi_snapshot_preview1."));
    let found = imports.filter(|name| asked.contains(name));
    let mut found: Vec<String> = found.map(str::to_owned).collect();
    found.sort();
    found
}

#[test]
fn the_file_system_asks_for_nothing_that_is_denied() {
    let place = Place::new();
    for memory in ["single", "multi"] {
        let pack = |input: &str, flags: &str, output: &str| {
            place.ok(&format!(
                "pack {input} --file /a=b --memory {memory} {flags} -q -o {output}"
            ));
        };
        place.put("app.wasm", &program("wasi_snapshot_preview1", ""));
        pack("app.wasm", "", "free.wasm");
        assert_eq!(asked(&place, "free.wasm"), ["clock_time_get", "random_get"]);
        pack("app.wasm", "--clock deny --random seed=1", "denied.wasm");
        assert_eq!(asked(&place, "denied.wasm"), [""; 0]);
        // Packed again, it asks for what it needs itself and no more.
        pack("denied.wasm", "--clock pass", "clock.wasm");
        assert_eq!(asked(&place, "clock.wasm"), ["clock_time_get"]);
        pack(
            "clock.wasm",
            "--random pass --clock monotonic-only",
            "both.wasm",
        );
        assert_eq!(asked(&place, "both.wasm"), ["clock_time_get", "random_get"]);
        pack("both.wasm", "--deny-all", "none.wasm");
        assert_eq!(asked(&place, "none.wasm"), [""; 0]);
    }
}

#[test]
fn older_wasis_are_under_a_policy_as_well() {
    let place = Place::new();
    for wasi in ["wasi_unstable", "wasi_snapshot_preview0"] {
        let more = format!(r#"(import "{wasi}" "random_get" (func (param i32 i32) (result i32)))"#);
        place.put("app.wasm", &program(wasi, &more));
        place.ok("pack app.wasm --file /a=b --random deny -q -o out.wasm");
        assert_eq!(asked(&place, "out.wasm"), ["clock_time_get"], "{wasi}");
        place.ok("pack out.wasm --file /a=b --random pass -q -o again.wasm");
        let again = asked(&place, "again.wasm");
        assert_eq!(again, ["clock_time_get", "random_get"], "{wasi}");
    }
}

#[test]
fn inspect_shows_the_policy_of_every_subsystem() {
    let place = Place::new();
    place.put("app.wasm", &program("wasi_snapshot_preview1", ""));
    place.ok(
        "pack app.wasm --file /work/a=b -q -o out.wasm --env A=1 --env-allow HOME,LANG --arg x \
         --arg0 app --cwd /work --clock fixed=1.5 --random seed=3 --exit deny",
    );
    let text = place.text("inspect out.wasm");
    let start = text.find("policy\n").unwrap();
    let table: Vec<&str> = text[start..].lines().skip(1).take(13).collect();
    assert_eq!(
        table,
        [
            "  env       only HOME LANG of the host's, behind A=1",
            "  args      pass, named app, behind x",
            "  cwd       /work",
            "  clock     fixed at 1.500000000 s",
            "  random    INSECURE: the same in each run, of the seed 3",
            "  stdin     pass",
            "  stdout    pass",
            "  stderr    pass",
            "  exit      deny",
            "  raise     pass",
            "  yield     pass",
            "  sockets   deny",
            "  host dirs deny",
        ]
    );
    let json = place.text("inspect out.wasm --json");
    assert!(
        json.contains(r#""clock": "fixed at 1.500000000 s""#),
        "{json}"
    );
}
