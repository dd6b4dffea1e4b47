//! The command line of `cargo xtask mirror`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use codegen::targets;

use crate::serve::Interrupts;
use crate::{Keyring, Kind, Mirror, Options, Rpm, Updates, make, serve};
use test_groups::tools;
use xtask::say;
use xtask::system::host::Host;
use xtask::workspace;

/// Options of `cargo xtask mirror`.
#[derive(Debug, clap::Args)]
pub struct MirrorArgs {
    /// Where to make it [default: mirror/ in the workspace]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// What it holds of Fedora
    #[arg(long, value_enum, default_value_t)]
    kind: Kind,
    /// Fedora release that it takes the shape of; for rawhide, the one that it will be
    #[arg(long, value_name = "NN", default_value_t = Options::RELEASE)]
    release: u32,
    /// Folders of static emulators, this machine's or another's: one for each host that there are to be packages for
    #[arg(long, value_name = "DIR", num_args = 1.., default_value = Options::EMULATORS)]
    emulators: Vec<PathBuf>,
    /// Only these architectures, by any of their names
    #[arg(long, value_name = "ARCH", num_args = 1.., value_delimiter = ',')]
    target: Vec<String>,
    /// Compression of the packages' payload, as rpm writes it; Fedora's takes minutes, w3.zstdio seconds
    #[arg(long, value_name = "MODE", default_value = Options::PAYLOAD)]
    payload: String,
    /// Compression of the repository's index, as createrepo_c names it
    #[arg(long, value_name = "TYPE", default_value = Options::METADATA)]
    metadata: String,
    /// What the updates repository holds
    #[arg(long, value_enum, default_value_t)]
    updates: Updates,
    /// What fedora.gpg is
    #[arg(long, value_enum, default_value_t)]
    keyring: Keyring,
    /// Folder in which the packages of a distribution with rpm 6 are unpacked (Debian sid's `rpm` and what it depends on): it
    /// makes the packages, in format 6
    #[arg(long, value_name = "DIR")]
    rpm: Option<PathBuf>,
    /// Serve it on 127.0.0.1 until interrupted
    #[arg(long)]
    serve: bool,
    /// Port to serve it on
    #[arg(long, default_value_t = 8045)]
    port: u16,
}

/// Runs `cargo xtask mirror`.
///
/// # Errors
/// The first failure, with what was being done.
pub fn run(args: &MirrorArgs) -> Result<()> {
    if args.emulators.iter().any(|folder| folder == Path::new(Options::EMULATORS)) {
        tools::require(&[tools::EMULATORS])?;
    }
    let mirror = make(&Options {
        out: args.out.clone().unwrap_or_else(|| workspace::workspace_root().join("mirror")),
        kind: args.kind,
        release: args.release,
        emulators: args.emulators.clone(),
        targets: targets(&args.target),
        payload: args.payload.clone(),
        metadata: args.metadata.clone(),
        updates: args.updates,
        keyring: args.keyring,
        rpm: Rpm { root: args.rpm.clone() },
        quiet: false,
    })?;
    let made = if mirror.reused { "is up to date" } else { "made" };
    for tree in &mirror.trees {
        let repo = mirror.root.join(&tree.repo_path);
        say!("{} {made}: {} emulators of QEMU {}", repo.display(), tree.emulators.len(), tree.version);
    }
    say!("key {} in {}", mirror.key.fingerprint, mirror.key.public.display());
    if !args.serve {
        say!("next: {}", from_folder(&mirror));
        return Ok(());
    }
    let interrupts = Interrupts::block()?;
    let server = serve::serve_on(&mirror.root, args.port)?;
    say!("serving {} until interrupted", server.url(""));
    say!("next: {}", from_servers(&mirror, &server.url(""), &args.kind.name(args.release)));
    interrupts.wait()
}

/// QEMU's names of what a user has named; a name that nobody knows stays, and is not found.
fn targets(names: &[String]) -> Option<Vec<String>> {
    let name = |name: &String| targets::by_any_name(name).map_or(name.as_str(), |target| target.qemu).to_owned();
    (!names.is_empty()).then(|| names.iter().map(name).collect())
}

/// The command that builds from the mirror's folder.
fn from_folder(mirror: &Mirror) -> String {
    let (repo, key) = (mirror.repo(), &mirror.key.public);
    format!("cargo xtask fetch-and-build --source {} --key {}{}", repo.display(), key.display(), hosts(mirror))
}

/// The command that builds from the mirror as it would from Fedora's servers.
fn from_servers(mirror: &Mirror, url: &str, release: &str) -> String {
    format!(
        "cargo xtask fetch-and-build --source fedora --servers {} --release {release} --fingerprint {}{}",
        url.trim_end_matches('/'),
        mirror.key.fingerprint,
        hosts(mirror)
    )
}

/// The option that names the hosts, where it is not this machine alone.
fn hosts(mirror: &Mirror) -> String {
    let hosts: Vec<_> = mirror.trees.iter().map(|tree| tree.host).collect();
    let this_machine = Host::named(None).is_ok_and(|machine| hosts == [machine.name]);
    if this_machine { String::new() } else { format!(" --host {}", hosts.join(",")) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{MirrorArgs, targets};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: MirrorArgs,
    }

    #[test]
    fn targets_go_by_any_name_in_words_or_with_commas() {
        for (line, expected) in [
            ("mirror", None),
            ("mirror --target arm64,s390x", Some(&["aarch64", "s390x"][..])),
            ("mirror --target linux/arm64 ppc64el --serve", Some(&["aarch64", "ppc64le"])),
            ("mirror --target arm64 --target pdp11", Some(&["aarch64", "pdp11"])),
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
            let found = targets(&cli.args.target);
            let found = found.as_ref().map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref(), expected, "{line}");
        }
    }
}
