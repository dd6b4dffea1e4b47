//! `register`: looks whether it may and whether it will last, plans each handler, and has the plan carried out, once or
//! as long as this process stays.

mod dry_run;

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::{handlers, in_wanted_scope, unregister};
use crate::apply::{Done, Writer};
use crate::binfmt_misc::{self, Entries, Error, Folder, Lasting, Mount, Namespace};
use crate::cli::{Asked, Detail, Register};
use crate::commands::report::{Mode, Report, Verb};
use crate::commands::resident;
use crate::elf;
use crate::elf::native_check::Guard;
use crate::emulators::{self, Brought, Copying, Place};
use crate::held::FullPipe;
use crate::native::{self, HOST, Verdict, Verdicts};
use crate::output::Told;
use crate::plan::{self, Outcome, Skip, Step, Wanted};
use crate::table::{EMULATOR_DIR, Handler};
use crate::verify::{self, Question};

/// Registers what is asked for.
pub(super) fn register(command: &Register) -> Result<Told, Error> {
    let asked = &command.asked;
    check_emulators(asked)?;
    let namespace = in_wanted_scope(asked)?;
    if command.dry_run {
        return dry_run::would_register(asked, namespace.as_ref());
    }
    let (all, namespace) = (handlers(asked), namespace.as_ref());
    let Some(stay) = command.stay else { return register_once(command, &all, namespace) };
    let told = resident::stay(asked, &all, |handlers| register_once(command, handlers, namespace))?;
    match stay.unregister_on_exit.then(|| unregister(asked)) {
        None => Ok(told),
        Some(Ok(gone)) => Ok(told.then(gone)),
        Some(Err(error)) => Ok(told.and_failure(&error.to_string())),
    }
}

/// Registers all in the namespace that this process has made, and will be the last of. Says too whether anything is
/// registered now.
pub(super) fn register_in_own_namespace(asked: &Asked) -> Result<(Told, bool), Error> {
    let (folder, mut register) = binfmt_misc::find_and_lock(None, Mount::OwnAlone)?;
    let guard = guard()?;
    let (_, steps) = plan(&folder, asked, &handlers(asked), guard, &Files::default())?;
    let mut report = Report::new(Verb::Register, Mode::Real, folder.path(), asked);
    let mut writer = Writer::new(&folder, &asked.wanted, &mut register);
    steps.into_iter().for_each(|step| report.add(writer.apply(step)));
    Ok((report.told(), folder.entries()?.names().next().is_some()))
}

/// What no rule may take; an error where there is nothing to be registered for.
fn guard() -> Result<Guard, Error> {
    let guard = Guard::new().map_err(|errno| Error::Guard { errno })?;
    match guard.emulation {
        None => Ok(guard),
        Some(emulation) => Err(Error::Emulated(emulation)),
    }
}

/// Registers some of what is asked for.
fn register_once(
    command: &Register,
    handlers: &[&'static Handler],
    namespace: Option<&Namespace>,
) -> Result<Told, Error> {
    let asked = &command.asked;
    let guard = match guard() {
        Err(error @ Error::Emulated(_)) => return Err(error),
        // Where there is no /proc, what cannot be mounted there says more.
        guard => guard,
    };
    // Before the lock: no other run need wait for a slow disk.
    let brought = match bring(asked, handlers) {
        Ok(brought) => brought,
        Err(error) => return Ok(Told::failure(&error.to_string())),
    };
    let copied = match &brought {
        Some(brought) if asked.detail != Detail::Quiet => Told::success(brought.line(&asked.wanted.emulators)),
        _ => Told::success(String::new()),
    };
    let files = Files { new: brought.unwrap_or_default().new, originals: None };
    let missing = Mount::in_scope(namespace.is_some());
    let (folder, mut register) = binfmt_misc::find_and_lock(asked.mount.as_deref(), missing)?;
    let told = guard.and_then(|guard| register_in(&folder, &mut register, command, handlers, guard, &files, namespace));
    let told = told.map(|told| copied.then(told));
    if told.as_ref().map_or(true, |told| told.is_failure()) {
        folder.unmount_if_unused();
    }
    // What programs do takes time that no other run need wait for, unless it may all be taken back.
    drop(register);
    match told {
        Ok(told) if command.verify && !command.atomic && !told.is_failure() => {
            Ok(told.then(proof(asked, handlers, &folder)))
        }
        told => told,
    }
}

/// Copies the emulators of all that needs a handler, if they are to be copied.
fn bring(asked: &Asked, handlers: &[&'static Handler]) -> Result<Option<Brought>, emulators::Error> {
    let Some(copies) = &asked.copies else { return Ok(None) };
    let wanted = native::needed(handlers.iter().copied());
    let place = Place::make(Path::new(slashed(&asked.wanted.emulators)))?;
    Copying::new(copies.originals(&wanted), &copies.label, &place)?.finish().map(Some)
}

/// Which of the emulators' files are other ones than the kernel can have opened, and where to look at them.
#[derive(Default)]
struct Files<'a> {
    /// File names of those that this run has copied.
    new: Vec<&'static str>,
    /// Folder of those that are to be copied, where nothing is done.
    originals: Option<&'a str>,
}

impl Files<'_> {
    /// The file that will be the emulator.
    fn path(&self, handler: &Handler, wanted: &Wanted) -> String {
        let original = self.originals.map(|folder| handler.interpreter(folder));
        original.filter(|path| Path::new(path).exists()).unwrap_or_else(|| handler.interpreter(&wanted.emulators))
    }
}

