//! Where Fedora's servers keep what, as text: folders of a release, names that the metalink server knows them by, and
//! the list of releases. Pure but for [`find`], which looks what of it a folder holds.

use std::path::Path;

use serde::Serialize;

/// What a mirror holds of Fedora.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// A supported release and its updates
    #[default]
    Release,
    /// What will be a release one day; it has no updates
    Rawhide,
    /// A past release and its updates, in the archive
    Archived,
}

/// Architectures that stand in a tree of their own.
const SECONDARY: &[&str] = &["ppc64le", "s390x"];

impl Kind {
    /// Path of the repository of a release's packages, below the servers' root.
    pub fn repo(self, release: u32, arch: &str) -> String {
        let release = match self {
            Self::Rawhide => "development/rawhide".into(),
            Self::Release | Self::Archived => format!("releases/{release}"),
        };
        format!("{}/{release}/Everything/{arch}/os", self.tree(arch))
    }

    /// Path of the repository of its updates, where it has any.
    pub fn updates(self, release: u32, arch: &str) -> Option<String> {
        (self != Self::Rawhide).then(|| format!("{}/updates/{release}/Everything/{arch}", self.tree(arch)))
    }

    /// What `--release` calls it.
    pub fn name(self, release: u32) -> String {
        match self {
            Self::Rawhide => "rawhide".into(),
            Self::Release | Self::Archived => release.to_string(),
        }
    }

    fn tree(self, arch: &str) -> &'static str {
        match (self, SECONDARY.contains(&arch)) {
            (Self::Archived, true) => "pub/archive/fedora-secondary",
            (Self::Archived, false) => "pub/archive/fedora/linux",
            (_, true) => "pub/fedora-secondary",
            (_, false) => "pub/fedora/linux",
        }
    }

    /// Supported releases while `release` is of this kind.
    fn supported(self, release: u32) -> Vec<u32> {
        match self {
            Self::Release => vec![release.saturating_sub(1), release],
            Self::Rawhide => vec![release.saturating_sub(1)],
            Self::Archived => vec![release + 1, release + 2],
        }
    }

    /// Fedora's list of releases while `release` is of this kind: the supported ones, and the next one, not yet
    /// finished. The image files that it names are nowhere.
    ///
    /// # Errors
    /// Never; the form that `serde_json` wants.
    pub fn releases(self, release: u32, arches: &[&str]) -> serde_json::Result<String> {
        let supported = self.supported(release);
        let next = supported.iter().max().map(|newest| format!("{} Beta", newest + 1));
        let versions = supported.iter().map(u32::to_string).chain(next);
        let images: Vec<_> =
            versions.flat_map(|version| arches.iter().map(move |arch| Image::new(&version, arch))).collect();
        serde_json::to_string_pretty(&images)
    }
}

/// An element of Fedora's list of releases: an image file.
#[derive(Debug, Serialize)]
struct Image {
    version: String,
    arch: String,
    link: String,
    variant: &'static str,
    subvariant: &'static str,
    sha256: String,
    size: String,
}

impl Image {
    fn new(version: &str, arch: &str) -> Self {
        let folder = version.replace(' ', "_");
        let link = format!(
            "https://download.fedoraproject.org/{}/releases/{folder}/Everything/{arch}/iso/Fedora-Everything-netinst-{arch}-{folder}-1.1.iso",
            Kind::Release.tree(arch)
        );
        Self {
            version: version.into(),
            arch: arch.into(),
            link,
            variant: "Everything",
            subvariant: "Everything",
            sha256: "0".repeat(64),
            size: "0".into(),
        }
    }
}

/// A repository that a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// Its path below the folder.
    pub path: String,
    /// The name that the metalink server knows it by: `fedora-45`.
    pub name: String,
    /// Its packages' architecture.
    pub arch: String,
}

