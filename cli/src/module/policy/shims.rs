//! The functions that answer in the host's place.
//!
//! Each checks its pointers against the memory as the program sees it and answers
//! `FAULT` where they lead out, so that in the single layout nothing is written behind
//! the program's pages.

use monaka_vfs_core::Errno;
use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};

use super::{Clock, HostEnv, Policy, Random, Switch, name_of};

/// The host's functions that a shim calls, in the order of [`needed`].
pub(super) type Hosts = [u32];

/// The calls that a policy answers itself, in groups of which a module gets all or
/// none; each with those of the host that it still makes.
pub(super) fn replaced(policy: &Policy) -> Vec<(&'static [&'static str], &'static [&'static str])> {
    const ENV: &[&str] = &["environ_sizes_get", "environ_get"];
    const ARGS: &[&str] = &["args_sizes_get", "args_get"];
    let mut groups: Vec<(&'static [&'static str], &'static [&'static str])> = Vec::new();
    let env = policy.environment();
    match env.host {
        HostEnv::Pass if env.baked().is_empty() => {}
        HostEnv::Deny => groups.push((ENV, &[])),
        HostEnv::Pass | HostEnv::Only(_) => groups.push((ENV, ENV)),
    }
    let args = &policy.args;
    match args.host {
        Switch::Deny => groups.push((ARGS, &[])),
        Switch::Pass
            if args.name.is_some() || !args.fixed.is_empty() || !args.default.is_empty() =>
        {
            groups.push((ARGS, ARGS));
        }
        Switch::Pass => {}
    }
    match policy.clock {
        Clock::Pass => {}
        Clock::Deny | Clock::Fixed(_) => {
            groups.push((&["clock_time_get"], &[]));
            groups.push((&["clock_res_get"], &[]));
        }
        Clock::MonotonicOnly => {
            groups.push((&["clock_time_get"], &["clock_time_get"]));
            groups.push((&["clock_res_get"], &["clock_res_get"]));
        }
    }
    if policy.random != Random::Pass {
        groups.push((&["random_get"], &[]));
    }
    for (switch, group) in [
        (policy.exit, &["proc_exit"]),
        (policy.raise, &["proc_raise"]),
        (policy.yielding, &["sched_yield"]),
    ] {
        if switch == Switch::Deny {
            groups.push((group, &[]));
        }
    }
    groups
}

/// What a shim is made for.
pub(super) struct Place<'p> {
    pub(super) policy: &'p Policy,
    /// Bytes of a page of memory 0, as a power of two.
    pub(super) page: u32,
    /// The global with the generator's state.
    pub(super) state: u32,
}

