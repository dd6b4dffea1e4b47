//! `cargo xtask mirror`: a Fedora-shaped mirror of whatever static emulators the machine has, for tests and for
//! people without Fedora's servers. Made with the real `rpmbuild`, `rpmsign` and `createrepo_c`, signed with a
//! throwaway key.
//!
//! ```text
//! OUT/linux/releases/NN/Everything/ARCH/os/{Packages/q/*.rpm,repodata/}
//! OUT/linux/updates/NN/Everything/ARCH/{Packages/q/*.rpm,repodata/}
//! OUT/fedora.gpg     the key, armored
//! OUT/.key/          its secret half (it guards nothing), so that tests can sign more
//! OUT/.stamp         what all that was made of; written last
//! ```
//!
//! Here: what a mirror is, whether it is there already, and the order of the steps. The parts: [`emulators`] finds
//! them, [`spec`] says what the packages hold, `build` runs the tools, [`key`] signs, [`mod@serve`] is nginx.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::partial::{self, Partial};
use crate::progress;
use crate::system::{self, Tool};

mod build;
mod cli;
pub mod emulators;
pub mod key;
pub mod serve;
pub mod spec;

pub use cli::{MirrorArgs, run};
pub use emulators::Emulator;
pub use key::{Key, unsign};
pub use serve::{Server, serve};

/// What the updates repository holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Updates {
    /// An index and no packages
    #[default]
    Empty,
    /// The same packages with a lower release number
    Older,
    /// The same packages with a higher release number
    Newer,
}

impl Updates {
    /// Release number of its packages; those of the release repository have [`RELEASE_NUMBER`].
    fn release_number(self) -> Option<u32> {
        match self {
            Self::Empty => None,
            Self::Older => Some(RELEASE_NUMBER - 1),
            Self::Newer => Some(RELEASE_NUMBER + 1),
        }
    }
}

/// The `1` of `1.fc45`.
const RELEASE_NUMBER: u32 = 1;

/// What mirror to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub out: PathBuf,
    /// Fedora release that it takes the shape of.
    pub release: u32,
    /// Folder of the static emulators.
    pub emulators: PathBuf,
    /// Only these targets, by QEMU's names.
    pub targets: Option<Vec<String>>,
    /// Compression of the packages' payload, as rpm writes it.
    pub payload: String,
    /// Compression of the repository's index, as `createrepo_c` names it: `gz`, `xz`, `bz2`, and `zstd` where it can.
    pub metadata: String,
    /// What the updates repository holds.
    pub updates: Updates,
    /// Say nothing.
    pub quiet: bool,
}

impl Options {
    const RELEASE: u32 = 45;
    const EMULATORS: &str = "/usr/bin";
    const PAYLOAD: &str = "w19.zstdio";
    const METADATA: &str = "gz";

    /// All emulators of this machine, as Fedora packages them.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            release: Self::RELEASE,
            emulators: Self::EMULATORS.into(),
            targets: None,
            payload: Self::PAYLOAD.into(),
            metadata: Self::METADATA.into(),
            updates: Updates::Empty,
            quiet: false,
        }
    }

    /// A few emulators, quickly compressed and quietly: for tests.
    pub fn quick(out: impl Into<PathBuf>, targets: &[&str]) -> Self {
        let targets = Some(targets.iter().map(|&target| target.into()).collect());
        Self { targets, payload: "w1.zstdio".into(), quiet: true, ..Self::new(out) }
    }

    fn step<T>(&self, what: &str, work: impl FnOnce() -> T) -> T {
        if self.quiet { work() } else { progress::step(what, work) }
    }
}

/// A mirror on disk.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// What a server has as its root.
    pub root: PathBuf,
    /// Path of the release repository below the root, as it stands in URLs.
    pub repo_path: String,
    /// Path of the updates repository below the root.
    pub updates_path: String,
    /// The key that all packages are signed with.
    pub key: Key,
    /// The emulators that the packages hold.
    pub emulators: Vec<Emulator>,
    /// The architecture that they run on, by Fedora's name.
    pub host: &'static str,
    /// QEMU's version.
    pub version: String,
    /// Whether it was there already.
    pub reused: bool,
}

