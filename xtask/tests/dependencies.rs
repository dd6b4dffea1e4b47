//! What must not be in the shipped program: the generator, and all that parses.

use std::process::Command;

use xtask::workspace::workspace_root;

#[test]
fn registrar_depends_on_no_generator_and_on_few_crates() {
    let output = Command::new(env!("CARGO"))
        .current_dir(workspace_root())
        .args(["tree", "--package", "registrar", "--prefix", "none", "--edges", "all", "--locked", "--offline"])
        .output()
        .expect("running cargo tree");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    let mut crates: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
    crates.sort_unstable();
    crates.dedup();
    for unwanted in ["codegen", "xtask", "syn", "quote", "proc-macro2", "rpm", "object"] {
        assert!(!crates.contains(&unwanted), "registrar depends on {unwanted}: {crates:?}");
    }
    assert!(crates.len() <= 12, "registrar has grown dependencies: {crates:?}");
}
