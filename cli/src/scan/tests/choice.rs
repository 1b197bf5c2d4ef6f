//! What is left out, and what is followed.

use super::*;

/// The paths that are packed of `r`, and the warnings, with the host's path out
/// of the way.
fn packed(host: &Host, args: &[&str]) -> (Vec<String>, Vec<String>) {
    let choice = choice(args);
    let mut tree = fresh();
    let mut scanner = Scanner::new(&choice, Progress::default());
    let mapping = host.mapdir("/", "r");
    scanner.scan(&mut tree, &mapping).unwrap();
    let of_host = paths(&tree);
    let mut warnings = scanner.finish();

    // An archive of the same files is chosen from in the same way.
    let tar = std::process::Command::new("tar")
        .arg("-cf")
        .arg(host.path("a.tar"))
        .arg("-C")
        .arg(host.path("r"))
        .arg(".")
        .status();
    let has_ignores = of_host.is_empty() || host.path("r/.monakaignore").exists();
    if tar.is_ok_and(|status| status.success()) && !has_ignores {
        let mut tree = fresh();
        let mut scanner = Scanner::new(&choice, Progress::default());
        let mapping = Mapping::of(Origin::Tar, &argument("/", &host.path("a.tar"))).unwrap();
        scanner.scan(&mut tree, &mapping).unwrap();
        assert_eq!(paths(&tree), of_host, "{args:?}");
    }
    let place = format!("{}/", host.path("").display());
    for warning in &mut warnings {
        *warning = warning.replace(place.trim_end_matches('/'), "");
    }
    (of_host, warnings)
}

fn paths(tree: &Tree<Source>) -> Vec<String> {
    let mut tree = tree.clone();
    tree.clear_preopens();
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    let lines = dump(tree);
    let lines = lines[2..].iter().map(|line| {
        let mut words = line.split(' ');
        let path = words.next().unwrap();
        match words.next().unwrap() {
            "directory" => format!("{path}/"),
            "symlink" => format!("{path}@"),
            _ => path.to_string(),
        }
    });
    lines.collect()
}

#[test]
fn patterns_choose_as_in_gitignore() {
    let host = Host::new();
    for name in [
        "a.py",
        "a.pyc",
        "lib/b.py",
        "lib/b.pyc",
        "lib/test/t.py",
        "doc/x.md",
        "test/u.py",
    ] {
        host.file(&format!("r/{name}"), name);
    }
    host.directory("r/empty");
    for (args, expected) in [
        (
            &[
                "--exclude",
                "*.pyc",
                "--exclude",
                "doc/",
                "--exclude",
                "/test",
                "--exclude",
                "empty",
            ][..],
            &[
                "/a.py",
                "/lib/",
                "/lib/b.py",
                "/lib/test/",
                "/lib/test/t.py",
            ][..],
        ),
        (
            &["--include", "*.py"],
            &[
                "/a.py",
                "/lib/",
                "/lib/b.py",
                "/lib/test/",
                "/lib/test/t.py",
                "/test/",
                "/test/u.py",
            ],
        ),
        (
            &["--include", "*.py", "--exclude", "test"],
            &["/a.py", "/lib/", "/lib/b.py"],
        ),
        (
            &["--include", "/lib"],
            &[
                "/lib/",
                "/lib/b.py",
                "/lib/b.pyc",
                "/lib/test/",
                "/lib/test/t.py",
            ],
        ),
        (
            &["--include", "lib/**/*.py"],
            &["/lib/", "/lib/b.py", "/lib/test/", "/lib/test/t.py"],
        ),
        (&["--include", "empty"], &["/empty/"]),
        (
            &[
                "--exclude",
                "*",
                "--exclude",
                "!*.py",
                "--exclude",
                "!lib",
                "--exclude",
                "!lib/test",
            ],
            &[
                "/a.py",
                "/lib/",
                "/lib/b.py",
                "/lib/test/",
                "/lib/test/t.py",
            ],
        ),
        (
            &[
                "--include",
                "*.py",
                "--include",
                "!t.py",
                "--include",
                "!u.py",
            ],
            &["/a.py", "/lib/", "/lib/b.py"],
        ),
    ] {
        let (paths, warnings) = packed(&host, args);
        assert_eq!(paths, expected, "{args:?}");
        assert_eq!(warnings, [""; 0], "{args:?}");
    }
}

