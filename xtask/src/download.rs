//! Files from a folder or from web servers, into a cache. No other module reaches the network for packages.
//!
//! Length and digest are checked on arrival and at each use of the cache. This module chooses servers and retries;
//! `http` is one request, `cache` what is kept, `partial_download` a file on its way, `failure` what an error means.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use indicatif::ProgressBar;

use crate::verify::digest::ExpectedDigest;

use cache::{Cache, read_small};
use failure::{Failure, Kind};
use http::{Answer, Client};
use mirrors::UnhealthyHosts;
use partial_download::PartialDownload;

pub(crate) mod cache;
mod failure;
mod http;
mod location;
mod mirrors;
mod partial_download;

pub(crate) use failure::{Missing, NotCached, Unreachable};
pub(crate) use location::Location;
pub(crate) use mirrors::Mirrors;

/// Largest metadata file of unknown size, in bytes; Fedora's list of releases has 250,000.
const LONGEST_UNPROMISED: u64 = 16 << 20;

const ROUNDS: u32 = 3;

const MOST_ATTEMPTS: usize = 12;

/// Longer waits are printed.
const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// Wait before the second round. It doubles each round; a random half more keeps builds from retrying together.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) cache: PathBuf,
    pub(crate) offline: bool,
    pub(crate) refresh: bool,
    /// How long a server may take to accept a connection, to begin its answer, and be silent.
    pub(crate) timeout: Duration,
    pub(crate) verbose: bool,
}

#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    pub(crate) cache: Cache,
    pub(crate) options: Options,
    unhealthy: UnhealthyHosts,
    warnings: Mutex<Vec<String>>,
}

