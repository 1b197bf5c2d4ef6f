//! What a program may reach of its host with descriptors, as the command line says
//! it: its streams, sockets and directories.

use std::ffi::OsString;

use anyhow::{Context as _, Result};
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use monaka_vfs_core::access::{Access, STREAMS, Stream};
use monaka_vfs_core::image::format::is_path;
use monaka_vfs_core::image::{Contents, Escaped, Meta, Tree};

use crate::mapdir::{guest_path, to_bytes};
use crate::report::Hinted;
use crate::scan::Source;

/// The flags of streams, sockets and the host's directories.
#[derive(clap::Args)]
#[command(next_help_heading = "What the program may reach of its host")]
pub(crate) struct Reached {
    /// What stdin is: pass, deny, ignore or file=PATH
    ///
    /// `pass` is the host's, `deny` a closed descriptor, `ignore` one that has
    /// nothing to read, and file=PATH reads a packed file. What is not the host's
    /// needs no import.
    #[arg(long, value_name = "STREAM", value_parser = OsStringValueParser::new().try_map(stream))]
    stdin: Option<Stream<Guest>>,
    /// What stdout is: pass, deny, ignore or file=PATH
    ///
    /// `ignore` swallows what is written, and file=PATH appends it to a file in the
    /// program's own file system, which is made if it is not there.
    #[arg(long, value_name = "STREAM", value_parser = OsStringValueParser::new().try_map(stream))]
    stdout: Option<Stream<Guest>>,
    /// What stderr is, like stdout, with which it may share a file
    #[arg(long, value_name = "STREAM", value_parser = OsStringValueParser::new().try_map(stream))]
    stderr: Option<Stream<Guest>>,
    /// Sockets that the host has open: pass or deny; deny, unless
    /// --allow-host-dirs is given
    #[arg(long, value_name = "POLICY", value_enum)]
    sockets: Option<Sockets>,
    /// Let the program see a directory that the host preopens as HOST, by the name
    /// GUEST, with :ro behind it to change nothing there; may be given many times
    ///
    /// Without --allow-host-dirs no other directory of the host is seen. Where the
    /// host has none of that name, the program finds none either.
    #[arg(long, value_name = "GUEST=HOST[:ro]", value_parser = OsStringValueParser::new().try_map(directory))]
    preopen: Vec<Directory>,
}

/// A path in the packed tree.
type Guest = Box<[u8]>;

/// Whether something of the host's is the program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sockets {
    /// They are the program's
    Pass,
    /// They are not
    Deny,
}

/// A directory of the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    guest: Vec<u8>,
    host: Vec<u8>,
    read_only: bool,
}

fn stream(text: OsString) -> Result<Stream<Guest>, String> {
    Ok(match text.to_str() {
        Some("pass") => Stream::Host,
        Some("deny") => Stream::Closed,
        Some("ignore") => Stream::Null,
        _ => {
            let bytes = to_bytes(&text).map_err(|error| error.to_string())?;
            let path = bytes.strip_prefix(b"file=").filter(|path| !path.is_empty());
            let wrong = "it is one of pass, deny, ignore and file=PATH, as in file=/var/log/out";
            let path = path.ok_or(wrong)?;
            // Cut from an `OsStr` at an ASCII character, so it is one itself.
            let path = crate::mapdir::to_path(path);
            let path = guest_path(path.as_os_str()).map_err(|error| error.to_string())?;
            Stream::File(path.into())
        }
    })
}

fn directory(text: OsString) -> Result<Directory, String> {
    let wrong = "name both, as in --preopen /data=/srv/data or --preopen /data=/srv/data:ro";
    let bytes = to_bytes(&text).map_err(|error| error.to_string())?;
    let at = bytes.iter().position(|&byte| byte == b'=').ok_or(wrong)?;
    let (guest, host) = (&bytes[..at], &bytes[at + 1..]);
    let (host, read_only) = match host.strip_suffix(b":ro") {
        Some(host) => (host, true),
        None => (host, false),
    };
    if guest.is_empty() || !is_path(host) {
        return Err(wrong.into());
    }
    let guest = crate::mapdir::to_path(guest);
    Ok(Directory {
        guest: guest_path(guest.as_os_str()).map_err(|error| error.to_string())?,
        host: host.to_vec(),
        read_only,
    })
}

impl Reached {
    /// Puts it over what was said of a tree before, or over nothing where all begins
    /// `denied`. With or without all of the host's directories it is packed now, and was
    /// `before` if it was.
    pub(crate) fn apply(
        &self,
        tree: &mut Tree<Source>,
        host_dirs: bool,
        before: Option<bool>,
        denied: bool,
    ) -> Result<()> {
        if denied {
            tree.clear_host_directories();
        }
        let mut access: Access<Guest> = tree.access().clone();
        let said = [&self.stdin, &self.stdout, &self.stderr];
        for (fd, said) in said.into_iter().enumerate() {
            if let Some(stream) = said {
                let flag = || format!("--{}", STREAMS[fd]);
                if let Stream::File(path) = stream {
                    openable(tree, fd, path).with_context(flag)?;
                }
                access.streams[fd].clone_from(stream);
            }
        }
        access.sockets = match self.sockets {
            Some(sockets) => sockets == Sockets::Pass,
            // They come and go with the directories.
            None if before != Some(host_dirs) => host_dirs && !denied,
            None => access.sockets,
        };
        tree.set_access(access);
        self.add_directories(tree)
    }

