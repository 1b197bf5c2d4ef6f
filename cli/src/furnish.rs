//! What the program finds beside its files, and how much it may change.

use anyhow::{Context as _, Result};
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use monaka_vfs_core::device::DEVICES;
use monaka_vfs_core::image::{Contents, Escaped, Meta, NodeId, Tree};

use crate::mapdir::guest_path;
use crate::report::{Hinted, nearest};

/// `/dev`, `/tmp`, limits and read-only places of a packed tree.
#[derive(Default, clap::Args)]
pub(crate) struct Furnishing {
    /// Leave out /dev: null, zero, full, random, urandom, stdin, stdout, stderr
    #[arg(long)]
    no_dev: bool,
    /// Leave out /tmp, an empty directory to write to
    #[arg(long)]
    no_tmp: bool,
    /// Make a packed directory (with all below it) or file read-only; may be
    /// given many times
    ///
    /// What would change it answers ROFS. Below a read-only `/` the directory
    /// /tmp stays writable, unless it is named too or --no-tmp is given.
    #[arg(long, value_name = "GUEST", value_parser = OsStringValueParser::new().try_map(|path| guest_path(&path)))]
    read_only: Vec<Vec<u8>>,
    /// Let the program write no more than this beside what is packed: 4096,
    /// 512K, 64M, 1G
    ///
    /// Writing more answers NOSPC, as on a full disk. Bytes that are deleted or
    /// cut off can be written anew.
    #[arg(long, value_name = "BYTES", value_parser = size, allow_negative_numbers = true)]
    max_bytes: Option<u64>,
    /// Let the program create no more files, directories and links than this
    /// beside what is packed
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    max_inodes: Option<u32>,
}

/// A number of bytes, with the units of 1024 that docker and rsync take.
pub(crate) fn size(text: &str) -> Result<u64, &'static str> {
    let parsed = parse_size::Config::new().with_binary().parse_size(text);
    parsed.map_err(|error| match error {
        parse_size::Error::PosOverflow => {
            "no memory holds so much; leave the flag out where there is no limit"
        }
        _ => "not a number of bytes like 4096, 512K, 64M or 1G",
    })
}

const DEV: &[u8] = b"/dev";
const TMP: &[u8] = b"/tmp";

impl Furnishing {
    /// Adds it to a tree in which all mapped files are. What is mapped at the
    /// same place stays as it is.
    pub(crate) fn furnish<S>(&self, tree: &mut Tree<S>) -> Result<()> {
        if !self.no_dev
            && let Some(dev) = vacant_directory(tree, DEV)?
        {
            for (name, device) in DEVICES {
                if tree.child(dev, name).is_none() {
                    tree.add_device(dev, name, Meta::default(), device)?;
                }
            }
        }
        if !self.no_tmp {
            vacant_directory(tree, TMP)?;
        }
        for guest in &self.read_only {
            let node =
                named(tree, guest).with_context(|| format!("--read-only {}", Escaped(guest)))?;
            tree.set_read_only(node, true);
        }
        let named = |guest: &[u8]| self.read_only.iter().any(|named| named == guest);
        if named(b"/")
            && !named(TMP)
            && !self.no_tmp
            && let Some(tmp) = tree.lookup(TMP)
        {
            tree.set_read_only(tmp, false);
        }
        let mut limits = tree.limits();
        limits.bytes = self.max_bytes.unwrap_or(limits.bytes);
        limits.inodes = self.max_inodes.unwrap_or(limits.inodes);
        tree.set_limits(limits);
        Ok(())
    }
}

/// Whether a directory is added there when something is packed.
pub(crate) fn is_place(path: &[u8]) -> bool {
    path == DEV || path == TMP
}

