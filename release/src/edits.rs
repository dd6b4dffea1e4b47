//! What a release changes in files: the version, the changelog's heading, the image's name.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// What `deploy/image/image.env` names in a checkout.
pub(crate) const CHECKOUT_IMAGE: &str = "localhost/registrar";

const IMAGE_FILE: &str = "deploy/image/image.env";
const CHANGELOG: &str = "CHANGELOG.md";
const UNRELEASED: &str = "## Unreleased\n";

/// Three numbers.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let parts: Vec<u64> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let canonical = parts.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
    if canonical == version { parts.try_into().ok() } else { None }
}

/// `REPOSITORY@sha256:DIGEST`.
pub(crate) fn image(text: &str) -> Result<String> {
    let digest = text.split_once("@sha256:").filter(|(name, _)| !name.is_empty()).map(|(_, digest)| digest);
    let is_digest =
        |digest: &str| digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    ensure!(digest.is_some_and(is_digest), "{text} is not REPOSITORY@sha256:DIGEST; a tag can be moved");
    Ok(text.to_owned())
}

/// Writes the version into the workspace and both locks; tells whether it was another one.
pub(crate) fn version(source: &Path, version: &str) -> Result<bool> {
    let new = numbers(version).with_context(|| format!("{version} is no version such as 1.0.0"))?;
    let path = source.join("Cargo.toml");
    let text = fs::read_to_string(&path).context("reading Cargo.toml")?;
    let line = text.lines().find(|line| line.starts_with("version = \"")).context("Cargo.toml: no version")?;
    let old = line.trim_start_matches("version = \"").trim_end_matches('"');
    if old == version {
        return Ok(false);
    }
    ensure!(numbers(old).is_some_and(|old| old < new), "{version} does not come after {old}");
    fs::write(&path, text.replacen(line, &format!("version = \"{version}\""), 1)).context("writing Cargo.toml")?;
    for name in ["Cargo.lock", "fuzz/Cargo.lock"] {
        let path = source.join(name);
        let text = fs::read_to_string(&path).with_context(|| format!("reading {name}"))?;
        fs::write(&path, locked(&text, old, version)).with_context(|| format!("writing {name}"))?;
    }
    Ok(true)
}

/// A lock with another version of the crates here, which are those without a source. cargo would do it, but asks for the crates of fuzz
/// too, which only those who fuzz have.
fn locked(lock: &str, old: &str, new: &str) -> String {
    const PACKAGE: &str = "[[package]]\n";
    let [old, new] = [old, new].map(|version| format!("\nversion = \"{version}\"\n"));
    let is_here = |package: &str| !package.contains("\nsource = ");
    let package = |text: &str| if is_here(text) { text.replacen(&old, &new, 1) } else { text.to_owned() };
    lock.split(PACKAGE).map(package).collect::<Vec<_>>().join(PACKAGE)
}

/// Names the section that people have written; one of this version must be there already if it is not new.
pub(crate) fn changelog(source: &Path, version: &str, is_new: bool) -> Result<()> {
    let path = source.join(CHANGELOG);
    let text = fs::read_to_string(&path).context("reading CHANGELOG.md")?;
    let heading = if is_new { UNRELEASED.to_owned() } else { format!("## {version}\n") };
    let section = text.split_once(&heading).map(|(_, rest)| rest.split("\n## ").next().unwrap_or_default());
    let is_written = section.is_some_and(|section| section.lines().any(|line| line.starts_with("- ")));
    ensure!(is_written, "CHANGELOG.md says nothing under \"{}\"; write what is new for users", heading.trim());
    if is_new {
        fs::write(&path, text.replacen(UNRELEASED, &format!("## {version}\n"), 1)).context("writing CHANGELOG.md")?;
    }
    Ok(())
}

/// A new section for what comes next.
pub(crate) fn unreleased(source: &Path) -> Result<()> {
    let path = source.join(CHANGELOG);
    let text = fs::read_to_string(&path).context("reading CHANGELOG.md")?;
    let Some(start) = text.find("\n## ") else { bail!("CHANGELOG.md has no section") };
    fs::write(&path, format!("{}\n{UNRELEASED}{}", &text[..start], &text[start..])).context("writing CHANGELOG.md")
}

/// Names the image.
pub(crate) fn image_env(source: &Path, image: &str) -> Result<()> {
    let path = source.join(IMAGE_FILE);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {IMAGE_FILE}"))?;
    let line =
        text.lines().find(|line| line.starts_with("IMAGE=")).with_context(|| format!("{IMAGE_FILE}: no IMAGE"))?;
    fs::write(&path, text.replace(line, &format!("IMAGE={image}"))).with_context(|| format!("writing {IMAGE_FILE}"))
}

#[cfg(test)]
mod tests {
    use super::{changelog, image, image_env, locked, numbers, unreleased};

    #[test]
    fn versions_and_images_are_of_one_form() {
        for (version, good) in
            [("1.0.0", true), ("0.10.2", true), ("1.0", false), ("01.0.0", false), ("1.0.0-rc1", false)]
        {
            assert_eq!(numbers(version).is_some(), good, "{version}");
        }
        let digest = "0123456789abcdef".repeat(4);
        image(&format!("ghcr.io/owner/name@sha256:{digest}")).expect("an image");
        for wrong in ["ghcr.io/owner/name:1", "@sha256:0", &format!("name@sha256:{}", digest.to_uppercase())] {
            image(wrong).expect_err(wrong);
        }
    }

    #[test]
    fn locks_change_for_the_crates_here() {
        let package = |name: &str, version: &str, more: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n{more}\n")
        };
        let lock = |version: &str| {
            let others = package("other", "0.1.0", "source = \"registry\"\n") + &package("fuzz", "0.0.0", "");
            format!("version = 4\n\n{}{others}", package("codegen", version, "dependencies = [\n \"other\",\n]\n"))
        };
        assert_eq!(locked(&lock("0.1.0"), "0.1.0", "1.0.0"), lock("1.0.0"));
    }

    #[test]
    fn files_are_changed_and_changed_back() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("deploy/image")).expect("a folder");
        let (log, env) = (folder.path().join("CHANGELOG.md"), folder.path().join("deploy/image/image.env"));
        std::fs::write(&log, "# Changelog\n\n## Unreleased\n\n- new\n").expect("a file");
        std::fs::write(&env, "# a comment\nIMAGE=localhost/registrar\n").expect("a file");
        let read = |path| std::fs::read_to_string(path).expect("a file");
        changelog(folder.path(), "1.0.0", true).expect("a section");
        assert_eq!(read(&log), "# Changelog\n\n## 1.0.0\n\n- new\n");
        changelog(folder.path(), "1.0.0", false).expect("a section");
        unreleased(folder.path()).expect("another section");
        assert_eq!(read(&log), "# Changelog\n\n## Unreleased\n\n## 1.0.0\n\n- new\n");
        changelog(folder.path(), "1.1.0", true).expect_err("an empty section");
        image_env(folder.path(), "name@sha256:0").expect("a line");
        assert_eq!(read(&env), "# a comment\nIMAGE=name@sha256:0\n");
    }
}
