//! The allow-list: which files of a package are wanted.

use codegen::table::Emulator;
use codegen::targets;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum WantedFile {
    Emulator(Emulator),
    Conf { target: String },
    License { folder: String, name: String },
}

impl WantedFile {
    /// The allow-list. Names must be plain, and none is used to write a file without being taken apart first.
    pub(super) fn of(path: &str, targets: &[String]) -> Option<Self> {
        let selected = |target: &str| targets.is_empty() || targets.iter().any(|wanted| wanted == target);
        let (folder, name) = path.rsplit_once('/')?;
        match folder {
            "/usr/bin" => {
                let emulator = Emulator::from_file_name(name)?;
                selected(&emulator.target).then_some(Self::Emulator(emulator))
            }
            // Debian 13 keeps the files themselves in the second and links to them from the first.
            "/usr/lib/binfmt.d" | "/usr/share/qemu/binfmt.d" => {
                let entry = Emulator::from_file_name(name.strip_suffix(".conf")?)?.target;
                let target = targets::by_entry_name(&entry).map_or(entry.as_str(), |(target, _)| target.qemu);
                selected(target).then_some(Self::Conf { target: entry })
            }
            _ => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+".contains(&byte);
                let parent = folder.strip_prefix("/usr/share/licenses/");
                let debian = folder.strip_prefix("/usr/share/doc/").filter(|_| name == "copyright");
                let package = parent.or(debian)?;
                let good = |text: &str| !text.is_empty() && !text.starts_with('.') && text.bytes().all(plain);
                (package.starts_with("qemu-user") && good(package) && good(name))
                    .then(|| Self::License { folder: package.into(), name: name.into() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::WantedFile;

    #[test]
    fn only_listed_files_come_out() {
        for path in [
            "/usr/bin/qemu-aarch64-static",
            "/usr/bin/qemu-aarch64",
            "/usr/lib/binfmt.d/qemu-i486-static.conf",
            "/usr/share/qemu/binfmt.d/qemu-arm.conf",
            "/usr/share/licenses/qemu-user-static/COPYING.LIB",
            "/usr/share/doc/qemu-user-static/copyright",
        ] {
            assert!(WantedFile::of(path, &[]).is_some(), "{path}");
        }
        for path in [
            "/usr/bin/qemu-../../../etc/passwd-static",
            "/usr/bin/qemu-a b-static",
            "/usr/bin/python3",
            "/usr/sbin/qemu-aarch64-static",
            "/usr/share/systemtap/tapset/qemu-aarch64-static.stp",
            "/usr/lib/.build-id/ab/cdef",
            "/usr/lib/binfmt.d/python3.11.conf",
            "/usr/share/licenses/qemu-user-static/../../../../etc/cron.d/x",
            "/usr/share/licenses/qemu-user-static/.hidden",
            "/usr/share/licenses/other/COPYING",
            "/usr/share/doc/qemu-user-static/changelog.gz",
            "qemu-aarch64-static",
        ] {
            assert_eq!(WantedFile::of(path, &[]), None, "{path}");
        }
    }

    #[test]
    fn a_selection_takes_all_entries_of_its_targets() {
        let targets = ["i386".to_owned()];
        assert!(WantedFile::of("/usr/lib/binfmt.d/qemu-i486-static.conf", &targets).is_some());
        assert!(WantedFile::of("/usr/bin/qemu-i386-static", &targets).is_some());
        assert!(WantedFile::of("/usr/bin/qemu-arm-static", &targets).is_none());
    }
}
