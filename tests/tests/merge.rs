//! The memory that a program and the file system share: growing it keeps both
//! whole, against a model that knows them apart.

use monaka_vfs_core::merge::{HEADROOM_MAX, Layout, REFUSED, grow};
use proptest::prelude::*;

const PAGE: usize = 1 << 16;

/// The numbers of a layout. The engine gives no more than `most` pages.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers {
    pages: u32,
    limit: u32,
    base: u32,
    whole: u32,
    most: u32,
    moves: u32,
}

impl Numbers {
    /// A program of `pages`, and `region` pages of file system right behind it.
    fn new(pages: u32, region: u32, limit: u32, most: u32) -> Numbers {
        Numbers {
            pages,
            limit,
            base: pages << 16,
            whole: pages + region,
            most,
            moves: 0,
        }
    }
}

impl Layout for Numbers {
    fn pages(&self) -> u32 {
        self.pages
    }

    fn set_pages(&mut self, pages: u32) {
        self.pages = pages;
    }

    fn limit(&self) -> u32 {
        self.limit
    }

    fn base(&self) -> u32 {
        self.base
    }

    fn set_base(&mut self, base: u32) {
        self.base = base;
    }

    fn whole_pages(&self) -> u32 {
        self.whole
    }

    fn whole_grow(&mut self, delta: u32) -> u32 {
        match self.whole.checked_add(delta) {
            Some(grown) if grown <= self.most => std::mem::replace(&mut self.whole, grown),
            _ => REFUSED,
        }
    }

    fn move_bytes(&mut self, to: u32, from: u32, len: u32) {
        let end = u64::from(to) + u64::from(len);
        assert_eq!(end, u64::from(self.whole) << 16, "it ends with the memory");
        assert!(from < to);
        self.moves += 1;
    }

    fn clear(&mut self, at: u32, len: u32) {
        assert!(u64::from(at) + u64::from(len) <= u64::from(self.whole) << 16);
    }
}

/// The same with bytes, and what they must be.
#[derive(Debug)]
struct Whole {
    numbers: Numbers,
    memory: Vec<u8>,
    program: Vec<u8>,
    region: Vec<u8>,
    /// Fills what is new, always another than before and never 0.
    next: u8,
}

impl Layout for Whole {
    fn pages(&self) -> u32 {
        self.numbers.pages()
    }

    fn set_pages(&mut self, pages: u32) {
        self.numbers.set_pages(pages);
    }

    fn limit(&self) -> u32 {
        self.numbers.limit()
    }

    fn base(&self) -> u32 {
        self.numbers.base()
    }

    fn set_base(&mut self, base: u32) {
        self.numbers.set_base(base);
    }

    fn whole_pages(&self) -> u32 {
        self.numbers.whole_pages()
    }

    fn whole_grow(&mut self, delta: u32) -> u32 {
        let old = self.numbers.whole_grow(delta);
        self.memory.resize(self.numbers.whole as usize * PAGE, 0);
        old
    }

    fn move_bytes(&mut self, to: u32, from: u32, len: u32) {
        self.numbers.move_bytes(to, from, len);
        let (to, from, len) = (to as usize, from as usize, len as usize);
        self.memory.copy_within(from..from + len, to);
    }

    fn clear(&mut self, at: u32, len: u32) {
        self.numbers.clear(at, len);
        self.memory[at as usize..][..len as usize].fill(0);
    }
}

impl Whole {
    fn new(numbers: Numbers) -> Whole {
        let mut whole = Whole {
            memory: vec![0; numbers.whole as usize * PAGE],
            program: vec![0; numbers.pages as usize * PAGE],
            region: Vec::new(),
            numbers,
            next: 1,
        };
        whole.scribble();
        whole
    }

    fn stamp(&mut self) -> u8 {
        self.next = self.next % 255 + 1;
        self.next
    }

    /// Program and file system write to all that they have.
    fn scribble(&mut self) {
        let (a, b) = (self.stamp(), self.stamp());
        self.program.fill(a);
        let base = self.numbers.base as usize;
        self.region = vec![b; self.memory.len() - base];
        self.memory[..self.program.len()].copy_from_slice(&self.program);
        self.memory[base..].copy_from_slice(&self.region);
    }

