//! Files from a folder or from web servers, into a cache; the only place that reaches the network for packages.
//!
//! What a file must be (length, SHA-256) is checked while it arrives, and again each time that it is taken from the
//! cache; whether that can be trusted is the caller's business. Here: which server is asked when, and what is kept. One
//! attempt is `http`'s, what has arrived of a file is `part`'s, and what a failure means stands in `failure`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::digest::Sha256;
use crate::progress::{Transfer, Transfers};
use crate::repo::Promise;

use failure::Kind;
use http::{Answer, Client, Validators};
use mirrors::Down;
use part::Part;

mod failure;
mod http;
mod location;
mod mirrors;
mod part;

pub use failure::{Missing, NotCached, Unreachable};
pub use location::Location;
pub use mirrors::Mirrors;

/// Longest metadata file that is taken without a promise of its size, in bytes; `repomd.xml` has about 6,000, a metalink
/// 60,000, Fedora's list of releases 250,000.
const LONGEST_UNPROMISED: u64 = 16 << 20;

/// How often all servers are asked for a file before it is given up.
const ROUNDS: u32 = 3;

/// The wait before the second round; it doubles for each further one, and is up to half as long again, by chance, so
/// that many builds which failed together do not come back together.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a file stays in the cache that nobody asks for.
const LONGEST_KEPT: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of what is kept.
    pub cache: PathBuf,
    /// Give only what is there.
    pub offline: bool,
    /// Ask again, however recently that was done.
    pub refresh: bool,
    /// How long a server may take to accept a connection, to begin its answer, and be silent.
    pub timeout: Duration,
    /// Say how each file was proven.
    pub verbose: bool,
}

/// Fetches files and keeps them.
#[derive(Debug)]
pub struct Fetcher {
    client: Client,
    options: Options,
    down: Down,
}

/// What is known of a small file that is kept: beside its bytes, as JSON.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    sha256: Sha256,
    validators: Validators,
}

impl Fetcher {
    /// Keeps files as `options` say.
    pub fn new(options: Options) -> Self {
        Self { client: Client::new(options.timeout), options, down: Down::default() }
    }

    /// Whether the network may not be used.
    pub fn is_offline(&self) -> bool {
        self.options.offline
    }

    /// Whether to ask again what was asked recently.
    pub fn is_refreshing(&self) -> bool {
        self.options.refresh
    }

    /// Tells whoever wants to know that something was proven, and by what.
    pub fn proven(&self, what: &str) {
        if self.options.verbose {
            eprintln!("proven: {what}");
        }
    }

    /// A small file whose content nothing promises, such as a metalink. The server is asked each time whether it still
    /// is as it was, unless offline.
    ///
    /// # Errors
    /// If it cannot be had, or is larger than any such file.
    pub fn metadata(&self, location: &Location, relative: &str) -> Result<Vec<u8>> {
        let name = location.of(relative);
        match location {
            Location::Folder(folder) => read_small(&folder.join(relative)).with_context(|| format!("reading {name}")),
            Location::Url(_) if self.options.offline => self.kept(&name).ok_or_else(|| NotCached(name).into()),
            Location::Url(_) => self.ask_small(&name).with_context(|| format!("fetching {name}")),
        }
    }

    /// What is kept of a small file, without asking anybody.
    pub fn kept_metadata(&self, location: &Location, relative: &str) -> Option<Vec<u8>> {
        self.kept(&location.of(relative))
    }

    fn kept(&self, url: &str) -> Option<Vec<u8>> {
        Some(self.kept_with_validators(url)?.0)
    }

    fn kept_with_validators(&self, url: &str) -> Option<(Vec<u8>, Validators)> {
        let path = self.metadata_path(url);
        let kept: Kept = serde_json::from_slice(&fs::read(path.with_extension("json")).ok()?).ok()?;
        let bytes = read_small(&path).ok()?;
        (kept.url == url && kept.sha256 == Sha256::of(&bytes)).then_some((bytes, kept.validators))
    }

    fn metadata_path(&self, url: &str) -> PathBuf {
        self.options.cache.join("metadata").join(Sha256::of(url.as_bytes()).to_string())
    }

