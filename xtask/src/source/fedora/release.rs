//! Fedora's releases: which one is meant, which is the newest, and whose key signs it.

use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The newest stable release whose key is below; taken if Fedora's list cannot be had. A test compares the
/// Containerfile's builder.
pub const NEWEST_KNOWN: u32 = 45;

/// Each release's signing key, from fedoraproject.org/security; a test compares Debian's package
/// `distribution-gpg-keys`.
pub const KEYS: &[(u32, &str)] = &[
    (41, "466CF2D8B60BC3057AA9453ED0622462E99D6AD1"),
    (42, "B0F4950458F69E1150C6C5EDC8AC4916105EF944"),
    (43, "C6E7F081CF80E13146676E88829B606631645531"),
    (44, "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6"),
    (45, "4F50A6114CD5C6976A7F1179655A4B02F577861E"),
    (46, "D924B10D3E810DABDD8B56B596E7E91491211FCE"),
    (47, "B2E766FA50CA6FA2D5ED06FC09D879E09488FB64"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    Number(u32),
    /// What becomes the release after the next.
    Rawhide,
}

/// What a user names: a release, or `latest`, the newest stable one whose key this source knows.
pub(crate) fn parse_wanted(text: &str) -> Result<Option<Release>> {
    if text == "latest" { Ok(None) } else { text.parse().map(Some) }
}

impl FromStr for Release {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "rawhide" => Ok(Self::Rawhide),
            number => match number.parse() {
                Ok(number) => Ok(Self::Number(number)),
                Err(_) => bail!("a release is a number such as {NEWEST_KNOWN}, rawhide, or latest"),
            },
        }
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Rawhide => f.write_str("rawhide"),
        }
    }
}

pub(super) struct Repo {
    /// Its name for the metalink server.
    pub(super) id: String,
    /// Where it is below a mirror's root.
    pub(super) path: String,
}

impl Release {
    pub(super) fn repositories(self, host: &str) -> Vec<Repo> {
        match self {
            Self::Number(number) => vec![
                Repo { id: format!("fedora-{number}"), path: format!("releases/{number}/Everything/{host}/os") },
                Repo { id: format!("updates-released-f{number}"), path: format!("updates/{number}/Everything/{host}") },
            ],
            Self::Rawhide => {
                vec![Repo { id: "rawhide".into(), path: format!("development/rawhide/Everything/{host}/os") }]
            }
        }
    }

    /// Whether it may be in the archive by now.
    pub(super) fn may_have_ended(self) -> bool {
        matches!(self, Self::Number(number) if number < NEWEST_KNOWN)
    }

    pub fn fingerprints(self) -> Result<Vec<String>> {
        let is_its = |number: u32| match self {
            Self::Number(wanted) => number == wanted,
            // It is signed with the key of the release that it becomes, and around a branching with the one before.
            Self::Rawhide => number > NEWEST_KNOWN,
        };
        let known: Vec<_> =
            KEYS.iter().filter(|key| is_its(key.0)).map(|&(_, fingerprint)| fingerprint.into()).collect();
        if known.is_empty() {
            bail!(
                "the key of Fedora {self} is not known to this source, which knows {}; name it with --fingerprint",
                KEYS.iter().map(|key| key.0.to_string()).collect::<Vec<_>>().join(", ")
            );
        }
        Ok(known)
    }
}

#[derive(Deserialize)]
struct Line {
    version: String,
}

/// The newest release of Fedora's list whose key is pinned, and a newer one if there is. Branched ones have no plain
/// number.
pub(super) fn newest(list: &[u8]) -> Result<(Release, Option<u32>)> {
    let lines: Vec<Line> = serde_json::from_slice(list).context("reading Fedora's list of releases")?;
    let numbers = || lines.iter().filter_map(|line| line.version.parse::<u32>().ok());
    let known = |number: &u32| KEYS.iter().any(|key| key.0 == *number);
    let newest = numbers().filter(known).max();
    let newest = newest.context("no release of Fedora's list has a key that this source knows; update it")?;
    Ok((Release::Number(newest), numbers().max().filter(|&number| number > newest)))
}

#[cfg(test)]
mod tests {
    use super::{KEYS, NEWEST_KNOWN, Release, newest, parse_wanted};
    use crate::workspace::workspace_root;

    #[test]
    fn takes_the_newest_stable_release_with_a_known_key() {
        let [older, known, next] = [NEWEST_KNOWN - 1, NEWEST_KNOWN, NEWEST_KNOWN + 1];
        let list = format!(
            r#"[{{"version":"{older}","arch":"x86_64"}},{{"version":"{known}"}},{{"version":"{next} Beta"}},{{"version":"99"}}]"#
        );
        assert_eq!(newest(list.as_bytes()).expect("a release"), (Release::Number(known), Some(99)));
        let list = format!(r#"[{{"version":"{known}"}}]"#);
        assert_eq!(newest(list.as_bytes()).expect("a release"), (Release::Number(known), None));
        newest(b"[]").expect_err("an empty list");
        newest(b"<html>").expect_err("not a list");
    }

    #[test]
    fn releases_have_names_repositories_and_keys() {
        for (text, wanted) in [
            ("latest", Some(None)),
            ("12", Some(Some(Release::Number(12)))),
            ("rawhide", Some(Some(Release::Rawhide))),
            ("12 Beta", None),
            ("../12", None),
            ("", None),
        ] {
            assert_eq!(parse_wanted(text).ok(), wanted, "{text:?}");
        }
        let ids: Vec<_> = Release::Number(12).repositories("s390x").into_iter().map(|repo| repo.id).collect();
        assert_eq!(ids, ["fedora-12", "updates-released-f12"]);
        assert_eq!(Release::Number(41).fingerprints().expect("a key"), ["466CF2D8B60BC3057AA9453ED0622462E99D6AD1"]);
        let later: Vec<_> = KEYS.iter().filter(|key| key.0 > NEWEST_KNOWN).map(|key| key.1).collect();
        assert_eq!(Release::Rawhide.fingerprints().expect("keys"), later);
        Release::Number(12).fingerprints().expect_err("a release of long ago");
    }

    #[test]
    fn the_newest_known_release_has_a_key_and_a_successor_with_one() {
        assert!(KEYS.iter().any(|key| key.0 == NEWEST_KNOWN));
        assert!(KEYS.iter().any(|key| key.0 > NEWEST_KNOWN), "rawhide needs one");
    }

    #[test]
    fn the_containers_builder_is_the_newest_known_release() {
        let file = std::fs::read_to_string(workspace_root().join("Containerfile")).expect("the Containerfile");
        let builder = file.lines().find_map(|line| line.strip_prefix("ARG BUILDER=")).expect("a builder");
        let tag = builder.split_once("fedora:").expect("an image of Fedora's").1;
        assert_eq!(tag.split('@').next(), Some(NEWEST_KNOWN.to_string().as_str()), "{builder}");
    }
}