#[test]
fn a_pattern_that_matches_nothing_is_told() {
    let host = Host::new();
    host.file("r/a", "");
    let (_, warnings) = packed(
        &host,
        &["--exclude", "*.pyc", "--include", "a", "--include", "b/"],
    );
    assert_eq!(
        warnings,
        [
            "--include b/: nothing matches",
            "--exclude *.pyc: nothing matches"
        ]
    );
    for (glob, expected) in [
        ("", "empty or a comment"),
        ("#x", "empty or a comment"),
        ("a{b", "a{b"),
    ] {
        let error = try_choice(&["--exclude", glob]).unwrap_err();
        assert!(error.contains(expected), "{glob}: {error}");
    }
}

#[test]
fn monakaignore_leaves_out_what_is_below_it() {
    let host = Host::new();
    host.file("r/.monakaignore", "# comment\n*.o\n/build/\n!keep.o\n\n");
    host.file("r/a.o", "")
        .file("r/keep.o", "")
        .file("r/build/x", "")
        .file("r/src/build/y", "");
    host.file("r/src/.monakaignore", "y\n!b.o\n/local\n");
    host.file("r/src/a.o", "")
        .file("r/src/b.o", "")
        .file("r/src/local", "")
        .file("r/src/sub/local", "");
    host.file("r/src/sub/b.o", "");
    let (paths, _) = packed(&host, &[]);
    assert_eq!(
        paths,
        [
            "/keep.o",
            "/src/",
            "/src/b.o",
            "/src/build/",
            "/src/sub/",
            "/src/sub/b.o",
            "/src/sub/local"
        ]
    );
    // The command line has the last word.
    let (paths, _) = packed(&host, &["--exclude", "!a.o", "--exclude", "sub"]);
    assert_eq!(
        paths,
        [
            "/a.o",
            "/keep.o",
            "/src/",
            "/src/a.o",
            "/src/b.o",
            "/src/build/"
        ]
    );

    host.file("r/src/.monakaignore", "ok\na{b\n");
    let error = refused(&[host.mapdir("/", "r")]);
    let text = error.to_string();
    assert!(text.contains("src/.monakaignore, line 2: "), "{text}");
}

#[test]
fn large_files_are_left_out_with_a_warning() {
    let host = Host::new();
    host.file("r/small", "1234").file("r/d/large", "12345");
    let (paths, warnings) = packed(&host, &["--max-file-size", "4"]);
    assert_eq!(paths, ["/d/", "/small"]);
    assert_eq!(
        warnings,
        ["/r: d/large is left out, as it has 5 bytes and --max-file-size is 4"]
    );
}

#[test]
fn links_are_followed_where_that_is_wanted() {
    let host = Host::new();
    host.file("r/real/f", "x").file("outside/g", "y");
    symlink("real", host.path("r/to-directory")).unwrap();
    symlink("real/f", host.path("r/to-file")).unwrap();
    let (paths, _) = packed(&host, &[]);
    assert_eq!(paths, ["/real/", "/real/f", "/to-directory@", "/to-file@"]);
    let (paths, _) = packed(&host, &["--follow-symlinks"]);
    assert_eq!(
        paths,
        [
            "/real/",
            "/real/f",
            "/to-directory/",
            "/to-directory/f",
            "/to-file"
        ]
    );

    let follow = choice(&["--follow-symlinks"]);
    let scan = |mapping: &Mapping| {
        let mut scanner = Scanner::new(&follow, Progress::default());
        scanner.scan(&mut fresh(), mapping)
    };
    let archive = |target: &str| {
        let archive = tar::Archive::new().directory("d").symlink("d/link", target);
        fs::write(host.path("a.tar"), archive.bytes()).unwrap();
        Mapping::of(Origin::Tar, &argument("/", &host.path("a.tar"))).unwrap()
    };
    for (target, of_host, of_tar) in [
        (
            "..",
            "the symbolic link leads to a directory that it is in",
            "symbolic links lead in a circle at d/link",
        ),
        (
            "gone",
            "the symbolic link leads nowhere",
            "leads nowhere within the archive",
        ),
        ("link", "", "symbolic links lead in a circle at link"),
    ] {
        let _ = fs::remove_dir_all(host.path("r/d"));
        host.directory("r/d");
        symlink(target, host.path("r/d/link")).unwrap();
        let error = format!("{:#}", scan(&host.mapdir("/", "r")).unwrap_err());
        assert!(
            error.contains("d/link") && error.contains(of_host),
            "{error}"
        );
        let error = format!("{:#}", scan(&archive(target)).unwrap_err());
        assert!(
            error.contains("d/link") && error.contains(of_tar),
            "{error}"
        );
    }
    symlink("../outside", host.path("r/up")).unwrap();
    fs::remove_dir_all(host.path("r/d")).unwrap();
    scan(&host.mapdir("/", "r")).unwrap();
}
