//! `gpg` as a person uses it, for keys that no mirror has: expired, revoked, of other kinds.

use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::TempDir;
use xtask::system;

/// A `GNUPGHOME` for keys that are past use.
pub(crate) struct Gpg(pub(crate) TempDir);

impl Gpg {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.bytes(arguments)).expect("text")
    }

    fn bytes(&self, arguments: &[&str]) -> Vec<u8> {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--homedir"]);
        system::run(gpg.arg(self.0.path()).args(arguments)).expect("running gpg").stdout
    }

    /// Makes a key; its fingerprint.
    pub(crate) fn generate(&self, options: &[&str], name: &str, kind: &str, usage: &str, expiry: &str) -> String {
        self.run(&[options, &["--quick-generate-key", name, kind, usage, expiry]].concat());
        let listed = self.run(&["--with-colons", "--list-keys", name]);
        let line = listed.lines().find_map(|line| line.strip_prefix("fpr:")).expect("a fingerprint");
        line.trim_matches(':').to_owned()
    }

    /// Changes a key as a person would, line by line.
    pub(crate) fn edit(&self, name: &str, lines: &str) {
        let mut gpg = Command::new("gpg")
            .args(["--no-tty", "--quiet", "--command-fd", "0", "--pinentry-mode", "loopback", "--passphrase", ""])
            .arg("--homedir")
            .arg(self.0.path())
            .args(["--edit-key", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("running gpg");
        gpg.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("talking to gpg");
        assert!(gpg.wait().expect("waiting for gpg").success());
    }

    /// One armoured block with all the named keys.
    pub(crate) fn export(&self, names: &[&str]) -> String {
        self.run(&[&["--armor", "--export"], names].concat())
    }

    /// The named keys as a binary keyring, the form of `fedora.gpg`.
    pub(crate) fn export_binary(&self, names: &[&str]) -> Vec<u8> {
        self.bytes(&[&["--export"], names].concat())
    }

    /// A signature over bytes, apart from them.
    pub(crate) fn sign(&self, bytes: &[u8], options: &[&str]) -> Vec<u8> {
        let (file, signature) = (self.0.path().join("signed"), self.0.path().join("signature"));
        std::fs::write(&file, bytes).expect("writing what is to be signed");
        let output = ["--yes", "--output", signature.to_str().expect("text"), "--detach-sign"];
        self.bytes(&[options, &output, &[file.to_str().expect("text")]].concat());
        std::fs::read(signature).expect("a signature")
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf").arg("--homedir").arg(self.0.path()).args(["--kill", "all"]).output();
    }
}
