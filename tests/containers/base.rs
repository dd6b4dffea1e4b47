//! A builder image of this machine's distribution and Rust toolchain, standing in for the Fedora image that the
//! Containerfile names, which a test could not do without its registry.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MntFlags, umount2};

use tests::docker::Docker;
use tests::podman::Podman;
use xtask::system::host::Host;

/// Certificates that this machine trusts; a proxy's among them where there is one.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Makes the image `localhost/builder`, unless an earlier run has.
pub(crate) fn import(podman: &Podman, folder: &Path) {
    let known = podman.command().args(["image", "exists", "localhost/builder"]).status().expect("running podman");
    if known.success() {
        return;
    }
    let root = Root::bootstrapped(folder.join("root"), "gcc,libc6-dev,ca-certificates");
    let root = root.path();
    fs::copy(Path::new("/").join(CERTIFICATES), root.join(CERTIFICATES)).expect("copying this machine's certificates");
    install_rust(root);
    let archive = folder.join("root.tar");
    run(Command::new("tar").arg("--create").arg("--file").arg(&archive).arg("--directory").arg(root).arg("."));
    podman.run(&["import", "--quiet", archive.to_str().expect("a path that is text"), "localhost/builder"]);
    fs::remove_file(&archive).expect("removing the base's archive");
}

/// Gives docker the same image; what goes between the two is in `folder` for as long.
pub(crate) fn copy(podman: &Podman, docker: &Docker, folder: &Path) {
    let container = podman.run(&["create", "localhost/builder", "/bin/true"]);
    let archive = folder.join("builder.tar");
    let archive = archive.to_str().expect("a path that is text");
    podman.run(&["export", "--output", archive, container.trim()]);
    podman.run(&["rm", container.trim()]);
    docker.run(&["import", archive, "localhost/builder"]);
    fs::remove_file(archive).expect("removing the base's archive");
}

/// A root file system of Debian's, removed at the end, however that comes.
pub(crate) struct Root(PathBuf);

impl Root {
    /// Of the smallest system with these packages.
    pub(crate) fn bootstrapped(folder: PathBuf, packages: &str) -> Self {
        Self::for_machine(folder, packages, Host::named(None).expect("this machine").debian)
    }

    /// The same, for the machines of an architecture, whose programs must run here; `architecture` is Debian's name.
    pub(crate) fn for_machine(folder: PathBuf, packages: &str, architecture: &str) -> Self {
        let root = Self(folder);
        root.remove().expect("removing what an interrupted run has left");
        let mut debootstrap = Command::new("debootstrap");
        debootstrap.args(["--variant=minbase", &format!("--arch={architecture}"), &format!("--include={packages}")]);
        debootstrap.arg(release()).arg(&root.0);
        run(debootstrap.stdout(Stdio::null()));
        root
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn remove(&self) -> io::Result<()> {
        // debootstrap's, if it was killed: of a kernel's folder no file can be removed.
        for folder in ["proc", "sys"] {
            let _ = umount2(&self.0.join(folder), MntFlags::MNT_DETACH);
        }
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // The next run tries again, and says what stands in the way.
        let _ = self.remove();
    }
}

/// Debian's release of this machine, or the newest elsewhere.
pub(crate) fn release() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let field = |key: &str| {
        text.lines().find_map(|line| line.strip_prefix(key)).map(|value| value.trim_matches('"').to_owned())
    };
    field("VERSION_CODENAME=").filter(|_| field("ID=").as_deref() == Some("debian")).unwrap_or_else(|| "stable".into())
}

/// Puts the toolchain that runs this test into the base, without its documentation.
fn install_rust(root: &Path) {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().expect("running rustc");
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end());
    let to = root.join("usr/local/rust");
    fs::create_dir_all(&to).expect("making a folder for Rust");
    for part in ["bin", "lib"] {
        run(Command::new("cp").arg("--archive").arg(sysroot.join(part)).arg(&to));
    }
    for program in ["cargo", "rustc"] {
        symlink(Path::new("/usr/local/rust/bin").join(program), root.join("usr/local/bin").join(program))
            .expect("linking Rust's programs");
    }
}

fn run(command: &mut Command) {
    let status = command.stdin(Stdio::null()).status().unwrap_or_else(|error| panic!("running {command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}
