//! Where files are: a folder of this machine, or below a URL.

use std::path::PathBuf;

/// A folder of this machine or a place below a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A folder.
    Folder(PathBuf),
    /// An http or https URL, without a slash at its end.
    Url(String),
}

impl Location {
    /// From what a user types.
    pub fn parse(text: &str) -> Self {
        if text.starts_with("http://") || text.starts_with("https://") {
            Self::Url(text.trim_end_matches('/').into())
        } else {
            Self::Folder(text.into())
        }
    }

    /// What a user would type for a file below it.
    pub fn of(&self, relative: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(relative).display().to_string(),
            Self::Url(url) => format!("{url}/{relative}"),
        }
    }

    /// The place below it.
    #[must_use]
    pub fn below(&self, relative: &str) -> Self {
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

    /// What a user would type for itself.
    pub fn name(&self) -> String {
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
}
