//! The file system driven through the same integers and memory layouts that a
//! program uses: run natively, or whoever else serves [`Calls`].

use monaka_vfs_core::abi::poll::{EVENT, SUBSCRIPTION};
use monaka_vfs_core::device::DEVICES;
use monaka_vfs_core::errno::Result;
use monaka_vfs_core::host::Host;
use monaka_vfs_core::image::{Image, Meta, NodeId, Tree, write};
use monaka_vfs_core::memory::{GuestMemory, Region};
use monaka_vfs_core::time::Timestamp;
use monaka_vfs_core::trace::Witness;
use monaka_vfs_core::{Errno, Vfs, for_each_hook, for_each_plain};

use crate::calls::{Calls, Memory};
use crate::compressed;

/// Every right.
pub const ALL: u64 = u64::MAX;

/// The first preopened directory.
pub const ROOT: u32 = 3;

/// How much of a program's memory the driver uses: all below.
pub const SIZE: usize = 4 << 20;

/// Where calls put their answers.
pub const OUT: u32 = 64;

/// Where lists of buffers stand.
pub const IOVS: u32 = 256;

/// Where bytes go to and come from.
pub const BUFFER: u32 = 64 << 10;

const PATH: u32 = 4096;
const PATH2: u32 = 12288;

/// A program's memory and a host with nothing but a clock and random bytes.
#[derive(Debug)]
pub struct Native {
    /// The program's memory.
    pub memory: Vec<u8>,
    /// Each look at the clock is a second later than the one before.
    pub seconds: u64,
    /// The state of the random bytes.
    pub seed: u64,
    /// How many random bytes it still has; then it answers `NOSYS`.
    pub random_left: u64,
    /// The descriptors that the host has open.
    pub open: Vec<u32>,
    /// Those of them that are sockets; the others are directories.
    pub sockets: Vec<u32>,
    /// Serves the calls that reach the host: the witx's name and the arguments.
    pub host: fn(&mut Native, &str, &[u64]) -> Result<()>,
}

/// A host that nothing may reach but the closing of its descriptors.
fn unreachable_host(_: &mut Native, name: &str, _: &[u64]) -> Result<()> {
    match name {
        "fd_close" => Ok(()),
        name => panic!("{name} reached the host"),
    }
}

impl Native {
    /// A memory of `size` bytes, and a host whose descriptors are stdio and
    /// which nothing may reach.
    pub fn new(size: usize) -> Native {
        Native {
            memory: vec![0; size],
            seconds: 1_000_000,
            seed: 1,
            random_left: u64::MAX,
            open: vec![0, 1, 2],
            sockets: vec![],
            host: unreachable_host,
        }
    }
}

impl Memory for Native {
    fn load(&self, at: u32, to: &mut [u8]) {
        to.copy_from_slice(&self.memory[at as usize..][..to.len()]);
    }

    fn store(&mut self, at: u32, bytes: &[u8]) {
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }
}

impl GuestMemory for Native {
    fn size(&self) -> u64 {
        self.memory.len() as u64
    }

    fn read(&self, from: Region, to: &mut [u8]) {
        to.copy_from_slice(&self.memory[from.at() as usize..][..from.len() as usize]);
    }

    fn append(&self, from: Region, to: &mut Vec<u8>) {
        let room = to.capacity();
        to.extend_from_slice(&self.memory[from.at() as usize..][..from.len() as usize]);
        assert_eq!(to.capacity(), room, "the capacity was reserved");
    }

    fn write(&mut self, to: Region, from: &[u8]) {
        self.memory[to.at() as usize..][..to.len() as usize].copy_from_slice(from);
    }

    fn zero(&mut self, to: Region) {
        self.memory[to.at() as usize..][..to.len() as usize].fill(0);
    }
}

