//! Names and signatures of WASI Preview 1, once.
//!
//! Source: `wasi_snapshot_preview1.witx` and its lowering to core wasm, where
//! every pointer and size is an `i32`, and every function but `proc_exit`
//! answers an errno.

/// Calls `$then!` with the functions that carry a descriptor: the ones monaka answers.
#[macro_export]
macro_rules! for_each_hook {
    ($then:ident) => {
        $then! {
            fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
            fd_allocate(fd: u32, offset: u64, len: u64);
            fd_close(fd: u32);
            fd_datasync(fd: u32);
            fd_fdstat_get(fd: u32, stat: u32);
            fd_fdstat_set_flags(fd: u32, flags: u32);
            fd_fdstat_set_rights(fd: u32, base: u64, inheriting: u64);
            fd_filestat_get(fd: u32, stat: u32);
            fd_filestat_set_size(fd: u32, size: u64);
            fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, flags: u32);
            fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32);
            fd_prestat_get(fd: u32, prestat: u32);
            fd_prestat_dir_name(fd: u32, path: u32, path_len: u32);
            fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32);
            fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32);
            fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, bufused: u32);
            fd_renumber(fd: u32, to: u32);
            fd_seek(fd: u32, offset: u64, whence: u32, newoffset: u32);
            fd_sync(fd: u32);
            fd_tell(fd: u32, offset: u32);
            fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32);
            path_create_directory(fd: u32, path: u32, path_len: u32);
            path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, stat: u32);
            path_filestat_set_times(fd: u32, flags: u32, path: u32, path_len: u32, atim: u64, mtim: u64, fst_flags: u32);
            path_link(old_fd: u32, old_flags: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32);
            path_open(fd: u32, dirflags: u32, path: u32, path_len: u32, oflags: u32, base: u64, inheriting: u64, fdflags: u32, opened: u32);
            path_readlink(fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, bufused: u32);
            path_remove_directory(fd: u32, path: u32, path_len: u32);
            path_rename(fd: u32, old_path: u32, old_path_len: u32, new_fd: u32, new_path: u32, new_path_len: u32);
            path_symlink(old_path: u32, old_path_len: u32, fd: u32, new_path: u32, new_path_len: u32);
            path_unlink_file(fd: u32, path: u32, path_len: u32);
            poll_oneoff(subscriptions: u32, events: u32, count: u32, nevents: u32);
            sock_accept(fd: u32, flags: u32, accepted: u32);
            sock_recv(fd: u32, iovs: u32, iovs_len: u32, ri_flags: u32, nread: u32, ro_flags: u32);
            sock_send(fd: u32, iovs: u32, iovs_len: u32, si_flags: u32, nwritten: u32);
            sock_shutdown(fd: u32, how: u32);
        }
    };
}

/// Calls `$then!` with the functions that carry no descriptor and answer an errno:
/// all others but `proc_exit`.
#[macro_export]
macro_rules! for_each_plain {
    ($then:ident) => {
        $then! {
            args_get(argv: u32, argv_buf: u32);
            args_sizes_get(argc: u32, argv_buf_size: u32);
            environ_get(environ: u32, environ_buf: u32);
            environ_sizes_get(count: u32, environ_buf_size: u32);
            clock_res_get(clock: u32, resolution: u32);
            clock_time_get(clock: u32, precision: u64, time: u32);
            proc_raise(signal: u32);
            random_get(buf: u32, buf_len: u32);
            sched_yield();
        }
    };
}

/// The import module of Preview 1.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// A core wasm parameter type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// `i32`
    I32,
    /// `i64`
    I64,
}

/// One function of the witx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Import name.
    pub name: &'static str,
    /// Core wasm parameters.
    pub params: &'static [Param],
    /// Answers an errno (`i32`); only `proc_exit` does not.
    pub returns: bool,
}

macro_rules! param {
    (u32) => {
        Param::I32
    };
    (u64) => {
        Param::I64
    };
}

macro_rules! hooks {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// How many functions are hooked.
        pub const HOOK_COUNT: usize = [$(stringify!($name)),*].len();

        /// The functions that monaka answers, in the order of their record ids.
        pub const HOOKS: [Function; HOOK_COUNT] = [$(Function {
            name: stringify!($name),
            params: &[$(param!($ty)),*],
            returns: true,
        }),*];

        /// A hook's id: its index in [`HOOKS`].
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Hook { $($name),* }
    };
}
for_each_hook!(hooks);

macro_rules! plain {
    ($($name:ident($($arg:ident: $ty:ident),*);)*) => {
        /// The functions that carry no descriptor: they stay the host's.
        pub const HOST_ONLY: [Function; 10] = [
            $(Function {
                name: stringify!($name),
                params: &[$(param!($ty)),*],
                returns: true,
            },)*
            Function {
                name: "proc_exit",
                params: &[Param::I32],
                returns: false,
            },
        ];

        /// An index in [`HOST_ONLY`].
        #[allow(non_camel_case_types, missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Plain { $($name,)* proc_exit }
    };
}
for_each_plain!(plain);
