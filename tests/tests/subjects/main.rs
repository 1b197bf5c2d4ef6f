//! Modules that nobody relinked, as registries have them or as compilers of other
//! languages make them: run on directories of the host, then with the same
//! directories packed inside. What they print and how they end must be the same, and
//! the files that they leave.
//!
//! Those that are large or take long are ignored: `make subjects` runs them too.
//! To run one again:
//! `cargo test --release -p monaka -p monaka-tests --features monaka-tests/engine
//! --test subjects ruby`

mod built;
mod case;
mod doctor;
mod drive;
mod host;
mod languages;
mod left;
mod modules;
mod runtimes;
mod table;
