//! The custom section `monaka.policy`: what was said, and which functions say it.
//!
//! All integers LEB128; a *text* is its length and its bytes, a *list* its length and
//! its texts:
//!
//! ```text
//! version   1
//! env       baked list  host (0 pass, 1 deny, 2 only)  names list, if 2
//! args      has name  name text, if 1  fixed list  default list  host (0, 1)
//! cwd       has one  text, if 1
//! clock     0 pass, 1 deny, 2 fixed, 3 monotonic only  nanoseconds, if 2
//! random    0 pass, 1 deny, 2 seed  seed, if 2
//! exit, raise, yield   0 pass, 1 deny, each
//! global    its index + 1 if random bytes had a seed once, or 0
//! shims     count { call's name text  ordinal  whether the program imported it }
//! ```
//!
//! An ordinal counts the program's own functions, without what is imported and what is
//! merged in. So it stays true when a later pass adds either.

use std::collections::BTreeSet;

use monaka_vfs_core::witx::{self, HOST_ONLY};
use wasmparser::{BinaryReader, BinaryReaderError};

use super::{Args, Clock, Env, HostEnv, Policy, Random, Switch, name_of};
use crate::module::analyze::{Module, func_type};
use crate::module::refusal::Refusal;
use crate::module::section::{Section, skim, write_leb};

/// The custom section's name.
pub(super) const SECTION: &str = "monaka.policy";

const VERSION: u32 = 1;

/// What the section says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) policy: Policy,
    /// The global with the state of the random bytes.
    pub(crate) global: Option<u32>,
    pub(super) shims: Vec<Shim>,
}

/// A function that answers one of WASI's calls in the host's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shim {
    pub(super) call: &'static witx::Function,
    /// Among the program's own functions.
    pub(super) ordinal: u32,
    /// The program imported the call itself.
    pub(super) imported: bool,
}

