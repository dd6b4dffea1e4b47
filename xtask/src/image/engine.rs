//! `--load`: hands an image to a container engine of this machine through a pipe, and says what runs it there.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use nix::unistd::Uid;

use super::compress::Compression;
use super::out;
use crate::system;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Docker, also another engine that its client speaks to.
    Docker,
    Podman,
}

impl Engine {
    fn program(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
        }
    }

    /// What it reads in any version that is still around: docker reads zstd since 23.
    pub(super) fn compression(self) -> Compression {
        match self {
            Self::Docker => Compression::FAST_GZIP,
            Self::Podman => Compression::FAST,
        }
    }

    pub(crate) fn check(self) -> Result<()> {
        let program = self.program();
        ensure!(
            system::find(program).is_some(),
            "--load {program}: {program} is not installed; install it, or leave out --load"
        );
        // Of the two, what asks the daemon, and what opens the storage.
        let question = match self {
            Self::Docker => "version",
            Self::Podman => "info",
        };
        let output = system::command(program).arg(question).stdin(Stdio::null()).output();
        let output = output.with_context(|| format!("starting {program}"))?;
        ensure!(
            output.status.success(),
            "--load {program}: {program} does not answer: {}; start it, or leave out --load",
            last_line(&output.stderr)
        );
        Ok(())
    }

    pub(super) fn load(self, layout: &Path, time: u64) -> Result<()> {
        let program = self.program();
        let mut load = system::command(program);
        load.arg("load").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        pipe(&mut load, |sink| out::pack(layout, time, sink)).with_context(|| format!("{program} load"))
    }

    pub(super) fn tag(self, image: &str, name: &str) -> Result<()> {
        let mut tag = system::command(self.program());
        system::run(tag.args(["tag", image, name])).map(drop)
    }

    /// What a person types next. A user's own podman registers in that user's namespace, as the kernel asks for root elsewhere.
    pub(super) fn next(self, image: &str) -> String {
        let program = self.program();
        if self == Self::Podman && !Uid::effective().is_root() {
            return format!(
                "podman unshare sh -c 'd=$(podman image mount {image}) && \
                 $d/registrar register --scope userns --bindir $d/usr/bin'"
            );
        }
        format!(
            "{program} run --rm --cap-drop=ALL --security-opt=no-new-privileges --network=none --read-only \\\n        \
             -v /proc/sys/fs/binfmt_misc:/binfmt_misc {image} register"
        )
    }
}

/// Runs a command that reads what `write` writes. If the command fails, what it said is told, not that its pipe broke.
fn pipe(command: &mut Command, write: impl FnOnce(&mut dyn io::Write) -> Result<()>) -> Result<()> {
    let mut child = command.spawn().context("starting it")?;
    let mut sink = child.stdin.take().context("no pipe to it")?;
    let written = write(&mut sink);
    drop(sink);
    let output = child.wait_with_output().context("waiting for it")?;
    ensure!(output.status.success(), "{}: {}", output.status, last_line(&output.stderr));
    written
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it says nothing").trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a shell in an engine's place.
    fn pipe_to(script: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let read = folder.path().join("read");
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(&read).stdin(Stdio::piped()).stdout(Stdio::null());
        let piped = pipe(command.stderr(Stdio::piped()), |sink| {
            // More than a pipe holds.
            (0..100_000).try_for_each(|_| sink.write_all(b"0123456789")).context("writing")
        });
        piped.map(|()| std::fs::read_to_string(read).unwrap_or_default()).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_client_that_fails_is_quoted_instead_of_the_broken_pipe() {
        assert_eq!(pipe_to("cat >$1").map(|text| text.len()), Ok(1_000_000));
        let refused = "echo first >&2; echo 'no such format.' >&2; exit 3";
        assert_eq!(pipe_to(refused), Err("exit status: 3: no such format".into()));
        assert_eq!(pipe_to("exit 1"), Err("exit status: 1: it says nothing".into()));
        assert!(pipe_to("true").expect_err("nothing was read").starts_with("writing: "));
    }
}
