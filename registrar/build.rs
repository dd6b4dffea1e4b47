//! Chooses the table that is compiled in: `REGISTRAR_TABLE`, or the committed one. Leaves out what a program that
//! aborts at a panic has no use for.

use std::env;
use std::path::PathBuf;

fn main() {
    // As cargo says now: another checkout may have compiled this.
    let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rerun-if-env-changed=REGISTRAR_TABLE");
    let table = env::var("REGISTRAR_TABLE").unwrap_or_else(|_| format!("{folder}/src/table/generated.rs"));
    println!("cargo::rerun-if-changed={table}");
    println!("cargo::rustc-env=REGISTRAR_TABLE={table}");

    let script = format!("{folder}/unwind-tables.ld");
    println!("cargo::rerun-if-changed={script}");
    // Cargo tells a build script the optimisation of its profile, not what a panic does; `dist` is where it aborts.
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let is_dist = out.ancestors().nth(3).is_some_and(|folder| folder.ends_with("dist"));
    // glibc, linked statically, unwinds by itself where a thread ends.
    if is_dist && env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|library| library == "musl") {
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{script}");
    }
}
