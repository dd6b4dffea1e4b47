//! Debian's `docker-registry` on the loopback address, and the tools that push, sign and look there. All of Debian sid, since a
//! stable release has no cosign; unpacked below `target`, not installed.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tools;

/// How long it may take to listen.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A registry, ended when it is dropped.
pub struct Registry {
    child: Child,
    port: u16,
}

impl Registry {
    /// With its blobs in `folder`.
    ///
    /// # Panics
    /// If it does not start.
    pub fn new(folder: &Path) -> Self {
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
        fs::create_dir_all(folder).expect("a folder");
        let configuration = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nstorage: {{ filesystem: {{ rootdirectory: {:?} }} }}\nhttp: {{ addr: \"127.0.0.1:{port}\" }}\n",
            folder.join("blobs")
        );
        fs::write(&configuration, text).expect("a configuration");
        let log = File::create(folder.join("log")).expect("a log");
        let mut serve = tools::sid("usr/bin/docker-registry");
        serve.arg("serve").arg(configuration).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut registry = Self { child: serve.spawn().expect("starting docker-registry"), port };
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = registry.child.try_wait().expect("looking for docker-registry");
            let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(ended.is_none() && start.elapsed() < TIMEOUT, "docker-registry does not answer: {}", log());
            thread::sleep(Duration::from_millis(50));
        }
        registry
    }

    /// The name of a repository in it.
    pub fn repository(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// Makes a home folder whose settings tell skopeo and podman that this registry has no TLS. skopeo 1.9 heeds neither
    /// `XDG_CONFIG_HOME` nor a variable of its own.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn home(&self, folder: &Path) -> PathBuf {
        let home = folder.join("home");
        let settings = home.join(".config/containers");
        fs::create_dir_all(&settings).expect("a folder");
        let text = format!("[[registry]]\nlocation = \"127.0.0.1:{}\"\ninsecure = true\n", self.port);
        fs::write(settings.join("registries.conf"), text).expect("settings");
        home
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
