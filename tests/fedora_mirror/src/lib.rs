//! `cargo xtask mirror`: a Fedora-shaped mirror of whatever static emulators the machine has, for tests and for
//! people without Fedora's servers. Made with the real `rpmbuild`, `rpmsign` and `createrepo_c`, signed with a
//! throwaway key.
//!
//! It stands in for all of Fedora's servers at once, with their paths (`layout`): below [`Mirror::root`]
//!
//! ```text
//! pub/fedora/linux/releases/NN/Everything/ARCH/os/{Packages/{q,f}/*.rpm,repodata/}
//! pub/fedora/linux/updates/NN/Everything/ARCH/{Packages/q/*.rpm,repodata/}
//! pub/fedora/linux/development/rawhide/…     in place of both, for rawhide
//! pub/fedora-secondary/…                     in place of pub/fedora/linux, for ppc64le and s390x
//! pub/archive/fedora/linux/… and pub/archive/fedora-secondary/…     for a past release
//! releases.json      the supported releases
//! key.asc            the key, armored, for --key; also in the release's package fedora-gpg-keys
//! fedora.gpg         the key among others, as a binary keyring
//! .key/              its secret half (it guards nothing), so that tests can sign more
//! .stamp             what all that was made of; written last
//! ```
//!
//! and, where it is served, `metalink?repo=fedora-NN&arch=x86_64`.
//!
//! Here: what a mirror is, whether it is there already, and the order of the steps. The parts: [`emulators`] finds
//! them, `tree` makes one host's repositories, [`spec`] says what the packages hold and `gpg_keys` what the key's
//! holds, `build` and `index` run the tools, [`key`] signs, [`mod@serve`] serves it by [`server`], [`metalink`] is what
//! that says of mirrors.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use test_groups::tools;
use xtask::output::progress;
use xtask::workspace::atomic_dir::{self, StagedDir};

mod build;
mod cli;
pub mod emulators;
mod gpg_keys;
mod index;
pub mod key;
pub mod layout;
pub mod metalink;
mod rpm;
pub mod serve;
pub mod server;
pub mod spec;
mod tree;

pub use cli::{MirrorArgs, run};
pub use emulators::Emulator;
pub use key::{Key, unsign};
pub use layout::Kind;
pub use rpm::Rpm;
pub use serve::serve;
pub use server::{Certificate, Server};
pub use tree::Tree;

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

/// What `fedora.gpg` is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Keyring {
    /// Packets as they are, as Fedora publishes it: `gpgv --keyring ./fedora.gpg` is Fedora's own instruction, and gpgv
    /// reads no armor. It begins with a key of a kind that is no longer made (DSA and ElGamal, bound with SHA-1, as
    /// Fedora's was up to release 10), and goes on after the one that is looked for
    #[default]
    Binary,
    /// The one key alone, in ASCII armor
    Armored,
}

impl Keyring {
    fn bytes(self, key: &Key) -> Result<Vec<u8>> {
        const DSA: &[u8] = include_bytes!("../../data/keys/dsa.gpg");
        const RSA: &[u8] = include_bytes!("../../data/keys/rsa.gpg");
        let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
        match self {
            Self::Binary => Ok([DSA, &read(&key.keyring)?, RSA].concat()),
            Self::Armored => read(&key.public),
        }
    }
}

/// The `1` of `1.fcNN`.
const RELEASE_NUMBER: u32 = 1;

/// What mirror to make.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub out: PathBuf,
    /// What it holds of Fedora.
    pub kind: Kind,
    /// Fedora release that it takes the shape of; for rawhide, the one that it will be.
    pub release: u32,
    /// Folders of the static emulators: one for each host that there are to be packages for.
    pub emulators: Vec<PathBuf>,
    /// Only these targets, by QEMU's names.
    pub targets: Option<Vec<String>>,
    /// Compression of the packages' payload, as rpm writes it.
    pub payload: String,
    /// Compression of the repository's index, as `createrepo_c` names it: `gz`, `xz`, `bz2`, `zstd`.
    pub metadata: String,
    /// What the updates repository holds.
    pub updates: Updates,
    /// What `fedora.gpg` is.
    pub keyring: Keyring,
    /// What makes and signs the packages, and so their format.
    pub rpm: Rpm,
    /// Say nothing.
    pub quiet: bool,
}

impl Options {
    const RELEASE: u32 = xtask::source::NEWEST_KNOWN;
    const EMULATORS: &str = "/usr/bin";
    const PAYLOAD: &str = "w19.zstdio";
    /// Since release 42.
    const METADATA: &str = "zstd";