    fn ask_small(&self, url: &str) -> Result<Vec<u8>> {
        let kept = self.kept_with_validators(url);
        let known = kept.as_ref().map(|(_, validators)| validators);
        let mut round = 0;
        let answer = loop {
            round += 1;
            match self.client.small(url, LONGEST_UNPROMISED, known) {
                Ok(answer) => break answer,
                // Where nobody is, another source may be: that is to be known soon.
                Err(failure) if failure.kind == Kind::Passing && round < ROUNDS => {
                    thread::sleep(pause(round, failure.retry_after));
                }
                Err(failure) => return Err(failure.cause),
            }
        };
        match (answer, kept) {
            (Answer::Bytes(bytes, validators), _) => {
                let path = self.metadata_path(url);
                let kept = Kept { url: url.to_owned(), sha256: Sha256::of(&bytes), validators };
                write(&path, &bytes)?;
                write(&path.with_extension("json"), &serde_json::to_vec(&kept).context("writing to the cache")?)?;
                Ok(bytes)
            }
            (Answer::Unchanged, Some((bytes, _))) => Ok(bytes),
            (Answer::Unchanged, None) => bail!("the server says that it is unchanged, of a file that was never had"),
        }
    }

    /// Where a promised file is kept.
    fn path(&self, relative: &str, promise: &Promise) -> PathBuf {
        let base = relative.rsplit('/').next().unwrap_or(relative);
        self.options.cache.join("files").join(format!("{}-{base}", promise.sha256))
    }

    /// A promised file of the cache, if it is there and still what was promised.
    pub fn cached(&self, relative: &str, promise: &Promise) -> Option<PathBuf> {
        let path = self.path(relative, promise);
        let file = File::open(&path).ok()?;
        if Sha256::of_reader(&file).ok()? != promise.sha256 {
            return None;
        }
        // That it is still wanted. If that cannot be noted, it is fetched again some day.
        let _ = file.set_modified(SystemTime::now());
        Some(path)
    }

