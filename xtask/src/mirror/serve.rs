//! Serves a mirror with the real nginx: a process of the user's own, on the loopback address, with a configuration of
//! its own in a temporary folder; nothing of the system's nginx is read or written.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{SigSet, Signal};
use tempfile::TempDir;

use crate::system;

/// nginx while it lives; dropping it ends nginx.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: TempDir,
    port: u16,
}

/// Serves a folder on a port of the kernel's choice.
///
/// # Errors
/// If nginx does not start.
pub fn serve(root: &Path) -> Result<Server> {
    // Between the choice and nginx's start another process may take the port.
    let attempt = || {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        serve_on(root, free.context("finding a free port")?.port())
    };
    (0..4).find_map(|_| attempt().ok()).map_or_else(attempt, Ok)
}

/// Serves a folder on a port.
///
/// # Errors
/// If nginx does not start.
pub fn serve_on(root: &Path, port: u16) -> Result<Server> {
    // Before nginx tries: it would repeat that for seconds, and say less.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| format!("listening on 127.0.0.1:{port}"))?;
    let folder = tempfile::Builder::new().prefix("nginx-").tempdir().context("making a folder for nginx")?;
    let configuration = folder.path().join("nginx.conf");
    let token = folder.path().file_name().unwrap_or_default().display().to_string();
    let root = std::path::absolute(root).context("finding the mirror's folder")?;
    fs::write(&configuration, self::configuration(&root, port, &token)).context("writing nginx's configuration")?;
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
    let mut server = Server { child, folder, port };
    server.wait_until_it_answers(&token)?;
    Ok(server)
}

/// nginx's log, in its folder.
const LOG: &str = "error.log";

fn configuration(root: &Path, port: u16, token: &str) -> String {
    // One process, as the user who started it: a worker of another user could not read a private folder.
    format!(
        "\
daemon off;
master_process off;
pid nginx.pid;
error_log {LOG};
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/octet-stream;
    types {{ text/xml xml; }}
    server {{
        listen 127.0.0.1:{port};
        root \"{root}\";
        autoindex on;
        location ~ /\\. {{ return 404; }}
        location = /{token} {{ return 204; }}
    }}
}}
",
        root = root.display().to_string().replace('\\', "\\\\").replace('"', "\\\"")
    )
}

impl Server {
    /// URL of a path below the served folder.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Waits until this very nginx answers, not another server on the same port.
    fn wait_until_it_answers(&mut self, token: &str) -> Result<()> {
        let url = self.url(token);
        // Never through a proxy that the environment names.
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().proxy(None).build());
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
        bail!("nginx does not answer on port {}: {}", self.port, self.last_words())
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
