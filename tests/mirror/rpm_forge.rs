//! Packages that nobody would publish: built by the real rpmbuild from any spec, and changed where rpmbuild would not
//! play along, with digests that fit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rpm::{HeaderEntry, IndexData, IndexSignatureTag, IndexTag, Package};
use tempfile::TempDir;
use tests::cpio;
use xtask::system;
use xtask::verify::digest::Sha256;

/// What rpmbuild is told of all these packages.
const PREAMBLE: &str = "%global debug_package %{nil}\n%global __os_install_post %{nil}\n%global _build_id_links none\n\
                        Version: 1\nRelease: 1\nSummary: Spoilt\nLicense: MIT\nAutoReqProv: no\n\
                        %description\nSpoilt.\n";

/// A package of one name in a folder of its own. `install` is a shell script that lays out the files below
/// `%{buildroot}`, `files` lists them; `options` are rpmbuild's.
pub(crate) fn build(name: &str, options: &[&str], install: &str, files: &str) -> Built {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let spec = folder.path().join("package.spec");
    let text = format!("Name: {name}\n{PREAMBLE}%install\n{install}\n%files\n%defattr(-,root,root)\n{files}\n");
    fs::write(&spec, text).expect("writing the spec");
    let mut rpmbuild = Command::new("rpmbuild");
    rpmbuild.args(["-bb", "--quiet", "--nodeps"]).args(options);
    for (macro_name, at) in [("_topdir", "top"), ("_rpmdir", "."), ("_srcrpmdir", ".")] {
        rpmbuild.arg("--define").arg(format!("{macro_name} {}", folder.path().join(at).display()));
    }
    system::run(rpmbuild.arg("--define").arg(format!("_rpmfilename %{{NAME}}{END}")).arg(&spec))
        .expect("building a package");
    let path = folder.path().join(file_name(name));
    fs::remove_dir_all(folder.path().join("top")).expect("removing what rpmbuild leaves");
    Built { folder, path }
}

/// How names of packages end.
const END: &str = "-1-1.any.rpm";

fn file_name(name: &str) -> String {
    format!("{name}{END}")
}

/// A package alone in its folder, so that the folder is a source.
pub(crate) struct Built {
    folder: TempDir,
    /// The package.
    pub(crate) path: PathBuf,
}

impl Built {
    /// A package of the given bytes.
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(file_name(name));
        fs::write(&path, bytes).expect("writing a package");
        Self { folder, path }
    }

    /// What a user would name.
    pub(crate) fn source(&self) -> &Path {
        self.folder.path()
    }

    /// Its bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).expect("a package")
    }

    /// The same with another header or payload. Its signatures are gone, and its digests fit.
    pub(crate) fn forge(&self, change: impl FnOnce(&mut Forged)) -> Self {
        let mut forged = Forged::of(Package::open(&self.path).expect("a package"));
        change(&mut forged);
        let name = self.path.file_name().and_then(|name| name.to_str()?.strip_suffix(END)).expect("a name");
        Self::of(name, &forged.bytes())
    }
}

/// A package to be changed.
pub(crate) struct Forged {
    package: Package,
    header: Vec<HeaderEntry>,
    /// What follows the headers, compressed.
    pub(crate) payload: Vec<u8>,
}

impl Forged {
    fn of(package: Package) -> Self {
        let entries = package.metadata.header.get_all_entries().expect("a header");
        let immutable = IndexTag::RPMTAG_HEADERIMMUTABLE as u32;
        let entries = entries.into_iter().filter(|&(tag, _)| tag != immutable);
        let header = entries.map(|(tag, data)| HeaderEntry { tag, data }).collect();
        Self { payload: package.payload.clone(), package, header }
    }

    /// Puts a value in the place of what was there, if anything was.
    pub(crate) fn set(&mut self, tag: IndexTag, data: IndexData) {
        self.header.retain(|entry| entry.tag != tag as u32);
        self.header.push(HeaderEntry { tag: tag as u32, data });
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, tag: IndexTag) {
        self.header.retain(|entry| entry.tag != tag as u32);
    }

    fn bytes(mut self) -> Vec<u8> {
        let tag = IndexTag::RPMTAG_PAYLOADSHA256;
        if self.header.iter().any(|entry| entry.tag == tag as u32) {
            self.set(tag, IndexData::StringArray(vec![Sha256::of(&self.payload).to_string()]));
        }
        self.package.metadata.header = rpm::Header::from_entries(self.header, IndexTag::RPMTAG_HEADERIMMUTABLE);
        self.package.metadata.signature = rpm::Header::from_entries([], IndexSignatureTag::HEADER_SIGNATURES);
        let mut bytes = Vec::new();
        self.package.metadata.write(&mut bytes).expect("writing headers");
        bytes.extend(self.payload);
        bytes
    }
}

/// A payload as rpm writes it: names with contents, and the sizes that their headers state.
pub(crate) fn payload(files: &[(&str, &[u8], u64)]) -> Vec<u8> {
    let mut archive = cpio::Writer::default();
    files.iter().for_each(|&(name, content, size)| archive.program_of_size(name, content, size));
    archive.finish()
}

/// A zstd frame of that many zeros, in four bytes for each 128 KiB, after what `start` holds.
pub(crate) fn zstd_bomb(start: &[u8], zeros: u64, window_log: u8) -> Vec<u8> {
    const BLOCK: u64 = 128 << 10;
    let block = |kind: u32, size: u64, is_last: bool| {
        let header = u32::try_from(size).expect("a small block") << 3 | kind << 1 | u32::from(is_last);
        header.to_le_bytes()[..3].to_vec()
    };
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
    frame.extend(block(0, start.len() as u64, false));
    frame.extend_from_slice(start);
    for _ in 0..zeros / BLOCK {
        frame.extend(block(1, BLOCK, false));
        frame.push(0);
    }
    frame.extend(block(0, 0, true));
    frame
}