    /// Removes from the cache what no run has wanted for long: whoever builds each week would keep every build of QEMU.
    pub fn forget_old(&self) {
        for folder in ["files", "metadata"] {
            for entry in fs::read_dir(self.options.cache.join(folder)).into_iter().flatten().flatten() {
                let modified = entry.metadata().and_then(|metadata| metadata.modified());
                let age = modified.ok().and_then(|time| time.elapsed().ok());
                if age.is_some_and(|age| age > LONGEST_KEPT) {
                    // Another run may have removed it; and what is left takes space, no more.
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    /// A file whose content is promised. One of a folder is not copied; one in the cache is used if it still is what
    /// was promised; else the mirrors are asked, until one gives it.
    ///
    /// # Errors
    /// If it cannot be had or is something else.
    pub fn file(&self, mirrors: &Mirrors, relative: &str, promise: &Promise, transfers: &Transfers) -> Result<PathBuf> {
        let name = mirrors.first().of(relative);
        if let Location::Folder(folder) = mirrors.first() {
            let path = folder.join(relative);
            check_in_place(&path, promise, &name)?;
            return Ok(path);
        }
        let transfer = transfers.one(relative, promise.size);
        if let Some(path) = self.cached(relative, promise) {
            transfer.inc(promise.size);
            return Ok(path);
        }
        if self.options.offline {
            return Err(NotCached(name).into());
        }
        let path = self.path(relative, promise);
        let mut part = Part::open(&path, promise.size)?;
        // Another run may have finished it while this one waited.
        if let Some(path) = self.cached(relative, promise) {
            transfer.inc(promise.size);
            return Ok(path);
        }
        transfer.inc(part.length());
        self.ask_mirrors(mirrors, relative, promise, &mut part, &transfer)?;
        part.finish()?;
        Ok(path)
    }

    /// Asks one mirror after the other, several times over.
    fn ask_mirrors(
        &self,
        mirrors: &Mirrors,
        relative: &str,
        promise: &Promise,
        part: &mut Part,
        transfer: &Transfer,
    ) -> Result<()> {
        let mut round = 1;
        loop {
            let mut tried = Vec::new();
            let mut wait = None;
            let mut last = None;
            while let Some(index) = mirrors.next(&tried, &self.down) {
                tried.push(index);
                let location = mirrors.location(index);
                let url = location.of(relative);
                let others = tried.len() < mirrors.count();
                match self.client.rest(&url, promise, part, transfer, others) {
                    Ok(()) => {
                        mirrors.remember(index, true);
                        self.down.remember(location, true);
                        return Ok(());
                    }
                    Err(failure) => {
                        let (may_pass, cause) = (failure.may_pass(), failure.cause);
                        match failure.kind {
                            Kind::Here => return Err(cause).with_context(|| format!("fetching {url}")),
                            Kind::Missing => {}
                            Kind::Unreachable | Kind::Passing => self.down.remember(location, false),
                            Kind::Wrong => mirrors.remember(index, false),
                        }
                        if may_pass {
                            wait = wait.max(Some(failure.retry_after.unwrap_or_default()));
                        }
                        last = Some(cause.context(format!("fetching {url}")));
                    }
                }
            }
            match (wait, last) {
                (Some(wait), _) if round < ROUNDS => thread::sleep(pause(round, Some(wait))),
                (_, Some(last)) if tried.len() > 1 => {
                    return Err(last.context(format!("none of {} mirrors gives {relative}", tried.len())));
                }
                (_, Some(last)) => return Err(last),
                (_, None) => bail!("nobody to ask for {relative}"),
            }
            round += 1;
        }
    }
}

/// How long to wait before the next round.
fn pause(round: u32, asked: Option<Duration>) -> Duration {
    let pause = PAUSE * 2_u32.saturating_pow(round - 1);
    pause.mul_f64(1.0 + fastrand::f64() / 2.0).max(asked.unwrap_or_default())
}

/// A file of a folder is not copied, so it is checked where it is.
fn check_in_place(path: &Path, promise: &Promise, name: &str) -> Result<()> {
    let context = || format!("reading {name}");
    let file = File::open(path).with_context(context)?;
    let size = file.metadata().with_context(context)?.len();
    let sha256 = Sha256::of_reader(file).with_context(context)?;
    if (size, &sha256) == (promise.size, &promise.sha256) { Ok(()) } else { Err(broken(name, promise, size, &sha256)) }
}

fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST_UNPROMISED + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_UNPROMISED {
        return Err(io::Error::other(format!("more than {LONGEST_UNPROMISED} bytes, which no such file has")));
    }
    Ok(bytes)
}

/// Writes a small file of the cache, whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = Part::open(path, 0)?;
    part.write(bytes)?;
    part.finish()
}

/// What to say of a file that is not what its repository promised.
pub fn broken(name: &str, promise: &Promise, size: u64, sha256: &Sha256) -> anyhow::Error {
    if size < promise.size {
        anyhow!("{name} is truncated: {size} of {} bytes; fetch it again", promise.size)
    } else if size > promise.size {
        anyhow!("{name} is longer than the {} bytes that its repository promises; do not use it", promise.size)
    } else {
        anyhow!(
            "{name} is not what its repository promises: SHA-256 {sha256} instead of {}; do not use it",
            promise.sha256
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_wants_for_long_is_forgotten() {
        let cache = tempfile::tempdir().expect("a temporary folder");
        let options =
            Options { cache: cache.path().into(), offline: true, refresh: false, timeout: PAUSE, verbose: false };
        let fetcher = Fetcher::new(options);
        let file = |text: &str| {
            let promise = Promise { sha256: Sha256::of(text.as_bytes()), size: text.len() as u64 };
            let path = fetcher.path("Packages/a.rpm", &promise);
            write(&path, text.as_bytes()).expect("a file of the cache");
            let long_ago = SystemTime::now() - LONGEST_KEPT * 2;
            File::options().append(true).open(&path).and_then(|file| file.set_modified(long_ago)).expect("its age");
            (promise, path)
        };
        let ((_, forgotten), (wanted, kept)) = (file("old"), file("old, and wanted"));
        assert_eq!(fetcher.cached("Packages/a.rpm", &wanted), Some(kept.clone()));
        fetcher.forget_old();
        assert!(kept.exists() && !forgotten.exists());
    }
}
