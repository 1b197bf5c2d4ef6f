//! A program with a library, written in text: what `monaka pack` needs of one
//! and nothing else.

use monaka_vfs_core::link::{MAGIC, ROOT};
use monaka_vfs_core::witx::Hook;

/// Bytes as a string of wat.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

/// A data segment with a record at `address`.
pub(crate) fn record(address: u32, abi: u32, id: u32, functions: [u32; 2]) -> String {
    let mut bytes = MAGIC.to_vec();
    for word in [address, abi, id, functions[0], functions[1]] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    format!("(data (i32.const {address}) \"{}\")\n", escaped(&bytes))
}

/// A program with a library whose reserve takes new pages, and whose mount
/// counts the image's inodes into address 2000 and global `$mounted`.
pub(crate) fn program(abi: u32, more: &str) -> String {
    let root = record(1024, abi, ROOT, [1, 2]);
    let write = record(1088, abi, Hook::fd_write as u32, [3, 4]);
    let open = record(1152, abi, Hook::path_open as u32, [5, 6]);
    format!(
        r#"(module
        (type $open (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (type $write (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open" (func $host_open (type $open)))
        (import "wasi_snapshot_preview1" "fd_write" (func $host_write (type $write)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (import "env" "hello" (func $hello (param i32)))
        (table 8 8 funcref)
        (elem (i32.const 1) func $reserve $mount $write $host_write $open $host_open)
        (memory (export "memory") 1 200)
        (global $mounted (mut i32) (i32.const 0))
        (global $version i32 (i32.const 7))
        (func $reserve (param $request i32) (result i32)
            (local $pages i32) (local $start i32)
            (local.set $pages (i32.wrap_i64 (i64.shr_u
                (i64.add
                    (i64.add
                        (i64.load32_u offset=8 (local.get $request))
                        (i64.load offset=16 (local.get $request)))
                    (i64.const 65535))
                (i64.const 16))))
            (local.set $start (memory.grow (local.get $pages)))
            (if (i32.eq (local.get $start) (i32.const -1)) (then (return (i32.const 0))))
            (i32.store (i32.const 3000) (i32.const 0))
            (i32.shl (local.get $start) (i32.const 16)))
        (func $mount (param $request i32) (result i32)
            (local $image i32)
            (local.set $image (i32.load (local.get $request)))
            (global.set $mounted (local.get $image))
            (i32.store (i32.const 2000) (i32.load offset=20 (local.get $image)))
            (i32.const 0)) ;; mounted
        (func $write (type $write) (i32.const 0))
        (func $open (type $open) (i32.const 44))
        (func (export "_start")
            (drop (call $host_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
            (drop (call $host_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 0))))
        {root}{write}{open}
        (data (i32.const 3000) "old state")
        {more}
        )"#
    )
}
