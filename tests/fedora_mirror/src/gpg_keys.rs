//! The package `fedora-gpg-keys`, which carries a release's key in the release's own repository, as text.

use std::fmt::Write;

use crate::spec::Format;

/// Folder of the keys.
const FOLDER: &str = "/etc/pki/rpm-gpg";

/// The spec file of a package with this key, armored, for these architectures. Rawhide's has links by that name, too.
pub(crate) fn spec(release: u32, rawhide: bool, arches: &[&str], key: &str, format: Format) -> String {
    let primary = format!("RPM-GPG-KEY-fedora-{release}-primary");
    let mut links = vec![format!("RPM-GPG-KEY-{release}-fedora")];
    links.extend(arches.iter().map(|arch| format!("RPM-GPG-KEY-fedora-{release}-{arch}")));
    if rawhide {
        links.push("RPM-GPG-KEY-fedora-rawhide-primary".into());
        links.extend(arches.iter().map(|arch| format!("RPM-GPG-KEY-fedora-rawhide-{arch}")));
    }
    let format = format as u8;
    let mut text = format!(
        "\
%global _binary_payload w3.zstdio
%global _source_filedigest_algorithm 8
%global _binary_filedigest_algorithm 8
%global _rpmformat {format}
%global _buildhost localhost

Name: fedora-gpg-keys
Version: {release}
Release: 1
Summary: Key of a local test mirror
License: MIT
Vendor: Local test mirror, not the Fedora Project
BuildArch: noarch

%description
The throwaway key that has signed the packages of a local test mirror.

%install
mkdir -p '%{{buildroot}}{FOLDER}'
cd '%{{buildroot}}{FOLDER}'
cat > {primary} << 'END-OF-KEY'
{key}
END-OF-KEY
"
    );
    // Writing to a string does not fail.
    for link in &links {
        let _ = writeln!(text, "ln -s {primary} {link}");
    }
    let _ = writeln!(text, "\n%files\n%defattr(-,root,root)\n%dir {FOLDER}");
    for file in std::iter::once(&primary).chain(&links) {
        let _ = writeln!(text, "{FOLDER}/{file}");
    }
    text
}
