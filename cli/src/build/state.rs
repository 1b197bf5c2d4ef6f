//! What a stage has come to: its files, and how its program is to be started.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::Result;
use monaka_vfs_core::image::{Meta, Tree};

use super::place::{self, Within};
use crate::scan::Source;

/// A stage.
#[derive(Clone)]
pub(super) struct State {
    pub(super) tree: Tree<Source>,
    /// The module that the stage was made from, packed or not.
    pub(super) program: Option<Rc<Module>>,
    pub(super) config: Config,
    /// What is set by ARG, for this stage alone.
    pub(super) args: BTreeMap<String, String>,
}

/// A module.
pub(crate) struct Module {
    /// What the program is called when it runs.
    pub(crate) name: String,
    pub(crate) wasm: Vec<u8>,
}

/// How the program is started, and what is said about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Config {
    /// In the order in which they were set.
    pub(super) env: Vec<(String, String)>,
    /// Absolute; empty where nothing was said.
    pub(super) workdir: String,
    pub(super) entrypoint: Vec<String>,
    pub(super) cmd: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    /// Directories that stay writable.
    pub(super) volumes: Vec<String>,
}

impl State {
    /// Of nothing.
    pub(super) fn scratch() -> State {
        State::of(Tree::new(Meta::default()))
    }

    /// Of files alone.
    pub(super) fn of(tree: Tree<Source>) -> State {
        State {
            tree,
            program: None,
            config: Config::default(),
            args: BTreeMap::new(),
        }
    }

    /// What a variable stands for: ENV before ARG.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let env = self.config.variable(name).map(str::to_string);
        env.or_else(|| self.args.get(name).cloned())
    }

    /// The working directory as a path with no symbolic link in it.
    pub(super) fn directory(&self) -> Result<Vec<u8>> {
        place::real(&self.tree, self.config.directory().as_bytes(), Within::Root)
    }

    /// The environment of a program that runs at build time.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let args = self.args.iter();
        let args = args.filter(|(name, _)| self.config.variable(name).is_none());
        let args = args.map(|(name, value)| (name.clone(), value.clone()));
        args.chain(self.config.env.iter().cloned()).collect()
    }
}

impl Config {
    /// What an environment variable is.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let mut pairs = self.env.iter();
        pairs
            .find(|(known, _)| known == name)
            .map(|(_, value)| &value[..])
    }

    /// Sets an environment variable.
    pub(super) fn set(&mut self, name: String, value: String) {
        match self.env.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.env.push((name, value)),
        }
    }

    /// The working directory.
    pub(super) fn directory(&self) -> &str {
        match &self.workdir[..] {
            "" => "/",
            workdir => workdir,
        }
    }
}
