//! `persist`, `unpersist` and `export`: emulators and configuration files on the host, which registers the handlers from
//! them at each boot. Files that are not ours are never changed.

mod binfmt_d;
mod boot;
mod manifest;
mod systemd_unit;

use std::fs::File;
use std::path::Path;

use crate::arch::HOST;
use crate::elf;
use crate::emulators::{self, CopyJob, Root};
use crate::native::{Emulation, NativeSupport, NativeSupportCache};
use crate::output::Output;
use crate::request::{CommonArgs, Format, HOST_EMULATOR_DIR};
use crate::table::Handler;

use systemd_unit::Unit;

impl From<emulators::Error> for String {
    fn from(error: emulators::Error) -> Self {
        error.to_string()
    }
}

/// Copies the emulators and writes the configuration, with `has_unit` also the service.
///
/// # Errors
/// The message. Nothing was changed, except that emulators may have been copied.
pub(crate) fn persist(
    args: &CommonArgs,
    all: Vec<&'static Handler>,
    format: Format,
    has_unit: bool,
    at: &Path,
) -> Result<Output, String> {
    let (handlers, left_out) = needed(all, !args.targets.is_empty())?;
    let root = Root::open(at)?;
    // Locked first by each run, so that no two wait for each other.
    let units = root.find(systemd_unit::FOLDER)?;
    // Checks only; nothing is written yet.
    let unit = if has_unit { Some(Unit::new(units.clone(), &handlers, &args.desired)?) } else { None };
    let mut earlier = Vec::new();
    if let Some(dir) = root.find(binfmt_d::FOLDER)? {
        manifest::check(&dir, binfmt_d::NAME)?;
        let rules = manifest::our_text(&dir, binfmt_d::NAME)?.unwrap_or_default();
        for folder in binfmt_d::emulator_folders(&rules) {
            if folder != args.desired.emulators && root.file(&format!("{folder}/{}", manifest::LIST))?.is_some() {
                earlier.push(folder.to_owned());
            }
        }
    }
    let reader = boot::reader(&root, format, has_unit)?;
    let mut text = String::new();
    if let Some(copies) = &args.copies {
        let folder = &args.desired.emulators;
        let originals = copies.originals(&handlers);
        for (name, path) in &originals {
            check_static(
                path,
                emulators::original(path)?
                    .map_or_else(|| root.file(&format!("{folder}/{name}")), |file| Ok(Some(file)))?,
            )?;
        }
        let dir = root.make(folder)?;
        let known = manifest::names(&dir)?;
        let copying = CopyJob::new(originals, &copies.label, &dir, &|name| known.iter().any(|known| known == name))?;
        let program = unit.as_ref().map(|unit| unit.program(&copies.label, &dir)).transpose()?;
        let names = copying.names().into_iter().chain(program.iter().flat_map(CopyJob::names));
        manifest::add(&dir, &names.collect::<Vec<_>>())?;
        text.push_str(&copying.line(folder));
        copying.finish()?;
        program.map(CopyJob::finish).transpose()?;
    }
    let configuration = root.make(binfmt_d::FOLDER)?;
    let is_same = configuration.write(binfmt_d::NAME, &binfmt_d::file(&handlers, &args.desired, &earlier))?;
    text.push_str(&configuration_line(if is_same { "unchanged" } else { "written" }));
    text.push_str(&format!("{left_out}read at boot by {reader}\n"));
    let (service, command) = match &unit {
        Some(unit) => (unit.install(&root)?, systemd_unit::START_COMMAND),
        None => (systemd_unit::remove(&root)?, binfmt_d::reload_command(format)),
    };
    let count = handlers.len();
    text.push_str(&format!(
        "{service}{count} handlers will be registered at each boot; to register them now: {command}\n"
    ));
    Ok(Output::success(text))
}

/// Fails unless it is so that each handler that [`persist`] wrote will be registered at the next boot.
pub(crate) fn status(at: &Path) -> Result<Output, String> {
    let root = Root::open(at)?;
    let rules = root.file(&format!("{}/{}", binfmt_d::FOLDER, binfmt_d::NAME))?;
    let rules = rules.and_then(|file| emulators::text(&file)).filter(|text| text.starts_with(binfmt_d::HEADER));
    let Some(rules) = rules else {
        return Err(configuration_line("not there; first: registrar persist").trim_end().into());
    };
    let has_unit = systemd_unit::is_enabled(&root)?;
    let reader = boot::reader(&root, boot::format(&root)?, has_unit)?;
    let mut count = 0;
    for path in binfmt_d::interpreters(&rules) {
        check_static(path, root.file(path)?)?;
        count += 1;
    }
    Ok(Output::success(format!("{count} handlers will be registered at each boot\nread at boot by {reader}\n")))
}

