//! `--unit`: a systemd service that runs `register --stay`, from a copy of this program beside the emulators.

use std::path::Path;
use std::rc::Rc;

use super::binfmt_d::HEADER;
use super::manifest;
use crate::emulators::{self, CopyJob, Root, StagingDir};
use crate::request::{DesiredState, HOST_EMULATOR_DIR, Label};
use crate::table::Handler;

/// File name of the copy.
pub(super) const PROGRAM: &str = "registrar";

pub(super) const FOLDER: &str = "/etc/systemd/system";

pub(super) const NAME: &str = "registrar.service";

/// `systemctl enable` makes this link.
pub(super) const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
const LINK: &str = "../registrar.service";

pub(super) const START_COMMAND: &str = "systemctl daemon-reload && systemctl restart registrar";

/// For all handlers, with the emulators in [`HOST_EMULATOR_DIR`].
const TEMPLATE: &str = include_str!("../../../deploy/systemd/registrar.service");

/// Characters without a meaning in a systemd command line, besides letters and digits.
const PLAIN: &[u8] = b"/._-+@,";

/// Folders that the service cannot see (`ProtectHome`, `PrivateTmp`).
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

pub(super) struct Unit {
    folder: Rc<StagingDir>,
    text: String,
}

impl Unit {
    /// Checks that the service can be written.
    pub(super) fn new(
        folder: Option<Rc<StagingDir>>,
        handlers: &[&Handler],
        desired: &DesiredState,
    ) -> Result<Self, String> {
        let emulators = &desired.emulators;
        let is_plain = emulators.bytes().all(|byte| byte.is_ascii_alphanumeric() || PLAIN.contains(&byte));
        let is_hidden = HIDDEN.iter().any(|folder| Path::new(emulators).starts_with(folder));
        if !is_plain || is_hidden {
            return Err(format!(
                "--copy-to {emulators}: with --unit, name a path of letters, digits and /._-+@, that is not in a home or \
                 temporary folder"
            ));
        }
        let folder = folder.ok_or_else(|| {
            format!("no {FOLDER} below --root: is systemd installed there, and is that the host's root?")
        })?;
        manifest::check(&folder, NAME)?;
        Ok(Self { folder, text: text(handlers, desired) })
    }

    pub(super) fn program<'a>(&self, label: &Label, dir: &'a StagingDir) -> Result<CopyJob<'a>, emulators::Error> {
        let known = manifest::names(dir)?;
        CopyJob::new(vec![(PROGRAM, "/proc/self/exe".into())], label, dir, &|name| {
            known.iter().any(|known| known == name)
        })
    }

    /// Writes and enables it; returns a line for the user.
    pub(super) fn install(&self, root: &Root) -> Result<String, emulators::Error> {
        let is_same = self.folder.write(NAME, &self.text)?;
        root.make(WANTS)?.link(NAME, LINK)?;
        self.folder.sync()?;
        Ok(format!("service {FOLDER}/{NAME}: {}\n", if is_same { "unchanged" } else { "written" }))
    }
}

/// Whether the service is there and starts at boot.
pub(super) fn is_enabled(root: &Root) -> Result<bool, emulators::Error> {
    let (unit, link) = (format!("{FOLDER}/{NAME}"), format!("{WANTS}/{NAME}"));
    let unit = root.file(&unit)?.and_then(|file| emulators::text(&file));
    Ok(unit.is_some_and(|text| text.starts_with(HEADER)) && root.file(&link)?.is_some())
}

/// Removes the service if it is ours; returns a line for the user.
pub(super) fn remove(root: &Root) -> Result<String, emulators::Error> {
    let Some(folder) = root.find(FOLDER)? else { return Ok(String::new()) };
    if manifest::our_text(&folder, NAME)?.is_none() {
        return Ok(String::new());
    }
    // The link first: systemd logs a dangling one at each boot.
    if let Some(wants) = root.find(WANTS)? {
        wants.remove(NAME)?;
        wants.sync()?;
    }
    folder.remove(NAME)?;
    folder.sync()?;
    Ok(format!("service {FOLDER}/{NAME}: removed; if it runs: systemctl stop registrar\n"))
}

/// The unit names these targets: without names it would also register those whose emulators were not copied, and fail.
fn text(handlers: &[&Handler], desired: &DesiredState) -> String {
    let (folder, flags) = (&desired.emulators, desired.flags.as_str());
    // Sorted: handlers of one target are neighbours.
    let mut targets: Vec<_> = handlers.iter().map(|handler| handler.target).collect();
    targets.dedup();
    let line = |line: &str| match line.starts_with("ExecStart") {
        true => format!("{} --flags={flags} {}\n", line.replace(HOST_EMULATOR_DIR, folder), targets.join(" ")),
        false => format!("{line}\n"),
    };
    HEADER.to_owned() + &TEMPLATE.lines().map(line).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn the_unit_has_the_options_of_persist() {
        let handlers: Vec<_> = TABLE.handlers.iter().filter(|handler| handler.target.contains("86")).collect();
        let text = text(&handlers, &DesiredState { emulators: "/srv/q".into(), ..DesiredState::default() });
        let commands: Vec<_> = text.lines().filter(|line| line.starts_with("Exec")).collect();
        let of = |what| format!("/srv/q/registrar register --{what} --bindir=/srv/q --flags=POF i386 x86_64");
        assert_eq!(commands, [format!("ExecStartPre={}", of("verify")), format!("ExecStart={}", of("stay"))]);
        assert_eq!(text.lines().count(), TEMPLATE.lines().count() + 1);
    }
}
