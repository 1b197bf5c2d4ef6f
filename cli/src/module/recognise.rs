//! What a file is that should be a module.

use monaka_vfs_core::image::format::MAGIC;
use wasmparser::Parser;

use super::refusal::Refusal;

/// Refuses bytes that are no core module, saying what they are instead.
pub(crate) fn recognise(wasm: &[u8]) -> Result<(), Refusal> {
    match () {
        () if Parser::is_core_wasm(wasm) => Ok(()),
        () if Parser::is_component(wasm) => Err(Refusal::Component),
        () => Err(Refusal::NotWasm(looks_like(wasm))),
    }
}

/// What bytes that are no module seem to be.
fn looks_like(bytes: &[u8]) -> &'static str {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    match () {
        () if bytes.is_empty() => "an empty file",
        () if starts(b"\x7fELF") => "a native program or object (ELF)",
        () if starts(b"\x1f\x8b") => "a gzip file",
        () if starts(b"\x28\xb5\x2f\xfd") => "a zstd file",
        () if starts(b"\xfd7zXZ\0") => "an xz file",
        () if starts(b"PK\x03\x04") => "a zip file",
        () if bytes.get(257..262) == Some(b"ustar") => "a tar archive",
        () if starts(&MAGIC) => "an image of files, as `monaka image` writes them",
        () if starts(b"!<arch>\n") => "a library archive (.a)",
        () if starts(b"BC\xc0\xde") => "LLVM bitcode",
        () if starts(b"(module") || starts(b"(component") => {
            "WebAssembly text; `wat2wasm` makes a module of it"
        }
        () if starts(b"#!") => "a script",
        () if starts(b"\0asm") => "WebAssembly of an unknown version",
        () if std::str::from_utf8(&bytes[..bytes.len().min(512)])
            .is_ok_and(|text| !text.contains('\0')) =>
        {
            "a text file"
        }
        () => "something else",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_module_is_named() {
        let tar = [&[b'n'; 257][..], b"ustar\0"].concat();
        let cases: [(&[u8], &str); 12] = [
            (&tar, "a tar archive"),
            (b"\xfd7zXZ\0", "an xz file"),
            (&MAGIC, "an image of files, as `monaka image` writes them"),
            (b"", "an empty file"),
            (b"!<arch>\n", "a library archive (.a)"),
            (b"PK\x03\x04", "a zip file"),
            (b"\x28\xb5\x2f\xfd", "a zstd file"),
            (b"BC\xc0\xde", "LLVM bitcode"),
            (
                b"(module)",
                "WebAssembly text; `wat2wasm` makes a module of it",
            ),
            (b"\0asm\x02\0\0\0", "WebAssembly of an unknown version"),
            ("täxt".as_bytes(), "a text file"),
            (b"\xff\xfe\0", "something else"),
        ];
        for (bytes, what) in cases {
            assert_eq!(recognise(bytes), Err(Refusal::NotWasm(what)));
        }
        assert_eq!(recognise(b"\0asm\x01\0\0\0"), Ok(()));
        assert_eq!(recognise(b"\0asm\x0d\0\x01\0"), Err(Refusal::Component));
    }
}