impl Place<'_> {
    /// The function that answers `call`; `hosts` are the host's that it may call, as
    /// [`replaced`] names them.
    pub(super) fn shim(&self, call: &str, hosts: &Hosts) -> Function {
        match call {
            "environ_sizes_get" => self.environ(hosts, false),
            "environ_get" => self.environ(hosts, true),
            "args_sizes_get" => self.args_sizes(hosts),
            "args_get" => self.args(hosts),
            "clock_time_get" => self.clock(hosts, 2),
            "clock_res_get" => self.clock(hosts, 1),
            "random_get" => self.random(),
            "proc_exit" => {
                let mut function = Function::new([]);
                function.instructions().unreachable().end();
                function
            }
            _ => refusing(),
        }
    }

    fn environ(&self, hosts: &Hosts, strings: bool) -> Function {
        let env = self.policy.environment();
        match hosts {
            [sizes, get] => self.filtered(&env.host, env.baked(), (*sizes, *get), strings),
            _ if strings => self.list(env.baked()),
            _ => self.sizes(env.baked()),
        }
    }

    /// `*_sizes_get` of a list that is known.
    fn sizes(&self, list: &[Vec<u8>]) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        self.check_constant(&mut code, 0, 4);
        self.check_constant(&mut code, 1, 4);
        code.local_get(0).i32_const(list.len() as i32);
        code.i32_store(at(0));
        code.local_get(1).i32_const(joined(list).len() as i32);
        code.i32_store(at(0));
        code.i32_const(0).end();
        function
    }

    /// `*_get` of a list that is known.
    fn list(&self, list: &[Vec<u8>]) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        let bytes = joined(list);
        self.check_constant(&mut code, 0, 4 * list.len() as u64);
        self.check_constant(&mut code, 1, bytes.len() as u64);
        point(&mut code, list, (0, 0), (1, 0));
        write(&mut code, 1, 0, &bytes);
        code.i32_const(0).end();
        function
    }

    /// `environ_sizes_get`, or with `strings` `environ_get`, of the baked variables and
    /// those of the host's that are let through.
    ///
    /// The host writes its own into pages that are added for that. They are zero again
    /// afterwards, so that an allocator may find them where it expects fresh ones.
    fn filtered(
        &self,
        through: &HostEnv,
        baked: &[Vec<u8>],
        (sizes, get): (u32, u32),
        strings: bool,
    ) -> Function {
        let hidden: Vec<&[u8]> = baked.iter().map(|variable| name_of(variable)).collect();
        let (names, keeps) = match through {
            HostEnv::Only(names) => {
                let names = names.iter().map(|name| &name[..]);
                (names.filter(|name| !hidden.contains(name)).collect(), true)
            }
            _ => (hidden, false),
        };
        // A name is compared 8 bytes at a time, which may reach behind the last one.
        let longest = names.iter().map(|name| name.len()).max().unwrap_or(0) as i64;
        let slack = 16 + longest;
        const BASE: u32 = 2;
        const COUNT: u32 = 3;
        const INDEX: u32 = 4;
        const TEXT: u32 = 5;
        const END: u32 = 6;
        const KEPT: u32 = 7;
        const BYTES: u32 = 8;
        const ERRNO: u32 = 9;
        const NEEDED: u32 = 10;
        const FOUND: u32 = 11;
        const WANTED: u32 = 12;
        const DIFFERENCE: u32 = 13;
        let (i32, i64) = (ValType::I32, ValType::I64);
        let mut function = Function::new([(8, i32), (1, i64), (1, i32), (2, i64)]);
        let mut code = function.instructions();
        let own = joined(baked);
        if strings {
            self.check_constant(&mut code, 0, 4 * baked.len() as u64);
            self.check_constant(&mut code, 1, own.len() as u64);
        } else {
            self.check_constant(&mut code, 0, 4);
            self.check_constant(&mut code, 1, 4);
        }
        // First room for two sizes, then for what they say.
        let first = 8 + slack;
        let page = 1i64 << self.page;
        let first_pages = (first + page - 1) / page;
        code.i64_const(first).local_set(NEEDED);
        code.i32_const(first_pages as i32).memory_grow(0);
        code.local_tee(BASE).i32_const(-1).i32_eq();
        refuse_if(&mut code, Errno::NOMEM);
        code.local_get(BASE).i32_const(self.page as i32).i32_shl();
        code.local_set(BASE);
        // All leave the block with the errno in ERRNO; behind it the pages are cleared.
        code.block(BlockType::Empty);
        code.local_get(BASE);
        code.local_get(BASE).i32_const(4).i32_add();
        code.call(sizes).local_tee(ERRNO).br_if(0);
        code.local_get(BASE).i32_load(at(0)).local_tee(COUNT);
        code.i64_extend_i32_u().i64_const(2).i64_shl();
        code.local_get(BASE).i32_load(at(4)).i64_extend_i32_u();
        code.i64_add().i64_const(first).i64_add().local_tee(WANTED);
        code.i64_const(page - 1).i64_add();
        code.i64_const(self.page.into()).i64_shr_u().i32_wrap_i64();
        code.i32_const(first_pages as i32).i32_sub().memory_grow(0);
        code.i32_const(-1).i32_eq();
        code.if_(BlockType::Empty);
        code.i32_const(errno(Errno::NOMEM)).local_set(ERRNO).br(1);
        code.end();
        code.local_get(WANTED).local_set(NEEDED);
        code.local_get(BASE).i32_const(8).i32_add();
        code.local_get(BASE).i32_const(8).i32_add();
        code.local_get(COUNT).i32_const(2).i32_shl().i32_add();
        code.call(get).local_tee(ERRNO).br_if(0);

        code.i32_const(own.len() as i32).local_set(BYTES);
        code.i32_const(baked.len() as i32).local_set(KEPT);
        code.block(BlockType::Empty).loop_(BlockType::Empty);
        code.local_get(INDEX).local_get(COUNT).i32_ge_u().br_if(1);
        code.local_get(BASE).local_get(INDEX).i32_const(2).i32_shl();
        code.i32_add()
            .i32_load(at(8))
            .local_tee(TEXT)
            .local_set(END);
        code.local_get(INDEX).i32_const(1).i32_add();
        code.local_set(INDEX);
        code.i32_const(0).local_set(FOUND);
        for name in &names {
            matches(&mut code, TEXT, name, DIFFERENCE);
            code.local_get(FOUND).i32_or().local_set(FOUND);
        }
        code.local_get(FOUND);
        if keeps {
            code.i32_eqz();
        }
        code.br_if(0);
        code.loop_(BlockType::Empty);
        code.local_get(END).i32_load8_u(at(0));
        code.local_get(END).i32_const(1).i32_add().local_set(END);
        code.br_if(0).end();
        code.local_get(END).local_get(TEXT).i32_sub().local_set(END);
        if strings {
            // Both below what was added, which all that the program has is.
            for (pointer, len) in [(0, KEPT), (1, BYTES)] {
                code.local_get(pointer).i64_extend_i32_u();
                code.local_get(len).i64_extend_i32_u();
                match pointer {
                    0 => code.i64_const(1).i64_add().i64_const(2).i64_shl(),
                    _ => code.local_get(END).i64_extend_i32_u().i64_add(),
                };
                code.i64_add().local_get(BASE).i64_extend_i32_u();
                code.i64_gt_u().if_(BlockType::Empty);
                code.i32_const(errno(Errno::FAULT)).local_set(ERRNO);
                code.br(3).end();
            }
            code.local_get(0).local_get(KEPT).i32_const(2).i32_shl();
            code.i32_add();
            code.local_get(1).local_get(BYTES).i32_add();
            code.i32_store(at(0));
            code.local_get(1).local_get(BYTES).i32_add();
            code.local_get(TEXT).local_get(END).memory_copy(0, 0);
        }
        code.local_get(KEPT).i32_const(1).i32_add().local_set(KEPT);
        code.local_get(BYTES).local_get(END).i32_add();
        code.local_set(BYTES).br(0).end().end();
        if strings {
            point(&mut code, baked, (0, 0), (1, 0));
            write(&mut code, 1, 0, &own);
        } else {
            code.local_get(0).local_get(KEPT).i32_store(at(0));
            code.local_get(1).local_get(BYTES).i32_store(at(0));
        }
        code.end();
        code.local_get(BASE).i32_const(0);
        code.local_get(NEEDED).i32_wrap_i64().memory_fill(0);
        code.local_get(ERRNO).end();
        function
    }

    /// `args_sizes_get` where the host's are let through.
    fn args_sizes(&self, hosts: &Hosts) -> Function {
        let args = &self.policy.args;
        let [sizes, _] = hosts else {
            return self.sizes(&self.known_args());
        };
        let (fixed, default) = (joined(&args.fixed), joined(&args.default));
        let own = fixed.len() + args.name.as_ref().map_or(0, |name| name.len() + 1);
        const COUNT: u32 = 2;
        const BYTES: u32 = 3;
        const ERRNO: u32 = 4;
        let mut function = Function::new([(3, ValType::I32)]);
        let mut code = function.instructions();
        self.check_constant(&mut code, 0, 4);
        self.check_constant(&mut code, 1, 4);
        code.local_get(0).local_get(1).call(*sizes).local_tee(ERRNO);
        code.if_(BlockType::Empty).local_get(ERRNO).return_().end();
        code.local_get(0).i32_load(at(0)).local_set(COUNT);
        code.local_get(1).i32_load(at(0)).i32_const(own as i32);
        code.i32_add().local_set(BYTES);
        code.local_get(COUNT)
            .i32_const(2)
            .i32_lt_u()
            .if_(BlockType::Empty);
        // A program expects a name, and an empty one takes a byte.
        code.local_get(BYTES).local_get(COUNT).i32_eqz().i32_add();
        code.i32_const(default.len() as i32)
            .i32_add()
            .local_set(BYTES);
        code.i32_const(1 + args.default.len() as i32)
            .local_set(COUNT);
        code.end();
        code.local_get(0)
            .local_get(COUNT)
            .i32_const(args.fixed.len() as i32);
        code.i32_add().i32_store(at(0));
        code.local_get(1).local_get(BYTES).i32_store(at(0));
        code.i32_const(0).end();
        function
    }

    /// `args_get` where the host's are let through.
    ///
    /// The host's pointers go where the last of ours will stand in place of the name,
    /// its strings behind ours.
    fn args(&self, hosts: &Hosts) -> Function {
        let args = &self.policy.args;
        let [sizes, get] = hosts else {
            return self.list(&self.known_args());
        };
        let name: Vec<Vec<u8>> = args.name.iter().cloned().collect();
        let (name, fixed, default) = (joined(&name), joined(&args.fixed), joined(&args.default));
        let own = [name.clone(), fixed].concat();
        let ahead = 4 * args.fixed.len() as u64;
        const COUNT: u32 = 2;
        const BUFFER: u32 = 3;
        const FIRST: u32 = 4;
        const ERRNO: u32 = 5;
        let mut function = Function::new([(4, ValType::I32)]);
        let mut code = function.instructions();
        self.check_constant(&mut code, 0, 4 + ahead);
        self.check_constant(&mut code, 1, own.len() as u64 + 1);
        // The host's count, for which there is room: with nothing but a name that of one
        // number, and then all that matters is whether there are any.
        let second = match args.fixed.is_empty() && args.default.is_empty() {
            true => 0,
            false => 4_u64,
        };
        self.check_constant(&mut code, 0, 4 + second);
        code.local_get(0)
            .local_get(0)
            .i32_const(second as i32)
            .i32_add();
        code.call(*sizes).local_tee(ERRNO);
        code.if_(BlockType::Empty).local_get(ERRNO).return_().end();
        code.local_get(0).i32_load(at(0)).local_set(COUNT);
        code.local_get(1).i32_const(own.len() as i32).i32_add();
        code.local_set(BUFFER);
        if second != 0 {
            code.local_get(COUNT)
                .i32_const(2)
                .i32_lt_u()
                .if_(BlockType::Empty);
            let (pointers, bytes) = (4 + ahead + 4 * args.default.len() as u64, default.len());
            self.check_constant(&mut code, 0, pointers);
            self.check_constant(&mut code, 1, (own.len() + bytes) as u64 + 1);
            write(&mut code, BUFFER, 0, &default);
            code.local_get(BUFFER).i32_const(bytes as i32).i32_add();
            code.local_set(BUFFER).end();
        }
        code.local_get(0).i32_const(ahead as i32).i32_add();
        code.local_get(BUFFER).call(*get).local_tee(ERRNO);
        code.if_(BlockType::Empty).local_get(ERRNO).return_().end();
        code.local_get(COUNT).if_(BlockType::Result(ValType::I32));
        code.local_get(0).i32_load(at(ahead)).else_();
        code.local_get(BUFFER).i32_const(0).i32_store8(at(0));
        code.local_get(BUFFER).end().local_set(FIRST);
        write(&mut code, 1, 0, &own);
        code.local_get(0);
        code.local_get(if args.name.is_some() { 1 } else { FIRST });
        code.i32_store(at(0));
        point(&mut code, &args.fixed, (0, 4), (1, name.len()));
        if second != 0 {
            code.local_get(COUNT)
                .i32_const(2)
                .i32_lt_u()
                .if_(BlockType::Empty);
            let pointers = 4 + ahead;
            point(&mut code, &args.default, (0, pointers), (1, own.len()));
            code.end();
        }
        code.i32_const(0).end();
        function
    }

    /// All arguments, where the host's are denied. A program expects a name.
    fn known_args(&self) -> Vec<Vec<u8>> {
        let args = &self.policy.args;
        let name = args.name.clone().unwrap_or_default();
        let rest = args.fixed.iter().chain(&args.default).cloned();
        std::iter::once(name).chain(rest).collect()
    }

    /// `clock_time_get` or `clock_res_get`, of which parameter `out` is where the answer
    /// goes.
    fn clock(&self, hosts: &Hosts, out: u32) -> Function {
        const MONOTONIC: i32 = 1;
        let mut function = Function::new([]);
        let mut code = function.instructions();
        match (self.policy.clock, hosts) {
            (Clock::Fixed(time), _) => {
                // The clocks of processor time are not those that stand still.
                code.local_get(0).i32_const(MONOTONIC).i32_gt_u();
                refuse_if(&mut code, Errno::NOTSUP);
                self.check_constant(&mut code, out, 8);
                code.local_get(out);
                code.i64_const(if out == 2 { time as i64 } else { 1 });
                code.i64_store(at(0)).i32_const(0);
            }
            (Clock::MonotonicOnly, [host]) => {
                code.local_get(0).i32_const(MONOTONIC).i32_ne();
                refuse_if(&mut code, Errno::NOTSUP);
                (0..=out).for_each(|param| {
                    code.local_get(param);
                });
                code.call(*host);
            }
            _ => {
                code.i32_const(errno(Errno::NOTSUP));
            }
        }
        code.end();
        function
    }

    /// `random_get` by SplitMix64, whose state is a global.
    fn random(&self) -> Function {
        if self.policy.random == Random::Deny {
            return refusing();
        }
        const WORD: u32 = 2;
        let mut function = Function::new([(1, ValType::I64)]);
        let mut code = function.instructions();
        let next = |code: &mut InstructionSink<'_>| {
            code.global_get(self.state)
                .i64_const(0x9e37_79b9_7f4a_7c15_u64 as i64);
            code.i64_add().local_tee(WORD).global_set(self.state);
            for (shift, factor) in [(30, 0xbf58_476d_1ce4_e5b9_u64), (27, 0x94d0_49bb_1331_11eb)] {
                code.local_get(WORD)
                    .local_get(WORD)
                    .i64_const(shift)
                    .i64_shr_u();
                code.i64_xor()
                    .i64_const(factor as i64)
                    .i64_mul()
                    .local_set(WORD);
            }
            code.local_get(WORD)
                .local_get(WORD)
                .i64_const(31)
                .i64_shr_u();
            code.i64_xor().local_set(WORD);
        };
        code.local_get(0).i64_extend_i32_u();
        code.local_get(1).i64_extend_i32_u().i64_add();
        self.size(&mut code);
        code.i64_gt_u();
        refuse_if(&mut code, Errno::FAULT);
        code.block(BlockType::Empty).loop_(BlockType::Empty);
        code.local_get(1).i32_const(8).i32_lt_u().br_if(1);
        next(&mut code);
        code.local_get(0).local_get(WORD).i64_store(at(0));
        code.local_get(0).i32_const(8).i32_add().local_set(0);
        code.local_get(1).i32_const(8).i32_sub().local_set(1);
        code.br(0).end().end();
        next(&mut code);
        code.block(BlockType::Empty).loop_(BlockType::Empty);
        code.local_get(1).i32_eqz().br_if(1);
        code.local_get(0).local_get(WORD).i64_store8(at(0));
        code.local_get(WORD)
            .i64_const(8)
            .i64_shr_u()
            .local_set(WORD);
        code.local_get(0).i32_const(1).i32_add().local_set(0);
        code.local_get(1).i32_const(1).i32_sub().local_set(1);
        code.br(0).end().end();
        code.i32_const(0).end();
        function
    }

    /// Answers `FAULT` unless `len` bytes at the address in `pointer` are the program's.
    fn check_constant(&self, code: &mut InstructionSink<'_>, pointer: u32, len: u64) {
        code.local_get(pointer).i64_extend_i32_u();
        code.i64_const(len as i64).i64_add();
        self.size(code);
        code.i64_gt_u();
        refuse_if(code, Errno::FAULT);
    }

    /// The memory's size in bytes.
    fn size(&self, code: &mut InstructionSink<'_>) {
        code.memory_size(0).i64_extend_i32_u();
        code.i64_const(self.page.into()).i64_shl();
    }
}