macro_rules! host {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        impl Host for Native {
            fn now(&mut self) -> Timestamp {
                self.seconds += 1;
                self.seconds * 1_000_000_000
            }

            fn random(&mut self, to: Region) -> Result<()> {
                let left = self.random_left.checked_sub(to.len().into());
                self.random_left = left.ok_or(Errno::NOSYS)?;
                let bytes = &mut self.memory[to.at() as usize..][..to.len() as usize];
                for bytes in bytes.chunks_mut(4) {
                    self.seed = self.seed.wrapping_mul(6364136223846793005).wrapping_add(1);
                    let random = ((self.seed >> 32) as u32).to_le_bytes();
                    bytes.copy_from_slice(&random[..bytes.len()]);
                }
                Ok(())
            }

            fn filetype(&mut self, fd: u32) -> Option<u8> {
                let socket = self.sockets.contains(&fd);
                self.open.contains(&fd).then_some(if socket { 6 } else { 3 })
            }

            $(
                fn $name(&mut self, $($arg: $ty),*) -> Result<()> {
                    (self.host)(self, stringify!($name), &[$(u64::from($arg)),*])
                }
            )*
        }
    };
}
for_each_hook!(host);

macro_rules! witness {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        impl Witness for Native {
            fn report(&mut self, at: u32, len: u32) -> Result<()> {
                (self.host)(self, "report", &[at.into(), len.into()])
            }

            fn proc_exit(&mut self, status: u32) {
                let ended = (self.host)(self, "proc_exit", &[status.into()]);
                assert_eq!(ended, Ok(()), "nothing is answered");
            }

            $(
                fn $name(&mut self, $($arg: $ty),*) -> Result<()> {
                    (self.host)(self, stringify!($name), &[$(u64::from($arg)),*])
                }
            )*
        }
    };
}
for_each_plain!(witness);

/// A file's attributes as a program reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Stat {
    pub ino: u64,
    pub filetype: u8,
    pub nlink: u64,
    pub size: u64,
    pub atim: u64,
    pub mtim: u64,
    pub ctim: u64,
}

/// A directory entry as a program reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Entry {
    pub next: u64,
    pub ino: u64,
    pub filetype: u8,
    pub name: Vec<u8>,
}

/// A program, driven call by call: by default one with a file system mounted
/// natively.
#[derive(Debug)]
pub struct Guest<V: Calls = Vfs<'static>> {
    /// Who answers its calls: the file system.
    pub vfs: V,
    /// Its surroundings.
    pub home: V::Home,
}

/// An image that lives to the end of the process, as it does in a program.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Packed {
    pub tables: &'static [u8],
    pub data: &'static [u8],
}

impl Packed {
    /// The image of `tree`, compressed where that is [wanted](compressed::wanted).
    pub fn new(tree: Tree<Vec<u8>>) -> Packed {
        let tree = match compressed::wanted() {
            true => compressed::compressed(tree),
            false => tree,
        };
        let valid = tree.validate().unwrap();
        let written = write(&valid).unwrap();
        let mut data = vec![0; written.data_len as usize];
        for content in &written.contents {
            data[content.offset as usize..][..content.len as usize].copy_from_slice(content.source);
        }
        Packed {
            tables: written.tables.clone().leak(),
            data: data.leak(),
        }
    }
}

/// A tree with the root preopened as `/`, filled by `fill`.
pub fn tree(fill: impl FnOnce(&mut Tree<Vec<u8>>)) -> Tree<Vec<u8>> {
    let mut tree = Tree::new(meta());
    tree.add_preopen(b"/", NodeId::ROOT).unwrap();
    fill(&mut tree);
    tree
}

/// The meta data of packed test files.
pub fn meta() -> Meta {
    Meta {
        mtime: 1_000_000_007,
        executable: false,
    }
}

/// Adds a file of these contents to the directory `parent`.
pub fn add_file(tree: &mut Tree<Vec<u8>>, parent: NodeId, name: &str, contents: &[u8]) -> NodeId {
    let len = contents.len() as u64;
    tree.add_file(parent, name.as_bytes(), meta(), len, contents.to_vec())
        .unwrap()
}

/// Adds the directory `/dev` with the devices that every packed module has.
pub fn add_devices(tree: &mut Tree<Vec<u8>>) -> NodeId {
    let dev = tree.add_directory(NodeId::ROOT, b"dev", meta()).unwrap();
    for (name, device) in DEVICES {
        tree.add_device(dev, name, meta(), device).unwrap();
    }
    dev
}

impl Guest {
    /// A program with an empty root directory.
    pub fn empty() -> Guest {
        Guest::new(tree(|_| {}))
    }

