//! What tests need of the running kernel. It is tried, not concluded from a version: distributions take features back
//! to older kernels, and disable them.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use xtask::system::{command, run};

/// A feature of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// User namespaces, with a mount namespace of their own.
    UserNamespaces,
    /// An instance of `binfmt_misc` for each user namespace.
    BinfmtMiscInUserNamespace,
    /// The trace point `capability:cap_capable`. Takes root.
    CapCapable,
}

/// What the kernel tests need.
pub const KERNEL_TESTS: &[Feature] = &[Feature::UserNamespaces, Feature::BinfmtMiscInUserNamespace];

impl Feature {
    /// What fails where it is missing.
    fn trial(self) -> Command {
        let namespace = ["--user", "--map-root-user", "--mount"];
        let mut unshare = command("unshare");
        match self {
            Self::UserNamespaces => unshare.args(namespace).arg("true"),
            Self::BinfmtMiscInUserNamespace => {
                let mount = ["mount", "-t", "binfmt_misc", "binfmt_misc", "/proc/sys/fs/binfmt_misc"];
                unshare.args(namespace).args(mount)
            }
            Self::CapCapable => {
                let look = "mount -t tracefs tracefs /proc/sys/fs && ls -d /proc/sys/fs/events/capability/cap_capable";
                unshare.args(["--mount", "sh", "-c", look])
            }
        };
        unshare
    }

    /// What is wrong, and what to do.
    fn missing(self) -> String {
        let since = |version| format!("needs Linux {version}; this is Linux {}", release());
        match self {
            Self::UserNamespaces => "no user namespace can be made here; see the limits user.max_user_namespaces and \
                                     kernel.apparmor_restrict_unprivileged_userns, and what a container forbids"
                .into(),
            Self::BinfmtMiscInUserNamespace => {
                format!("binfmt_misc cannot be mounted in a user namespace, which {}", since("6.7"))
            }
            Self::CapCapable => format!("no trace point capability:cap_capable, which {}", since("6.14")),
        }
    }
}

fn release() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease");
    release.map_or_else(|_| "of an unknown version".into(), |release| release.trim_end().to_owned())
}

/// Tries whether the kernel has these features.
///
/// # Errors
/// The first that it has not, in one line.
pub fn require(features: &[Feature]) -> Result<()> {
    require_by(features, |trial| run(trial).map(drop))
}

fn require_by(features: &[Feature], attempt: impl Fn(&mut Command) -> Result<()>) -> Result<()> {
    features.iter().try_for_each(|feature| attempt(&mut feature.trial()).with_context(|| feature.missing()))
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    const ALL: [Feature; 3] = [Feature::UserNamespaces, Feature::BinfmtMiscInUserNamespace, Feature::CapCapable];

    /// A kernel that refuses what has this word on its command line.
    fn without(word: &str) -> String {
        let refuse = |trial: &mut Command| match format!("{trial:?}").contains(word) {
            true => bail!("refused"),
            false => Ok(()),
        };
        require_by(&ALL, refuse).map_or_else(|error| format!("{error:#}"), |()| "nothing".into())
    }

    #[test]
    fn the_missing_feature_is_named_in_one_line_with_the_version_that_has_it() {
        assert_eq!(without("no such word"), "nothing");
        for (word, expected) in [
            ("--user", "no user namespace can be made here; "),
            (
                "\"binfmt_misc\"",
                "binfmt_misc cannot be mounted in a user namespace, which needs Linux 6.7; this is Linux ",
            ),
            ("tracefs", "no trace point capability:cap_capable, which needs Linux 6.14; this is Linux "),
        ] {
            let line = without(word);
            assert!(line.starts_with(expected) && line.ends_with(": refused") && !line.contains('\n'), "{line}");
        }
    }

    /// By the kernel's own limit, which each user namespace has for those below it.
    #[test]
    fn a_kernel_that_makes_no_user_namespaces_is_found_out() {
        let trial = Feature::UserNamespaces.trial();
        let words: Vec<_> = trial.get_args().map(|word| word.to_string_lossy()).collect();
        let script = format!("echo 0 >/proc/sys/user/max_user_namespaces && unshare {}", words.join(" "));
        let within = |script: &str| run(command("unshare").args(["--user", "--map-root-user", "sh", "-c", script]));
        let error = within(&script).expect_err("no more namespaces").to_string();
        assert!(error.contains("unshare failed: No space left on device"), "{error}");
        within("true").expect("a namespace without that limit");
    }
}