impl Fetcher {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            client: Client::new(options.timeout),
            cache: Cache::new(options.cache.clone()),
            options,
            unhealthy: UnhealthyHosts::default(),
            warnings: Mutex::default(),
        }
    }

    /// With `-v`, prints what was verified, and by what.
    pub(crate) fn log_verified(&self, what: &str) {
        if self.options.verbose {
            eprintln!("proven: {what}");
        }
    }

    pub(crate) fn warn(&self, what: &str) {
        eprintln!("warning: {what}");
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A metadata file without an expected digest, such as a metalink: by a conditional request, or from the cache if offline.
    pub(crate) fn fetch_unpinned(&self, location: &Location, relative: &str) -> Result<Vec<u8>> {
        let name = location.of(relative);
        match location {
            Location::Folder(folder) => read_small(&folder.join(relative)).with_context(|| format!("reading {name}")),
            Location::Url(_) if self.options.offline => {
                let kept = self.cache.small(&name).ok_or(NotCached(name))?;
                Ok(kept.0)
            }
            Location::Url(_) => self.fetch_small(&name).with_context(|| format!("fetching {name}")),
        }
    }

    fn fetch_small(&self, url: &str) -> Result<Vec<u8>> {
        let kept = self.cache.small(url);
        let known = kept.as_ref().map(|(_, validators)| validators);
        let mut round = 0;
        let answer = loop {
            round += 1;
            match self.client.fetch_small(url, LONGEST_UNPROMISED, known) {
                Ok(answer) => break answer,
                // An unreachable server is not asked again here: another source may answer.
                Err(failure) if failure.kind == Kind::Transient && round < ROUNDS => {
                    backoff(round, failure.retry_after);
                }
                Err(failure) => return Err(failure.cause),
            }
        };
        match (answer, kept) {
            (Answer::Bytes(bytes, validators), _) => {
                self.cache.keep(url, &bytes, validators)?;
                Ok(bytes)
            }
            (Answer::Unchanged, Some((bytes, _))) => Ok(bytes),
            (Answer::Unchanged, None) => bail!("the server says that it is unchanged, of a file that was never had"),
        }
    }

    /// A file with an expected digest: in its folder, from the cache, or from the first mirror that has it.
    pub(crate) fn file(
        &self,
        mirrors: &Mirrors,
        relative: &str,
        expected: &ExpectedDigest,
        progress: &ProgressBar,
    ) -> Result<PathBuf> {
        let name = mirrors.first().of(relative);
        if let Location::Folder(folder) = mirrors.first() {
            let path = folder.join(relative);
            check_in_place(&path, expected, &name)?;
            return Ok(path);
        }
        if let Some(path) = self.cache.file(relative, expected) {
            progress.inc(expected.size);
            return Ok(path);
        }
        if self.options.offline {
            return Err(NotCached(name).into());
        }
        let path = self.cache.path(relative, expected);
        let mut part = PartialDownload::open(&path, expected.digest.algorithm, expected.size)?;
        // Another run may have finished it while this one waited.
        if let Some(path) = self.cache.file(relative, expected) {
            progress.inc(expected.size);
            return Ok(path);
        }
        progress.inc(part.length());
        self.ask_mirrors(mirrors, relative, |url| self.client.fetch_remaining(url, expected, &mut part, progress))?;
        part.finish()?;
        Ok(path)
    }

    /// A metadata file that matches one of several digests, the first if any mirror has it; and its index.
    pub(crate) fn fetch_any_of(
        &self,
        mirrors: &Mirrors,
        relative: &str,
        candidates: &[ExpectedDigest],
    ) -> Result<(Vec<u8>, usize)> {
        let name = mirrors.first().of(relative);
        let newest = candidates.first().with_context(|| format!("no digest is known of {name}"))?;
        let among = if self.options.offline { candidates } else { &candidates[..1] };
        for (index, expected) in among.iter().enumerate() {
            if let Some(path) = self.cache.file(relative, expected) {
                return Ok((read_small(&path).with_context(|| format!("reading {}", path.display()))?, index));
            }
        }
        if self.options.offline {
            return Err(NotCached(name).into());
        }
        let mut best: Option<(Vec<u8>, usize)> = None;
        let limit = candidates.iter().map(|expected| expected.size).max().unwrap_or_default();
        let result = self.ask_mirrors(mirrors, relative, |url| {
            // A mirror that answers with another length than any is soon told.
            let Answer::Bytes(bytes, _) = self.client.fetch_small(url, limit.min(LONGEST_UNPROMISED), None)? else {
                return Err(Failure::permanent(anyhow!("it answers a question that was not asked")));
            };
            let (size, digest) = (bytes.len() as u64, newest.digest.algorithm.of(&bytes));
            let is_it = |expected: &ExpectedDigest| expected.matches(size, &expected.digest.algorithm.of(&bytes));
            let which = candidates.iter().position(is_it);
            if let Some(index) = which.filter(|index| best.as_ref().is_none_or(|best| *index < best.1)) {
                best = Some((bytes, index));
            }
            match which {
                Some(0) => Ok(()),
                _ => Err(Failure::permanent(newest.mismatch(url, size, &digest))),
            }
        });
        match best {
            Some((bytes, index)) => {
                self.cache.keep_promised(relative, &candidates[index], &bytes)?;
                Ok((bytes, index))
            }
            None => Err(result.err().unwrap_or_else(|| anyhow!("no mirror gives {name}"))),
        }
    }

    /// Asks the mirrors in turn, in several rounds, until an attempt succeeds.
    fn ask_mirrors<T>(
        &self,
        mirrors: &Mirrors,
        relative: &str,
        mut attempt: impl FnMut(&str) -> Result<T, Failure>,
    ) -> Result<T> {
        let (mut round, mut attempts) = (1, 0);
        loop {
            let mut tried = Vec::new();
            let mut wait = None;
            let mut last = None;
            while let Some(location) = mirrors.next(&tried, &self.unhealthy).filter(|_| attempts < MOST_ATTEMPTS) {
                tried.push(location);
                attempts += 1;
                let url = location.of(relative);
                let failure = match attempt(&url) {
                    Ok(done) => {
                        self.unhealthy.remove(location);
                        return Ok(done);
                    }
                    Err(failure) => failure,
                };
                if failure.may_pass() {
                    wait = wait.max(Some(failure.retry_after.unwrap_or_default()));
                }
                let cause = failure.cause.context(format!("fetching {url}"));
                match failure.kind {
                    Kind::Local => return Err(cause),
                    Kind::Missing => {}
                    Kind::Unreachable | Kind::Transient => self.unhealthy.add_host(location),
                    Kind::Permanent => self.unhealthy.add_location(location),
                }
                last = Some(cause);
            }
            let last = last.with_context(|| format!("no mirror of {relative}"))?;
            match wait {
                Some(wait) if round < ROUNDS && attempts < MOST_ATTEMPTS => backoff(round, Some(wait)),
                _ if tried.len() > 1 => {
                    return Err(last.context(format!("none of {} mirrors gives {relative}", tried.len())));
                }
                _ => return Err(last),
            }
            round += 1;
        }
    }
}

fn backoff(round: u32, retry_after: Option<Duration>) {
    let pause = pause(round, retry_after);
    if pause > LONGEST_SILENCE {
        eprintln!("waiting {} s, as the server asks", pause.as_secs());
    }
    thread::sleep(pause);
}

fn pause(round: u32, retry_after: Option<Duration>) -> Duration {
    let pause = PAUSE * 2_u32.saturating_pow(round - 1);
    pause.mul_f64(1.0 + fastrand::f64() / 2.0).max(retry_after.unwrap_or_default())
}

fn check_in_place(path: &Path, expected: &ExpectedDigest, name: &str) -> Result<()> {
    let context = || format!("reading {name}");
    let file = File::open(path).with_context(context)?;
    let size = file.metadata().with_context(context)?.len();
    let digest = expected.digest.algorithm.of_reader(file).with_context(context)?;
    if expected.matches(size, &digest) { Ok(()) } else { Err(expected.mismatch(name, size, &digest)) }
}
