//! While tests' tools are installed, Debian's packages start no service: those that a build needs have none.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What Debian's packages ask before they start a service.
pub(crate) const POLICY: &str = "/usr/sbin/policy-rc.d";

/// The answer: none is to be started (a web server's would). By this text ours is known.
const NO_SERVICES: &str =
    "#!/bin/sh\n# Of an installation by cargo xtask; may be removed when none is under way.\nexit 101\n";

/// While it lives, packages start no service. The file is locked, so one that a killed process has left is taken over.
pub(crate) struct PolicyRcGuard {
    ours: Option<(PathBuf, File)>,
}

impl PolicyRcGuard {
    pub(crate) fn begin(policy: &Path) -> Result<Self> {
        let attempt = || -> std::io::Result<Self> {
            loop {
                match Self::make(policy) {
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    made => return made.map(|file| Self { ours: Some((policy.into(), file)) }),
                }
                let mut found = match File::open(policy) {
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    found => found?,
                };
                let mut text = Vec::new();
                found.read_to_end(&mut text)?;
                if text != NO_SERVICES.as_bytes() {
                    // The machine's owner has a policy.
                    return Ok(Self { ours: None });
                }
                found.lock()?;
                // Whoever held it has removed the file at the end, unless it was killed.
                if fs::metadata(policy).is_ok_and(|now| found.metadata().is_ok_and(|then| now.ino() == then.ino())) {
                    return Ok(Self { ours: Some((policy.into(), found)) });
                }
            }
        };
        attempt().with_context(|| format!("writing {}", policy.display()))
    }

    /// Puts the file in place, locked and whole from the first moment.
    fn make(policy: &Path) -> std::io::Result<File> {
        let folder = policy.parent().unwrap_or(Path::new("/"));
        let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempfile_in(folder)?;
        file.write_all(NO_SERVICES.as_bytes())?;
        // The umask has been applied.
        file.as_file().set_permissions(Permissions::from_mode(0o755))?;
        // A script that is open for writing is not executed (ETXTBSY), so that packages could not ask it.
        let path = file.into_temp_path();
        let file = File::open(&path)?;
        file.lock()?;
        path.persist_noclobber(policy).map_err(|error| error.error)?;
        Ok(file)
    }
}

impl Drop for PolicyRcGuard {
    fn drop(&mut self) {
        if let Some((policy, _locked)) = &self.ours {
            // One that stays is said by what it contains, and taken over by the next.
            let _ = fs::remove_file(policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_taken_over_only_from_the_dead() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let policy = folder.path().join("policy-rc.d");
        let held = PolicyRcGuard::begin(&policy).expect("a policy");
        let mode = fs::metadata(&policy).expect("the policy").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        let answer = std::process::Command::new(&policy).status().expect("it can be executed while it is held");
        assert_eq!(answer.code(), Some(101));

        let other = std::thread::spawn({
            let policy = policy.clone();
            move || PolicyRcGuard::begin(&policy).expect("a policy after the first").ours.is_some()
        });
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!other.is_finished(), "two at a time");
        drop(held);
        assert!(other.join().expect("the other"), "none after the first");
        assert!(!policy.exists());

        fs::write(&policy, NO_SERVICES).expect("what a killed process leaves");
        drop(PolicyRcGuard::begin(&policy).expect("taken over"));
        assert!(!policy.exists());

        fs::write(&policy, "#!/bin/sh\nexit 0\n").expect("the owner's policy");
        drop(PolicyRcGuard::begin(&policy).expect("left alone"));
        assert!(policy.exists());
        assert_eq!(fs::read_dir(folder.path()).expect("the folder").count(), 1, "nothing else is left");
    }
}
