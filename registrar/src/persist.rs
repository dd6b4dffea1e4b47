//! Handlers that a host registers by itself each time it starts: emulators copied to it, and configuration for what it
//! has for that. Written whole, removed again, and printed. Only files of ours are changed.

mod format;
mod host_root;
mod manifest;
mod systemd_unit;

use std::fmt;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use crate::binfmt_misc;
use crate::cli::{CommonArgs, Verbosity};
use crate::elf::native_check::Guard;
use crate::emulators::{self, CopyJob, StagingDir};
use crate::native::{HOST, NativeSupport, NativeSupportCache};
use crate::output::Output;
use crate::table::{Handler, TABLE};

pub(crate) use format::Format;
use host_root::Root;
use systemd_unit::Unit;

/// Where emulators are put on a host. Distributions leave `/opt` alone, those whose `/usr` is read-only let it be written,
/// and SELinux's policies label programs in a folder `bin` there as such.
pub(crate) const EMULATORS: &str = "/opt/registrar/bin";

/// What everybody may do with configuration.
const MODE: u32 = 0o644;

/// Nothing was changed, but for emulators that may have been copied.
pub(crate) enum Error {
    Kernel(binfmt_misc::Error),
    Host(emulators::Error),
    /// Files of somebody else have the names that are needed: so many, of which this is the first.
    Taken {
        path: PathBuf,
        owner: String,
        count: usize,
    },
    /// There is no such thing on this host.
    NotThere {
        folder: &'static str,
        /// What would have made it.
        package: &'static str,
    },
    /// It cannot stand in a service.
    NotForUnit {
        folder: String,
    },
    /// This format has no word for these flags.
    Flags(String),
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
            Self::Kernel(error) => error.fmt(f),
            Self::Host(error) => error.fmt(f),
            Self::Taken { path, owner, count } => {
                write!(f, "{} is of {owner}", path.display())?;
                if *count > 1 {
                    write!(f, ", and so are {} more files", count - 1)?;
                }
                f.write_str(
                    "; nothing was changed; remove what has brought it, or choose other architectures or --format",
                )
            }
            Self::NotThere { folder, package } => {
                write!(f, "{folder} is not on that host: is {package} installed, and is --root the host's root?")
            }
            Self::NotForUnit { folder } => {
                write!(
                    f,
                    "--copy-to {folder}: for --unit, name a folder of letters, digits and ._-+@, alone, and no user's or \
                     temporary one"
                )
            }
            Self::Flags(letters) => write!(f, "binfmt-support knows no flag {letters}; choose another --format"),
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
    let unknown = format.unknown_flags(&args.desired);
    if !unknown.is_empty() {
        return Err(Error::Flags(unknown));
    }
    let root = Root::open(at)?;
    let files = format.files(&handlers, &args.desired);
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    // First, since it makes nothing yet.
    let unit = if has_unit { Some(Unit::new(&root, &handlers, &args.desired)?) } else { None };
    let configuration = match format {
        Format::Systemd | Format::OpenRc => root.make(format.folder())?,
        Format::BinfmtSupport => {
            find(&root, format)?.ok_or(Error::NotThere { folder: format.folder(), package: "binfmt-support" })?
        }
    };
    refuse_others(format, &configuration, &names)?;
    let mut said = String::new();
    if let Some(copies) = &args.copies {
        let folder = &args.desired.emulators;
        let dir = root.make(folder)?;
        let copying = CopyJob::new(copies.originals(&handlers), &copies.label, &dir)?;
        let program = unit.as_ref().map(|unit| unit.program(&copies.label, &dir)).transpose()?;
        let names = copying.names().into_iter().chain(program.iter().flat_map(CopyJob::names));
        manifest::add(&dir, &names.collect::<Vec<_>>())?;
        said.push_str(&copying.finish()?.line(folder));
        program.map(CopyJob::finish).transpose()?;
    }
    let (mut written, mut unchanged) = (0, 0);
    for (name, text) in files {
        if manifest::text(&configuration, name).is_some_and(|found| found == text) {
            unchanged += 1;
        } else {
            configuration.install(name, MODE, None, &mut Cursor::new(text))?;
            written += 1;
        }
    }
    let removed = remove(format, &configuration, |name| !names.contains(&name))?;
    configuration.sync()?;
    let (folder, count) = (format.folder(), handlers.len());
    said.push_str(&format!("files in {folder}: {written} written, {unchanged} unchanged, {removed} removed\n"));
    let (service, cure) = match &unit {
        Some(unit) => (unit.put(&root)?, systemd_unit::CURE),
        None if format == Format::BinfmtSupport => (String::new(), format.cure()),
        None => (systemd_unit::remove(&root)?, format.cure()),
    };
    said.push_str(&format!("{service}{count} handlers from the next start of the host on; at once: {cure}\n"));
    Ok(output(args, said))
}

