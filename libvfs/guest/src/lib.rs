#![cfg(target_family = "wasm")]
#![no_std]
//! x
