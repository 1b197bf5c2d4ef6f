//! What files stand for, and what is wrong with them.

use super::super::Cli;
use super::*;

/// What a file in directory `d` stands for, where nothing is overridden.
fn arguments(text: &str) -> Result<Vec<String>, String> {
    given(text, &[])
}

/// The same beside these arguments of `pack`.
fn given(text: &str, args: &[&str]) -> Result<Vec<String>, String> {
    let mut cli = Cli::relaxed();
    cli.build();
    let pack = cli.find_subcommand("pack").unwrap();
    let matches = pack.clone().get_matches_from([&["pack"], args].concat());
    let path = Path::new("d/monaka.toml");
    let spec = Spec { path, text, pack };
    let arguments = spec.arguments(|arg| is_overridden(arg, pack, &matches));
    match arguments {
        Ok(arguments) => Ok(arguments
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect()),
        Err(error) => Err(format!(
            "{error} ({})",
            error.downcast_ref::<Hinted>().unwrap().hint
        )),
    }
}

#[test]
fn keys_are_flags_and_paths_are_beside_the_file() {
    let cases: [(&str, &[&str]); 14] = [
        ("", &[]),
        ("input = 'app.wasm'", &["d/app.wasm"]),
        ("input = '-'", &["-"]),
        ("output = '/abs/out.wasm'", &["--output=/abs/out.wasm"]),
        ("output = '../out.wasm'", &["--output=d/../out.wasm"]),
        ("max-bytes = 0x10", &["--max-bytes=16"]),
        ("max-bytes = '64M'", &["--max-bytes=64M"]),
        ("no-tmp = true\nno-dev = false", &["--no-tmp"]),
        ("route = 'rewrite'", &["--route=rewrite"]),
        (
            "compress = true\nmax-bytes = 1",
            &["--compress", "--max-bytes=1"],
        ),
        (
            "read-only = ['/a', '/b']",
            &["--read-only=/a", "--read-only=/b"],
        ),
        ("exclude = '*.pyc'", &["--exclude=*.pyc"]),
        (
            "[[mount]]\nguest = '/'\nhost = 'root'\n[[mount]]\ntext = '-'\nguest = '/v'",
            &["--mapdir=/::d/root", "--file=/v=-"],
        ),
        (
            "mount = [{guest='/', tar='-'}, {guest='/', zip='/a.zip'}, {guest='/', oci='i'}]",
            &["--tar=/::-", "--zip=/::/a.zip", "--oci=/::d/i"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(arguments(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn every_flag_of_a_source_can_be_a_mount() {
    for flag in mappings::flags().filter(|flag| *flag != "dir") {
        let mounts = mappings::MOUNTS.iter();
        assert_eq!(
            mounts.filter(|mount| mount.flag == flag).count(),
            1,
            "{flag}"
        );
    }
}

#[test]
fn the_command_line_overrides_what_is_said_once_and_adds_to_the_rest() {
    let text = "input='a'\nmax-bytes=1\nno-tmp=true\nexclude='x'\nread-only='/'\noutput='o'";
    let args = [
        "b",
        "--max-bytes=2",
        "--exclude=y",
        "--no-tmp",
        "--read-only=/r",
        "-o",
        "p",
    ];
    assert_eq!(
        given(text, &args).unwrap(),
        ["--exclude=x", "--read-only=/"]
    );
}

#[test]
fn errors_say_where_and_what_instead() {
    let cases = [
        ("input = ", "d/monaka.toml:1:9: "),
        (
            "\nexlude = ['x']",
            "d/monaka.toml:2:1: there is no key `exlude` (did you mean `exclude`?)",
        ),
        (
            "a = 1",
            "d/monaka.toml:1:1: there is no key `a` (`monaka pack --help`",
        ),
        (
            "quiet = true",
            "there is no key `quiet` (give --quiet on the command line)",
        ),
        (
            "mapdir = ['/::.']",
            "there is no key `mapdir` (write it as [[mount]], with `guest` and `host`)",
        ),
        (
            "dir = '.'",
            "(write it as [[mount]], with `guest` and `host`)",
        ),
        (
            "[mount]\nguest='/'",
            "`mount` is an array of tables, and this is a table",
        ),
        (
            "mount = ['x']",
            "d/monaka.toml:1:10: a mount is a table, and this is a text",
        ),
        (
            "[[mount]]\nguest = '/'",
            "d/monaka.toml:1:1: a mount has a guest path and a source (give `guest`, and one of host, ",
        ),
        (
            "[[mount]]\nguest = '/'\nhost = 1",
            "d/monaka.toml:3:8: `host` is a text, and this is a number",
        ),
        (
            "[[mount]]\nguest = '/'\nhots = 'r'",
            "d/monaka.toml:3:1: a mount has no key `hots` (did you mean `host`?)",
        ),
        (
            "[[mount]]\nguest = '/'\nno-tmp = true",
            "move it above the first [[mount]]",
        ),
        (
            "[[mount]]\nguest = '/'\nhost = 'a'\ntar = 'b'",
            "a mount has one source, and this is its second",
        ),
        (
            "[[mount]]\nguest = '/a::b'\nhost = 'a'",
            "`guest` holds `::`",
        ),
        ("[[mount]]\nguest = '/a=b'\ntext = 'a'", "`guest` holds `=`"),
        (
            "[[mount]]\nguest = '/../a'\nhost = 'a'",
            "d/monaka.toml:3:8: `/../a::d/a` is wrong: `..` is not looked up",
        ),
        (
            "max-bytes = 'much'",
            "d/monaka.toml:1:13: `much` is wrong: not a number of bytes",
        ),
        (
            "max-bytes = true",
            "`max-bytes` is one value, and this is true or false",
        ),
        ("max-inodes = -1", "d/monaka.toml:1:14: `-1` is wrong: "),
        (
            "no-tmp = 'yes'",
            "`no-tmp` is true or false, and this is a text",
        ),
        (
            "route = 'both'",
            "`both` is wrong: it is one of linked, rewrite",
        ),
        (
            "read-only = [['/']]",
            "`read-only` is an array of texts, and this is an array",
        ),
        (
            "output = ['a', 'b']",
            "`output` is one value, and this is an array",
        ),
    ];
    for (text, expected) in cases {
        let error = arguments(text).unwrap_err();
        assert!(error.contains(expected), "{text}\n{error}\n{expected}");
    }
}

#[test]
fn every_key_that_is_true_or_false_can_be_turned_off() {
    let mut cli = Cli::relaxed();
    cli.build();
    for name in ["pack", "image"] {
        let command = cli.find_subcommand(name).unwrap();
        let switches: Vec<&Arg> = keys(command).filter(|arg| is_switch(arg)).collect();
        assert!(!switches.is_empty());
        for key in keys(command) {
            assert!(!matches!(key.get_action(), ArgAction::SetTrue), "{key}");
        }
        for switch in switches {
            let key = key_of(switch);
            for (value, is_on) in [("", true), ("=true", true), ("=false", false)] {
                let args = [name.to_string(), format!("--{key}{value}"), "-ox".into()];
                let matches = command.clone().get_matches_from(args);
                assert_eq!(matches.get_flag(key_id(switch)), is_on, "{key}{value}");
                assert!(is_overridden(switch, command, &matches), "{key}{value}");
            }
        }
    }
}

fn key_id(arg: &Arg) -> &str {
    arg.get_id().as_str()
}
