//! containerd with a daemon of its own, so that the machine's images stay as they are.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long the daemon may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A running daemon, ended and cleared up after when it is dropped.
pub(crate) struct Containerd {
    folder: PathBuf,
    daemon: Child,
}

impl Containerd {
    /// With all that it keeps in `folder`.
    pub(crate) fn new(folder: &Path) -> Self {
        // Left by a run that was killed.
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("a folder for containerd");
        let log = File::create(folder.join("log")).expect("a log");
        let path = |name: &str| folder.join(name).display().to_string();
        // Kubernetes' part needs a network's settings; the other one would make a folder in /opt.
        let settings = format!(
            "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\n[grpc]\n\
             address = {:?}\n\n[plugins.\"io.containerd.internal.v1.opt\"]\npath = {:?}\n",
            path("root"),
            path("state"),
            path("socket"),
            path("opt")
        );
        fs::write(folder.join("config.toml"), settings).expect("containerd's settings");
        let mut daemon = Command::new("containerd");
        daemon.arg("--config").arg(folder.join("config.toml"));
        daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let daemon = daemon.spawn().expect("starting containerd");
        let mut containerd = Self { folder: folder.into(), daemon };
        let begun = Instant::now();
        while !containerd.command().arg("version").output().expect("running ctr").status.success() {
            let ended = containerd.daemon.try_wait().expect("looking for containerd");
            if ended.is_some() || begun.elapsed() > TIMEOUT {
                panic!("containerd does not answer: {}", fs::read_to_string(folder.join("log")).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(200));
        }
        containerd
    }

    fn command(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(self.folder.join("socket"));
        command
    }

    /// Calls ctr; gives its standard output. Fails the test if ctr fails.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).stdin(Stdio::null()).output().expect("running ctr");
        let [stdout, stderr] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        assert!(output.status.success(), "ctr {arguments:?}: {}\n{stdout}{stderr}", output.status);
        stdout
    }

    /// The files of all layers that it has unpacked: it marks each with the digest of what was in it.
    pub(crate) fn unpacked(&self) -> Vec<PathBuf> {
        let blobs = self.folder.join("root/io.containerd.content.v1.content/blobs/sha256");
        let list = self.run(&["content", "ls"]);
        let marked = list.lines().filter(|line| line.contains("containerd.io/uncompressed="));
        marked.filter_map(|line| Some(blobs.join(line.strip_prefix("sha256:")?.split_whitespace().next()?))).collect()
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM);
        let _ = self.daemon.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