/// What [`furnish`](Furnishing::furnish) has put in and nobody has touched since: an
/// empty /tmp, and /dev with nothing but devices, which come behind it.
pub(crate) fn untouched<S>(tree: &Tree<S>) -> Vec<NodeId> {
    let mut found = Vec::new();
    let vacant = |path: &[u8]| {
        let node = tree.lookup(path)?;
        (tree.is_directory(node) && tree.meta(node) == Meta::default()).then_some(node)
    };
    if let Some(tmp) = vacant(TMP).filter(|tmp| tree.children(*tmp).next().is_none()) {
        found.push(tmp);
    }
    if let Some(dev) = vacant(DEV) {
        let entries: Vec<NodeId> = tree.children(dev).map(|(_, node)| node).collect();
        let is_device = |node: &NodeId| matches!(tree.contents(*node), Contents::Device(_));
        if entries.iter().all(is_device) {
            found.push(dev);
            found.extend(entries);
        }
    }
    found
}

/// Takes out what is [`untouched`].
pub(crate) fn strip<S>(tree: &mut Tree<S>) {
    let untouched = untouched(tree);
    for path in [DEV, TMP] {
        if tree
            .lookup(path)
            .is_some_and(|node| untouched.contains(&node))
        {
            tree.remove(NodeId::ROOT, &path[1..]);
        }
    }
}

/// The directory of that name below the root, made if nothing is there.
/// `None` if something else is.
fn vacant_directory<S>(tree: &mut Tree<S>, guest: &[u8]) -> Result<Option<NodeId>> {
    match tree.lookup(guest) {
        Some(node) => Ok(Some(node).filter(|&node| tree.is_directory(node))),
        // Of no time that a packer's clock or a source could change.
        None => Ok(Some(tree.make_directories(guest, Meta::default())?)),
    }
}

/// The path that was meant by one where nothing is, if a name beside it is near enough.
fn neighbour<S>(tree: &Tree<S>, guest: &[u8]) -> Option<String> {
    let (parent, name) = str::from_utf8(guest).ok()?.rsplit_once('/')?;
    let names = tree.children(tree.lookup(parent.as_bytes())?);
    let names = names.filter_map(|(name, _)| str::from_utf8(name).ok());
    Some(format!("{parent}/{}", nearest(name, names)?))
}