/// A function that only answers that it does not.
fn refusing() -> Function {
    let mut function = Function::new([]);
    let mut code = function.instructions();
    code.i32_const(errno(Errno::NOTSUP)).end();
    function
}

fn errno(errno: Errno) -> i32 {
    errno.raw().into()
}

/// Returns an errno if what is on the stack says so.
fn refuse_if(code: &mut InstructionSink<'_>, why: Errno) {
    code.if_(BlockType::Empty);
    code.i32_const(errno(why)).return_().end();
}

/// An access to memory 0 at any alignment.
fn at(offset: u64) -> MemArg {
    MemArg {
        offset,
        align: 0,
        memory_index: 0,
    }
}

/// Texts one after the other, each with its end.
fn joined(list: &[Vec<u8>]) -> Vec<u8> {
    let ended = list.iter().flat_map(|text| text.iter().chain(&[0]));
    ended.copied().collect()
}

/// Stores pointers to the texts of a list, which stand `from.1` bytes behind the address in
/// local `from.0`, one after the other `to.1` bytes behind that in `to.0`.
fn point(code: &mut InstructionSink<'_>, list: &[Vec<u8>], to: (u32, u64), from: (u32, usize)) {
    let mut start = from.1;
    for (text, slot) in list.iter().zip(0..) {
        code.local_get(to.0).local_get(from.0);
        code.i32_const(start as i32).i32_add();
        code.i32_store(at(to.1 + 4 * slot));
        start += text.len() + 1;
    }
}

/// Stores bytes `offset` behind the address in a local.
fn write(code: &mut InstructionSink<'_>, pointer: u32, offset: u64, bytes: &[u8]) {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut offset = offset;
    for word in words {
        code.local_get(pointer).i64_const(i64::from_le_bytes(*word));
        code.i64_store(at(offset));
        offset += 8;
    }
    for byte in rest {
        code.local_get(pointer).i32_const((*byte).into());
        code.i32_store8(at(offset));
        offset += 1;
    }
}

/// Leaves whether the text at the address in a local is that of a variable of this name.
fn matches(code: &mut InstructionSink<'_>, pointer: u32, name: &[u8], difference: u32) {
    let start = [name, b"="].concat();
    code.i64_const(0).local_set(difference);
    for (offset, word) in (0..).step_by(8).zip(start.chunks(8)) {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        code.local_get(pointer).i64_load(at(offset));
        code.i64_const(i64::from_le_bytes(bytes)).i64_xor();
        code.i64_const((u64::MAX >> (64 - 8 * word.len())) as i64);
        code.i64_and().local_get(difference).i64_or();
        code.local_set(difference);
    }
    code.local_get(difference).i64_eqz();
}
