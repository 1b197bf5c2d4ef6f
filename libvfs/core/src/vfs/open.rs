//! Opening, closing and what a descriptor may do.

use crate::abi;
use crate::device::Device;
use crate::errno::{Errno, Result};
use crate::fd::{Descriptor, Dir, File, HostFd};
use crate::host::Home;
use crate::inode::{Ino, SeenKind};
use crate::memfs::New;
use crate::resolve::{Follow, Last, resolve};
use crate::rights::{Filetype, Flags, Rights, SYMLINK_FOLLOW, fdflags, oflags};
use crate::time::Marks;
use crate::witx::Hook;

use super::Vfs;
use super::stat::filetype;

/// What a path to be opened leads to.
enum Found<'i> {
    File(Ino),
    Directory(Ino),
    /// The host's descriptor, which a stream's device stands for.
    Host(HostFd<'i>),
}

/// A decoded `path_open`.
struct OpenOptions {
    follow: Follow,
    create: bool,
    exclusive: bool,
    directory: bool,
    truncate: bool,
    flags: u16,
    rights: Rights,
}

impl OpenOptions {
    fn new(dirflags: u32, oflags: u32, base: u64, flags: u32) -> Result<Self> {
        let mut lookup = Flags::new(dirflags);
        let follow = lookup.take(SYMLINK_FOLLOW);
        lookup.finish()?;
        let mut open = Flags::new(oflags);
        let create = open.take(oflags::CREAT);
        let exclusive = open.take(oflags::EXCL) && create;
        let directory = open.take(oflags::DIRECTORY);
        let truncate = open.take(oflags::TRUNC);
        open.finish()?;
        if flags & !fdflags::ALL != 0 || (create && directory) {
            return Err(Errno::INVAL);
        }
        Ok(OpenOptions {
            // O_EXCL means the name itself, whatever it leads to.
            follow: if follow && !exclusive {
                Follow::Always
            } else {
                Follow::Slash
            },
            create,
            exclusive,
            directory,
            truncate,
            flags: flags as u16,
            rights: Rights::from_raw(base),
        })
    }

    /// Whether something may change by opening, or through what is opened.
    fn changes(&self) -> bool {
        self.create || self.truncate || self.rights.contains(Rights::FD_WRITE)
    }

    /// The rights that the directory must carry.
    fn needed(&self) -> Rights {
        let mut needed = Rights::PATH_OPEN;
        if self.create {
            needed = needed.with(Rights::PATH_CREATE_FILE);
        }
        if self.truncate {
            needed = needed.with(Rights::PATH_FILESTAT_SET_SIZE);
        }
        needed
    }
}

impl<'i> Vfs<'i> {
    /// Opens a file or directory.
    ///
    /// Checked in this order, the first failure decides:
    /// 1. unknown flags, or `CREAT` with `DIRECTORY`       → `INVAL`
    /// 2. `fd` is not open → `BADF`; no directory          → `NOTDIR`
    /// 3. `fd` lacks `PATH_OPEN`, `PATH_CREATE_FILE` for
    ///    `CREAT`, `PATH_FILESTAT_SET_SIZE` for `TRUNC`    → `NOTCAPABLE`
    /// 4. `DSYNC`, `RSYNC` or `SYNC`, and `FD_SYNC` is not
    ///    asked for                                        → `NOTSUP`
    /// 5. `opened` is outside the memory                   → `FAULT`
    /// 6. no number is free                                → `MFILE`, `NOMEM`;
    ///    the path is outside the memory                   → `FAULT`
    /// 7. the walk fails                                   → see [`resolve`]
    /// 8. `CREAT` and a slash behind a name, or behind the
    ///    target of a link that is followed                → `ISDIR`
    /// 9. it exists: `CREAT` with `EXCL` → `EXIST`; a slash or `DIRECTORY`
    ///    and no directory → `NOTDIR`; a symlink not to be followed → `LOOP`;
    ///    a directory with `CREAT`, `TRUNC` or for writing → `ISDIR`; a
    ///    read-only file with `TRUNC` or for writing → `ROFS`; a stream's device
    ///    and the stream is closed → `NOENT`
    /// 10. it does not exist: no `CREAT` → `NOENT`; then as
    ///     [`Memfs::create`](crate::memfs::Memfs::create)
    ///
    /// Of `base` only reading and writing count, see [`Rights::of_file`], and for
    /// a directory synchronising; it passes on all it may itself. What a program must not do is
    /// taken away by [`Vfs::fd_fdstat_set_rights`]. Compare
    /// fs/namei.c:do_open().
    #[expect(clippy::too_many_arguments, reason = "the witx has them")]
    pub fn path_open(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        dirflags: u32,
        path: u32,
        path_len: u32,
        oflags: u32,
        base: u64,
        inheriting: u64,
        fdflags: u32,
        opened: u32,
    ) -> Result<()> {
        let options = OpenOptions::new(dirflags, oflags, base, fdflags)?;
        let (dir, passed_on) = match self.fds.get(fd) {
            Ok(Descriptor::Dir(dir)) if !dir.rights.contains(options.needed()) => {
                return Err(Errno::NOTCAPABLE);
            }
            Ok(Descriptor::Dir(dir)) => (dir.ino, dir.inheriting),
            _ => {
                let Some(host) = self.host_fd(home, fd, Hook::path_open, Errno::NOTDIR)? else {
                    return Err(Errno::NOTDIR);
                };
                let read_only =
                    matches!(self.fds.get(fd), Ok(Descriptor::Host(via)) if via.read_only);
                if read_only && options.changes() {
                    return Err(Errno::ROFS);
                }
                self.reserve_fd(home)?;
                home.path_open(
                    host, dirflags, path, path_len, oflags, base, inheriting, fdflags, opened,
                )?;
                let new = home.load_u32(opened)?;
                let new = self.fds.insert(Descriptor::Host(HostFd {
                    read_only,
                    ..HostFd::new(new)
                }));
                return home.store_u32(opened, new);
            }
        };
        let synced = u32::from(options.flags) & fdflags::SYNCED != 0;
        if synced && !options.rights.contains(Rights::FD_SYNC) {
            return Err(Errno::NOTSUP);
        }
        home.region(opened, 4)?;
        self.reserve_fd(home)?;
        let mut buffer = core::mem::take(&mut self.paths[0]);
        let found = abi::path(home, path, path_len, &mut buffer)
            .and_then(|path| self.find_or_create(dir, path, &options));
        self.paths[0] = buffer;

        let descriptor = match found? {
            Found::Host(host) => Descriptor::Host(host),
            Found::Directory(ino) => Descriptor::Dir(Dir {
                ino,
                flags: options.flags,
                rights: Rights::of_directory(options.rights).and(passed_on),
                inheriting: passed_on,
                preopen: None,
                listed_to: u64::MAX,
            }),
            Found::File(ino) => Descriptor::File(File {
                ino,
                offset: 0,
                flags: options.flags,
                rights: Rights::of_file(options.rights).and(passed_on),
            }),
        };
        if let Some(ino) = descriptor.ino() {
            self.fs.hold(ino)?;
        }
        let new = self.fds.insert(descriptor);
        home.store_u32(opened, new)
    }