/// Removes what [`persist`] has written, and the emulators, unless the other format's configuration names their folder.
pub(crate) fn unpersist(args: &CommonArgs, format: Format, at: &Path) -> Result<Output, Error> {
    let root = Root::open(at)?;
    // A killed run may have left emulators and no configuration.
    let mut folders = vec![args.desired.emulators.clone()];
    let mut removed = 0;
    if let Some(dir) = find(&root, format)? {
        for folder in emulator_folders(format, &dir) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        removed = remove(format, &dir, |_| true)?;
        dir.sync()?;
    }
    let others = find(&root, format.other())?;
    let in_use = others.map(|dir| emulator_folders(format.other(), &dir)).unwrap_or_default();
    let mut said = format!("files in {}: {removed} removed\n", format.folder());
    if format != Format::BinfmtSupport {
        said.push_str(&systemd_unit::remove(&root)?);
    }
    for folder in folders {
        if in_use.contains(&folder) {
            said.push_str(&format!("emulators in {folder}: still named in {}\n", format.other().folder()));
        } else {
            if let Some(dir) = root.find(&folder, ".")? {
                let removed = manifest::remove_all(&dir)?;
                drop(dir);
                if !removed.is_empty() {
                    root.remove_if_empty(&folder);
                }
                let count = removed.iter().filter(|name| *name != systemd_unit::PROGRAM).count();
                said.push_str(&format!("emulators in {folder}: {count} removed\n"));
            }
            // A killed run may have made it, and no more; an empty folder of another name may be somebody else's.
            if folder == EMULATORS {
                root.remove_if_empty(EMULATORS);
                root.remove_if_empty(EMULATORS.trim_end_matches("/bin"));
            }
        }
    }
    said.push_str("what is registered now stays until the host's next start, or registrar unregister\n");
    Ok(output(args, said))
}

/// The rules alone, on standard output.
pub(crate) fn export(args: &CommonArgs, all: Vec<&'static Handler>, format: Format) -> Result<Output, Error> {
    let unknown = format.unknown_flags(&args.desired);
    if !unknown.is_empty() {
        return Err(Error::Flags(unknown));
    }
    Ok(Output::success(format.exported(&needed(all)?, &args.desired)))
}

fn output(args: &CommonArgs, said: String) -> Output {
    Output::success(if args.detail == Verbosity::Quiet { String::new() } else { said })
}

/// Those of the handlers that `register` would register on this machine. A rule that takes the machine's own programs
/// would keep it from starting.
fn needed(mut handlers: Vec<&'static Handler>) -> Result<Vec<&'static Handler>, Error> {
    let guard = Guard::new().map_err(|errno| Error::Kernel(binfmt_misc::Error::Guard { errno }))?;
    if let Some(emulation) = guard.emulation {
        return Err(Error::Kernel(binfmt_misc::Error::Emulated(emulation)));
    }
    let mut native_support = NativeSupportCache::new(None);
    handlers.retain(|handler| {
        handler.target != HOST
            && native_support.of(handler) == NativeSupport::Needed
            && guard.taken_by(handler).is_none()
    });
    if handlers.is_empty() { Err(Error::Nothing) } else { Ok(handlers) }
}

/// The folder of configuration, if it is there. update-binfmts reads whatever is in its own, so that a file in the making
/// would stop it: they are made beside the folder.
fn find(root: &Root, format: Format) -> Result<Option<StagingDir>, emulators::Error> {
    root.find(format.folder(), if format == Format::BinfmtSupport { ".." } else { "." })
}

/// Refuses to replace what is not ours.
fn refuse_others(format: Format, dir: &StagingDir, names: &[&str]) -> Result<(), Error> {
    let mut taken = names.iter().filter_map(|name| {
        let text = manifest::text(dir, name).or_else(|| dir.has(name).then(String::new))?;
        Some((*name, format.other_owner(&text)?.to_owned()))
    });
    let Some((name, owner)) = taken.next() else { return Ok(()) };
    Err(Error::Taken { path: Path::new(format.folder()).join(name), owner, count: 1 + taken.count() })
}

/// Removes those files of ours whose name is meant, and says how many they were.
fn remove(format: Format, dir: &StagingDir, is_meant: impl Fn(&str) -> bool) -> Result<usize, emulators::Error> {
    let mut removed = 0;
    for (name, _) in ours(format, dir).into_iter().filter(|(name, _)| is_meant(name)) {
        dir.remove(name)?;
        removed += 1;
    }
    Ok(removed)
}

fn emulator_folders(format: Format, dir: &StagingDir) -> Vec<String> {
    let files = ours(format, dir);
    files.iter().flat_map(|(_, text)| format.emulator_folders(text)).map(String::from).collect()
}

/// Names and texts of the files of ours.
fn ours(format: Format, dir: &StagingDir) -> Vec<(&'static str, String)> {
    let named = format.names(TABLE.handlers).into_iter();
    let files = named.filter_map(|name| Some((name, manifest::text(dir, name)?)));
    files.filter(|(_, text)| format.other_owner(text).is_none()).collect()
}
