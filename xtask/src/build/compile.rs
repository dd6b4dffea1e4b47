//! `registrar` with a table compiled in: a static executable for a host. Everything that runs cargo runs it from here.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use anyhow::{Context, Result, bail, ensure};

use crate::output::progress;
use crate::system::host::Host;
use crate::system::{self, Tool};
use crate::workspace::{target_dir, workspace_root};

use build_info::BuildInfo;
use linker::Linker;

pub mod build_info;
mod linker;

/// The cargo that runs this program, in the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace_root());
    // Inherited from `cargo xtask` itself, and wrong for another build: crates that ask for them, as ring does, would be
    // compiled anew each time.
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"CARGO_PKG_") || name.as_encoded_bytes().starts_with(b"CARGO_MANIFEST_")
        {
            command.env_remove(name);
        }
    }
    // It may be relative to the folder that the user is in.
    if env::var_os("CARGO_TARGET_DIR").is_some() {
        command.env("CARGO_TARGET_DIR", target_dir());
    }
    command
}

/// Compiles `registrar` with a table, or with the committed one, and gives its path. Cargo does nothing if nothing has
/// changed.
pub fn registrar(host: Host, table: Option<&Path>, offline: bool) -> Result<PathBuf> {
    let target = &prepare(host, offline)?;
    let linker = Linker::of(host, target)?;
    if let Some(warning) = linker.warning(target) {
        eprintln!("warning: {warning}");
    }
    let folder = build_folder(table);
    let mut command = build_command(host, target, &folder, &linker);
    if offline {
        command.arg("--offline");
    }
    match table {
        Some(table) => command.env("REGISTRAR_TABLE", table),
        None => command.env_remove("REGISTRAR_TABLE"),
    };
    // What it is made of; warnings are still told in words.
    command.args(["--message-format", "json-render-diagnostics"]);
    let before = build_info::revision(workspace_root());
    let printed = run(&mut command, &format!("compiling registrar for {target}"))?;
    let program = folder.join(target).join("dist/registrar");
    host.check_program(&program).with_context(|| format!("checking {}", program.display()))?;
    let messages = messages(&program);
    fs::write(&messages, printed).with_context(|| format!("writing {}", messages.display()))?;
    // If the working tree changed during the compilation, it is unknown which files were compiled.
    let revision = build_info::revision(workspace_root()).filter(|after| before.as_ref() == Some(after));
    BuildInfo { revision, rustc: rustc_version()?, linker: linker.to_string() }.write(&program)?;
    Ok(program)
}

/// Where [`registrar`] keeps what cargo said of each crate in the program that it made, as lines of JSON.
pub(crate) fn messages(program: &Path) -> PathBuf {
    program.with_extension("messages")
}

/// The target folder: one for each table, so that a second table neither recompiles nor replaces a program.
fn build_folder(table: Option<&Path>) -> PathBuf {
    table.and_then(Path::parent).map_or_else(target_dir, |folder| folder.join("cargo"))
}

fn build_command(host: Host, target: &str, folder: &Path, linker: &Linker) -> Command {
    let mut command = cargo();
    command.args(["build", "--quiet", "--locked", "--package", "registrar"]);
    command.args(["--profile", "dist", "--target", target]).arg("--target-dir").arg(folder);
    let remap = |from: &Path, to: &str| format!("--remap-path-prefix={}={to}", from.display());
    // The last that fits counts, and each of the others may be in the workspace.
    let mut flags = vec![
        remap(workspace_root(), "/registrar"),
        remap(&cargo_home(), "/cargo"),
        remap(&target_dir(), "/registrar/target"),
    ];
    if target.ends_with("-gnu") {
        flags.extend(["-Ctarget-feature=+crt-static".into(), "-Crelocation-model=static".into()]);
    }
    // Joined by cargo to the flags of .cargo/config.toml; without them, the binary would hold this machine's paths.
    command.arg("--config").arg(format!("target.{target}.rustflags={flags:?}"));
    // Each would replace all of these flags.
    command.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if let Some(program) = linker.to_set(host) {
        command.env(linker::variable(target), program);
    }
    command
}

/// Puts in place what a later build with `--offline` needs: the sources of all dependencies, and what [`prepare`] does.
pub(crate) fn fetch_dependencies(host: Host, offline: bool) -> Result<()> {
    prepare(host, offline)?;
    let mut command = cargo();
    command.args(["fetch", "--quiet", "--locked"]);
    if offline {
        command.arg("--offline");
    }
    run(&mut command, "fetching dependencies").map(drop)
}

