//! What an image holds under a name, as listings show it.

use std::cell::OnceCell;

use monaka_vfs_core::device::Device;
use monaka_vfs_core::image::{Inode, Kind};
use serde::Serialize;

use crate::shown::{JsonPath, Time, hex_unless_utf8};
use crate::stored::Stored;

/// A line of a listing in JSON.
#[derive(Serialize)]
pub(crate) struct Entry {
    #[serde(flatten)]
    path: JsonPath,
    kind: &'static str,
    inode: u32,
    executable: bool,
    read_only: bool,
    links: u32,
    size: u64,
    /// What a compressed file takes in the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    stored: Option<u32>,
    mtime: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<&'static str>,
}

impl Entry {
    pub(crate) fn new(path: &[u8], number: u32, inode: &Inode<'_>, links: &Links<'_>) -> Entry {
        let (target, device) = match inode.kind {
            Kind::Symlink { target } => (Some(target), None),
            Kind::Device(device) => (None, Some(device_name(device))),
            _ => (None, None),
        };
        let stored = match inode.kind {
            Kind::Regular { stored, .. } => stored,
            _ => None,
        };
        Entry {
            path: JsonPath::new(path),
            kind: kind_name(inode.kind),
            inode: number,
            executable: inode.meta.executable,
            read_only: inode.read_only,
            links: links.of(number),
            size: size(inode),
            stored,
            mtime: Time::of(inode.meta).rfc3339(),
            target: target.map(|target| String::from_utf8_lossy(target).into_owned()),
            target_hex: target.and_then(hex_unless_utf8),
            device,
        }
    }
}

/// What the kind is called.
pub(crate) fn kind_name(kind: Kind<'_>) -> &'static str {
    match kind {
        Kind::Directory => "directory",
        Kind::Regular { .. } => "file",
        Kind::Symlink { .. } => "symlink",
        Kind::Device(_) => "device",
    }
}

/// What a device is called: its name below /dev, or what it stands for.
pub(crate) fn device_name(device: Device) -> &'static str {
    match device {
        Device::Stream(0) => "stdin",
        Device::Stream(1) => "stdout",
        Device::Stream(_) => "stderr",
        Device::Null => "null",
        Device::Zero => "zero",
        Device::Full => "full",
        Device::Random => "random",
    }
}

/// The size that `stat` gives: of contents, or of a link's target.
pub(crate) fn size(inode: &Inode<'_>) -> u64 {
    match inode.kind {
        Kind::Regular { size, .. } => size,
        Kind::Symlink { target } => target.len() as u64,
        _ => 0,
    }
}

/// Type and rights as in `drwx`: what reading, writing and executing are to a
/// program inside.
pub(crate) fn mode(inode: &Inode<'_>) -> String {
    let kind = match inode.kind {
        Kind::Directory => 'd',
        Kind::Regular { .. } => '-',
        Kind::Symlink { .. } => 'l',
        Kind::Device(_) => 'c',
    };
    let write = if inode.read_only { '-' } else { 'w' };
    // Directories can be searched and links followed, whatever the bit says.
    let always = matches!(inode.kind, Kind::Directory | Kind::Symlink { .. });
    let search = inode.meta.executable || always;
    let execute = if search { 'x' } else { '-' };
    format!("{kind}r{write}{execute}")
}

/// How many names there are for each inode, counted when first asked for.
pub(crate) struct Links<'s> {
    stored: &'s Stored,
    counts: OnceCell<Option<Vec<u32>>>,
}

impl<'s> Links<'s> {
    pub(crate) fn new(stored: &'s Stored) -> Links<'s> {
        Links {
            stored,
            counts: OnceCell::new(),
        }
    }

    pub(crate) fn of(&self, inode: u32) -> u32 {
        let counts = self
            .counts
            .get_or_init(|| self.stored.glance().link_counts());
        counts.as_ref().map_or(1, |counts| counts[inode as usize])
    }
}