/// What came of running programs of all that was asked for, whoever serves it, in a line; in full if that is wanted.
fn proof(asked: &Asked, handlers: &[&'static Handler], folder: &Folder) -> Told {
    let proof = || -> Result<Told, verify::Error> {
        let entries = folder.entries()?;
        let verified = verify::verify(&Question {
            handlers,
            folder,
            entries: &entries,
            emulators: &asked.wanted.emulators,
            is_fixed: asked.wanted.flags.fixes_binary(),
            limit: verify::LIMIT,
        })?;
        Ok(match asked.detail {
            Detail::Quiet => verified.told_in_short().without_out(),
            Detail::Normal => verified.told_in_short(),
            Detail::Verbose => verified.told(false),
        })
    };
    proof().unwrap_or_else(|error| Told::failure(&error.to_string()))
}

fn register_in(
    folder: &Folder,
    register: &mut binfmt_misc::Register,
    command: &Register,
    handlers: &[&'static Handler],
    guard: Guard,
    files: &Files<'_>,
    namespace: Option<&Namespace>,
) -> Result<Told, Error> {
    let asked = &command.asked;
    let is_lasting_asked = command.stay.is_none() && !command.temporary;
    let lasting = if is_lasting_asked { binfmt_misc::lasting(folder) } else { Lasting::Always };
    if lasting == Lasting::No {
        return Err(Error::Vanishing(namespace.cloned()));
    }
    let mut report = Report::new(Verb::Register, Mode::Real, folder.path(), asked);
    if lasting == Lasting::AsThisMountNamespace {
        report.remark("as long as this mount namespace".into());
    }
    if let Some(namespace) = folder.namespace() {
        report.remark(of_namespace(&namespace));
    }
    let (entries, steps) = plan(folder, asked, handlers, guard, files)?;
    let mut writer = Writer::new(folder, &asked.wanted, register);
    let mut proven = None;
    if command.atomic {
        let mut done = writer.apply_all_or_none(steps, &entries);
        if command.verify && !done.iter().any(Done::is_failure) {
            let proof = proof(asked, handlers, folder);
            if proof.is_failure() {
                done = writer.take_back_all(done, &entries);
            }
            proven = Some(proof);
        }
        done.into_iter().for_each(|done| report.add(done));
    } else {
        steps.into_iter().for_each(|step| report.add(writer.apply(step)));
    }
    let told = report.told();
    Ok(match proven {
        Some(proof) => told.then(proof),
        None => told,
    })
}

fn of_namespace(namespace: &Namespace) -> String {
    format!("for programs of {namespace} alone")
}

/// What is there, and what is to be done.
fn plan(
    folder: &Folder,
    asked: &Asked,
    handlers: &[&'static Handler],
    guard: Guard,
    files: &Files<'_>,
) -> Result<(Entries, Vec<Step>), Error> {
    if !folder.is_switched_on()? {
        return Err(Error::SwitchedOff { at: folder.path().into() });
    }
    let entries = folder.entries()?;
    let steps = steps(asked, handlers, guard, &entries, files);
    Ok((entries, steps))
}

fn steps(
    asked: &Asked,
    handlers: &[&'static Handler],
    mut guard: Guard,
    entries: &Entries,
    files: &Files<'_>,
) -> Vec<Step> {
    let mut verdicts = Verdicts::new(guard.emulation);
    let mut wanted = handlers.to_vec();
    wanted.retain(|handler| handler.target != HOST);
    let verdicts: Vec<_> = wanted.iter().map(|handler| verdicts.of(handler)).collect();
    for (handler, verdict) in wanted.iter().zip(&verdicts) {
        if *verdict == Verdict::Native {
            guard.add(handler);
        }
    }
    // Made when there is an entry to look at.
    let mut pipe = None;
    let planned = wanted.into_iter().zip(verdicts).map(|(handler, verdict)| {
        let step = plan::register(handler, &asked.wanted, entries, verdict);
        let step = on_file(step, &asked.wanted, entries, files, &mut pipe);
        if let Some(errno) = not_executable(&step, &asked.wanted, files) {
            return Step { outcome: Outcome::NotExecutable(errno), changes: Vec::new(), ..step };
        }
        let outcome = match step.outcome {
            Outcome::Skipped(Skip::Unknown(cause)) if !asked.targets.is_empty() => Outcome::Undecidable(cause),
            _ if step.changes.is_empty() => return step,
            _ => match (guard.taken_by(handler), unfit(&step, &asked.wanted, files)) {
                (Some(native), _) => Outcome::TakesNative(native),
                (None, Some(why)) => Outcome::Unfit(why),
                (None, None) => return step,
            },
        };
        Step { outcome, changes: Vec::new(), ..step }
    });
    planned.collect()
}

/// Replaces an entry whose text is as wanted, but which holds another file than the one that is there now.
fn on_file(step: Step, wanted: &Wanted, entries: &Entries, files: &Files<'_>, pipe: &mut Option<FullPipe>) -> Step {
    let path = files.path(step.handler, wanted);
    // Where there is none, the kernel's is the only one.
    if step.outcome != Outcome::Unchanged || !wanted.flags.fixes_binary() || !Path::new(&path).exists() {
        return step;
    }
    // What has just been copied may have the same content, and another label.
    if files.new.contains(&step.handler.emulator) {
        return plan::replace_file(step, entries);
    }
    if pipe.is_none() {
        *pipe = FullPipe::new().ok();
    }
    match pipe {
        Some(pipe) if pipe.is_held(step.handler, &path) => step,
        _ => plan::replace_file(step, entries),
    }
}

/// What keeps the emulator in a folder of the user's from running wherever its entry is used. Those of the image are
/// known to be static; one that cannot be opened, the kernel will tell.
fn unfit(step: &Step, wanted: &Wanted, files: &Files<'_>) -> Option<String> {
    if wanted.emulators == EMULATOR_DIR || !wanted.flags.fixes_binary() {
        return None;
    }
    match elf::read(Path::new(&files.path(step.handler, wanted))) {
        Ok(facts) => facts.loader.map(|loader| format!("not static: it needs {loader}")),
        Err(elf::Unfit::Unreadable(_)) => None,
        Err(unfit) => Some(unfit.to_string()),
    }
}

/// What would keep an emulator from being opened later, as the kernel would have said of one that it opens now.
fn not_executable(step: &Step, wanted: &Wanted, files: &Files<'_>) -> Option<Errno> {
    let is_meant = matches!(step.outcome, Outcome::Registered | Outcome::Replaced(_) | Outcome::Unchanged);
    if !is_meant || wanted.flags.fixes_binary() {
        return None;
    }
    let path = files.path(step.handler, wanted);
    match fs::metadata(&path) {
        Err(error) => Some(binfmt_misc::errno(&error)),
        // Folders are executable too.
        Ok(found) if !found.is_file() => Some(Errno::EACCES),
        Ok(_) => access(path.as_str(), AccessFlags::X_OK).err(),
    }
}

/// A folder that is not there is one mistake, not one of each handler. The image's own is not asked for.
fn check_emulators(asked: &Asked) -> Result<(), Error> {
    let emulators = asked.copies.as_ref().map_or(&asked.wanted.emulators, |copies| &copies.from);
    if emulators == EMULATOR_DIR {
        return Ok(());
    }
    let folder = Path::new(slashed(emulators));
    let error = |errno| Err(Error::Emulators { source: asked.emulators_from, folder: folder.into(), errno });
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => error(Errno::ENOTDIR),
        Err(cause) => error(binfmt_misc::errno(&cause)),
    }
}

/// The root folder's path is empty, so that a slash may follow it.
fn slashed(folder: &str) -> &str {
    if folder.is_empty() { "/" } else { folder }
}