/// What a flag's guest path names.
fn named<S>(tree: &Tree<S>, guest: &[u8]) -> Result<NodeId> {
    let Some(node) = tree.lookup(guest) else {
        let hint = match neighbour(tree, guest) {
            Some(path) => format!("did you mean {path}?"),
            None => "map a directory or file there (--mapdir), or name one that is packed".into(),
        };
        return Err(Hinted::new("nothing of that name is packed", hint).into());
    };
    if let Contents::Symlink { target } = tree.contents(node) {
        return Err(Hinted::new(
            format!("it is a symbolic link to {}", Escaped(target)),
            "name what the link leads to",
        )
        .into());
    }
    Ok(node)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use monaka_vfs_core::image::{Dump, Image, write};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        furnishing: Furnishing,
    }

    const NONE: Meta = Meta {
        mtime: 0,
        executable: false,
    };

    fn tree() -> Tree<()> {
        let mut tree = Tree::new(NONE);
        tree.add_preopen(b"/", NodeId::ROOT).unwrap();
        tree.make_directories(b"/a/b", NONE).unwrap();
        tree.add_symlink(NodeId::ROOT, b"l", NONE, b"a").unwrap();
        tree
    }

    fn furnished(mut tree: Tree<()>, args: &[&str]) -> Result<Tree<()>> {
        let args = ["pack"].iter().chain(args);
        let furnishing = Cli::try_parse_from(args)?.furnishing;
        furnishing.furnish(&mut tree)?;
        Ok(tree)
    }

    fn dump(tree: Tree<()>) -> Vec<String> {
        let tables = write(&tree.validate().unwrap()).unwrap().tables;
        let text = Dump(Image::open(&tables).unwrap()).to_string();
        text.lines().map(str::to_owned).collect()
    }

    fn paths(args: &[&str]) -> Vec<String> {
        let lines = dump(furnished(tree(), args).unwrap());
        let line = |line: &String| line.split(" 0.0").next().map(str::to_owned);
        lines[2..].iter().filter_map(line).collect()
    }

    #[test]
    fn devices_and_tmp_are_there_unless_refused() {
        let all = paths(&[]);
        for path in ["/dev/null device", "/dev/urandom device", "/tmp directory"] {
            assert!(all.iter().any(|line| line == path), "{path}: {all:?}");
        }
        assert_eq!(all.iter().filter(|l| l.ends_with("device")).count(), 8);
        assert!(paths(&["--no-dev"]).iter().all(|l| !l.starts_with("/dev")));
        assert!(paths(&["--no-tmp"]).iter().all(|l| !l.starts_with("/tmp")));
    }

    #[test]
    fn what_was_mapped_there_stays() {
        let mut tree = tree();
        let dev = tree.make_directories(b"/dev", NONE).unwrap();
        tree.add_file(dev, b"null", NONE, 0, ()).unwrap();
        tree.add_symlink(NodeId::ROOT, b"tmp", NONE, b"a").unwrap();
        let lines = dump(furnished(tree, &[]).unwrap());
        let has = |start: &str| lines.iter().any(|line| line.starts_with(start));
        assert!(has("/dev/null file ") && has("/dev/zero device ") && has("/tmp symlink "));

        let mut tree = self::tree();
        tree.add_symlink(NodeId::ROOT, b"dev", NONE, b"a").unwrap();
        let lines = dump(furnished(tree, &[]).unwrap());
        assert!(lines.iter().all(|line| !line.contains(" device ")));
    }

    #[test]
    fn tmp_stays_writable_below_a_read_only_root() {
        assert!(paths(&["--read-only", "/"]).contains(&"/tmp directory".into()));
        assert!(paths(&["--read-only", "/"]).contains(&"/a/b directory+ro".into()));
        let named = paths(&["--read-only", "/", "--read-only", "tmp/"]);
        assert!(named.contains(&"/tmp directory+ro".into()));
        let below = paths(&["--read-only", "/a/b"]);
        assert!(below.contains(&"/a directory".into()));
        assert!(below.contains(&"/a/b directory+ro".into()));
    }

    #[test]
    fn furnishing_twice_is_furnishing_once_and_keeps_what_was_said() {
        let once = furnished(tree(), &["--read-only", "/tmp", "--max-bytes", "64K"]).unwrap();
        let again = furnished(once.clone(), &[]).unwrap();
        assert_eq!(dump(once.clone()), dump(again));
        assert!(dump(once)[0].ends_with(" max-bytes=65536"));
    }

    #[test]
    fn a_read_only_place_has_to_be_there() {
        for (guest, message) in [("/x", "nothing of that name"), ("/l", "symbolic link to a")] {
            let error = furnished(tree(), &["--read-only", guest]).unwrap_err();
            let error = format!("{error:#}");
            assert!(error.contains(message) && error.contains(guest), "{error}");
        }
        assert!(furnished(tree(), &["--read-only", "/a/../b"]).is_err());
        let error = furnished(tree(), &["--read-only", "/a/d"]).unwrap_err();
        let hint = crate::report::hint_of(&error);
        assert_eq!(hint.as_deref(), Some("did you mean /a/b?"));
    }

    #[test]
    fn sizes_have_the_units_that_people_type() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1k", 1024),
            ("64M", 64 << 20),
            ("64MB", 64 << 20),
            ("1.5GiB", 3 << 29),
        ] {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for (text, hint) in [
            ("", "64M"),
            ("-1", "64M"),
            ("M", "64M"),
            ("1X", "64M"),
            ("99999999999G", "leave the flag out"),
        ] {
            let args = ["pack", "--max-bytes", text];
            let error = Cli::try_parse_from(args).err().unwrap().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }
}
