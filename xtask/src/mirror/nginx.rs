//! What nginx is told: its configuration, and the metalinks of the repositories that it serves, all in a temporary
//! folder. Running it is `serve`'s.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::serve::Certificate;
use super::{layout, metalink};

/// nginx's log, in its folder.
pub(super) const LOG: &str = "error.log";

/// Folder of the metalinks, in nginx's folder.
const METALINKS: &str = "metalinks";

/// What one nginx is to do.
pub(super) struct Told<'a> {
    /// What it serves.
    pub(super) root: &'a Path,
    /// Its URL, without a slash at its end.
    pub(super) base: &'a str,
    /// Its port on the loopback address.
    pub(super) port: u16,
    /// For https.
    pub(super) certificate: Option<&'a Certificate>,
    /// A path that only this very nginx answers.
    pub(super) token: &'a str,
}

impl Told<'_> {
    /// Writes all that into nginx's folder; gives the file of the configuration.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let metalinks = folder.join(METALINKS);
        fs::create_dir(&metalinks).context("making a folder for metalinks")?;
        let known = self.metalinks(&metalinks)?;
        let path = folder.join("nginx.conf");
        fs::write(&path, self.configuration(&metalinks, &known)).context("writing nginx's configuration")?;
        Ok(path)
    }

    /// Writes a metalink for each repository below the root that stands where Fedora's do, with this server as its
    /// only mirror; gives the lines of a map from what is asked for to a file.
    fn metalinks(&self, folder: &Path) -> Result<String> {
        let mut known = Vec::new();
        for repository in layout::find(self.root) {
            let asked = format!("{} {}", repository.name, repository.arch);
            // The first counts, as for a release that is in the archive already and still in its old place.
            if known.contains(&asked) {
                continue;
            }
            let path = self.root.join(&repository.path).join("repodata/repomd.xml");
            let index = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let mirrors = [(format!("{}/{}", self.base, repository.path), 100)];
            let text = metalink::text(&index, &[metalink::older(&index, 1)], &mirrors);
            fs::write(folder.join(known.len().to_string()), text).context("writing a metalink")?;
            known.push(asked);
        }
        Ok(known.iter().enumerate().fold(String::new(), |mut lines, (number, asked)| {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "        {} {number};", quoted(asked));
            lines
        }))
    }

    fn configuration(&self, metalinks: &Path, known: &str) -> String {
        let listen = match self.certificate {
            None => format!("listen 127.0.0.1:{};", self.port),
            Some(Certificate { certificate, key }) => format!(
                "listen 127.0.0.1:{} ssl;\n        ssl_certificate {};\n        ssl_certificate_key {};",
                self.port,
                quoted(certificate.display()),
                quoted(key.display())
            ),
        };
        // One process, as the user who started it: a worker of another user could not read a private folder.
        format!(
            "\
daemon off;
master_process off;
pid nginx.pid;
error_log {LOG};
events {{}}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    default_type application/octet-stream;
    types {{ text/xml xml; application/json json; }}
    map_hash_bucket_size 128;
    map \"$arg_repo $arg_arch\" $metalink {{
        default none;
{known}    }}
    server {{
        {listen}
        root {root};
        autoindex on;
        location ~ /\\. {{ return 404; }}
        location = /{token} {{ return 204; }}
        location = /metalink {{
            default_type application/metalink+xml;
            root {metalinks};
            try_files /$metalink =404;
        }}
    }}
}}
",
            root = quoted(self.root.display()),
            token = self.token,
            metalinks = quoted(metalinks.display()),
        )
    }
}

/// A string of nginx's configuration.
fn quoted(text: impl std::fmt::Display) -> String {
    format!("\"{}\"", text.to_string().replace('\\', "\\\\").replace('"', "\\\""))
}