    fn check(&self) {
        let Numbers { pages, base, .. } = self.numbers;
        assert_eq!(base as usize % PAGE, 0);
        assert_eq!(pages as usize * PAGE, self.program.len());
        let (program, behind) = self.memory.split_at(self.program.len());
        let (between, region) = behind.split_at(base as usize - program.len());
        assert!(program == self.program, "the program's bytes");
        assert!(region == self.region, "the file system's bytes");
        assert!(between.iter().all(|&byte| byte == 0), "zeros in between");
    }

    /// The program asks for `delta` pages.
    fn grow(&mut self, delta: u32) {
        let before = self.numbers.clone();
        let answer = grow(self, delta);
        let wanted = u64::from(before.pages) + u64::from(delta);
        let missing = wanted.saturating_sub(u64::from(before.base >> 16));
        let possible = wanted <= u64::from(before.limit)
            && u64::from(before.whole) + missing <= u64::from(before.most);
        if possible {
            assert_eq!(answer, before.pages);
            assert_eq!(self.numbers.pages, before.pages + delta);
            self.program.resize(wanted as usize * PAGE, 0);
        } else {
            assert_eq!(answer, REFUSED);
            assert_eq!(self.numbers, before);
        }
        self.check();
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Grow(u32),
    /// The file system takes pages itself, at its end.
    Own(u32),
    Scribble,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..12u32).prop_map(Step::Grow),
        1 => (u32::MAX - 40..).prop_map(Step::Grow),
        2 => (0..5u32).prop_map(Step::Own),
        2 => Just(Step::Scribble),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn growing_keeps_program_and_file_system_whole(
        (pages, region, limit, most) in (0..6u32, 1..6u32, 0..40u32, 0..40u32),
        steps in proptest::collection::vec(step(), 1..20),
    ) {
        let numbers = Numbers::new(pages, region, pages + limit, pages + region + most);
        let mut whole = Whole::new(numbers);
        for step in steps {
            match step {
                Step::Grow(delta) => whole.grow(delta),
                Step::Own(delta) => {
                    whole.whole_grow(delta);
                    let base = whole.numbers.base as usize;
                    whole.region.resize(whole.memory.len() - base, 0);
                }
                Step::Scribble => whole.scribble(),
            }
            whole.check();
        }
    }
}

#[test]
fn a_program_that_grows_page_by_page_seldom_moves_the_file_system() {
    let mut numbers = Numbers::new(17, 30, 65536, 65536);
    for pages in 17..16_000 {
        assert_eq!(grow(&mut numbers, 1), pages);
    }
    // A quarter each to 1024 pages, then 256 of them.
    assert!(numbers.moves <= 19 + 59, "{} times", numbers.moves);
    assert!(numbers.base >> 16 <= numbers.pages + HEADROOM_MAX);
}

#[test]
fn what_is_packed_moves_no_further_than_the_program_grows() {
    // 100 MB, and an engine that gives 2 GB.
    let (region, most) = (1600, 32768);
    let mut numbers = Numbers::new(17, region, 65536, most);
    while grow(&mut numbers, 1) != REFUSED {}
    assert_eq!(numbers.pages, most - region);
    // One each time that it has grown by as much, and by half and so on near the end.
    let most = numbers.pages / region + region.ilog2() + 1;
    assert!(numbers.moves <= most, "{} times", numbers.moves);
}

#[test]
fn no_room_is_taken_that_the_program_may_not_have() {
    let mut numbers = Numbers::new(100, 5, 104, 65536);
    assert_eq!(grow(&mut numbers, 2), 100);
    assert_eq!((numbers.base >> 16, numbers.whole), (104, 109));
    assert_eq!(grow(&mut numbers, 3), REFUSED);
    assert_eq!(grow(&mut numbers, 2), 102);
    assert_eq!(grow(&mut numbers, 0), 104);
}

#[test]
fn a_program_grows_to_the_last_page_that_there_is() {
    let mut numbers = Numbers::new(1, 5, 65536, 65536);
    assert_eq!(grow(&mut numbers, 65535), REFUSED, "5 pages are ours");
    assert_eq!(grow(&mut numbers, 65530), 1);
    assert_eq!((numbers.base, numbers.whole), (65531 << 16, 65536));
    assert_eq!(grow(&mut numbers, 1), REFUSED);
    assert_eq!(grow(&mut numbers, u32::MAX), REFUSED);
    assert_eq!(numbers.pages, 65531);
}
