//! One request for one file: time-outs, ranges, validators, status. [`super::Fetcher`] chooses servers and retries.

use std::io::Read;
use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::http::header::{
    CONTENT_ENCODING, CONTENT_RANGE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use ureq::http::{HeaderMap, HeaderName, Response, StatusCode};
use ureq::tls::{RootCerts, TlsConfig};

use super::failure::{Failure, Kind, Missing};
use super::partial_download::PartialDownload;
use crate::verify::digest::ExpectedDigest;

/// Least throughput, in bytes a second: at less, a package would take hours.
const SLOWEST: u64 = 1000;

const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Time-out of a whole metadata file, as a multiple of the idle time-out.
const SMALL_FILE: u32 = 4;

const MOST_REDIRECTS: u32 = 10;

/// `ETag` and `Last-Modified`, for a conditional request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validators {
    etag: Option<String>,
    last_modified: Option<String>,
}

pub(super) enum Answer {
    Unchanged,
    Bytes(Vec<u8>, Validators),
}

#[derive(Debug)]
pub(super) struct Client {
    agent: Agent,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(timeout: Duration) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .max_redirects(MOST_REDIRECTS)
            .http_status_as_error(false)
            .user_agent(concat!("registrar-xtask/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self { agent, timeout }
    }

    /// A file of at most `limit` bytes, unless it is as `known` says.
    pub(super) fn fetch_small(&self, url: &str, limit: u64, known: Option<&Validators>) -> Result<Answer, Failure> {
        let known = known.cloned().unwrap_or_default();
        let headers = [(IF_NONE_MATCH, known.etag), (IF_MODIFIED_SINCE, known.last_modified)];
        let mut response = self.ask(url, headers, Some(self.timeout * SMALL_FILE))?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Unchanged);
        }
        check_status(&response)?;
        let text = |name: HeaderName| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let validators = Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) };
        let announced = response.body().content_length();
        let mut bytes = Vec::new();
        let read = response.body_mut().as_reader().take(limit.saturating_add(1)).read_to_end(&mut bytes);
        if let Err(error) = read {
            return Err(cut_off(Failure::of(error.into()), bytes.len() as u64, announced));
        }
        if bytes.len() as u64 > limit {
            return Err(Failure::permanent(anyhow!("response exceeds the metadata limit of {limit} bytes")));
        }
        Ok(Answer::Bytes(bytes, validators))
    }

    /// What is missing of `part`, after which it must be what is promised.
    pub(super) fn fetch_remaining(
        &self,
        url: &str,
        expected: &ExpectedDigest,
        part: &mut PartialDownload,
        progress: &ProgressBar,
    ) -> Result<(), Failure> {
        let begun = part.length();
        if begun < expected.size || expected.size == 0 {
            let range = (begun > 0).then(|| format!("bytes={begun}-"));
            let mut response = self.ask(url, [(RANGE, range)], None)?;
            if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
                start_over(part, progress)?;
                return Err(Failure::permanent(anyhow!("the server has fewer bytes than have arrived already")));
            }
            check_status(&response)?;
            self.receive(&mut response, expected, part, progress)?;
        }
        let (size, digest) = (part.length(), part.digest());
        if expected.matches(size, &digest) {
            return Ok(());
        }
        start_over(part, progress)?;
        let wrong = Failure::permanent(expected.mismatch(url, size, &digest));
        // What had arrived before may be what is wrong, and not what this server gives.
        if begun > 0 { self.fetch_remaining(url, expected, part, progress) } else { Err(wrong) }
    }

    fn receive(
        &self,
        response: &mut Response<ureq::Body>,
        expected: &ExpectedDigest,
        part: &mut PartialDownload,
        progress: &ProgressBar,
    ) -> Result<(), Failure> {
        if part.length() > 0 && !continues(response, part.length(), expected.size)? {
            start_over(part, progress)?;
        }
        let announced = response.body().content_length().map(|rest| part.length() + rest);
        // What must be wrong in the end need not be fetched.
        if let Some(size) = announced.filter(|&size| size > expected.size) {
            return Err(Failure::permanent(expected.mismatch("the file", size, &expected.digest)));
        }
        let mut body = response.body_mut().as_reader();
        let mut buffer = vec![0; 1 << 16];
        let (mut since, mut arrived) = (Instant::now(), 0);
        loop {
            let length = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) => return Err(cut_off(Failure::of(error.into()), part.length(), announced)),
            };
            if part.length() + length as u64 > expected.size {
                start_over(part, progress)?;
                let size = expected.size + 1;
                return Err(Failure::permanent(expected.mismatch("the file", size, &expected.digest)));
            }
            part.write(&buffer[..length]).map_err(Failure::here)?;
            progress.inc(length as u64);
            arrived += length as u64;
            if since.elapsed() >= self.timeout {
                if arrived < SLOWEST * self.timeout.as_secs().max(1) {
                    return Err(Failure::new(Kind::Transient, anyhow!("slower than {SLOWEST} bytes a second")));
                }
                (since, arrived) = (Instant::now(), 0);
            }
        }
        Ok(())
    }

    fn ask(
        &self,
        url: &str,
        headers: impl IntoIterator<Item = (HeaderName, Option<String>)>,
        within: Option<Duration>,
    ) -> Result<Response<ureq::Body>, Failure> {
        self.check_address(url)?;
        let mut request = self.agent.get(url);
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        // What was asked for by https must not be answered by http, by way of a redirect.
        let request = request.config().https_only(url.starts_with("https:")).timeout_global(within).build();
        request.call().map_err(Failure::of)
    }

    /// Fails as unreachable if the host has no address, which ureq does not tell apart. A proxy resolves by itself.
    fn check_address(&self, url: &str) -> Result<(), Failure> {
        let uri: ureq::http::Uri = url.parse().context("not a URL").map_err(Failure::here)?;
        let host = uri.host().context("a URL without a host").map_err(Failure::here)?;
        if self.agent.config().proxy().is_some() {
            return Ok(());
        }
        match (host.trim_matches(['[', ']']), 443).to_socket_addrs() {
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::unreachable(error.to_string())),
        }
    }
}

