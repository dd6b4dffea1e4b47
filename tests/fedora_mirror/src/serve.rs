//! Serves a mirror as Fedora's servers do: its folder, and the metalinks of its repositories.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};

use crate::server::Server;
use crate::{layout, metalink};

/// Serves a mirror on a port of the kernel's choice.
///
/// # Errors
/// If a repository's index cannot be read, or the kernel gives no port.
pub fn serve(root: &Path) -> Result<Server> {
    serve_on(root, 0)
}

/// Serves a mirror on a port of 127.0.0.1.
///
/// # Errors
/// If a repository's index cannot be read, or the port is taken.
pub fn serve_on(root: &Path, port: u16) -> Result<Server> {
    let server = Server::on_port(root, port)?;
    let mut known = Vec::new();
    for repository in layout::find(root) {
        let path = format!("metalink?repo={}&arch={}", repository.name, repository.arch);
        // The first counts, as for a release that is in the archive already and still in its old place.
        if known.contains(&path) {
            continue;
        }
        let index = root.join(&repository.path).join("repodata/repomd.xml");
        let index = fs::read(&index).with_context(|| format!("reading {}", index.display()))?;
        let mirrors = mirrors(&server.url(&repository.path));
        server.put(&path, metalink::text(&index, &[metalink::older(&index, 1)], &mirrors));
        known.push(path);
    }
    Ok(server)
}

/// The mirrors of a repository. Fedora's metalink names each host by all of its protocols, rsync among them, with one
/// preference. The first host is this server; the second is reached by no protocol that it is named with.
fn mirrors(url: &str) -> Vec<(String, u32)> {
    let path = url.trim_start_matches("http");
    let urls = [("rsync", 100), ("http", 100), ("https", 99), ("rsync", 99)];
    urls.map(|(protocol, preference)| (format!("{protocol}{path}"), preference)).into()
}

/// The signals that end `--serve`.
#[derive(Debug)]
pub(crate) struct Interrupts(SigSet);

impl Interrupts {
    /// Blocks them, in threads that start later too.
    pub(crate) fn block() -> Result<Self> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
        signals.thread_block().context("blocking signals")?;
        Ok(Self(signals))
    }

    /// Waits for an interrupt (Ctrl-C), a hang-up or a request to terminate.
    pub(crate) fn wait(&self) -> Result<()> {
        self.0.wait().context("waiting for an interrupt").map(drop)
    }
}
