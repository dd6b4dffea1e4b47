//! Where files are: a folder of this machine, or below a URL.

use std::path::PathBuf;

use anyhow::{Result, ensure};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    Folder(PathBuf),
    /// An http or https URL, without a slash at its end.
    Url(String),
}

impl Location {
    /// From what a user types; the scheme in either case.
    pub(crate) fn from_user(text: &str) -> Result<Self> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::Folder(text.into())) };
        let scheme = scheme.to_ascii_lowercase();
        ensure!(matches!(scheme.as_str(), "http" | "https"), "neither an http or https URL nor a folder");
        Ok(Self::Url(format!("{scheme}://{}", rest.trim_end_matches('/'))))
    }

    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> Self {
        Self::from_user(text).expect("a place")
    }

    pub(crate) fn of(&self, relative: &str) -> String {
        self.below(relative).name()
    }

    #[must_use]
    pub(crate) fn below(&self, relative: &str) -> Self {
        match self {
            Self::Folder(folder) => Self::Folder(folder.join(relative)),
            Self::Url(url) => Self::Url(format!("{url}/{relative}")),
        }
    }

    /// The server, as `http://host:port`; nothing for a folder.
    pub(super) fn server(&self) -> &str {
        let Self::Url(url) = self else { return "" };
        let host = url.find("://").map_or(0, |at| at + 3);
        url[host..].find('/').map_or(url, |end| &url[..host + end])
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.display().to_string(),
            Self::Url(url) => url.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Location;

    #[test]
    fn a_server_is_what_comes_before_the_path() {
        for (text, server) in [
            ("http://127.0.0.1:80/pub/fedora", "http://127.0.0.1:80"),
            ("https://mirror.example", "https://mirror.example"),
            ("/pub/fedora", ""),
        ] {
            assert_eq!(Location::parse(text).server(), server);
        }
    }

    #[test]
    fn a_place_is_a_folder_or_has_a_scheme_that_is_known() {
        for (text, expected) in [
            ("https://mirror.example/Pub//", Some(Location::Url("https://mirror.example/Pub".into()))),
            ("HTTPS://Mirror.example", Some(Location::Url("https://Mirror.example".into()))),
            ("Http://[::1]:80/", Some(Location::Url("http://[::1]:80".into()))),
            ("packages", Some(Location::Folder("packages".into()))),
            ("/a:b/http:/c", Some(Location::Folder("/a:b/http:/c".into()))),
            ("ftp://mirror.example", None),
            ("file:///packages", None),
            (" https://mirror.example", None),
            ("://mirror.example", None),
        ] {
            assert_eq!(Location::from_user(text).ok(), expected, "{text}");
        }
    }
}
