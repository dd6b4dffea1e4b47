//! A service of systemd that keeps the handlers in place, where that is wanted: `register --stay`, by a copy of this
//! program beside the emulators. systemd-binfmt registers once and looks no more.

use std::path::Path;

use super::binfmt_d::HEADER;
use super::host_root::Root;
use super::{Error, manifest};
use crate::emulators::{self, CopyJob, StagingDir};
use crate::request::{DesiredState, HOST_EMULATOR_DIR, Label};
use crate::table::Handler;

/// Name of the copy.
pub(super) const PROGRAM: &str = "registrar";

/// Where units of the administrator's are.
const FOLDER: &str = "/etc/systemd/system";

const NAME: &str = "registrar.service";

/// What `systemctl enable` makes there: a link to the unit has it started with the host.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";
const LINK: &str = "../registrar.service";

/// What has a host that runs start it.
pub(super) const START_COMMAND: &str = "systemctl daemon-reload && systemctl restart registrar";

/// The unit of all handlers, with the emulators in [`HOST_EMULATOR_DIR`].
const TEMPLATE: &str = include_str!("../../../deploy/systemd/registrar.service");

/// Begins its lines that start this program.
const COMMAND: &str = "ExecStart";

/// Characters that mean nothing to systemd, beside letters and digits.
const PLAIN: &[u8] = b"/._-+@,";

/// Folders that the service does not see, or sees as others (`ProtectHome`, `PrivateTmp`).
const HIDDEN: [&str; 5] = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

/// The service of a host, which is not there yet, or is ours.
pub(super) struct Unit {
    folder: StagingDir,
    text: String,
}

impl Unit {
    /// The service that keeps these handlers as wanted.
    pub(super) fn new(root: &Root, handlers: &[&Handler], desired: &DesiredState) -> Result<Self, Error> {
        let emulators = &desired.emulators;
        let is_plain = emulators.bytes().all(|byte| byte.is_ascii_alphanumeric() || PLAIN.contains(&byte));
        let is_hidden = HIDDEN.iter().any(|folder| Path::new(emulators).starts_with(folder));
        if !is_plain || is_hidden {
            return Err(Error::NotForUnit { folder: emulators.clone() });
        }
        let folder = root.find(FOLDER)?.ok_or(Error::NoSystemd { folder: FOLDER })?;
        if folder.has(NAME) && !manifest::is_ours(&folder, NAME) {
            return Err(Error::Taken { path: Path::new(FOLDER).join(NAME) });
        }
        Ok(Self { folder, text: text(handlers, desired) })
    }

    /// What it starts, which is this program.
    pub(super) fn program<'a>(&self, label: &Label, dir: &'a StagingDir) -> Result<CopyJob<'a>, emulators::Error> {
        CopyJob::new(vec![(PROGRAM, "/proc/self/exe".into())], label, dir)
    }

    /// Writes it, and has it started with the host; says what was to be done.
    pub(super) fn install(&self, root: &Root) -> Result<String, emulators::Error> {
        let is_same = self.folder.write(NAME, &self.text)?;
        root.make(WANTS)?.link(NAME, LINK)?;
        self.folder.sync()?;
        Ok(format!("service {FOLDER}/{NAME}: {}\n", if is_same { "unchanged" } else { "written" }))
    }
}

/// Removes the service if it is ours; says so.
pub(super) fn remove(root: &Root) -> Result<String, emulators::Error> {
    let Some(folder) = root.find(FOLDER)?.filter(|folder| manifest::is_ours(folder, NAME)) else {
        return Ok(String::new());
    };
    // First, since a link that leads nowhere would be told of at each start.
    if let Some(wants) = root.find(WANTS)? {
        wants.remove(NAME)?;
        wants.sync()?;
    }
    folder.remove(NAME)?;
    folder.sync()?;
    Ok(format!("service {FOLDER}/{NAME}: removed; if it runs: systemctl stop registrar\n"))
}

/// The unit for these handlers, so that one whose emulator was not copied is no failure at each start.
fn text(handlers: &[&Handler], desired: &DesiredState) -> String {
    let (folder, flags) = (&desired.emulators, desired.flags.as_str());
    let mut args = format!(" --flags={flags}");
    let mut last = "";
    for handler in handlers {
        // Those of one target stand side by side.
        if handler.target != last {
            args.push(' ');
            args.push_str(handler.target);
            last = handler.target;
        }
    }
    let mut text = HEADER.to_owned();
    for line in TEMPLATE.lines() {
        if line.starts_with(COMMAND) {
            text.push_str(&line.replace(HOST_EMULATOR_DIR, folder));
            text.push_str(&args);
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn commands_are_those_of_what_is_asked() {
        let handlers: Vec<_> = TABLE.handlers.iter().filter(|handler| handler.target.contains("86")).collect();
        let text = text(&handlers, &DesiredState { emulators: "/srv/q".into(), ..DesiredState::default() });
        let commands: Vec<_> = text.lines().filter(|line| line.starts_with("Exec")).collect();
        let of = |what| format!("/srv/q/registrar register --{what} --bindir=/srv/q --flags=F i386 x86_64");
        assert_eq!(commands, [format!("ExecStartPre={}", of("verify")), format!("ExecStart={}", of("stay"))]);
        assert_eq!(text.lines().count(), TEMPLATE.lines().count() + 1);
    }
}
