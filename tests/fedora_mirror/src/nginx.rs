//! What nginx is told: its configuration, and the metalinks of the repositories that it serves, all in a temporary
//! folder. Running it is `serve`'s.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::serve::Certificate;
use crate::{layout, metalink};

/// nginx's log, in its folder.
pub(crate) const LOG: &str = "error.log";

/// Folder of the metalinks, in nginx's folder.
const METALINKS: &str = "metalinks";

/// What one nginx serves.
#[derive(Clone, Copy, Debug)]
pub(crate) enum What<'a> {
    /// A folder, by http, and the metalinks of its repositories.
    Folder(&'a Path),
    /// What another server serves, by https.
    Server(&'a str, &'a Certificate),
}

/// What one nginx is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    /// What it serves.
    pub(crate) what: What<'a>,
    /// Its port on the loopback address.
    pub(crate) port: u16,
    /// A path that only this very nginx answers.
    pub(crate) token: &'a str,
}

impl Told<'_> {
    /// nginx's URL, without a slash at its end.
    pub(crate) fn base(&self) -> String {
        let scheme = match self.what {
            What::Folder(_) => "http",
            What::Server(..) => "https",
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Writes all that into nginx's folder; gives the file of the configuration.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join("nginx.conf");
        let (map, server) = match self.what {
            What::Folder(root) => {
                let metalinks = folder.join(METALINKS);
                fs::create_dir(&metalinks).context("making a folder for metalinks")?;
                (self.metalinks(root, &metalinks)?, self.of_folder(root, &metalinks))
            }
            What::Server(url, certificate) => (String::new(), self.of_server(url, certificate)),
        };
        fs::write(&path, self.configuration(&map, &server)).context("writing nginx's configuration")?;
        Ok(path)
    }

    /// Writes a metalink for each repository below the root that stands where Fedora's do; gives the lines of a map from
    /// what is asked for to a file.
    fn metalinks(&self, root: &Path, folder: &Path) -> Result<String> {
        let mut known = Vec::new();
        for repository in layout::find(root) {
            let asked = format!("{} {}", repository.name, repository.arch);
            // The first counts, as for a release that is in the archive already and still in its old place.
            if known.contains(&asked) {
                continue;
            }
            let path = root.join(&repository.path).join("repodata/repomd.xml");
            let index = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
            let text = metalink::text(&index, &[metalink::older(&index, 1)], &self.mirrors(&repository.path));
            fs::write(folder.join(known.len().to_string()), text).context("writing a metalink")?;
            known.push(asked);
        }
        Ok(known.iter().enumerate().fold(String::new(), |mut lines, (number, asked)| {
            // Writing to a string does not fail.
            let _ = writeln!(lines, "        {} {number};", quoted(asked));
            lines
        }))
    }

    /// The mirrors of a repository. Fedora's metalink names each host by all of its protocols, rsync among them, with one
    /// preference. The first host is this server; the second is reached by no protocol that it is named with.
    fn mirrors(&self, path: &str) -> Vec<(String, u32)> {
        let urls = [("rsync", 100), ("http", 100), ("https", 99), ("rsync", 99)];
        urls.map(|(protocol, preference)| (format!("{protocol}://127.0.0.1:{}/{path}", self.port), preference)).into()
    }

    fn of_folder(&self, root: &Path, metalinks: &Path) -> String {
        format!(
            "        listen 127.0.0.1:{};
        root {};
        autoindex on;
        location ~ /\\. {{ return 404; }}
        location = /metalink {{
            default_type application/metalink+xml;
            root {};
            try_files /$metalink =404;
        }}",
            self.port,
            quoted(root.display()),
            quoted(metalinks.display())
        )
    }

    /// Redirects are passed on as they are.
    fn of_server(&self, url: &str, certificate: &Certificate) -> String {
        format!(
            "        listen 127.0.0.1:{} ssl;
        ssl_certificate {};
        ssl_certificate_key {};
        location / {{
            proxy_pass {url};
            proxy_redirect off;
        }}",
            self.port,
            quoted(certificate.certificate.display()),
            quoted(certificate.key.display()),
        )
    }

    fn configuration(&self, map: &str, server: &str) -> String {
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
{map}    }}
    server {{
{server}
        location = /{token} {{ return 204; }}
    }}
}}
",
            token = self.token,
        )
    }
}

/// A string of nginx's configuration.
fn quoted(text: impl std::fmt::Display) -> String {
    format!("\"{}\"", text.to_string().replace('\\', "\\\\").replace('"', "\\\""))
}
