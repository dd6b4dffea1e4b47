//! Throwaway OpenPGP keys: made, kept, and used to sign packages with the real `gpg` and `rpmsign`.
//!
//! The secret half is an armored file rather than a `GNUPGHOME`: the agent's socket cannot have a long path, and an
//! agent would outlive the folder. Each use imports it into a short-lived home.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use xtask::system;

use crate::Rpm;

/// A key on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The public half, armored.
    pub public: PathBuf,
    /// The public half as a binary keyring.
    pub keyring: PathBuf,
    /// The secret half, armored, without a passphrase.
    pub secret: PathBuf,
    /// Forty upper-case hexadecimal digits.
    pub fingerprint: String,
}

/// Names below a key's folder.
const PUBLIC: &str = "key.asc";
const SECRET_DIR: &str = ".key";
const KEYRING: &str = ".key/public.gpg";
const SECRET: &str = ".key/secret.asc";
const FINGERPRINT: &str = ".key/fingerprint";

impl Key {
    /// Makes an RSA key in a folder, as Fedora's are: one primary key that signs, no subkeys, no expiry.
    ///
    /// # Errors
    /// If `gpg` fails or a file cannot be written.
    pub fn generate(folder: &Path, name: &str, bits: u32) -> Result<Self> {
        let home = Home::new()?;
        let parameters = format!("rsa{bits}");
        system::run(home.gpg().args(["--quick-generate-key", name, &parameters, "sign", "never"]))?;
        let listed = system::run(home.gpg().args(["--with-colons", "--list-secret-keys"]))?.stdout;
        let listed = String::from_utf8_lossy(&listed);
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:")).map(|line| line.trim_matches(':'));
        let fingerprint = fingerprint.context("gpg has listed no fingerprint of the new key")?;
        let public = system::run(home.gpg().args(["--armor", "--export", fingerprint]))?.stdout;
        let keyring = system::run(home.gpg().args(["--export", fingerprint]))?.stdout;
        let secret = system::run(home.gpg().args(["--armor", "--export-secret-keys", fingerprint]))?.stdout;
        let secret_folder = folder.join(SECRET_DIR);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&secret_folder)
            .with_context(|| format!("making {}", secret_folder.display()))?;
        write(&folder.join(PUBLIC), &public, 0o644)?;
        write(&folder.join(KEYRING), &keyring, 0o644)?;
        write(&folder.join(SECRET), &secret, 0o600)?;
        write(&folder.join(FINGERPRINT), fingerprint.as_bytes(), 0o600)?;
        Self::load(folder)
    }

    /// The key that [`Key::generate`] has made in a folder.
    ///
    /// # Errors
    /// If it is not there.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(FINGERPRINT);
        let fingerprint = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let [public, keyring, secret] = [PUBLIC, KEYRING, SECRET].map(|name| folder.join(name));
        Ok(Self { public, keyring, secret, fingerprint })
    }

    /// Signs packages in place, in place of signatures that they have.
    ///
    /// # Errors
    /// If `rpmsign` fails.
    pub fn sign(&self, packages: &[impl AsRef<Path>]) -> Result<()> {
        self.sign_with(packages, &Rpm::default())
    }

    /// Signs packages as [`Key::sign`] does, with the `rpmsign` that understands their format.
    ///
    /// # Errors
    /// If `rpmsign` fails.
    pub fn sign_with(&self, packages: &[impl AsRef<Path>], rpm: &Rpm) -> Result<()> {
        ensure!(!packages.is_empty(), "no packages to sign");
        let home = Home::new()?;
        system::run(home.gpg().arg("--import").arg(&self.secret))?;
        let gpg = system::find("gpg").context("gpg is not there")?;
        let mut rpmsign = rpm.command("rpmsign")?;
        for definition in [
            format!("_gpg_name {}", self.fingerprint),
            format!("_gpg_path {}", home.0.path().display()),
            "_gpg_digest_algo sha256".into(),
            format!("__gpg {}", gpg.display()),
        ] {
            rpmsign.args(["--define", &definition]);
        }
        // rpm 6 adds no second signature to a package of format 4.
        rpmsign.arg("--resign").args(packages.iter().map(AsRef::as_ref)).env("HOME", home.0.path());
        system::run(&mut rpmsign).map(drop)
    }
}

/// Takes the signature out of a package, in place.
///
/// # Errors
/// If `rpmsign` fails.
pub fn unsign(package: &Path) -> Result<()> {
    system::run(system::command("rpmsign").arg("--delsign").arg(package)).map(drop)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| std::io::Write::write_all(&mut file, bytes))
        .with_context(|| format!("writing {}", path.display()))
}

/// A `GNUPGHOME` for one use; its agent ends with it.
struct Home(TempDir);

impl Home {
    fn new() -> Result<Self> {
        tempfile::Builder::new().prefix("gpg-").tempdir().map(Self).context("making a folder for gpg")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = system::command(program);
        command.arg("--homedir").arg(self.0.path());
        command
    }

    fn gpg(&self) -> Command {
        let mut gpg = self.command("gpg");
        gpg.args(["--batch", "--quiet"]).args(["--pinentry-mode", "loopback", "--passphrase", ""]);
        gpg
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // An agent that is not reached ends by itself once its socket is gone.
        let _ = self.command("gpgconf").args(["--kill", "all"]).output();
    }
}