/// The repositories below a folder that is laid out as Fedora's servers are, sorted.
pub fn find(root: &Path) -> Vec<Repository> {
    let mut found = Vec::new();
    for tree in ["pub/fedora/linux", "pub/fedora-secondary", "pub/archive/fedora/linux", "pub/archive/fedora-secondary"]
    {
        for (kind, end) in [("releases", "/os"), ("updates", ""), ("development", "/os")] {
            for release in names(&root.join(tree).join(kind)) {
                let name = match kind {
                    "releases" => format!("fedora-{release}"),
                    "updates" => format!("updates-released-f{release}"),
                    _ => release.clone(),
                };
                let folder = format!("{tree}/{kind}/{release}/Everything");
                for arch in names(&root.join(&folder)) {
                    let path = format!("{folder}/{arch}{end}");
                    if root.join(&path).join("repodata/repomd.xml").is_file() {
                        found.push(Repository { path, name: name.clone(), arch });
                    }
                }
            }
        }
    }
    found
}

/// Names in a folder, sorted; none if it is not there.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Kind, find};

    #[test]
    fn each_kind_and_architecture_has_its_place() {
        for (kind, arch, repo, updates) in [
            (
                Kind::Release,
                "aarch64",
                "pub/fedora/linux/releases/45/Everything/aarch64/os",
                Some("pub/fedora/linux/updates/45/Everything/aarch64"),
            ),
            (
                Kind::Release,
                "s390x",
                "pub/fedora-secondary/releases/45/Everything/s390x/os",
                Some("pub/fedora-secondary/updates/45/Everything/s390x"),
            ),
            (Kind::Rawhide, "x86_64", "pub/fedora/linux/development/rawhide/Everything/x86_64/os", None),
            (Kind::Rawhide, "ppc64le", "pub/fedora-secondary/development/rawhide/Everything/ppc64le/os", None),
            (
                Kind::Archived,
                "x86_64",
                "pub/archive/fedora/linux/releases/45/Everything/x86_64/os",
                Some("pub/archive/fedora/linux/updates/45/Everything/x86_64"),
            ),
            (
                Kind::Archived,
                "ppc64le",
                "pub/archive/fedora-secondary/releases/45/Everything/ppc64le/os",
                Some("pub/archive/fedora-secondary/updates/45/Everything/ppc64le"),
            ),
        ] {
            assert_eq!(kind.repo(45, arch), repo);
            assert_eq!(kind.updates(45, arch).as_deref(), updates);
        }
    }

    #[test]
    fn what_a_folder_holds_has_the_names_of_the_metalink_server() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut paths = vec![Kind::Rawhide.repo(47, "x86_64")];
        for kind in [Kind::Release, Kind::Archived] {
            paths.extend(["aarch64", "s390x"].map(|arch| kind.repo(45, arch)));
            paths.extend(kind.updates(44, "x86_64"));
        }
        for path in &paths {
            let index = root.path().join(path).join("repodata");
            fs::create_dir_all(&index).and_then(|()| fs::write(index.join("repomd.xml"), "")).expect("an index");
        }
        fs::create_dir_all(root.path().join("pub/fedora/linux/releases/43/Everything/x86_64/os")).expect("no index");
        let found = find(root.path());
        let names: Vec<_> = found.iter().map(|found| format!("{} {}", found.name, found.arch)).collect();
        assert_eq!(
            names,
            [
                "fedora-45 aarch64",
                "updates-released-f44 x86_64",
                "rawhide x86_64",
                "fedora-45 s390x",
                "fedora-45 aarch64",
                "updates-released-f44 x86_64",
                "fedora-45 s390x"
            ]
        );
        assert!(found.iter().all(|found| paths.contains(&found.path)), "{found:?}");
    }

    #[test]
    fn an_archived_release_is_not_in_the_list_of_releases() {
        for (kind, expected) in [
            (Kind::Release, ["44", "45", "46 Beta"].as_slice()),
            (Kind::Rawhide, &["44", "45 Beta"]),
            (Kind::Archived, &["46", "47", "48 Beta"]),
        ] {
            let list = kind.releases(45, &["x86_64"]).expect("a list");
            let list: Vec<serde_json::Value> = serde_json::from_str(&list).expect("JSON");
            let versions: Vec<_> = list.iter().map(|image| image["version"].as_str().unwrap_or_default()).collect();
            assert_eq!(versions, expected, "{kind:?}");
        }
    }
}
