//! Handlers that a host registers by itself each time it starts: emulators copied to it, and configuration for what it
//! has for that. Written whole, removed again, and printed. Only files of ours are changed.

mod binfmt_d;
mod host_root;
mod manifest;
mod systemd_unit;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::arch::HOST;
use crate::emulators::{self, CopyJob};
use crate::native::{Emulation, NativeSupport, NativeSupportCache};
use crate::output::Output;
use crate::request::{CommonArgs, Format, HOST_EMULATOR_DIR, Verbosity};
use crate::table::Handler;

use host_root::Root;
use systemd_unit::Unit;

/// Nothing was changed, but for emulators that may have been copied.
pub(crate) enum Error {
    Emulated(Emulation),
    Host(emulators::Error),
    /// A file of another tool, or of the administrator, has the name that is needed.
    Taken {
        path: PathBuf,
    },
    /// There is no systemd on this host.
    NoSystemd {
        folder: &'static str,
    },
    /// It cannot stand in a service.
    NotForUnit {
        folder: String,
    },
    Nothing,
}

impl From<emulators::Error> for Error {
    fn from(error: emulators::Error) -> Self {
        Self::Host(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emulated(emulation) => emulation.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::Taken { path } => {
                write!(f, "{} is of somebody else; nothing was changed; remove it first", path.display())
            }
            Self::NoSystemd { folder } => {
                write!(f, "{folder} is not on that host: is systemd installed, and is --root the host's root?")
            }
            Self::NotForUnit { folder } => {
                write!(
                    f,
                    "--copy-to {folder}: for --unit, name a folder of letters, digits and ._-+@, alone, and no user's or \
                     temporary one"
                )
            }
            Self::Nothing => f.write_str("no architecture that is asked for needs a handler on this machine"),
        }
    }
}

/// Copies the emulators and writes the configuration, with a service that keeps the handlers in place if that is wanted.
pub(crate) fn persist(
    args: &CommonArgs,
    all: Vec<&'static Handler>,
    format: Format,
    has_unit: bool,
    at: &Path,
) -> Result<Output, Error> {
    let handlers = needed(all)?;
    let root = Root::open(at)?;
    // First, since it makes nothing yet.
    let unit = if has_unit { Some(Unit::new(&root, &handlers, &args.desired)?) } else { None };
    let configuration = root.make(binfmt_d::FOLDER)?;
    if configuration.has(binfmt_d::NAME) && !manifest::is_ours(&configuration, binfmt_d::NAME) {
        return Err(Error::Taken { path: Path::new(binfmt_d::FOLDER).join(binfmt_d::NAME) });
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
    let (written, unchanged) = if is_same { (0, 1) } else { (1, 0) };
    text.push_str(&format!("files in {}: {written} written, {unchanged} unchanged, 0 removed\n", binfmt_d::FOLDER));
    let (service, command) = match &unit {
        Some(unit) => (unit.install(&root)?, systemd_unit::START_COMMAND),
        None => (systemd_unit::remove(&root)?, binfmt_d::reload_command(format)),
    };
    let count = handlers.len();
    text.push_str(&format!("{service}{count} handlers from the next start of the host on; at once: {command}\n"));
    Ok(output(args, text))
}

/// Removes what [`persist`] has written, and the emulators.
pub(crate) fn unpersist(args: &CommonArgs, at: &Path) -> Result<Output, Error> {
    let root = Root::open(at)?;
    // A killed run may have left emulators and no configuration.
    let mut folders = vec![args.desired.emulators.clone()];
    let mut removed = 0;
    if let Some(dir) = root.find(binfmt_d::FOLDER)?
        && let Some(text) = manifest::our_text(&dir, binfmt_d::NAME)
    {
        for folder in binfmt_d::emulator_folders(&text) {
            if !folders.iter().any(|known| known == folder) {
                folders.push(folder.into());
            }
        }
        dir.remove(binfmt_d::NAME)?;
        dir.sync()?;
        removed = 1;
    }
    let mut text = format!("files in {}: {removed} removed\n", binfmt_d::FOLDER);
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
        // A killed run may have made it, and no more; an empty folder of another name may be somebody else's.
        if folder == HOST_EMULATOR_DIR {
            root.remove_if_empty(HOST_EMULATOR_DIR);
            root.remove_if_empty(HOST_EMULATOR_DIR.trim_end_matches("/bin"));
        }
    }
    text.push_str("what is registered now stays until the host's next start, or registrar unregister\n");
    Ok(output(args, text))
}

/// The rules alone, on standard output.
pub(crate) fn export(args: &CommonArgs, all: Vec<&'static Handler>) -> Result<Output, Error> {
    Ok(Output::success(binfmt_d::rules(&needed(all)?, &args.desired)))
}

fn output(args: &CommonArgs, text: String) -> Output {
    Output::success(if args.detail == Verbosity::Quiet { String::new() } else { text })
}

/// Those of the handlers that `register` would register on this machine.
fn needed(mut handlers: Vec<&'static Handler>) -> Result<Vec<&'static Handler>, Error> {
    if let Some(emulation) = Emulation::current() {
        return Err(Error::Emulated(emulation));
    }
    let mut native_support = NativeSupportCache::new(None);
    handlers.retain(|handler| handler.target != HOST && native_support.of(handler) == NativeSupport::Needed);
    if handlers.is_empty() { Err(Error::Nothing) } else { Ok(handlers) }
}
