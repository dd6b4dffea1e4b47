//! Serves a mirror with the real nginx: a process of the user's own, on the loopback address, that reads and writes
//! nothing of the system's nginx. What it is told is in `nginx`.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use tempfile::TempDir;

use crate::nginx::{self, LOG, What};
use xtask::system;

/// nginx while it lives; dropping it ends nginx.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: TempDir,
    base: String,
}

/// What a server proves itself with.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, in PEM.
    pub certificate: PathBuf,
    /// Its secret key, in PEM.
    pub key: PathBuf,
}

/// Serves a folder on a port of the kernel's choice.
///
/// # Errors
/// If nginx does not start.
pub fn serve(root: &Path) -> Result<Server> {
    on_a_free_port(|port| serve_on(root, port))
}

/// Stands before another server, with https, on a port of the kernel's choice.
///
/// # Errors
/// If nginx does not start.
pub fn serve_tls(behind: &str, certificate: &Certificate) -> Result<Server> {
    on_a_free_port(|port| start(What::Server(behind, certificate), port))
}

/// Serves a folder on a port.
///
/// # Errors
/// If nginx does not start.
pub fn serve_on(root: &Path, port: u16) -> Result<Server> {
    let root = std::path::absolute(root).context("finding the mirror's folder")?;
    start(What::Folder(&root), port)
}

fn on_a_free_port(start: impl Fn(u16) -> Result<Server>) -> Result<Server> {
    // Between the choice and nginx's start another process may take the port.
    let attempt = || {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        start(free.context("finding a free port")?.port())
    };
    (0..4).find_map(|_| attempt().ok()).map_or_else(attempt, Ok)
}

fn start(what: What<'_>, port: u16) -> Result<Server> {
    // Before nginx tries: it would repeat that for seconds, and say less.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("listening on 127.0.0.1:{port}"))?;
    let folder = tempfile::Builder::new().prefix("nginx-").tempdir().context("making a folder for nginx")?;
    let token = folder.path().file_name().unwrap_or_default().display().to_string();
    let told = nginx::Told { what, port, token: &token };
    let configuration = told.write(folder.path())?;
    let log = fs::File::create(folder.path().join(LOG)).context("making nginx's log")?;
    let child = system::command("nginx")
        .arg("-p")
        .arg(folder.path())
        .arg("-c")
        .arg(&configuration)
        .args(["-e", LOG])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("starting nginx")?;
    let mut server = Server { child, folder, base: told.base() };
    server.wait_until_it_answers(&token)?;
    Ok(server)
}

impl Server {
    /// URL of a path below the served folder.
    pub fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.base)
    }

    /// Waits until this very nginx answers, not another server on the same port.
    fn wait_until_it_answers(&mut self, token: &str) -> Result<()> {
        let url = self.url(token);
        // Never through a proxy that the environment names; and whoever signed the certificate, the token tells.
        let tls = ureq::tls::TlsConfig::builder().disable_verification(true).build();
        let agent = ureq::Agent::config_builder().proxy(None).tls_config(tls).build().new_agent();
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if self.child.try_wait().context("waiting for nginx")?.is_some() {
                bail!("nginx has ended: {}", self.last_words());
            }
            if agent.get(&url).call().is_ok_and(|answer| answer.status() == 204) {
                return Ok(());
            }
            sleep(Duration::from_millis(20));
        }
        bail!("nginx does not answer at {}: {}", self.base, self.last_words())
    }

    /// Serves until an interrupt (Ctrl-C), a hang-up or a request to terminate.
    ///
    /// # Errors
    /// If nginx ends by itself.
    pub fn wait_for_interrupt(mut self) -> Result<()> {
        let signals: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect();
        // Not before nginx was started: it would inherit the mask.
        signals.thread_block().context("blocking signals")?;
        while self.child.try_wait().context("waiting for nginx")?.is_none() {
            if signals.wait().context("waiting for an interrupt")? != Signal::SIGCHLD {
                return Ok(());
            }
        }
        bail!("nginx has ended: {}", self.last_words())
    }

    /// The last line of nginx's log.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default();
        log.lines().last().unwrap_or("it has said nothing").into()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
