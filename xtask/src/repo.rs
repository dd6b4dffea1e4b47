//! RPM repositories: reads their metadata, and chooses packages.

use anyhow::{Context, Result, bail};

use crate::download::Location;
use crate::output::quoted;

use checksum::Checksum;

mod checksum;
pub mod metalink;
pub mod primary;
pub(crate) mod repo_package;
pub mod repomd;
pub mod resolve;
pub(crate) mod resolved_package;
mod skip;
mod xml;

const LONGEST_HREF: usize = 1024;

/// Longest accepted name or version of a package: all of them together are a file name.
const LONGEST_WORD: usize = 255;

/// Largest accepted package and list of packages, in bytes: metadata are not signed. Fedora's have 20 MB each.
pub(crate) const MAX_FILE: u64 = 1 << 30;

/// Largest accepted list of packages when decompressed, in bytes; Fedora's has 200 MB.
pub(crate) const MAX_DECOMPRESSED: u64 = 2 << 30;

pub(crate) fn size(text: &str, limit: u64) -> Result<u64> {
    let size = text.trim().parse().with_context(|| format!("{} is no size", quoted(text.trim())))?;
    if size > limit {
        bail!("{size} bytes exceed the limit of {limit}");
    }
    Ok(size)
}

/// A name, version or architecture of a package, of the characters that RPM allows.
pub(crate) fn validate_rpm_token(word: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-~^".contains(&byte);
    if word.is_empty() || word.len() > LONGEST_WORD || word.starts_with('.') || !word.bytes().all(plain) {
        bail!("{} is no name or version of a package", quoted(word));
    }
    Ok(word)
}

pub(crate) fn validate_relative_path(href: &str) -> Result<&str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\?#%\"<>".contains(&byte);
    let inside = href.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if href.len() > LONGEST_HREF || !inside || !href.bytes().all(plain) || href.contains(':') {
        bail!("metadata name a file at {}, which is not a plain path inside the repository", quoted(href));
    }
    Ok(href)
}

/// `xml:base`, which `createrepo_c --baseurl` writes: an absolute URL, as for dnf (rpm-software-management/libdnf#54).
pub(crate) fn check_base(base: &str) -> Result<Location> {
    let plain = base.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\?#\"<>@".contains(&byte));
    match Location::from_user(base) {
        Ok(Location::Url(url)) if plain && base.len() <= LONGEST_HREF && url.parse::<ureq::http::Uri>().is_ok() => {
            Ok(Location::Url(url))
        }
        _ => bail!("metadata name the place {} for files (xml:base), which is no http or https URL", quoted(base)),
    }
}

#[cfg(test)]
mod tests {
    mod hostile;

    use super::{check_base, size, validate_relative_path, validate_rpm_token};

    #[test]
    fn a_place_for_files_is_a_url() {
        for (good, expected) in [
            // As trivy's repository has it: https://github.com/sonatype/nexus-public/issues/147
            (
                "https://github.com/aquasecurity/trivy/releases/download/",
                "/aquasecurity/trivy/releases/download/v1/a.rpm",
            ),
            ("http://localhost:8081/nexus/yum-repos", "/nexus/yum-repos/v1/a.rpm"),
            ("HTTPS://mirror.example", "https://mirror.example/v1/a.rpm"),
        ] {
            let location = check_base(good).expect(good).of("v1/a.rpm");
            assert!(location.ends_with(expected), "{location}");
        }
        for bad in [
            "",
            "../pool",
            "pool/",
            "/srv/pool",
            "file:///srv/pool",
            "ftp://a/b",
            "media://a#1",
            "http://",
            "https://a b",
            "https://user@a/b",
            "http://a/b?c=",
            "http://a/\n",
        ] {
            let error = check_base(bad).expect_err(bad).to_string();
            assert!(error.contains("no http or https URL") && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn paths_stay_inside_the_repository() {
        for good in ["repodata/abc-primary.xml.zst", "Packages/q/qemu-user-static-x86-2.fc45~rc1+1^a.x86_64.rpm"] {
            validate_relative_path(good).expect(good);
        }
        let long = "a/".repeat(600) + "b";
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/.",
            "file:///x",
            "http://x/y",
            "a b",
            "a%2e",
            "a\\b",
            &long,
        ] {
            validate_relative_path(bad).expect_err(bad);
        }
    }

    #[test]
    fn names_and_sizes_are_what_packages_have() {
        for good in ["qemu-user-static-x86", "11.1.3", "1.fc45", "2~rc1^git+a", "x86_64", "0"] {
            validate_rpm_token(good).expect(good);
        }
        for bad in ["", "..", "a/b", "a\nb", "../../climbed", "a b", &"a".repeat(256)] {
            validate_rpm_token(bad).expect_err(bad);
        }
        assert_eq!(size(" 17\n", 20).expect("a size"), 17);
        for bad in ["21", "-1", "", "18446744073709551615", "18446744073709551616"] {
            size(bad, 20).expect_err(bad);
        }
    }
}
