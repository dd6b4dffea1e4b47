//! The file of rules that a host reads when it starts: systemd-binfmt, or the service `binfmt` of OpenRC. Pure; what is
//! on the host is read and written by [`super`].

use crate::request::{DesiredState, Format};
use crate::table::Handler;

/// Begins each file of ours.
pub(super) const HEADER: &str = "# Written by registrar persist; registrar unpersist removes it.\n";

pub(super) const FOLDER: &str = "/etc/binfmt.d";

/// Sorts after the files of distributions, so that our rules are the newest and win.
pub(super) const NAME: &str = "registrar.conf";

/// What makes a running host read it.
pub(super) fn reload_command(format: Format) -> &'static str {
    match format {
        Format::Systemd => "systemctl restart systemd-binfmt",
        Format::OpenRc => "rc-service binfmt restart",
    }
}

/// The file that registers these handlers as wanted.
pub(super) fn file(handlers: &[&'static Handler], desired: &DesiredState) -> String {
    HEADER.to_owned() + &rules(handlers, desired)
}

/// A line for each, as they are written to `register`.
pub(super) fn rules(handlers: &[&'static Handler], desired: &DesiredState) -> String {
    handlers
        .iter()
        .flat_map(|handler| [handler.line_with("", &desired.emulators, &desired.flags), "\n".into()])
        .collect()
}

/// Folders of the emulators that a file of ours names.
pub(super) fn emulator_folders(text: &str) -> Vec<&str> {
    let interpreters = text.lines().filter_map(|line| line.rsplit(':').nth(1));
    let mut folders: Vec<_> = interpreters.filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
    folders.dedup();
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn the_file_names_the_folder_of_its_emulators() {
        let all: Vec<_> = TABLE.handlers.iter().collect();
        let text = file(&all, &DesiredState { emulators: "/opt/q".into(), ..DesiredState::default() });
        assert_eq!(emulator_folders(&text), ["/opt/q"]);
        assert_eq!(emulator_folders(""), Vec::<&str>::new());
    }
}