    /// A program with this tree mounted.
    pub fn new(tree: Tree<Vec<u8>>) -> Guest {
        Guest::mount(tree, false)
    }

    /// As [`Guest::new`]; with `host_dirs` the host's descriptors join, sockets too.
    pub fn mount(mut tree: Tree<Vec<u8>>, host_dirs: bool) -> Guest {
        if host_dirs {
            let mut access = tree.access().clone();
            access.sockets = true;
            tree.set_access(access);
        }
        Guest::of(Packed::new(tree), host_dirs)
    }

    /// A program with this image mounted.
    pub fn of(packed: Packed, host_dirs: bool) -> Guest {
        let image = Image::open(packed.tables).unwrap();
        Guest {
            vfs: Vfs::mount(&image, packed.data, host_dirs).unwrap(),
            home: Native::new(SIZE),
        }
    }
}

impl<V: Calls> Guest<V> {
    /// Stores `bytes` at `at`; answers address and length.
    pub fn put(&mut self, at: u32, bytes: &[u8]) -> (u32, u32) {
        self.home.store(at, bytes);
        (at, bytes.len() as u32)
    }

    /// Stores a path for a call; answers address and length.
    pub fn path(&mut self, path: &(impl AsRef<[u8]> + ?Sized)) -> (u32, u32) {
        self.put(PATH, path.as_ref())
    }

    /// Stores the second path of a call.
    pub fn path2(&mut self, path: &(impl AsRef<[u8]> + ?Sized)) -> (u32, u32) {
        self.put(PATH2, path.as_ref())
    }

    // Without memory from the heap, which a test may have let run out.
    fn array_at<const N: usize>(&self, at: u32) -> [u8; N] {
        let mut bytes = [0; N];
        self.home.load(at, &mut bytes);
        bytes
    }