fn start_over(part: &mut PartialDownload, progress: &ProgressBar) -> Result<(), Failure> {
    progress.dec(part.length());
    part.reset().map_err(Failure::here)
}

fn cut_off(failure: Failure, arrived: u64, announced: Option<u64>) -> Failure {
    let of = announced.map(|total| format!(" of {total}")).unwrap_or_default();
    Failure { cause: failure.cause.context(format!("cut off after {arrived}{of} bytes")), ..failure }
}

/// The response is the file, or the requested range, uncompressed.
fn check_status(response: &Response<ureq::Body>) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() {
        return match response.headers().get(CONTENT_ENCODING) {
            Some(encoding) if encoding != "identity" => {
                Err(Failure::permanent(anyhow!("the response is compressed, which was not requested")))
            }
            _ => Ok(()),
        };
    }
    if status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT) {
        let mut failure = Failure::new(Kind::Transient, anyhow!("HTTP {status}"));
        failure.retry_after = retry_after(response.headers());
        return Err(failure);
    }
    if status.is_client_error() {
        return Err(Failure::new(Kind::Missing, Missing(status)));
    }
    Err(Failure::permanent(anyhow!("HTTP {status}")))
}

/// Seconds alone: the other form, a date, is not worth a parser.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

/// Whether an answer goes on after `begun` bytes, or is the whole file again.
fn continues(response: &Response<ureq::Body>, begun: u64, size: u64) -> Result<bool, Failure> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return Ok(false);
    }
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if range == format!("bytes {begun}-{}/{size}", size - 1) {
        return Ok(true);
    }
    Err(Failure::permanent(anyhow!("asked for the bytes from {begun} on, the server gives {range:?}")))
}
