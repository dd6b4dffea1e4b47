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

/// Before a folder where an earlier run has put emulators.
const EARLIER: &str = "# Earlier emulators are in ";

pub(super) fn file(handlers: &[&'static Handler], desired: &DesiredState, earlier: &[String]) -> String {
    let earlier = earlier.iter().flat_map(|folder| [EARLIER, folder, "\n"]).collect::<String>();
    [HEADER, &earlier, &rules(handlers, desired)].concat()
}

/// One line for each handler, as `register` takes it.
pub(super) fn rules(handlers: &[&'static Handler], desired: &DesiredState) -> String {
    handlers
        .iter()
        .flat_map(|handler| [handler.line_with("", &desired.emulators, &desired.flags), "\n".into()])
        .collect()
}

/// The emulators in a file of ours.
pub(super) fn interpreters(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| line.starts_with(':')).filter_map(|line| line.rsplit(':').nth(1))
}

/// The emulators' folders in a file of ours, the earlier ones too.
pub(super) fn emulator_folders(text: &str) -> Vec<&str> {
    let earlier = text.lines().filter_map(|line| line.strip_prefix(EARLIER));
    let mut folders: Vec<_> = interpreters(text).filter_map(|path| Some(path.rsplit_once('/')?.0)).collect();
    folders.dedup();
    folders.extend(earlier);
    folders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;

    #[test]
    fn the_file_names_the_folder_of_its_emulators() {
        let all: Vec<_> = TABLE.handlers.iter().collect();
        let desired = DesiredState { emulators: "/opt/q".into(), ..DesiredState::default() };
        assert_eq!(emulator_folders(&file(&all, &desired, &[])), ["/opt/q"]);
        assert_eq!(emulator_folders(&file(&all, &desired, &["/opt/a b".into()])), ["/opt/q", "/opt/a b"]);
        assert_eq!(emulator_folders(""), Vec::<&str>::new());
    }
}