impl Record {
    /// The record in a module's sections, if there is one.
    pub(crate) fn of(sections: &[Section<'_>]) -> Result<Option<Record>, Refusal> {
        let mut customs = sections.iter().filter_map(Section::as_custom);
        let found = customs.find(|(name, _)| *name == SECTION);
        found
            .map(|(_, payload)| Record::of_payload(payload))
            .transpose()
    }

    /// The record of a module.
    pub(crate) fn of_module(wasm: &[u8]) -> Result<Option<Record>, Refusal> {
        for section in skim(wasm) {
            let section = section.map_err(|error| Refusal::Malformed(format!("{error:#}")))?;
            if let Some((SECTION, payload)) = section.as_custom() {
                return Record::of_payload(payload).map(Some);
            }
        }
        Ok(None)
    }

    fn of_payload(payload: &[u8]) -> Result<Record, Refusal> {
        let mut reader = BinaryReader::new(payload, 0);
        let damaged = || Refusal::DamagedPack(format!("{SECTION} cannot be read"));
        match reader.read_var_u32() {
            Ok(VERSION) => {}
            Ok(other) => return Err(Refusal::OtherPolicy(other)),
            Err(_) => return Err(damaged()),
        }
        let record = Record::read(&mut reader).ok().flatten();
        record.filter(|_| reader.eof()).ok_or_else(damaged)
    }

    /// `None` where a number means nothing.
    fn read(reader: &mut BinaryReader<'_>) -> Result<Option<Record>, BinaryReaderError> {
        let mut policy = Policy::default();
        for variable in list(reader)? {
            let known = policy.env.baked().iter();
            if known
                .map(|known| name_of(known))
                .any(|name| name == name_of(&variable))
            {
                return Ok(None);
            }
            policy.env.bake(variable);
        }
        policy.env.host = match reader.read_var_u32()? {
            0 => HostEnv::Pass,
            1 => HostEnv::Deny,
            2 => HostEnv::Only(BTreeSet::from_iter(list(reader)?)),
            _ => return Ok(None),
        };
        let Some(has_name) = boolean(reader)? else {
            return Ok(None);
        };
        policy.args.name = has_name.then(|| text(reader)).transpose()?;
        policy.args.fixed = list(reader)?;
        policy.args.default = list(reader)?;
        let (Some(host), Some(has_cwd)) = (switch(reader)?, boolean(reader)?) else {
            return Ok(None);
        };
        policy.args.host = host;
        policy.cwd = has_cwd.then(|| text(reader)).transpose()?;
        policy.clock = match reader.read_var_u32()? {
            0 => Clock::Pass,
            1 => Clock::Deny,
            2 => Clock::Fixed(reader.read_var_u64()?),
            3 => Clock::MonotonicOnly,
            _ => return Ok(None),
        };
        policy.random = match reader.read_var_u32()? {
            0 => Random::Pass,
            1 => Random::Deny,
            2 => Random::Seed(reader.read_var_u64()?),
            _ => return Ok(None),
        };
        let (Some(exit), Some(raise), Some(yielding)) =
            (switch(reader)?, switch(reader)?, switch(reader)?)
        else {
            return Ok(None);
        };
        (policy.exit, policy.raise, policy.yielding) = (exit, raise, yielding);
        let global = reader.read_var_u32()?.checked_sub(1);
        let mut shims: Vec<Shim> = Vec::new();
        for _ in 0..reader.read_var_u32()? {
            let name = text(reader)?;
            let call = HOST_ONLY.iter().find(|call| call.name.as_bytes() == name);
            let (Some(call), ordinal) = (call, reader.read_var_u32()?) else {
                return Ok(None);
            };
            let Some(imported) = boolean(reader)? else {
                return Ok(None);
            };
            let known = |shim: &Shim| shim.call.name == call.name || shim.ordinal == ordinal;
            if shims.iter().any(known) {
                return Ok(None);
            }
            shims.push(Shim {
                call,
                ordinal,
                imported,
            });
        }
        Ok(Some(Record {
            policy,
            global,
            shims,
        }))
    }

    /// The section.
    pub(super) fn section<'a>(&self) -> Section<'a> {
        let mut out = Vec::new();
        let policy = &self.policy;
        write_leb(&mut out, VERSION.into());
        let Env { host, .. } = &policy.env;
        write_list(&mut out, policy.env.baked());
        match host {
            HostEnv::Pass => write_leb(&mut out, 0),
            HostEnv::Deny => write_leb(&mut out, 1),
            HostEnv::Only(names) => {
                write_leb(&mut out, 2);
                write_list(&mut out, names);
            }
        }
        let Args {
            name,
            fixed,
            default,
            host,
        } = &policy.args;
        write_optional(&mut out, name.as_deref());
        write_list(&mut out, fixed);
        write_list(&mut out, default);
        write_leb(&mut out, number(*host));
        write_optional(&mut out, policy.cwd.as_deref());
        match policy.clock {
            Clock::Pass => write_leb(&mut out, 0),
            Clock::Deny => write_leb(&mut out, 1),
            Clock::Fixed(time) => {
                write_leb(&mut out, 2);
                write_leb(&mut out, time);
            }
            Clock::MonotonicOnly => write_leb(&mut out, 3),
        }
        match policy.random {
            Random::Pass => write_leb(&mut out, 0),
            Random::Deny => write_leb(&mut out, 1),
            Random::Seed(seed) => {
                write_leb(&mut out, 2);
                write_leb(&mut out, seed);
            }
        }
        for switch in [policy.exit, policy.raise, policy.yielding] {
            write_leb(&mut out, number(switch));
        }
        write_leb(
            &mut out,
            self.global.map_or(0, |global| u64::from(global) + 1),
        );
        write_leb(&mut out, self.shims.len() as u64);
        for shim in &self.shims {
            write_text(&mut out, shim.call.name.as_bytes());
            write_leb(&mut out, shim.ordinal.into());
            write_leb(&mut out, shim.imported.into());
        }
        Section::custom(SECTION, &out)
    }

    /// The index of the function that answers `call` in `module`, whose own functions are
    /// those from `first` on among the defined ones.
    pub(crate) fn function(
        &self,
        call: &str,
        module: &Module<'_>,
        first: u32,
    ) -> Result<Option<u32>, Refusal> {
        let shim = self.shims.iter().find(|shim| shim.call.name == call);
        shim.map(|shim| shim.index(module, first)).transpose()
    }
}

impl Shim {
    /// The function's index in `module`, whose own functions are those from `first` on
    /// among the defined ones.
    pub(super) fn index(&self, module: &Module<'_>, first: u32) -> Result<u32, Refusal> {
        let start = module.imported_functions.checked_add(first);
        let index = start.and_then(|start| start.checked_add(self.ordinal));
        let is_shim = |index: &u32| module.function_type(*index) == Some(&func_type(self.call));
        index.filter(is_shim).ok_or_else(|| {
            Refusal::DamagedPack(format!("{SECTION} names a function that is no shim"))
        })
    }
}

fn text(reader: &mut BinaryReader<'_>) -> Result<Vec<u8>, BinaryReaderError> {
    let len = reader.read_var_u32()?;
    Ok(reader.read_bytes(len as usize)?.to_vec())
}

fn list(reader: &mut BinaryReader<'_>) -> Result<Vec<Vec<u8>>, BinaryReaderError> {
    let mut texts = Vec::new();
    for _ in 0..reader.read_var_u32()? {
        texts.push(text(reader)?);
    }
    Ok(texts)
}

fn boolean(reader: &mut BinaryReader<'_>) -> Result<Option<bool>, BinaryReaderError> {
    Ok(match reader.read_var_u32()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    })
}

fn switch(reader: &mut BinaryReader<'_>) -> Result<Option<Switch>, BinaryReaderError> {
    let denied = boolean(reader)?;
    Ok(denied.map(|denied| match denied {
        true => Switch::Deny,
        false => Switch::Pass,
    }))
}

fn number(switch: Switch) -> u64 {
    (switch == Switch::Deny).into()
}

fn write_text(out: &mut Vec<u8>, text: &[u8]) {
    write_leb(out, text.len() as u64);
    out.extend_from_slice(text);
}

fn write_optional(out: &mut Vec<u8>, text: Option<&[u8]>) {
    write_leb(out, text.is_some().into());
    if let Some(text) = text {
        write_text(out, text);
    }
}

fn write_list<'t>(
    out: &mut Vec<u8>,
    texts: impl IntoIterator<Item = &'t Vec<u8>, IntoIter: ExactSizeIterator>,
) {
    let texts = texts.into_iter();
    write_leb(out, texts.len() as u64);
    for text in texts {
        write_text(out, text);
    }
}
