//! podman with a storage of its own, so that the user's images stay as they are.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// runc also runs where both kinds of control groups are mounted; limits below the session's own can be set by root
/// without CAP_SYS_RESOURCE, which a build machine may lack.
pub const SETTINGS: &str =
    "[containers]\ndefault_ulimits = [\"nofile=512:512\", \"nproc=100:100\"]\n\n[engine]\nruntime = \"runc\"\n";

/// podman, its storage and its settings.
pub struct Podman {
    folder: PathBuf,
}

impl Podman {
    /// With storage below `folder`.
    pub fn new(folder: &Path) -> Self {
        fs::write(folder.join("containers.conf"), SETTINGS).expect("writing podman's settings");
        let path_of = |name: &str| folder.join(name).display().to_string();
        // By options: where CONTAINERS_STORAGE_CONF names the storage, podman 4.3 waits 20 s after each container, since
        // the process that cleans up does not get that variable.
        let script = format!(
            "#!/bin/sh\nPATH={:?} exec podman --root {:?} --runroot {:?} \"$@\"\n",
            env::var("PATH").unwrap_or_default(),
            path_of("storage"),
            path_of("run")
        );
        fs::create_dir_all(folder.join("bin")).expect("a folder");
        fs::write(folder.join("bin/podman"), script).expect("writing podman's wrapper");
        fs::set_permissions(folder.join("bin/podman"), fs::Permissions::from_mode(0o755)).expect("a mode");
        Self { folder: folder.into() }
    }

    /// The environment in which podman, whoever calls it, uses this storage.
    pub fn settings(&self) -> [(&'static str, PathBuf); 2] {
        let mut path = self.folder.join("bin").into_os_string();
        path.push(":");
        path.push(env::var_os("PATH").unwrap_or_default());
        [("CONTAINERS_CONF", self.folder.join("containers.conf")), ("PATH", path.into())]
    }

    /// A call of podman.
    pub fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", self.folder.join("containers.conf"));
        command.arg("--root").arg(self.folder.join("storage")).arg("--runroot").arg(self.folder.join("run"));
        command
    }

    /// Calls podman; gives its standard output. Fails the test if podman fails.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command().args(arguments).stdin(Stdio::null()).output().expect("running podman");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "podman {arguments:?}: {}\n{stdout}{stderr}", output.status);
        stdout
    }

    /// Paths of all files and folders of an image.
    pub fn files(&self, image: &str) -> Vec<String> {
        let container = self.run(&["create", image]);
        let archive = self.folder.join("image.tar");
        let archive = archive.to_str().expect("a path that is text");
        let exported = self.command().args(["export", "--output", archive, container.trim()]).output();
        self.run(&["rm", container.trim()]);
        let list = Command::new("tar").args(["--list", "--file", archive]).output();
        // Absent if it could not be exported.
        let _ = fs::remove_file(archive);
        let exported = exported.expect("running podman");
        assert!(exported.status.success(), "podman export: {}", String::from_utf8_lossy(&exported.stderr));
        let list = list.expect("running tar");
        assert!(list.status.success(), "tar: {}", String::from_utf8_lossy(&list.stderr));
        String::from_utf8_lossy(&list.stdout).lines().map(str::to_owned).collect()
    }
}