impl Mirror {
    /// The release repository: holds `repodata` and `Packages`.
    pub fn repo(&self) -> PathBuf {
        self.root.join(&self.repo_path)
    }

    /// The updates repository.
    pub fn updates(&self) -> PathBuf {
        self.root.join(&self.updates_path)
    }

    /// The package files of the release repository, sorted.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn packages(&self) -> Result<Vec<PathBuf>> {
        build::packages(&self.repo())
    }
}

/// Makes a mirror, or finds it made of the same already.
///
/// # Errors
/// The first failure, with what was being done; `out` is then as it was.
pub fn make(options: &Options) -> Result<Mirror> {
    let emulators = emulators::find(&options.emulators, options.targets.as_deref())?;
    let version = emulators::version(&emulators)?;
    let host = emulators::host(&emulators)?;
    let out = std::path::absolute(&options.out).context("finding the mirror's folder")?;
    let spec = spec::Spec {
        host: host.qemu,
        version: &version,
        fedora: options.release,
        payload: &options.payload,
        families: spec::families(&emulators),
    };
    let repository = |kind: &str, end: &str| format!("linux/{kind}/{}/Everything/{}{end}", options.release, host.qemu);
    let (repo_path, updates_path) = (repository("releases", "/os"), repository("updates", ""));
    let stamp = stamp(options, &emulators, &spec);

    // Held until it is in place, so that tests may share a mirror.
    let _lock = partial::lock(&out)?;
    let reused = fs::read_to_string(out.join(STAMP)).is_ok_and(|made_of| made_of == stamp);
    if !reused {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+~@:,=".contains(&byte);
        ensure!(
            out.as_os_str().as_encoded_bytes().iter().copied().all(plain),
            "rpmbuild cannot work in {}, a path with spaces or quotes; name another folder with --out",
            out.display()
        );
        system::require(&[Tool::RPMBUILD, Tool::RPMSIGN, Tool::CREATEREPO_C, Tool::GPG])?;
        let partial = Partial::begin(&out, |out| out.join(STAMP).is_file())?;
        let root = partial.path();
        let key = options.step("making a throwaway key", || Key::generate(root, KEY_NAME, KEY_BITS))?;
        let size: u64 = emulators.iter().map(|emulator| emulator.size).sum();
        let repositories = [(&repo_path, Some(RELEASE_NUMBER)), (&updates_path, options.updates.release_number())];
        for (path, number) in repositories {
            let repo = root.join(path);
            if let Some(number) = number {
                let what =
                    format!("packaging {} emulators, {} MB, {}", emulators.len(), size / 1_000_000, options.payload);
                options.step(&what, || build::packages_into(&repo, &spec, number))?;
                options.step("signing", || key.sign(&build::packages(&repo)?))?;
            }
            options.step(&format!("indexing {path}"), || build::index(&repo, &options.metadata))?;
        }
        fs::write(root.join(STAMP), stamp).context("writing the mirror's stamp")?;
        partial.finish()?;
    }
    let key = Key::load(&out)?;
    Ok(Mirror { root: out, repo_path, updates_path, key, emulators, host: host.qemu, version, reused })
}

/// Name and size of the mirror's key; Fedora's are RSA-4096.
const KEY_NAME: &str = "Throwaway key of a local test mirror <mirror@localhost.invalid>";
const KEY_BITS: u32 = 4096;

/// File that says what a mirror was made of.
const STAMP: &str = ".stamp";

/// Raised when the same inputs make another mirror, in what the spec file does not show.
const LAYOUT: u32 = 1;

/// All that a mirror depends on, as text.
fn stamp(options: &Options, emulators: &[Emulator], spec: &spec::Spec<'_>) -> String {
    let mut text = format!(
        "made by cargo xtask mirror, layout {LAYOUT}, of\nmetadata {}, updates {:?}\n{}",
        options.metadata,
        options.updates,
        spec.text(RELEASE_NUMBER, Path::new("STAGE"))
    );
    for emulator in emulators {
        text.push_str(&format!("{} {} {}\n", emulator.path.display(), emulator.size, emulator.modified));
        for (name, conf) in spec::confs(&emulator.target, spec.host) {
            text.push_str(&format!("{name} {conf}\n"));
        }
    }
    text
}