    /// All emulators of this machine, as Fedora packages them.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            kind: Kind::Release,
            release: Self::RELEASE,
            emulators: vec![Self::EMULATORS.into()],
            targets: None,
            payload: Self::PAYLOAD.into(),
            metadata: Self::METADATA.into(),
            updates: Updates::Empty,
            keyring: Keyring::Binary,
            rpm: Rpm::default(),
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

/// A mirror on disk. What can be of several hosts is, here, that of the first; [`Mirror::trees`] has all.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// What a server has as its root.
    pub root: PathBuf,
    /// Path of the release repository below the root, as it stands in URLs.
    pub repo_path: String,
    /// The key that all packages are signed with.
    pub key: Key,
    /// The emulators that the packages hold.
    pub emulators: Vec<Emulator>,
    /// The architecture that they run on, by Fedora's name.
    pub host: &'static str,
    /// QEMU's version.
    pub version: String,
    /// Each host's repositories and emulators.
    pub trees: Vec<Tree>,
    /// Whether it was there already.
    pub reused: bool,
}

impl Mirror {
    /// The release repository: holds `repodata` and `Packages`.
    pub fn repo(&self) -> PathBuf {
        self.root.join(&self.repo_path)
    }

    /// The updates repository; of rawhide, whose updates come into the same, that one.
    pub fn updates(&self) -> PathBuf {
        self.root.join(self.trees[0].updates_path.as_ref().unwrap_or(&self.repo_path))
    }

    /// The emulators' package files of the release repository, sorted.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub fn packages(&self) -> Result<Vec<PathBuf>> {
        build::packages(&self.repo())
    }

    fn new(root: PathBuf, key: Key, trees: Vec<Tree>, reused: bool) -> Result<Self> {
        let Tree { repo_path, host, emulators, version, .. } = trees.first().context("no emulators")?.clone();
        Ok(Self { root, repo_path, key, emulators, host, version, trees, reused })
    }
}

/// Makes a mirror, or finds it made of the same already.
///
/// # Errors
/// The first failure, with what was being done; `out` is then as it was.
pub fn make(options: &Options) -> Result<Mirror> {
    let trees = options.emulators.iter().map(|folder| Tree::new(folder, options)).collect::<Result<Vec<_>>>()?;
    let hosts: Vec<_> = trees.iter().map(|tree| tree.host).collect();
    let twice = hosts.iter().enumerate().find(|(index, host)| hosts[..*index].contains(host));
    ensure!(twice.is_none(), "two folders of emulators for one host: {}", hosts.join(", "));
    let out = std::path::absolute(&options.out).context("finding the mirror's folder")?;
    let stamp = stamp(options, &trees);

    // Held until it is in place, so that tests may share a mirror.
    let _lock = atomic_dir::lock(&out)?;
    let reused = fs::read_to_string(out.join(STAMP)).is_ok_and(|made_of| made_of == stamp);
    if !reused {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+~@:,=".contains(&byte);
        ensure!(
            out.as_os_str().as_encoded_bytes().iter().copied().all(plain),
            "rpmbuild cannot work in {}, a path with spaces or quotes; name another folder with --out",
            out.display()
        );
        tools::require(&[tools::RPMBUILD, tools::RPMSIGN, tools::CREATEREPO_C, tools::GPG])?;
        let staged = StagedDir::create(&out, |out| out.join(STAMP).is_file())?;
        let root = staged.path();
        let key = options.step("making a throwaway key", || Key::generate(root, KEY_NAME, KEY_BITS))?;
        let armored = fs::read_to_string(&key.public).context("reading the key")?;
        fs::write(root.join("fedora.gpg"), options.keyring.bytes(&key)?).context("writing fedora.gpg")?;
        let keys_spec = gpg_keys::spec(
            options.release,
            options.kind == Kind::Rawhide,
            &hosts,
            armored.trim(),
            options.rpm.format(),
        );
        for tree in &trees {
            tree.make(root, options, &key, &keys_spec)?;
        }
        let releases = options.kind.releases(options.release, &hosts).context("writing the list of releases")?;
        fs::write(root.join("releases.json"), releases).context("writing the list of releases")?;
        fs::write(root.join(STAMP), stamp).context("writing the mirror's stamp")?;
        staged.commit()?;
    }
    Mirror::new(out.clone(), Key::load(&out)?, trees, reused)
}

/// Name and size of the mirror's key; Fedora's are RSA-4096.
const KEY_NAME: &str = "Throwaway key of a local test mirror <mirror@localhost.invalid>";
const KEY_BITS: u32 = 4096;

/// File that says what a mirror was made of.
const STAMP: &str = ".stamp";

/// Raised when the same inputs make another mirror, in what the spec file does not show.
const LAYOUT: u32 = 3;

/// All that a mirror depends on, as text.
fn stamp(options: &Options, trees: &[Tree]) -> String {
    let mut text = format!(
        "made by cargo xtask mirror, layout {LAYOUT}, of\n{:?} {}, metadata {}, updates {:?}, keyring {:?}\n",
        options.kind, options.release, options.metadata, options.updates, options.keyring,
    );
    for tree in trees {
        text.push_str(&format!("{}\n", tree.host));
        text.push_str(&tree.spec(options).text(RELEASE_NUMBER, Path::new("STAGE")));
        for emulator in &tree.emulators {
            text.push_str(&format!("{} {} {}\n", emulator.path.display(), emulator.size, emulator.modified));
            for (name, conf) in spec::confs(&emulator.target, tree.host) {
                text.push_str(&format!("{name} {conf}\n"));
            }
        }
    }
    text
}
