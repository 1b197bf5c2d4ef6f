//! Heap and files that grow in turn, each verified while the other grows.

use std::fs;
use std::io;

/// A block of the heap and the seed of its contents.
struct Block {
    seed: u32,
    bytes: Vec<u8>,
}

/// Allocates and writes until both are `megabytes` large; every third block and
/// file goes again, so that the allocators have holes to fill.
pub(crate) fn grow(megabytes: usize) -> io::Result<()> {
    let (mut blocks, mut files) = (Vec::new(), Vec::new());
    let mut seed = 1;
    while blocks.iter().map(|b: &Block| b.bytes.len()).sum::<usize>() < megabytes << 20 {
        seed = next(seed);
        blocks.push(Block {
            seed,
            bytes: contents(seed),
        });
        seed = next(seed);
        fs::write(path(files.len()), contents(seed))?;
        files.push(seed);
        if seed % 3 == 0 {
            blocks.swap_remove(seed as usize % blocks.len());
            let file = seed as usize % files.len();
            files[file] = next(files[file]);
            fs::write(path(file), contents(files[file]))?;
        }
        // What was made lately, and something old.
        verify_file(files.len() - 1, files[files.len() - 1])?;
        let old = seed as usize / 7 % files.len();
        verify_file(old, files[old])?;
        if let Some(old) = blocks.get(seed as usize / 5 % blocks.len().max(1)) {
            assert!(old.bytes == contents(old.seed), "the heap was changed");
        }
    }
    let mut sum = 0;
    for block in &blocks {
        assert!(block.bytes == contents(block.seed), "the heap was changed");
        sum ^= fnv(&block.bytes);
    }
    for (number, seed) in files.iter().enumerate() {
        verify_file(number, *seed)?;
    }
    println!("{} blocks, {} files, {sum:016x}", blocks.len(), files.len());
    Ok(())
}

/// Has a heap of `megabytes` and writes files until there is no space, twice.
pub(crate) fn limit(megabytes: usize) -> io::Result<()> {
    for round in 1..=2 {
        let heap: Vec<Block> = (1..=megabytes as u32)
            .map(|seed| Block {
                seed,
                bytes: vec![seed as u8; 1 << 20],
            })
            .collect();
        let mut written = 0;
        let error = loop {
            match fs::write(path(written), contents(written as u32)) {
                Ok(()) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(crate::is_full(&error), "{error}");
        for block in &heap {
            assert!(
                block.bytes.iter().all(|b| *b == block.seed as u8),
                "the heap was changed"
            );
        }
        for number in 0..written {
            verify_file(number, number as u32)?;
            fs::remove_file(path(number))?;
        }
        // What did not fit leaves a shorter file.
        fs::remove_file(path(written))?;
        println!(
            "round {round}: full, and more than 100 files: {}",
            written > 100
        );
    }
    Ok(())
}

fn path(number: usize) -> String {
    format!("/work/{number}")
}

#[track_caller]
fn verify_file(number: usize, seed: u32) -> io::Result<()> {
    let same = fs::read(path(number))? == contents(seed);
    assert!(same, "file {number} was changed");
    Ok(())
}

/// Between 4 KB and 1 MB that only `seed` decides.
fn contents(seed: u32) -> Vec<u8> {
    let length = 4096 + (seed.wrapping_mul(2_654_435_761) >> 12);
    let mut word = seed | 1;
    let mut bytes = Vec::with_capacity(length as usize + 4);
    while bytes.len() < length as usize {
        word = next(word);
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The next of a sequence of numbers without pattern.
fn next(number: u32) -> u32 {
    number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)
}

/// FNV-1a.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
