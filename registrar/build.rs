//! Chooses the table that is compiled in: `REGISTRAR_TABLE`, or the committed one.

use std::env;

fn main() {
    println!("cargo::rerun-if-env-changed=REGISTRAR_TABLE");
    let table = env::var("REGISTRAR_TABLE")
        .unwrap_or_else(|_| format!("{}/src/table/generated.rs", env!("CARGO_MANIFEST_DIR")));
    println!("cargo::rerun-if-changed={table}");
    println!("cargo::rustc-env=REGISTRAR_TABLE={table}");
}
