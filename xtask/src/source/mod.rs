//! Where packages come from. Each source ends with package files on this machine, and with whose word is taken for them.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::download::{Fetcher, Location, NotCached, Unreachable};
use crate::host::Host;
use crate::package::Package;
use crate::verify::{Keys, Trust};

mod apt;
mod fedora;
mod folder;
mod repository;

/// What a user may name as a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Fedora, or, where it cannot be reached at all, the machine's own packages.
    Auto,
    /// Fedora's servers, nothing else.
    Fedora,
    /// Debian's or Ubuntu's `qemu-user-static`, through apt.
    Apt,
    /// A folder of RPM files, or a folder or URL with an RPM repository.
    Place(Location),
}

impl Source {
    /// From the command line.
    ///
    /// # Errors
    /// Never; the form that clap wants.
    pub fn parse(text: &str) -> Result<Self, std::convert::Infallible> {
        Ok(match text {
            "auto" => Self::Auto,
            "fedora" => Self::Fedora,
            "apt" => Self::Apt,
            place => Self::Place(Location::parse(place)),
        })
    }
}

/// What is wanted, from whom, and how it is to be proven.
#[derive(Debug)]
pub struct Request {
    /// Where to look.
    pub source: Source,
    /// The machine that the emulators run on.
    pub host: Host,
    /// QEMU's names of the wanted targets; all if empty.
    pub targets: Vec<String>,
    /// Files of public keys.
    pub keys: Vec<PathBuf>,
    /// Whether the user typed that no signature is wanted.
    pub no_signature: bool,
    /// A stand-in for all of Fedora's servers.
    pub servers: Option<String>,
}

/// Packages on this machine.
#[derive(Debug)]
pub struct Fetched {
    /// Where they come from, in words that the image carries.
    pub origin: String,
    /// The files.
    pub packages: Vec<Package>,
    /// Whose word is taken.
    pub trust: Trust,
}

/// Gets the packages that `request` asks for.
///
/// # Errors
/// If they cannot be had, or are not what their repository promises.
pub fn fetch(request: &Request, fetcher: &Fetcher) -> Result<Fetched> {
    match &request.source {
        Source::Auto => match fedora::releases(request, fetcher) {
            // What goes wrong once Fedora has answered is a failure, and no reason to take other packages.
            Ok(list) => fedora::fetch(&list, request, fetcher),
            Err(error) if error.chain().any(|cause| cause.is::<Unreachable>() || cause.is::<NotCached>()) => {
                fall_back(request, fetcher, error)
            }
            Err(error) => Err(error),
        },
        Source::Fedora => fedora::fetch(&fedora::releases(request, fetcher)?, request, fetcher),
        Source::Apt => {
            ensure!(
                request.keys.is_empty() && !request.no_signature,
                "apt verifies packages with this machine's own keys; leave out --key and --no-signature"
            );
            apt::fetch(request, fetcher)
        }
        Source::Place(Location::Folder(folder)) if !folder.join("repodata").exists() => {
            let trust = request.trust()?;
            folder::fetch(folder, trust)
        }
        Source::Place(location) => {
            let trust = request.trust()?;
            let packages = repository::fetch(std::slice::from_ref(location), request, fetcher)?;
            Ok(Fetched { origin: location.of("").trim_end_matches('/').to_owned(), packages, trust })
        }
    }
}

/// The machine's own packages, loudly.
fn fall_back(request: &Request, fetcher: &Fetcher, error: anyhow::Error) -> Result<Fetched> {
    if !request.keys.is_empty() {
        return Err(error.context("packages that --key has signed"));
    }
    if !apt::is_here() {
        bail!(
            "{error:#}; and there is no apt-get to take this machine's packages with. \
             Check the network, or name a source: --source DIR or URL"
        );
    }
    eprintln!("warning: Fedora's packages cannot be had ({error:#})");
    eprintln!("warning: taking this distribution's own qemu-user-static through apt; --source fedora forbids that");
    apt::fetch(request, fetcher)
}

impl Request {
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
