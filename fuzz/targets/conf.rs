//! Fuzzes the reader of `conf`; what it does with the bytes is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::conf(bytes));
