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
        let target = env::var("TARGET").unwrap_or_default().to_ascii_uppercase().replace('-', "_");
        println!("cargo::rerun-if-env-changed=CARGO_TARGET_{target}_LINKER");
        let linker = PathBuf::from(env::var_os("RUSTC_LINKER").unwrap_or_default());
        let linker = linker.file_stem().unwrap_or_default().to_string_lossy();
        // Whether rustc calls a linker itself, rather than a C compiler that calls one. rustc tells by the same names.
        let is_linker = matches!(&*linker, "ld" | "lld" | "rust-lld") || linker.ends_with("-ld");
        println!("cargo::rustc-link-arg-bins={}-T{script}", if is_linker { "" } else { "-Wl," });
        if linker.ends_with("lld") {
            // Functions of the same machine code become one: 3 kB. GNU ld cannot.
            println!("cargo::rustc-link-arg-bins=--icf=all");
        }
    }
}
