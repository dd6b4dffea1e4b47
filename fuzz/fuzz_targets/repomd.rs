//! Any bytes as `repomd.xml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|document: &[u8]| {
    let _ = xtask::repo::repomd::primary(document);
});
