//! What `fetch-and-build` would have left in `dist/HOST`, with small files in the place of emulators, so that an image of
//! it takes no time.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use xtask::build::compile::build_info::BuildInfo;
use xtask::build::rootfs::{ALIAS_HARDLINKS, PACKAGES, REGISTRAR, ROOTFS, SBOM};
use xtask::build::sbom::{self, Contents, files};

/// Targets whose emulators are there, by QEMU's names.
pub(crate) const TARGETS: [&str; 3] = ["aarch64", "aarch64_be", "x86_64"];

/// What `registrar` was compiled from, as far as the image knows.
pub(crate) const REVISION: &str = "1f0e3dad99908345f7439f8ffabdffc4";

/// How much the emulators have in common, and how much each has of its own, in bytes. Together they are more than gzip
/// sees at once.
pub(crate) const COMMON: usize = 300_000;
const OWN: usize = 5_000;

/// Makes `dist/host`; `registrar` is the program, or what stands for one.
pub(crate) fn make(dist: &Path, host: &str, registrar: &[u8]) -> PathBuf {
    let folder = dist.join(host);
    let root = folder.join(ROOTFS);
    let license = "usr/share/licenses/qemu-user-static/COPYING";
    let write = |path: &str, content: &[u8], mode: u32| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    };
    let common = noise(1, COMMON);
    for (number, target) in (2..).zip(TARGETS) {
        let content = [common.clone(), noise(number, OWN)].concat();
        write(&format!("usr/bin/qemu-{target}-static"), &content, 0o755);
    }
    write(REGISTRAR, registrar, 0o755);
    write("usr/share/doc/registrar/packages", b"a package\n", 0o644);
    write(license, b"a license\n", 0o644);
    for alias in ALIAS_HARDLINKS {
        let alias = root.join(alias);
        fs::create_dir_all(alias.parent().expect("a folder")).expect("a folder");
        fs::hard_link(root.join(REGISTRAR), alias).expect("a hard link");
    }
    let files = files::list(&root).and_then(|entries| files::digests(&root, &entries)).expect("digests");
    let document = sbom::document(&Contents {
        version: "11.1.3~rc1",
        origin: "a test",
        packages: &[],
        emulators: &[],
        files: &files,
        crates: &[],
        build: &BuildInfo {
            revision: Some(REVISION.into()),
            rustc: "rustc 1.95.0 (59807616e 2026-04-14)".into(),
            linker: "rust-lld".into(),
        },
        created: 1_790_000_000,
    });
    let text = serde_json::to_vec_pretty(&document.expect("an SBOM")).expect("JSON");
    fs::write(folder.join(SBOM), text).expect("an SBOM");
    fs::write(folder.join(PACKAGES), "a package\n").expect("a list of packages");
    folder
}

/// Bytes that do not compress, the same for the same seed.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}
