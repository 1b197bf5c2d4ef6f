//! The ways in which a program writes a file of some size, for those who ask what the
//! file costs.

use crate::calls::Calls;
use crate::native::{BUFFER, Guest, IOVS, OUT};

const MIB: usize = 1 << 20;

/// The flag of `path_open`.
const CREAT: u32 = 1;

/// How the bytes of a file are written.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// With one call.
    AtOnce,
    /// So many bytes with each call, to the end.
    Pieces(usize),
    /// So many bytes with each call, from the last ones to the first.
    Backwards(usize),
}

/// All of them.
pub const SHAPES: [Shape; 6] = [
    Shape::AtOnce,
    Shape::Pieces(1),
    Shape::Pieces(100),
    Shape::Pieces(4096),
    Shape::Backwards(100),
    Shape::Backwards(4096),
];

/// What a file of `n` bytes may take of the memory.
pub fn allowed(n: usize) -> usize {
    n + n / 20 + 4096
}

impl Shape {
    /// Writes a file of `n` bytes, whatever they are, and leaves it open.
    #[track_caller]
    pub fn write<V: Calls>(self, g: &mut Guest<V>, path: &str, n: usize) -> u32 {
        let fd = g.open(path, CREAT).expect("create");
        let piece = match self {
            Shape::AtOnce => {
                let parts = n.div_ceil(MIB);
                for part in 0..parts {
                    buffer(g, part as u32, MIB.min(n - part * MIB));
                }
                (g.vfs.fd_write(&mut g.home, fd, IOVS, parts as u32, OUT)).expect("write");
                assert_eq!(g.u32_at(OUT) as usize, n);
                return fd;
            }
            Shape::Pieces(piece) | Shape::Backwards(piece) => piece,
        };
        let pieces = n.div_ceil(piece);
        for number in 0..pieces {
            let at = piece
                * match self {
                    Shape::Backwards(_) => pieces - 1 - number,
                    _ => number,
                };
            buffer(g, 0, piece.min(n - at));
            (g.vfs.fd_pwrite(&mut g.home, fd, IOVS, 1, at as u64, OUT)).expect("write");
        }
        assert_eq!(g.fstat(fd).expect("stat").size as usize, n);
        fd
    }
}

/// The buffer of this number in the list: `len` bytes at [`BUFFER`].
fn buffer<V: Calls>(g: &mut Guest<V>, number: u32, len: usize) {
    let mut iov = [0; 8];
    iov[..4].copy_from_slice(&BUFFER.to_le_bytes());
    iov[4..].copy_from_slice(&(len as u32).to_le_bytes());
    g.put(IOVS + 8 * number, &iov);
}
