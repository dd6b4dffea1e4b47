//! `persist`, `unpersist` and `export`: emulators and configuration files on the host, which registers the handlers from
//! them at each boot. Files that are not ours are never changed.

mod binfmt_d;
mod host_root;
mod manifest;
mod systemd_unit;

use std::path::Path;

use crate::arch::HOST;
use crate::emulators::{self, CopyJob};
use crate::native::{Emulation, NativeSupport, NativeSupportCache};
use crate::output::Output;
use crate::request::{CommonArgs, Format, HOST_EMULATOR_DIR, Verbosity};
use crate::table::Handler;

use host_root::Root;
use systemd_unit::Unit;

impl From<emulators::Error> for String {
    fn from(error: emulators::Error) -> Self {
        error.to_string()
    }
}

/// The message that a file of another tool has a name that is needed.
fn taken(folder: &str, name: &str) -> String {
    format!("{folder}/{name} belongs to another tool; nothing was changed; remove it first")
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
    let handlers = needed(all)?;
    let root = Root::open(at)?;
    // Checks only; nothing is written yet.
    let unit = if has_unit { Some(Unit::new(&root, &handlers, &args.desired)?) } else { None };
    let configuration = root.make(binfmt_d::FOLDER)?;
    if configuration.has(binfmt_d::NAME) && !manifest::is_ours(&configuration, binfmt_d::NAME) {
        return Err(taken(binfmt_d::FOLDER, binfmt_d::NAME));
    }
    let mut text = String::new();
    if let Some(copies) = &args.copies {
        let folder = &args.desired.emulators;
        let dir = root.make(folder)?;
        let copying = CopyJob::new(copies.originals(&handlers), &copies.label, &dir)?;
        let program = unit.as_ref().map(|unit| unit.program(&copies.label, &dir)).transpose()?;
        let names = copying.names().into_iter().chain(program.iter().flat_map(CopyJob::names));
        manifest::add(&dir, &names.collect::<Vec<_>>())?;
        text.push_str(&copying.finish()?.line(folder));
        program.map(CopyJob::finish).transpose()?;
    }
    let is_same = configuration.write(binfmt_d::NAME, &binfmt_d::file(&handlers, &args.desired))?;
    text.push_str(&configuration_line(if is_same { "unchanged" } else { "written" }));
    let (service, command) = match &unit {
        Some(unit) => (unit.install(&root)?, systemd_unit::START_COMMAND),
        None => (systemd_unit::remove(&root)?, binfmt_d::reload_command(format)),
    };
    let count = handlers.len();
    text.push_str(&format!(
        "{service}{count} handlers will be registered at each boot; to register them now: {command}\n"
    ));
    Ok(output(args, text))
}

/// Removes everything that [`persist`] wrote.
pub(crate) fn unpersist(args: &CommonArgs, at: &Path) -> Result<Output, String> {
    let root = Root::open(at)?;
    // A killed run may have left emulators without configuration.
    let mut folders = vec![args.desired.emulators.clone()];
    let mut text = configuration_line("not there");
    if let Some(dir) = root.find(binfmt_d::FOLDER)?
        && let Some(rules) = manifest::our_text(&dir, binfmt_d::NAME)
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
            root.remove_if_empty(HOST_EMULATOR_DIR.trim_end_matches("/bin"));
        }
    }
    text.push_str("registered handlers stay until the next boot, or registrar unregister\n");
    Ok(output(args, text))
}

/// Prints the rules.
pub(crate) fn export(args: &CommonArgs, all: Vec<&'static Handler>) -> Result<Output, String> {
    Ok(Output::success(binfmt_d::rules(&needed(all)?, &args.desired)))
}

fn configuration_line(state: &str) -> String {
    format!("{}/{}: {state}\n", binfmt_d::FOLDER, binfmt_d::NAME)
}

fn output(args: &CommonArgs, text: String) -> Output {
    Output::success(if args.detail == Verbosity::Quiet { String::new() } else { text })
}

/// The handlers that this machine needs.
fn needed(mut handlers: Vec<&'static Handler>) -> Result<Vec<&'static Handler>, String> {
    if let Some(emulation) = Emulation::current() {
        return Err(emulation.to_string());
    }
    let mut native_support = NativeSupportCache::new(None);
    handlers.retain(|handler| handler.target != HOST && native_support.of(handler) == NativeSupport::Needed);
    let none = "this machine runs programs of these architectures natively";
    if handlers.is_empty() { Err(none.into()) } else { Ok(handlers) }
}
