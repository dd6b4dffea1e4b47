//! The text of `/etc/binfmt.d/registrar.conf`, which systemd-binfmt or OpenRC's service `binfmt` reads at boot.

use crate::request::{DesiredState, Format};
use crate::table::Handler;

/// First line of each file of ours.
pub(super) const HEADER: &str = "# Written by registrar persist; registrar unpersist removes it.\n";

pub(super) const FOLDER: &str = "/etc/binfmt.d";

/// Sorts after the distributions' files: the newest entry wins.
pub(super) const NAME: &str = "registrar.conf";

/// Makes a running host read it.
pub(super) fn reload_command(format: Format) -> &'static str {
    match format {
        Format::Systemd => "systemctl restart systemd-binfmt",
        Format::OpenRc => "rc-service binfmt restart",
    }
}

pub(super) fn file(handlers: &[&'static Handler], desired: &DesiredState) -> String {
    HEADER.to_owned() + &rules(handlers, desired)
}

/// One line for each handler, as `register` takes it.
pub(super) fn rules(handlers: &[&'static Handler], desired: &DesiredState) -> String {
    handlers
        .iter()
        .flat_map(|handler| [handler.line_with("", &desired.emulators, &desired.flags), "\n".into()])
        .collect()
}

/// The emulators' folders in a file of ours.
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
