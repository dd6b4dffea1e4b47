//! Fuzzes the reader of `primary`; what it does with the bytes is in the library.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::primary(bytes));
