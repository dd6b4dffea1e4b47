//! A small mirror that all tests share, copies of it that a test may spoil, and packages that nobody would publish.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use fedora_mirror::{Key, Mirror, Options, Updates};
use tempfile::TempDir;
use test_groups::emulators;
use test_groups::tools;
use xtask::source;
use xtask::system;

/// The emulators of the mirror: a family of two, one with a second entry, and one by itself.
pub(crate) const TARGETS: &[&str] = &["alpha", "arm", "armeb", "i386"];

/// The release of Fedora that the mirror is of: the newest that the source knows.
pub(crate) const RELEASE: u32 = source::NEWEST_KNOWN;

/// The same as text.
pub(crate) fn release() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| RELEASE.to_string());
    &TEXT
}

/// `.fcNN`, the end of a package's release.
pub(crate) fn dist() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| format!(".fc{RELEASE}"));
    &TEXT
}

/// The shared mirror; nothing may be changed in it.
pub(crate) static MIRROR: LazyLock<Mirror> = LazyLock::new(|| {
    tools::require(&[tools::RPM, tools::EMULATORS]).expect("the tools of these tests");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mirror");
    let options = Options { updates: Updates::Newer, ..Options::quick(folder, TARGETS) };
    fedora_mirror::make(&options).expect("a mirror")
});

/// This machine's emulator of a target.
pub(crate) fn emulator(target: &str) -> PathBuf {
    emulators::emulator(target).unwrap_or_else(|| panic!("no static qemu-{target} here"))
}

/// Text of a path.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

/// The public key of the shared mirror.
pub(crate) fn key() -> &'static str {
    text(&MIRROR.key.public)
}

/// A copy of the shared mirror's release repository, to be spoilt.
pub(crate) struct RepoCopy {
    folder: TempDir,
}

impl RepoCopy {
    /// The whole repository.
    pub(crate) fn repository() -> Self {
        Self::of(&MIRROR.repo())
    }

    /// Another repository.
    pub(crate) fn of(repository: &Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(repository).arg(folder.path().join("os"));
        system::run(&mut copy).expect("a copy of the mirror");
        Self { folder }
    }

    /// Brings its index up to date, as whoever may write there would.
    pub(crate) fn reindex(&self) {
        let mut command = Command::new("createrepo_c");
        system::run(command.arg("--quiet").arg(self.path())).expect("indexing the repository");
    }

    /// Adds another repository's packages.
    pub(crate) fn add(&self, repository: &Path) {
        for from in packages(repository) {
            let to = self.path().join("Packages/q").join(from.file_name().expect("a name"));
            fs::copy(&from, to).expect("copying a package");
        }
        self.reindex();
    }

    /// The packages without an index.
    pub(crate) fn packages() -> Self {
        let copy = Self::repository();
        fs::remove_dir_all(copy.path().join("repodata")).expect("removing the index");
        let packages = copy.package("alpha").parent().expect("a folder of packages").to_owned();
        for package in fs::read_dir(&packages).expect("the packages") {
            let from = package.expect("a package").path();
            fs::rename(&from, copy.path().join(from.file_name().expect("a name"))).expect("moving a package");
        }
        copy
    }

    /// Its root: what a user would name.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("os")
    }

    /// The package of a family.
    pub(crate) fn package(&self, family: &str) -> PathBuf {
        let start = format!("qemu-user-static-{family}-");
        let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start));
        packages(&self.path()).into_iter().find(is_it).expect("a package of that family")
    }

    /// Changes one byte of a file, `from_end` bytes before its end.
    pub(crate) fn flip(&self, path: &Path, at: impl FnOnce(usize) -> usize) {
        let mut bytes = fs::read(path).expect("a package");
        let at = at(bytes.len());
        bytes[at] ^= 0x40;
        fs::write(path, bytes).expect("spoiling the package");
    }
}

/// All packages below a folder.
fn packages(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("a folder entry").path())
        .flat_map(|path| if path.is_dir() { packages(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rpm"))
        .collect()
}

/// What a file of a spoilt package is.
pub(crate) enum Content<'a> {
    /// A plain, executable file.
    Bytes(&'a [u8]),
    /// A symbolic link.
    Link(&'a str),
}

/// A package with the given files, built by rpmbuild and signed with the mirror's key, alone in a folder.
pub(crate) fn package(files: &[(&str, Content<'_>)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tree = folder.path().join("tree");
    for (path, content) in files {
        let path = tree.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a folder")).expect("making a folder");
        match content {
            Content::Bytes(bytes) => fs::write(&path, bytes).expect("writing a file"),
            Content::Link(target) => symlink(target, &path).expect("making a link"),
        }
    }
    let spec = folder.path().join("package.spec");
    let text = format!(
        "%global debug_package %{{nil}}\n%global __os_install_post %{{nil}}\n%global _build_id_links none\n\
         Name: qemu-user-static-spoilt\nVersion: 1\nRelease: 1\nSummary: Spoilt\nLicense: MIT\nAutoReqProv: no\n\
         %description\nSpoilt.\n%install\ncp -a {}/. %{{buildroot}}/\n%files\n/usr\n",
        tree.display()
    );
    fs::write(&spec, text).expect("writing the spec");
    let mut build = Command::new("rpmbuild");
    build
        .args(["-bb", "--quiet", "--define"])
        .arg(format!("_topdir {}", folder.path().join("top").display()))
        .arg(&spec);
    system::run(&mut build).expect("building a package");
    let built = packages(&folder.path().join("top/RPMS")).pop().expect("a built package");
    MIRROR.key.sign(&[&built]).expect("signing the package");
    let alone = tempfile::tempdir().expect("a temporary folder");
    fs::copy(&built, alone.path().join(built.file_name().expect("a name"))).expect("copying the package");
    alone
}

/// A key that signed nothing of the mirror.
pub(crate) fn other_key(folder: &Path) -> Key {
    Key::generate(folder, "Somebody else", 2048).expect("another key")
}
