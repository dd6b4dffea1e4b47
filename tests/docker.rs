//! docker with a daemon of its own, so that the machine's images stay as they are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A running daemon, ended and cleared up after when it is dropped.
pub struct Docker {
    folder: PathBuf,
    daemon: Child,
    end: Signal,
}

impl Docker {
    /// With all that it keeps in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self::with(folder, &[])
    }

    /// The same, with options of dockerd.
    pub fn with(folder: &Path, options: &[&str]) -> Self {
        Self::started(folder, Signal::SIGTERM, || {
            let mut daemon = Command::new("dockerd");
            daemon.args(options);
            daemon
        })
    }

    /// By a command that dockerd's last options are added to, made when `folder` is empty; ended by a signal.
    pub fn started(folder: &Path, end: Signal, daemon: impl FnOnce() -> Command) -> Self {
        // Left by a run that was killed.
        remove(folder);
        fs::create_dir_all(folder).expect("a folder for docker");
        let log = File::create(folder.join("log")).expect("a log");
        let mut daemon = daemon();
        // No rules and no bridge of the machine's network are needed, nor changed.
        daemon.args(["--iptables=false", "--bridge=none", "--data-root"]).arg(folder.join("data"));
        daemon.arg("--exec-root").arg(folder.join("exec")).arg("--pidfile").arg(folder.join("pid"));
        daemon.arg(format!("--host={}", socket(folder))).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let daemon = daemon.spawn().expect("starting dockerd");
        let mut docker = Self { folder: folder.into(), daemon, end };
        let begun = Instant::now();
        while !docker.command().arg("version").output().expect("running docker").status.success() {
            let ended = docker.daemon.try_wait().expect("looking for dockerd");
            if ended.is_some() || begun.elapsed() > TIMEOUT {
                panic!("dockerd does not answer: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(200));
        }
        docker
    }

    /// Where it listens, as other clients are told too.
    pub fn host(&self) -> String {
        socket(&self.folder)
    }

    /// A call of docker.
    pub fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command.arg(format!("--host={}", socket(&self.folder)));
        command
    }

    /// Calls docker; gives its standard output. Fails the test if docker fails.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).stdin(Stdio::null()).output().expect("running docker");
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "docker {arguments:?}: {}\n{stdout}{stderr}", output.status);
        stdout.into_owned()
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        // On SIGTERM it ends its containerd too.
        let _ = kill(Pid::from_raw(self.daemon.id().cast_signed()), self.end);
        let _ = self.daemon.wait();
        remove(&self.folder);
    }
}

/// Removes what a daemon has kept in a folder. Of a container in the host's network, dockerd leaves the namespace mounted.
fn remove(folder: &Path) {
    for namespace in fs::read_dir(folder.join("exec/netns")).into_iter().flatten().flatten() {
        let _ = umount2(&namespace.path(), MntFlags::MNT_DETACH);
    }
    let _ = fs::remove_dir_all(folder);
}

fn socket(folder: &Path) -> String {
    format!("unix://{}", folder.join("socket").display())
}
