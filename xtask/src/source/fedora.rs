//! Fedora's own servers: the newest release, its packages and updates, the key that it is signed with.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{Fetched, Request, repository};
use crate::download::{Fetcher, Location};
use crate::verify::{Keys, Trust};

/// Fingerprint of each release's signing key. Checked against fedoraproject.org/security when a release is added.
const KEYS: &[(u32, &str)] = &[
    (41, "466CF2D8B60BC3057AA9453ED0622462E99D6AD1"),
    (42, "B0F4950458F69E1150C6C5EDC8AC4916105EF944"),
    (43, "C6E7F081CF80E13146676E88829B606631645531"),
    (44, "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6"),
    (45, "4F50A6114CD5C6976A7F1179655A4B02F577861E"),
    (46, "D924B10D3E810DABDD8B56B596E7E91491211FCE"),
    (47, "B2E766FA50CA6FA2D5ED06FC09D879E09488FB64"),
];

/// Fedora's servers, or one stand-in for them.
struct Servers {
    project: Location,
    downloads: Location,
}

impl Servers {
    fn new(stand_in: Option<&str>) -> Self {
        let server = |host: &str| {
            Location::Url(stand_in.map_or_else(|| format!("https://{host}"), |url| url.trim_end_matches('/').into()))
        };
        Self { project: server("fedoraproject.org"), downloads: server("dl.fedoraproject.org") }
    }
}

/// One line of Fedora's release list; more fields are ignored.
#[derive(Deserialize)]
struct Release {
    version: String,
}

/// Fedora's list of releases: the first contact, which alone tells whether Fedora can be reached.
pub(super) fn releases(request: &Request, fetcher: &Fetcher) -> Result<Vec<u8>> {
    let servers = Servers::new(request.servers.as_deref());
    fetcher.metadata(&servers.project, "releases.json").context("asking Fedora for its releases")
}

/// The packages of the newest release of `list` whose key is known, with its updates.
pub(super) fn fetch(list: &[u8], request: &Request, fetcher: &Fetcher) -> Result<Fetched> {
    let servers = Servers::new(request.servers.as_deref());
    let (release, fingerprint) = newest(list)?;
    let trust = if request.keys.is_empty() {
        let keyring = fetcher.metadata(&servers.project, "fedora.gpg")?;
        Keys::pinned(&keyring, &servers.project.of("fedora.gpg"), &[fingerprint.to_owned()])?
    } else {
        Keys::from_files(&request.keys)?
    };
    let tree = match request.host.name {
        "ppc64le" | "s390x" => "pub/fedora-secondary",
        _ => "pub/fedora/linux",
    };
    let arch = request.host.name;
    let repositories =
        [format!("releases/{release}/Everything/{arch}/os"), format!("updates/{release}/Everything/{arch}")]
            .map(|path| Location::Url(servers.downloads.of(&format!("{tree}/{path}"))));
    let packages = repository::fetch(&repositories, request, fetcher)?;
    Ok(Fetched { origin: format!("Fedora {release}"), packages, trust: Trust::Keys(trust) })
}

/// The newest stable release of the list whose key is pinned. Branched and rawhide releases have no plain number.
fn newest(list: &[u8]) -> Result<(u32, &'static str)> {
    let releases: Vec<Release> = serde_json::from_slice(list).context("reading Fedora's release list")?;
    let numbers = releases.iter().filter_map(|release| release.version.parse::<u32>().ok());
    numbers
        .filter_map(|number| KEYS.iter().find(|key| key.0 == number).copied())
        .max()
        .context("no release of Fedora's list has a key that this source knows; update it")
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn takes_the_newest_stable_release_with_a_known_key() {
        let list = br#"[{"version":"44","arch":"x86_64"},{"version":"45"},{"version":"46 Beta"},{"version":"99"}]"#;
        assert_eq!(newest(list).expect("a release").0, 45);
        newest(b"[]").expect_err("an empty list");
        newest(b"<html>").expect_err("not a list");
    }
}