    /// The `len` bytes at `at`.
    pub fn bytes_at(&self, at: u32, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len as usize];
        self.home.load(at, &mut bytes);
        bytes
    }

    /// The `u32` at `at`.
    pub fn u32_at(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.array_at(at))
    }

    /// The `u64` at `at`.
    pub fn u64_at(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.array_at(at))
    }

    fn iov(&mut self, len: usize) -> (u32, u32) {
        assert!(len <= SIZE - BUFFER as usize);
        let mut iov = [0; 8];
        iov[..4].copy_from_slice(&BUFFER.to_le_bytes());
        iov[4..].copy_from_slice(&(len as u32).to_le_bytes());
        self.put(IOVS, &iov);
        (IOVS, 1)
    }

    /// The first bytes at [`BUFFER`].
    pub fn buffer(&self, len: u32) -> Vec<u8> {
        self.bytes_at(BUFFER, len)
    }

    /// `path_open` with all rights, but to write where a directory is asked for.
    pub fn open(&mut self, path: &(impl AsRef<[u8]> + ?Sized), oflags: u32) -> Result<u32> {
        let rights = if oflags & 2 == 0 {
            ALL
        } else {
            ALL & !(1 << 6)
        };
        self.open_with(ROOT, 1, path, oflags, rights, ALL, 0)
    }

    /// `path_open`.
    #[expect(clippy::too_many_arguments, reason = "the witx has them")]
    pub fn open_with(
        &mut self,
        dir: u32,
        lookup: u32,
        path: &(impl AsRef<[u8]> + ?Sized),
        oflags: u32,
        base: u64,
        inheriting: u64,
        fdflags: u32,
    ) -> Result<u32> {
        let (path, len) = self.path(path);
        self.vfs.path_open(
            &mut self.home,
            dir,
            lookup,
            path,
            len,
            oflags,
            base,
            inheriting,
            fdflags,
            OUT,
        )?;
        Ok(self.u32_at(OUT))
    }

    /// `fd_close`.
    pub fn close(&mut self, fd: u32) -> Result<()> {
        self.vfs.fd_close(&mut self.home, fd)
    }

    /// `fd_read`.
    pub fn read(&mut self, fd: u32, len: usize) -> Result<Vec<u8>> {
        let (iovs, count) = self.iov(len);
        self.vfs.fd_read(&mut self.home, fd, iovs, count, OUT)?;
        Ok(self.buffer(self.u32_at(OUT)))
    }

    /// `fd_pread`.
    pub fn pread(&mut self, fd: u32, len: usize, offset: u64) -> Result<Vec<u8>> {
        let (iovs, count) = self.iov(len);
        self.vfs
            .fd_pread(&mut self.home, fd, iovs, count, offset, OUT)?;
        Ok(self.buffer(self.u32_at(OUT)))
    }

    /// `fd_write`.
    pub fn write(&mut self, fd: u32, bytes: &[u8]) -> Result<u32> {
        let (iovs, count) = self.iov(bytes.len());
        self.put(BUFFER, bytes);
        self.vfs.fd_write(&mut self.home, fd, iovs, count, OUT)?;
        Ok(self.u32_at(OUT))
    }

    /// `fd_pwrite`.
    pub fn pwrite(&mut self, fd: u32, bytes: &[u8], offset: u64) -> Result<u32> {
        let (iovs, count) = self.iov(bytes.len());
        self.put(BUFFER, bytes);
        self.vfs
            .fd_pwrite(&mut self.home, fd, iovs, count, offset, OUT)?;
        Ok(self.u32_at(OUT))
    }

    /// `fd_seek`.
    pub fn seek(&mut self, fd: u32, offset: i64, whence: u32) -> Result<u64> {
        let offset = offset.cast_unsigned();
        self.vfs.fd_seek(&mut self.home, fd, offset, whence, OUT)?;
        Ok(self.u64_at(OUT))
    }

    /// `fd_filestat_set_size`.
    pub fn set_size(&mut self, fd: u32, size: u64) -> Result<()> {
        self.vfs.fd_filestat_set_size(&mut self.home, fd, size)
    }

    /// The `filestat` at [`OUT`].
    pub fn stat_at_out(&self) -> Stat {
        Stat {
            ino: self.u64_at(OUT + 8),
            filetype: self.array_at::<1>(OUT + 16)[0],
            nlink: self.u64_at(OUT + 24),
            size: self.u64_at(OUT + 32),
            atim: self.u64_at(OUT + 40),
            mtim: self.u64_at(OUT + 48),
            ctim: self.u64_at(OUT + 56),
        }
    }

    /// `fd_filestat_get`.
    pub fn fstat(&mut self, fd: u32) -> Result<Stat> {
        self.vfs.fd_filestat_get(&mut self.home, fd, OUT)?;
        Ok(self.stat_at_out())
    }

    /// `path_filestat_get`.
    pub fn stat(&mut self, path: &(impl AsRef<[u8]> + ?Sized), follow: bool) -> Result<Stat> {
        let (path, len) = self.path(path);
        self.vfs
            .path_filestat_get(&mut self.home, ROOT, u32::from(follow), path, len, OUT)?;
        Ok(self.stat_at_out())
    }

    /// `path_create_directory`.
    pub fn mkdir(&mut self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<()> {
        let (path, len) = self.path(path);
        self.vfs
            .path_create_directory(&mut self.home, ROOT, path, len)
    }

    /// `path_remove_directory`.
    pub fn rmdir(&mut self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<()> {
        let (path, len) = self.path(path);
        self.vfs
            .path_remove_directory(&mut self.home, ROOT, path, len)
    }

    /// `path_unlink_file`.
    pub fn unlink(&mut self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<()> {
        let (path, len) = self.path(path);
        self.vfs.path_unlink_file(&mut self.home, ROOT, path, len)
    }

    /// `path_rename`.
    pub fn rename(
        &mut self,
        old: &(impl AsRef<[u8]> + ?Sized),
        new: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<()> {
        let (old, old_len) = self.path(old);
        let (new, new_len) = self.path2(new);
        self.vfs
            .path_rename(&mut self.home, ROOT, old, old_len, ROOT, new, new_len)
    }

    /// `path_link` that does not follow a symlink.
    pub fn link(
        &mut self,
        old: &(impl AsRef<[u8]> + ?Sized),
        new: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<()> {
        let (old, old_len) = self.path(old);
        let (new, new_len) = self.path2(new);
        self.vfs
            .path_link(&mut self.home, ROOT, 0, old, old_len, ROOT, new, new_len)
    }

    /// `path_symlink`.
    pub fn symlink(
        &mut self,
        target: &(impl AsRef<[u8]> + ?Sized),
        path: &(impl AsRef<[u8]> + ?Sized),
    ) -> Result<()> {
        let (target, target_len) = self.path2(target);
        let (path, len) = self.path(path);
        self.vfs
            .path_symlink(&mut self.home, target, target_len, ROOT, path, len)
    }

    /// `path_readlink`.
    pub fn readlink(&mut self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<Vec<u8>> {
        let (path, len) = self.path(path);
        self.vfs
            .path_readlink(&mut self.home, ROOT, path, len, BUFFER, 8192, OUT)?;
        Ok(self.buffer(self.u32_at(OUT)))
    }

    /// One `fd_readdir` into a buffer of `len` bytes: the whole entries in it,
    /// and whether the directory ended.
    pub fn readdir_once(&mut self, fd: u32, len: u32, cookie: u64) -> Result<(Vec<Entry>, bool)> {
        self.vfs
            .fd_readdir(&mut self.home, fd, BUFFER, len, cookie, OUT)?;
        let used = self.u32_at(OUT);
        assert!(used <= len);
        let mut entries = Vec::new();
        let mut at = BUFFER;
        let end = BUFFER + used;
        while at + 24 <= end {
            let name_len = self.u32_at(at + 16);
            if at + 24 + name_len > end {
                break;
            }
            entries.push(Entry {
                next: self.u64_at(at),
                ino: self.u64_at(at + 8),
                filetype: self.array_at::<1>(at + 20)[0],
                name: self.bytes_at(at + 24, name_len),
            });
            at += 24 + name_len;
        }
        Ok((entries, used < len))
    }

    /// All entries but `.` and `..`, read through a buffer of `len` bytes.
    pub fn readdir(&mut self, fd: u32, len: u32) -> Result<Vec<Entry>> {
        let mut all = Vec::new();
        let mut cookie = 0;
        loop {
            let (entries, ended) = self.readdir_once(fd, len, cookie)?;
            if let Some(last) = entries.last() {
                cookie = last.next;
            } else {
                assert!(ended, "a buffer of {len} bytes holds an entry");
            }
            all.extend(entries);
            if ended {
                all.retain(|e| e.name != b"." && e.name != b"..");
                return Ok(all);
            }
        }
    }

    /// `poll_oneoff` on descriptors for reading: the errno and byte count of
    /// each event.
    pub fn poll_read(&mut self, fds: &[u32]) -> Result<Vec<(u16, u64)>> {
        let events = BUFFER + fds.len() as u32 * SUBSCRIPTION;
        for (at, fd) in (BUFFER..).step_by(SUBSCRIPTION as usize).zip(fds) {
            let mut subscription = [0; SUBSCRIPTION as usize];
            subscription[8] = 1;
            subscription[16..20].copy_from_slice(&fd.to_le_bytes());
            self.put(at, &subscription);
        }
        let count = fds.len() as u32;
        self.vfs
            .poll_oneoff(&mut self.home, BUFFER, events, count, OUT)?;
        let events = (events..).step_by(EVENT as usize);
        Ok(events
            .take(self.u32_at(OUT) as usize)
            .map(|at| (self.u32_at(at + 8) as u16, self.u64_at(at + 16)))
            .collect())
    }

    /// A whole file.
    pub fn contents(&mut self, path: &(impl AsRef<[u8]> + ?Sized)) -> Result<Vec<u8>> {
        let fd = self.open(path, 0)?;
        let contents = self.read(fd, SIZE - BUFFER as usize);
        self.close(fd)?;
        contents
    }

    /// Creates a file of these contents.
    pub fn create(&mut self, path: &(impl AsRef<[u8]> + ?Sized), contents: &[u8]) -> Result<()> {
        let fd = self.open(path, 1 | 8)?;
        assert_eq!(self.write(fd, contents)?, contents.len() as u32);
        self.close(fd)
    }
}

/// As [`Errno`]s compare in messages.
pub fn name<T>(outcome: &Result<T>) -> &'static str {
    outcome
        .as_ref()
        .err()
        .map_or("SUCCESS", |e: &Errno| e.name())
}
