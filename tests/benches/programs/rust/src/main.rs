//! Measures what std's file calls cost, on / whatever that is.
//!
//! `monaka-bench REPEAT` prints `NAME NANOSECONDS`, per call: the least of some passes,
//! for whatever else the machine does only adds.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::time::Instant;

const PASSES: usize = 7;

/// A directory for many files does not get larger.
const MANY: usize = 1000;

/// The times that are told, in order.
struct Times(Vec<(&'static str, f64)>);

impl Times {
    /// Measures `calls` calls; another measure of the same name counts if it is less.
    fn time(
        &mut self,
        name: &'static str,
        calls: usize,
        mut call: impl FnMut(usize) -> io::Result<()>,
    ) -> io::Result<()> {
        let start = Instant::now();
        for nth in 0..calls {
            call(nth)?;
        }
        let took = start.elapsed().as_secs_f64() * 1e9 / calls as f64;
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, least)) => *least = least.min(took),
            None => self.0.push((name, took)),
        }
        Ok(())
    }
}

fn pass(times: &mut Times, repeat: usize) -> io::Result<()> {
    const DEEP: &str = "/one/two/three/file";
    let many = repeat.min(MANY);
    let mut buffer = vec![0; 4096];
    times.time("metadata", repeat, |_| fs::metadata(DEEP).map(drop))?;
    times.time("open", repeat, |_| File::open(DEEP).map(drop))?;
    times.time("read_file", repeat, |_| {
        fs::read(DEEP).map(|bytes| drop(black_box(bytes)))
    })?;
    let mut big = File::open("/big")?;
    times.time("read_4k", many, |_| big.read_exact(&mut buffer))?;
    let mirror = vec![1; many * buffer.len()];
    let mut pieces = mirror.chunks_exact(buffer.len());
    times.time("memcpy", many, |_| {
        buffer.copy_from_slice(pieces.next().expect("a piece"));
        black_box(&mut buffer);
        Ok(())
    })?;
    let mut lines = BufReader::new(File::open("/lines")?).lines();
    times.time("lines", many, |_| {
        lines.next().map_or(Ok(()), |line| line.map(drop))
    })?;

    fs::create_dir("/many")?;
    let [names, others] = ["file", "other"]
        .map(|name| Vec::from_iter((0..many).map(|n| format!("/many/{name}-{n}"))));
    times.time("write_file", many, |nth| fs::write(&names[nth], "hello"))?;
    let mut entries = fs::read_dir("/many")?;
    times.time("read_dir", many, |_| {
        entries.next().expect("an entry").map(drop)
    })?;
    times.time("rename", many, |nth| fs::rename(&names[nth], &others[nth]))?;
    times.time("remove", many, |nth| fs::remove_file(&others[nth]))?;
    fs::remove_dir("/many")?;

    let mut file = BufWriter::new(File::create("/written")?);
    times.time("write_line", repeat, |nth| writeln!(file, "line {nth}"))?;
    file.flush()?;
    let mut file = File::create("/written")?;
    times.time("write_4k", many, |_| file.write_all(&buffer))?;
    fs::remove_file("/written")
}

fn main() -> io::Result<()> {
    let repeat = std::env::args().nth(1).and_then(|arg| arg.parse().ok());
    let repeat = repeat.expect("REPEAT: a number");
    let mut times = Times(Vec::new());
    for _ in 0..PASSES {
        pass(&mut times, repeat)?;
    }
    for (name, took) in times.0 {
        println!("{name} {took:.2}");
    }
    Ok(())
}
