//! Where packages come from. Each source ends with package files on this machine, and what verifies them.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::download::{Fetcher, Location};
use crate::repo::resolved_package::ResolvedPackage;
use crate::source::lock::{Lock, Locked};
use crate::system::host::Host;
use crate::verify::package::Package;
use crate::verify::{Keys, Trust};

use fedora::Koji;
use repository::Repository;

mod apt;
mod directory;
mod fedora;
pub mod keyring_rpm;
pub(crate) mod lock;
mod repository;

pub(crate) use fedora::parse_wanted;
pub use fedora::{KEYS, NEWEST_KNOWN, Release};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Fedora, or, where it cannot be reached at all, the machine's own packages.
    Auto,
    Fedora,
    /// Debian's or Ubuntu's static emulators, through apt.
    Apt,
    Repository(Location),
}

impl Source {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        Ok(match text {
            "auto" => Self::Auto,
            "fedora" => Self::Fedora,
            "apt" => Self::Apt,
            location => Self::Repository(Location::from_user(location)?),
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) source: Source,
    /// Whether [`Source::Auto`] may take other packages than Fedora's.
    pub(crate) may_fall_back: bool,
    pub(crate) host: Host,
    /// QEMU's names of the wanted targets; all if empty.
    pub(crate) targets: Vec<String>,
    pub(crate) keys: Vec<PathBuf>,
    /// Fingerprints of keys that Fedora publishes, in place of the pinned ones.
    pub(crate) fingerprints: Vec<String>,
    /// Whether the user typed that no signature is wanted.
    pub(crate) no_signature: bool,
    /// The newest stable one if none is named.
    pub(crate) release: Option<Release>,
    /// Where Fedora's repositories are, in place of the mirrors that a metalink lists.
    pub(crate) mirror: Option<Location>,
    /// A stand-in for all of Fedora's servers.
    pub(crate) fedora_base_url: Option<String>,
    pub(crate) locked: bool,
    pub(crate) lock: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Fetched {
    /// Where they come from, in words that the image carries.
    pub(crate) origin: String,
    pub(crate) packages: Vec<Package>,
    pub(crate) trust: Trust,
}

/// Packages that are known, and not fetched.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Where they come from, in words that the image carries.
    pub(crate) origin: String,
    /// Fedora's release; none for another repository.
    pub(crate) release: Option<Release>,
    pub(crate) packages: Vec<ResolvedPackage>,
    repositories: Vec<Repository>,
    koji: Option<Koji>,
}

pub(crate) fn plan(request: &Request, fetcher: &Fetcher) -> Result<Plan> {
    if request.locked {
        return locked(request, fetcher);
    }
    match &request.source {
        Source::Auto | Source::Fedora => fedora::plan(fedora::contact(request, fetcher)?, request, fetcher),
        Source::Apt => {
            bail!("apt knows only the newest package of each name; only RPM repositories can be looked into")
        }
        Source::Repository(Location::Folder(folder)) if !folder.join("repodata").exists() => {
            bail!("{} holds no RPM repository (repodata)", folder.display())
        }
        Source::Repository(location) => {
            let repositories = vec![repository::of_location(location)];
            let packages = repository::resolve(&repositories, request.host.name, fetcher)?;
            Ok(Plan { origin: location.name(), release: None, repositories, packages, koji: None })
        }
    }
}

fn locked(request: &Request, fetcher: &Fetcher) -> Result<Plan> {
    let Locked { origin, release, packages } = Lock::of_host(&request.lock, request.host.name)?;
    let file = request.lock.display();
    match (&request.source, release) {
        (Source::Auto | Source::Fedora, Some(release)) => {
            let release = release.parse().with_context(|| format!("reading {file}"))?;
            if let Some(wanted) = request.release {
                ensure!(wanted == release, "{file} holds Fedora {release}; leave out --release, or --locked");
            }
            fedora::locked(release, packages, request, fetcher)
        }
        (Source::Repository(location), None) if location.name() == origin => {
            let repositories = vec![repository::of_location(location)];
            Ok(Plan { origin, release: None, repositories, packages, koji: None })
        }
        _ => bail!("{file} holds packages of {origin}; name that with --source, or leave out --locked"),
    }
}

impl Plan {
    fn fetch(self, request: &Request, fetcher: &Fetcher) -> Result<Fetched> {
        // Keys before packages: they are small, and without them the download is in vain.
        let trust = match self.release {
            Some(release) => fedora::trust(release, &self.repositories, request, fetcher)?,
            None => request.trust()?,
        };
        let packages = repository::fetch(&self, request, fetcher)?;
        Ok(Fetched { origin: self.origin, packages, trust })
    }
}

/// The packages of a request, not downloaded yet.
pub(crate) enum Resolution {
    Repositories(Box<Plan>),
    Directory(Fetched),
    Apt(apt::Plan),
}

/// Finds out which packages are the newest, or reads `fetch.lock`.
pub(crate) fn resolve(request: &Request, fetcher: &Fetcher) -> Result<Resolution> {
    let plan = match &request.source {
        Source::Auto if !request.is_of_fedora() => match patiently(|| fedora::contact(request, fetcher), fetcher) {
            // Once Fedora has answered, a failure is no reason to take another distribution's packages.
            Ok(release) => fedora::plan(release, request, fetcher)?,
            Err(error) if fedora::is_out_of_reach(&error) => return fall_back(request, fetcher, error),
            Err(error) => return Err(error),
        },
        Source::Apt => return apt::resolve(request, fetcher).map(Resolution::Apt),
        Source::Repository(Location::Folder(folder)) if !request.locked && !folder.join("repodata").exists() => {
            return directory::packages(folder, request.trust()?).map(Resolution::Directory);
        }
        _ => plan(request, fetcher)?,
    };
    if !request.locked {
        let locked = Lock::read(&request.lock).ok().flatten().and_then(|mut lock| lock.hosts.remove(request.host.name));
        if locked.is_some_and(|locked| locked.packages != plan.packages) {
            let lock = request.lock.display();
            eprintln!(
                "note: {lock} holds other packages; --locked takes those, `cargo xtask update` shows the difference"
            );
        }
    }
    Ok(Resolution::Repositories(Box::new(plan)))
}

/// Downloads packages, each with the digest that its repository lists.
pub(crate) fn download(resolution: Resolution, request: &Request, fetcher: &Fetcher) -> Result<Fetched> {
    match resolution {
        Resolution::Repositories(plan) => plan.fetch(request, fetcher),
        Resolution::Directory(fetched) => Ok(fetched),
        Resolution::Apt(plan) => plan.download(fetcher),
    }
}

/// How long Fedora is asked again before other packages are used: a network that comes up takes seconds.
const PATIENCE: Duration = Duration::from_secs(8);

const PAUSE: Duration = Duration::from_secs(1);

/// Tries until Fedora is within reach, or [`PATIENCE`] is over.
fn patiently<T>(attempt: impl Fn() -> Result<T>, fetcher: &Fetcher) -> Result<T> {
    let (begun, mut pause) = (Instant::now(), PAUSE);
    loop {
        match attempt() {
            Err(error) if fedora::is_out_of_reach(&error) && !fetcher.options.offline => {
                if begun.elapsed() + pause > PATIENCE {
                    return Err(error);
                }
                if pause == PAUSE {
                    eprintln!("Fedora cannot be reached; asking again for {} s", PATIENCE.as_secs());
                }
                thread::sleep(pause);
                pause *= 2;
            }
            result => return result,
        }
    }
}

/// The machine's own packages, loudly.
fn fall_back(request: &Request, fetcher: &Fetcher, error: anyhow::Error) -> Result<Resolution> {
    if !request.may_fall_back {
        bail!(
            "{error:#}; in CI (the variable CI is set) no other distribution's packages are taken for Fedora's unless \
             that is typed: --source auto, or --source apt for this machine's"
        );
    }
    if !request.keys.is_empty() {
        return Err(error.context("packages that --key has signed"));
    }
    if !apt::is_here() {
        bail!(
            "{error:#}; and there is no apt-get to take this machine's packages with. \
             Check the network, or name a source: --source DIR or URL"
        );
    }
    fetcher.warn(&format!("Fedora's packages cannot be had ({error:#})"));
    fetcher.warn("taking this distribution's own qemu-user-static through apt; --source fedora forbids that");
    apt::resolve(request, fetcher).map(Resolution::Apt)
}

impl Request {
    /// Whether it says something that only Fedora can give.
    fn is_of_fedora(&self) -> bool {
        self.locked || self.release.is_some() || self.mirror.is_some() || !self.fingerprints.is_empty()
    }

    /// Whose word is taken for packages of a place that the user named.
    fn trust(&self) -> Result<Trust> {
        match (self.keys.as_slice(), self.no_signature) {
            ([], true) => Ok(Trust::NoSignature),
            ([], false) => bail!(
                "packages of a folder or URL need a key that signed them: --key FILE; \
                 or type --no-signature to trust digests alone"
            ),
            (keys, _) => Ok(Trust::Keys(Keys::from_files(keys)?)),
        }
    }
}