    /// Opens the regular file or directory of that number, which a listing has shown,
    /// to look at it, whatever the program has open: for those who take the files out
    /// once it has ended.
    ///
    /// No such inode → `NOENT`; neither file nor directory → `INVAL`; no number
    /// is free or memory is out → `MFILE`, `NOMEM`, `NOSPC`.
    pub fn attach(&mut self, number: u32) -> Result<u32> {
        let ino = self.fs.find(number).ok_or(Errno::NOENT)?;
        self.fds.reserve()?;
        let descriptor = match self.fs.kind(ino) {
            SeenKind::Directory(_) => Descriptor::Dir(Dir {
                ino,
                flags: 0,
                rights: Rights::DIRECTORY,
                inheriting: Rights::ALL,
                preopen: None,
                listed_to: u64::MAX,
            }),
            SeenKind::Regular(_) => Descriptor::File(File {
                ino,
                offset: 0,
                flags: 0,
                rights: Rights::of_file(Rights::FD_READ),
            }),
            SeenKind::Symlink(_) | SeenKind::Device(_) => return Err(Errno::INVAL),
        };
        self.fs.hold(ino)?;
        Ok(self.fds.insert(descriptor))
    }

    /// Steps 7 to 10 of [`Vfs::path_open`].
    fn find_or_create(
        &mut self,
        dir: Ino,
        path: &[u8],
        options: &OpenOptions,
    ) -> Result<Found<'i>> {
        let follow = match options.follow {
            Follow::Always if options.create => Follow::NoSlash,
            Follow::Slash if options.create => Follow::Never,
            follow => follow,
        };
        let found = resolve(&self.fs, dir, path, follow)?;
        if options.create && found.slash && matches!(found.last, Last::Entry(..)) {
            // Only a directory can be meant, and none is created here.
            return Err(Errno::ISDIR);
        }
        match found.ino {
            None if !options.create => return Err(Errno::NOENT),
            Some(_) if options.exclusive => return Err(Errno::EXIST),
            None => {
                let [name, _] = &mut self.names;
                let parent = found.entry(Errno::ISDIR, Errno::ISDIR, name)?;
                let (name, new) = (name.name(), New::Regular);
                let ino = self.fs.create(parent, name, new)?;
                return Ok(Found::File(ino));
            }
            Some(_) => {}
        }
        let mut ino = found.existing(&self.fs)?;
        let mut kind = self.fs.kind(ino);
        if let SeenKind::Device(Device::Stream(fd)) = kind {
            match self.fds.get(fd.into()).map_err(|_| Errno::NOENT)? {
                Descriptor::Host(_) if options.directory => return Err(Errno::NOTDIR),
                Descriptor::Host(host) => return Ok(Found::Host(*host)),
                Descriptor::File(File { ino: meant, .. })
                | Descriptor::Dir(Dir { ino: meant, .. }) => ino = *meant,
            }
            kind = self.fs.kind(ino);
        }
        let writes = options.rights.contains(Rights::FD_WRITE);
        match kind {
            SeenKind::Symlink(_) if options.directory => Err(Errno::NOTDIR),
            SeenKind::Symlink(_) => Err(Errno::LOOP),
            SeenKind::Directory(_) => {
                if options.create || options.truncate || writes {
                    return Err(Errno::ISDIR);
                }
                Ok(Found::Directory(ino))
            }
            SeenKind::Regular(_) | SeenKind::Device(_) if options.directory => Err(Errno::NOTDIR),
            SeenKind::Device(_) => Ok(Found::File(ino)),
            SeenKind::Regular(_) => {
                if writes || options.truncate {
                    self.fs.writable(ino)?;
                }
                if options.truncate {
                    self.fs.own(ino)?;
                    let open = self.fs.file_mut(ino)?;
                    open.data.set_size(open.space, 0);
                    open.marks.add(Marks::MTIM);
                }
                Ok(Found::File(ino))
            }
        }
    }

    /// Closes `fd`. `BADF`. Compare fs/open.c:close().
    pub fn fd_close(&mut self, home: &mut impl Home, fd: u32) -> Result<()> {
        self.expect(home, fd)?;
        let descriptor = self.fds.remove(fd)?;
        self.drop_descriptor(home, descriptor)
    }

    /// Moves `fd` to the number `to`, closing what stood there.
    ///
    /// Either is not open → `BADF`. Nothing happens when both are the same.
    /// Compare fs/file.c:do_dup2().
    pub fn fd_renumber(&mut self, home: &mut impl Home, fd: u32, to: u32) -> Result<()> {
        self.expect(home, fd)?;
        self.expect(home, to)?;
        self.fds.get(fd)?;
        self.fds.get(to)?;
        if fd == to {
            return Ok(());
        }
        let replaced = self.fds.renumber(fd, to)?;
        // As dup2 does: the number is taken whether or not closing succeeds.
        let _ = self.drop_descriptor(home, replaced);
        Ok(())
    }

    /// Type, flags and rights of `fd`. `BADF`, `FAULT`.
    pub fn fd_fdstat_get(&mut self, home: &mut impl Home, fd: u32, stat: u32) -> Result<()> {
        self.expect(home, fd)?;
        let answer = match self.fds.get(fd)? {
            Descriptor::Host(host) => return home.fd_fdstat_get(host.number, stat),
            Descriptor::File(file) => {
                let filetype = filetype(self.fs.kind(file.ino));
                abi::fdstat(filetype, file.flags, file.rights, Rights::NONE)
            }
            Descriptor::Dir(dir) => {
                abi::fdstat(Filetype::Directory, dir.flags, dir.rights, dir.inheriting)
            }
        };
        home.store(stat, &answer)
    }

    /// Sets the `fdflags`.
    ///
    /// 1. `fd` is not open, or a directory → `BADF`
    /// 2. unknown flags                    → `INVAL`
    /// 3. `fd` lacks `FD_FDSTAT_SET_FLAGS` → `NOTCAPABLE`
    pub fn fd_fdstat_set_flags(&mut self, home: &mut impl Home, fd: u32, flags: u32) -> Result<()> {
        self.expect(home, fd)?;
        let file = match self.fds.get_mut(fd)? {
            Descriptor::Host(host) => return home.fd_fdstat_set_flags(host.number, flags),
            Descriptor::Dir(_) => return Err(Errno::BADF),
            Descriptor::File(file) => file,
        };
        if flags & !fdflags::ALL != 0 {
            return Err(Errno::INVAL);
        }
        if !file.rights.contains(Rights::FD_FDSTAT_SET_FLAGS) {
            return Err(Errno::NOTCAPABLE);
        }
        file.flags = flags as u16;
        Ok(())
    }

    /// Narrows the rights. One that `fd` does not have → `NOTCAPABLE`.
    pub fn fd_fdstat_set_rights(
        &mut self,
        home: &mut impl Home,
        fd: u32,
        base: u64,
        inheriting: u64,
    ) -> Result<()> {
        if let Some(host) = self.host_fd(home, fd, Hook::fd_fdstat_set_rights, Errno::NOTSUP)? {
            return home.fd_fdstat_set_rights(host, base, inheriting);
        }
        // A file has nothing to pass on.
        let mut nothing = Rights::NONE;
        let (current, current_inheriting) = match self.fds.get_mut(fd)? {
            Descriptor::Host(_) => return Err(Errno::NOTSUP),
            Descriptor::File(file) => (&mut file.rights, &mut nothing),
            Descriptor::Dir(dir) => (&mut dir.rights, &mut dir.inheriting),
        };
        let (base, inheriting) = (Rights::from_raw(base), Rights::from_raw(inheriting));
        if !current.contains(base) || !current_inheriting.contains(inheriting) {
            return Err(Errno::NOTCAPABLE);
        }
        *current = base;
        *current_inheriting = inheriting;
        Ok(())
    }
}