    /// A name that is given again means another directory from now on.
    fn add_directories(&self, tree: &mut Tree<Source>) -> Result<()> {
        if self.preopen.is_empty() {
            return Ok(());
        }
        let mut all: Vec<Directory> = Vec::new();
        let before = tree.host_directories().iter().map(|known| Directory {
            guest: known.name.to_vec(),
            host: known.host.to_vec(),
            read_only: known.read_only,
        });
        for new in before.chain(self.preopen.iter().cloned()) {
            all.retain(|known| known.guest != new.guest);
            all.push(new);
        }
        tree.clear_host_directories();
        for directory in all {
            if tree.preopens().any(|(name, _)| name == directory.guest) {
                let guest = Escaped(&directory.guest);
                return Err(Hinted::new(
                    format!("--preopen {guest}: a packed directory is open by that name"),
                    "let the host's directory be seen by another name, as in /host",
                )
                .into());
            }
            let Directory {
                guest,
                host,
                read_only,
            } = directory;
            tree.add_host_directory(&guest, &host, read_only)?;
        }
        Ok(())
    }
}

/// Checks that a stream can be the file of that path, or makes it for output.
fn openable(tree: &mut Tree<Source>, fd: usize, path: &[u8]) -> Result<()> {
    let shown = Escaped(path);
    if let Some(node) = tree.lookup(path) {
        let what = match tree.contents(node) {
            Contents::Regular { .. } => return Ok(()),
            Contents::Directory => "a directory".to_string(),
            Contents::Device(_) => "a device".to_string(),
            Contents::Symlink { target } => format!("a symbolic link to {}", Escaped(target)),
        };
        return Err(Hinted::new(
            format!("{shown} is {what}"),
            "name a regular file, or `ignore` for /dev/null",
        )
        .into());
    }
    if fd == 0 {
        return Err(Hinted::new(
            format!("no file {shown} is packed"),
            "pack it with --mapdir or --file, or take `ignore` for nothing to read",
        )
        .into());
    }
    // Of no time that a packer's clock or a source could change.
    let meta = Meta::default();
    let (parent, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&path[..0], path),
    };
    let parent = tree.make_directories(parent, meta)?;
    tree.add_file(parent, name, meta, 0, Source::Text([].into()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use monaka_vfs_core::image::{Dump, Image, NodeId, write};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        reached: Reached,
    }

    fn tree() -> Tree<Source> {
        let mut tree = Tree::new(Meta::default());
        let dir = tree.make_directories(b"/dir", Meta::default()).unwrap();
        let text = Source::Text((*b"text").into());
        tree.add_file(dir, b"in", Meta::default(), 4, text).unwrap();
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        tree
    }

    fn applied(mut tree: Tree<Source>, args: &str, before: Option<bool>) -> Result<Tree<Source>> {
        let args = ["pack"].into_iter().chain(args.split_whitespace());
        let reached = Cli::try_parse_from(args)?.reached;
        reached.apply(&mut tree, false, before, false)?;
        Ok(tree)
    }

    fn dump(tree: Tree<Source>) -> Vec<String> {
        let tables = write(&tree.validate().unwrap()).unwrap().tables;
        let text = Dump(Image::open(&tables).unwrap()).to_string();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn streams_are_what_is_said() {
        let args = "--stdin file=dir/in --stdout file=/log/out --stderr file=/log//out";
        let lines = dump(applied(tree(), args, None).unwrap());
        for line in [
            "stdin file /dir/in",
            "stdout file /log/out",
            "stderr file /log/out",
            "/log/out file 0.000000000 1 size=0 start=0",
        ] {
            assert!(lines.iter().any(|have| have == line), "{line}: {lines:?}");
        }
        let lines = dump(applied(tree(), "--stdin deny --stdout ignore", None).unwrap());
        assert_eq!(lines[2..4], ["stdin closed", "stdout null"]);
    }

    #[test]
    fn what_is_not_said_stays() {
        let args = "--stdin ignore --sockets pass --preopen /a=x --preopen /b=y:ro";
        let packed = applied(tree(), args, None).unwrap();
        let again = applied(packed.clone(), "", Some(false)).unwrap();
        assert_eq!(dump(packed.clone()), dump(again));
        let changed = applied(packed, "--stdin pass --preopen /a=z:ro", Some(false)).unwrap();
        let lines = dump(changed);
        assert!(lines[0].ends_with(" sockets"), "{lines:?}");
        let directories = &lines[2..4];
        assert_eq!(
            directories,
            ["host-preopen+ro /b y", "host-preopen+ro /a z"]
        );
        // Those that came with all directories go with them.
        let mut tree = tree();
        tree.set_access(Access {
            sockets: true,
            ..Access::default()
        });
        assert!(!applied(tree, "", Some(true)).unwrap().access().sockets);
    }

    #[test]
    fn what_cannot_be_is_an_error_with_a_way_out() {
        for (args, message) in [
            ("--stdin file=/no", "--stdin: no file /no is packed"),
            ("--stdout file=/dir", "--stdout: /dir is a directory"),
            ("--stdin maybe", "pass, deny, ignore and file=PATH"),
            ("--stdin file=", "pass, deny, ignore and file=PATH"),
            ("--stdout file=/a/../b", ".."),
            ("--preopen /a", "name both"),
            ("--preopen /a=", "name both"),
            ("--preopen =b", "name both"),
            ("--preopen /=b", "a packed directory is open by that name"),
        ] {
            let error = applied(tree(), args, None).err();
            let error = format!("{:#}", error.expect(args));
            assert!(error.contains(message), "{args}: {error}");
        }
    }
}
