//! Any text as a conf file: what is read says again, as a line, what it was read from.
#![no_main]

use codegen::rule::{self, Rule};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for rule in rule::parse_conf("fuzz.conf", text).unwrap_or_default() {
        assert_eq!(Rule::parse(&rule.to_string()).as_ref(), Ok(&rule));
    }
});
