//! Fedora by several servers that misbehave on demand: one that knows releases, keys and metalinks, and its mirrors.

use std::fs;
use std::path::Path;

use fedora_mirror::{Mirror, Server, metalink};
use tempfile::TempDir;

use crate::command::CommandResult;
use crate::fixture::{MIRROR, RELEASE, emulator, release};

/// The package of one emulator, as it stands in paths.
pub(crate) const ALPHA: &str = "qemu-user-static-alpha-";

/// How long a server may be silent in these tests, in seconds.
const TIMEOUT: &str = "1";

/// The servers; all have the same files.
pub(crate) struct FakeFedora {
    pub(crate) front: Server,
    pub(crate) mirrors: Vec<Server>,
    mirror: Mirror,
}

impl FakeFedora {
    /// With so many mirrors of the shared mirror, the first one preferred.
    pub(crate) fn new(count: usize) -> Self {
        Self::of(&MIRROR, count)
    }

    /// With so many mirrors of a mirror.
    pub(crate) fn of(mirror: &Mirror, count: usize) -> Self {
        let server = || Server::new(&mirror.root).expect("a server");
        let fedora = Self { front: server(), mirrors: (0..count).map(|_| server()).collect(), mirror: mirror.clone() };
        let urls: Vec<_> = fedora.mirrors.iter().map(|server| server.url("")).collect();
        fedora.name_mirrors(&urls.iter().map(String::as_str).collect::<Vec<_>>());
        fedora
    }

    /// Lets the metalinks name these servers, the first one preferred.
    pub(crate) fn name_mirrors(&self, urls: &[&str]) {
        let tree = &self.mirror.trees[0];
        let [release, updates] = [format!("fedora-{RELEASE}"), format!("updates-released-f{RELEASE}")];
        let repositories = [(release, Some(&tree.repo_path)), (updates, tree.updates_path.as_ref())];
        for (name, path) in repositories {
            let path = path.expect("a release with updates");
            let index = self.index(path);
            let mirrors: Vec<_> = urls
                .iter()
                .zip((1..=100).rev())
                .map(|(url, preference)| (format!("{}/{path}", url.trim_end_matches('/')), preference))
                .collect();
            // In no order, as Fedora's may be.
            let mirrors: Vec<_> = mirrors.into_iter().rev().collect();
            let text = metalink::text(&index, &[metalink::older(&index, 1)], &mirrors);
            self.front.put(&format!("metalink?repo={name}&arch={}", self.mirror.host), text);
        }
    }

    /// Paths of both repositories.
    pub(crate) fn repositories(&self) -> [&str; 2] {
        let tree = &self.mirror.trees[0];
        [&tree.repo_path, tree.updates_path.as_ref().expect("a release with updates")]
    }

    /// The index of a repository.
    pub(crate) fn index(&self, path: &str) -> Vec<u8> {
        fs::read(self.mirror.root.join(path).join("repodata/repomd.xml")).expect("an index")
    }

    /// Runs in a new folder.
    pub(crate) fn run(&self, more: &[&str]) -> CommandResult {
        self.again(tempfile::tempdir().expect("a temporary folder"), more)
    }

    /// Runs in the folder of an earlier run, and so with its cache.
    pub(crate) fn again(&self, folder: TempDir, more: &[&str]) -> CommandResult {
        self.with_env(folder, &self.front.url(""), more, &[])
    }

    /// Runs with other words for the servers, and more in the environment.
    pub(crate) fn with_env(
        &self,
        folder: TempDir,
        servers: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> CommandResult {
        let fingerprint = &self.mirror.key.fingerprint;
        let arguments = ["--source", "fedora", "--release", release(), "--timeout", TIMEOUT, "--servers", servers];
        CommandResult::with_env(folder, &[&arguments[..], &["--fingerprint", fingerprint], more].concat(), environment)
    }

    /// Runs for the one emulator, which must come out as it was packaged.
    #[track_caller]
    pub(crate) fn assert_alpha(&self, what: &str) -> CommandResult {
        let ran = self.run(&["--target", "alpha"]);
        assert_alpha(&ran, what);
        ran
    }
}

/// That a run has brought the one emulator as it was packaged.
#[track_caller]
pub(crate) fn assert_alpha(ran: &CommandResult, what: &str) {
    assert!(ran.good, "{what}: {}", ran.stderr);
    let read = |path: &Path| fs::read(path).expect("an emulator");
    let fetched = ran.out().join("emulators/qemu-alpha-static");
    assert!(read(&fetched) == read(&emulator("alpha")), "{what}: it differs");
}