/// Fails unless an emulator is there and runs wherever its rule is used.
fn check_static(path: &str, file: Option<File>) -> Result<(), String> {
    let unfit = match file.as_ref().map(elf::check_static_file) {
        Some(Ok(())) => return Ok(()),
        None => "no such file".into(),
        Some(Err(unfit)) => unfit.to_string(),
    };
    Err(format!("{path}: {unfit}; run registrar persist with a static emulator there, or name other architectures"))
}

/// Removes everything that [`persist`] wrote.
pub(crate) fn unpersist(args: &CommonArgs, at: &Path) -> Result<Output, String> {
    let root = Root::open(at)?;
    let _units = root.find(systemd_unit::FOLDER)?;
    // A killed run may have left emulators without configuration.
    let mut folders = vec![args.desired.emulators.clone()];
    let mut text = configuration_line("not there");
    if let Some(dir) = root.find(binfmt_d::FOLDER)?
        && let Some(rules) = manifest::our_text(&dir, binfmt_d::NAME)?
    {
        for folder in binfmt_d::emulator_folders(&rules) {
            if !folders.iter().any(|known| known == folder) {
                folders.push(folder.into());
            }
        }
        dir.remove(binfmt_d::NAME)?;
        dir.sync()?;
        text = configuration_line("removed");
    }
    text.push_str(&systemd_unit::remove(&root)?);
    for folder in folders {
        if let Some(dir) = root.find(&folder)? {
            let removed = manifest::remove_all(&dir)?;
            drop(dir);
            if !removed.is_empty() {
                root.remove_if_empty(&folder);
            }
            let count = removed.iter().filter(|name| *name != systemd_unit::PROGRAM).count();
            text.push_str(&format!("emulators in {folder}: {count} removed\n"));
        }
        // A killed run may have left it empty. An empty folder of another name may not be ours.
        if folder == HOST_EMULATOR_DIR {
            root.remove_if_empty(HOST_EMULATOR_DIR);
            root.remove_if_empty(HOST_EMULATOR_DIR.strip_suffix("/bin").unwrap_or_default());
        }
    }
    text.push_str("registered handlers stay until the next boot, or registrar unregister\n");
    Ok(Output::success(text))
}

/// Prints the rules.
pub(crate) fn export(args: &CommonArgs, all: Vec<&'static Handler>) -> Result<Output, String> {
    let (handlers, left_out) = needed(all, !args.targets.is_empty())?;
    let mut output = Output::success(binfmt_d::rules(&handlers, &args.desired));
    left_out.lines().for_each(|line| output.detail(line));
    Ok(output)
}

fn configuration_line(state: &str) -> String {
    format!("{}/{}: {state}\n", binfmt_d::FOLDER, binfmt_d::NAME)
}

/// The handlers that this machine needs, and lines about those of which it cannot be told, which fail if they are named.
fn needed(handlers: Vec<&'static Handler>, is_named: bool) -> Result<(Vec<&'static Handler>, String), String> {
    if let Some(emulation) = Emulation::current() {
        return Err(emulation.to_string());
    }
    let (mut needed, mut left_out) = (Vec::new(), String::new());
    let mut native_support = NativeSupportCache::new(None);
    for handler in handlers.into_iter().filter(|handler| handler.target != HOST) {
        match native_support.of(handler) {
            NativeSupport::Needed => needed.push(handler),
            NativeSupport::Native => {}
            NativeSupport::Unknown(cause) => {
                let line = format!("{}: cannot tell whether it runs natively: {cause}", handler.name);
                if is_named {
                    return Err(line);
                }
                left_out.push_str(&format!("skipped {line}\n"));
            }
        }
    }
    if needed.is_empty() && !left_out.is_empty() {
        return Err(left_out.lines().next().unwrap_or_default().into());
    }
    let none = "this machine runs programs of these architectures natively";
    if needed.is_empty() { Err(none.into()) } else { Ok((needed, left_out)) }
}
