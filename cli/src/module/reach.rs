//! What of its host's calls a packed module keeps.

use monaka_vfs_core::access::{Access, Calls};
use monaka_vfs_core::image::{Image, Tree};
use monaka_vfs_core::link::MOUNT_HOST_DIRS;

use super::packed::{ImageRecord, Packed};
use super::refusal::Refusal;

/// What a packed program reaches of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The calls with descriptors that it can make there; the imports of all others go.
    pub(crate) calls: Calls,
    /// All directories of the host are its own, too.
    host_dirs: bool,
}

impl Reach {
    /// That of a program that is packed with this tree.
    pub(crate) fn of<S>(tree: &Tree<S>, host_dirs: bool) -> Reach {
        let directories = host_dirs || !tree.host_directories().is_empty();
        Reach {
            calls: tree.access().calls(directories),
            host_dirs,
        }
    }

    /// That of a program of which nothing is said: its streams and clocks, and with
    /// `host_dirs` all that the host has open.
    pub(crate) fn usual(host_dirs: bool) -> Reach {
        let access = Access::<()> {
            sockets: host_dirs,
            ..Access::default()
        };
        Reach {
            calls: access.calls(host_dirs),
            host_dirs,
        }
    }

    /// As a packed module records it.
    fn of_image(image: Image<'_>, record: &ImageRecord) -> Reach {
        let host_dirs = record.host_dirs();
        let directories = host_dirs || image.host_directories().len() != 0;
        Reach {
            calls: image.access().calls(directories),
            host_dirs,
        }
    }

    /// How the image is mounted.
    pub(crate) fn flags(self) -> u32 {
        if self.host_dirs { MOUNT_HOST_DIRS } else { 0 }
    }
}

impl Packed<'_> {
    /// What the program reaches of its host.
    pub(crate) fn reach(&self) -> Result<Reach, Refusal> {
        let image = Image::open(self.tables());
        let image = image.map_err(|error| Refusal::DamagedPack(error.to_string()))?;
        Ok(Reach::of_image(image, &self.record))
    }

    /// Refuses what needs imports that an earlier pack has removed.
    pub(crate) fn check_calls(&self, reach: Reach) -> Result<(), Refusal> {
        let missing = reach.calls.without(self.reach()?.calls);
        let missing: Vec<&str> = missing.names().collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Refusal::CallsGone(missing)),
        }
    }

    /// As [`check_calls`](Packed::check_calls), with a word about the imports that a
    /// module keeps for nothing, as the file system was merged in with them.
    pub(crate) fn check_reach(&self, reach: Reach) -> Result<Option<String>, Refusal> {
        self.check_calls(reach)?;
        let left = self.reach()?.calls.without(reach.calls);
        let left: Vec<&str> = left.names().collect();
        let stay = self.merged.is_some() && !left.is_empty();
        Ok(stay.then(|| {
            format!(
                "the program no longer reaches the host's {}, but the imports stay, as the file \
                 system was merged in with them; pack the original module to be without",
                left.join(", ")
            )
        }))
    }
}
