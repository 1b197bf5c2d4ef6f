#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| monaka_tests::fuzz::frames(bytes));