/// Runs cargo; gives its standard output. Its messages are printed after the spinner has gone.
fn run(command: &mut Command, what: &str) -> Result<Vec<u8>> {
    if io::IsTerminal::is_terminal(&io::stderr()) {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let output = progress::step(what, || command.output()).context("starting cargo")?;
    // A failure to write messages cannot be reported.
    let _ = io::stderr().write_all(&output.stderr);
    if !output.status.success() {
        bail!("{what}: cargo failed, see above");
    }
    Ok(output.stdout)
}

pub(crate) fn cargo_home() -> PathBuf {
    let default = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cargo");
    env::var_os("CARGO_HOME").map_or_else(default, PathBuf::from)
}

/// Installs what compiling and linking for a host takes, unless `offline`; gives the Rust target to compile for.
pub fn prepare(host: Host, offline: bool) -> Result<String> {
    let target = rust_target(host, offline)?;
    if !offline && let Linker::Compiler(compiler) = Linker::of(host, &target)? {
        if !host.is_this_machine() {
            // Any compiler of that name will do; a C library does not come with every one, nor does musl need it.
            if system::find(&compiler).is_none() {
                system::require(&[host.compiler])?;
            }
        } else if target.ends_with("-gnu") {
            system::require(&[Tool::CC, Tool::STATIC_LIBC])?;
        }
    }
    Ok(target)
}

/// The Rust target to compile for: the host's, if it is installed or can be; else its substitute.
fn rust_target(host: Host, offline: bool) -> Result<String> {
    let target = host.rust_target;
    if is_installed(target)? {
        return Ok(target.into());
    }
    // rustup may say that it is there already, and it is not.
    if !offline && add_target(target) && is_installed(target)? {
        return Ok(target.into());
    }
    match host.fallback() {
        Some(fallback) if is_installed(&fallback)? => {
            eprintln!(
                "warning: Rust's target {target} is not there; using {fallback}, whose programs start more slowly"
            );
            Ok(fallback)
        }
        _ => bail!("Rust's target {target} is not installed; run `rustup target add {target}`"),
    }
}

fn add_target(target: &str) -> bool {
    let mut rustup = Command::new("rustup");
    rustup.current_dir(workspace_root()).args(["target", "add", target]);
    let output = progress::step(&format!("fetching Rust's target {target}"), || rustup.output());
    output.is_ok_and(|output| output.status.success())
}

fn is_installed(target: &str) -> Result<bool> {
    let libdir = libdir(Some(target))?;
    Ok(libdir.is_some_and(|libdir| fs::read_dir(libdir).is_ok_and(|mut entries| entries.next().is_some())))
}

/// Where the toolchain keeps its libraries for a target, or for itself; nothing of a target that it does not know.
fn libdir(target: Option<&str>) -> Result<Option<PathBuf>> {
    let mut rustc = rustc();
    rustc.args(["--print", "target-libdir"]);
    if let Some(target) = target {
        rustc.args(["--target", target]);
    }
    let output = rustc.output().context("running rustc")?;
    let libdir = String::from_utf8_lossy(&output.stdout).trim().into();
    Ok(output.status.success().then_some(libdir))
}

fn rustc_version() -> Result<String> {
    let output = rustc().arg("--version").output().context("running rustc")?;
    ensure!(output.status.success(), "rustc --version: {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().into())
}

fn rustc() -> Command {
    let mut command = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(workspace_root());
    command
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use codegen::{probe, targets};

    use super::*;

    fn host(name: &str) -> Host {
        Host::named(Some(name)).expect("a host")
    }

    #[test]
    fn flags_from_outside_do_not_replace_those_of_the_target() {
        let linker = Linker::Compiler("s390x-linux-gnu-gcc".into());
        let command = build_command(host("s390x"), "s390x-unknown-linux-gnu", Path::new("/target"), &linker);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
        let flags = arguments.iter().find(|argument| argument.contains("rustflags")).expect("flags");
        for flag in ["-Ctarget-feature=+crt-static", "-Crelocation-model=static", "=/registrar\"", "=/cargo\""] {
            assert!(flags.contains(flag), "{flags}");
        }
        for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            assert!(command.get_envs().any(|change| change == (OsStr::new(variable), None)), "{variable} is kept");
        }
    }

    #[test]
    fn each_table_is_compiled_apart() {
        assert_eq!(build_folder(None), target_dir());
        let folder = target_dir().join("fetch/x86_64");
        assert_eq!(build_folder(Some(&folder.join("table.rs"))), folder.join("cargo"));
    }

    #[test]
    fn only_a_static_program_of_the_host_passes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("program");
        let target = targets::by_qemu_name("s390x").expect("a target");
        let bytes = probe::executable(target, target.machines[0]).expect("a program");
        fs::write(&program, bytes).expect("writing the program");
        host("s390x").check_program(&program).expect("static, and the host's");
        let error = host("ppc64le").check_program(&program).expect_err("another machine's").to_string();
        assert!(error.starts_with("made for another machine"), "{error}");

        // This test is linked as most programs are.
        let this = env::current_exe().expect("this program");
        let error = Host::named(None).expect("this machine").check_program(&this).expect_err("dynamic").to_string();
        assert!(error.starts_with("dynamically linked (loaded by "), "{error}");
    }
}
