//! Support for the tests and benches that cross the crates of monaka.

#[cfg(feature = "engine")]
pub mod blob;
pub mod calls;
pub mod compressed;
#[cfg(feature = "engine")]
pub mod engine;
pub mod fuzz;
pub mod golden;
#[cfg(feature = "engine")]
pub mod homes;
pub mod native;
pub mod prepared;
pub mod runtime;
pub mod scarce;
pub mod shape;
#[cfg(feature = "engine")]
pub mod startup;
pub mod toolbox;
pub mod tree;
pub mod usage;
