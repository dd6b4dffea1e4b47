//! What reads the rules when the host boots: nothing does where systemd's service is masked, or OpenRC's not enabled.

use super::systemd_unit;
use crate::emulators::{self, Error, Root};
use crate::request::Format;
use crate::sys;

const SERVICE: &str = "systemd-binfmt.service";
const MOUNT: &str = "proc-sys-fs-binfmt_misc.mount";

/// Where systemd looks for units at boot, the first one first. WSL masks units in `generator.early`.
const UNIT_FOLDERS: [&str; 5] = [
    "/run/systemd/generator.early",
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

const PROGRAMS: [&str; 2] = ["/usr/lib/systemd/systemd-binfmt", "/lib/systemd/systemd-binfmt"];

/// Files that only distributions for WSL have.
const WSL_FILES: [&str; 2] = ["/etc/wsl.conf", "/etc/wsl-distribution.conf"];

const OPENRC_SCRIPT: &str = "/etc/init.d/binfmt";
const RUNLEVELS: &str = "/etc/runlevels";

/// The name of what will read the rules.
///
/// # Errors
/// The message that nothing will, and what helps.
pub(super) fn reader(root: &Root, format: Format, has_unit: bool) -> Result<&'static str, String> {
    match format {
        Format::Systemd if has_unit => Ok(systemd_unit::NAME),
        Format::Systemd => systemd(root),
        Format::OpenRc => openrc(root),
    }
}

/// The format that this host's own files speak for.
pub(super) fn format(root: &Root) -> Result<Format, Error> {
    Ok(if root.file(OPENRC_SCRIPT)?.is_some() { Format::OpenRc } else { Format::Systemd })
}

fn systemd(root: &Root) -> Result<&'static str, String> {
    let Some(text) = unit(root, SERVICE)? else {
        let program = PROGRAMS.iter().map(|program| root.file(program)).collect::<Result<Vec<_>, _>>()?;
        return match program.iter().any(Option::is_some) {
            true => Ok("systemd-binfmt"),
            false => Err(format!(
                "no {SERVICE} below --root, so that nothing reads the rules at boot; name the host's root, or --format openrc"
            )),
        };
    };
    for name in [SERVICE, MOUNT] {
        if unit(root, name)?.is_some_and(|text| text.is_empty()) {
            return Err(format!(
                "{name} is masked, so that nothing reads the rules at boot; on the host: systemctl unmask {name}"
            ));
        }
    }
    let mut texts = vec![text];
    for folder in UNIT_FOLDERS.map(|folder| format!("{folder}/{SERVICE}.d")) {
        for name in root.names(&folder).iter().filter(|name| name.ends_with(".conf")) {
            texts.extend(text_of(root, &format!("{folder}/{name}"))?);
        }
    }
    let conditions = texts
        .iter()
        .flat_map(|text| text.lines())
        .filter_map(|line| line.trim().strip_prefix("ConditionVirtualization="));
    if conditions.map(|value| value.trim_start_matches('|').trim()).any(|value| value == "!wsl") && is_wsl(root)? {
        return Err(format!(
            "{SERVICE} does not start in WSL (ConditionVirtualization=!wsl); use --unit, whose service does"
        ));
    }
    Ok("systemd-binfmt")
}

/// The text of a unit: empty if it is masked, by a link to `/dev/null` or an empty file.
fn unit(root: &Root, name: &str) -> Result<Option<String>, Error> {
    for folder in UNIT_FOLDERS {
        if root.names(folder).iter().any(|known| known == name) {
            return Ok(Some(text_of(root, &format!("{folder}/{name}"))?.unwrap_or_default()));
        }
    }
    Ok(None)
}

fn text_of(root: &Root, path: &str) -> Result<Option<String>, Error> {
    Ok(root.file(path)?.and_then(|file| emulators::text(&file)))
}

fn is_wsl(root: &Root) -> Result<bool, Error> {
    let kernel = sys::text("/proc/sys/kernel/osrelease");
    let files = WSL_FILES.iter().map(|file| root.file(file)).collect::<Result<Vec<_>, _>>()?;
    Ok(["Microsoft", "microsoft", "WSL"].iter().any(|word| kernel.contains(word)) || files.iter().any(Option::is_some))
}

fn openrc(root: &Root) -> Result<&'static str, String> {
    if root.file(OPENRC_SCRIPT)?.is_none() {
        return Err(format!(
            "no {OPENRC_SCRIPT} below --root, so that nothing reads the rules at boot; name the host's root, or --format systemd"
        ));
    }
    let is_in = |level: &String| root.names(&format!("{RUNLEVELS}/{level}")).iter().any(|name| name == "binfmt");
    match root.names(RUNLEVELS).iter().any(is_in) {
        true => Ok("OpenRC's service binfmt"),
        false => Err("OpenRC's service binfmt is in no runlevel, so that nothing reads the rules at boot; on the host: rc-update add binfmt boot".into()),
    }
}
