//! `register`: looks whether it may and whether it will last, plans each handler, and has the plan carried out, once or
//! as long as this process stays.

mod dry_run;

use std::fs;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::{handlers, require_scope, unregister};
use crate::apply::Writer;
use crate::arch::HOST;
use crate::binfmt_misc::{self, BinfmtMount, Entries, Error, Lifetime, MountPolicy, UserNamespace};
use crate::commands::report::{Action, DryRun, Report};
use crate::commands::resident;
use crate::elf;
use crate::elf::native_check::Guard;
use crate::emulators::{self, CopyJob, CopyReport, StagingDir};
use crate::native::{self, NativeSupport, NativeSupportCache};
use crate::output::Output;
use crate::plan::{self, HandlerPlan, PlanOutcome, SkipReason};
use crate::request::{CommonArgs, DesiredState, PROBE_TIMEOUT, RegisterArgs, Verbosity};
use crate::sys::errno;
use crate::table::{EMULATOR_DIR, Handler};
use crate::verify::{self, VerifyRequest};

/// Registers what is asked for.
pub(super) fn register(command: &RegisterArgs) -> Result<Output, Error> {
    let args = &command.args;
    check_emulators(args)?;
    let namespace = require_scope(args)?;
    if command.dry_run {
        return dry_run::would_register(args, namespace.as_ref());
    }
    let (all, namespace) = (handlers(args), namespace.as_ref());
    let Some(stay) = command.stay else { return register_once(command, &all, namespace) };
    let output = resident::stay(args, &all, |handlers| register_once(command, handlers, namespace))?;
    match stay.unregister_on_exit.then(|| unregister(args)) {
        None => Ok(output),
        Some(Ok(gone)) => Ok(output.then(gone)),
        Some(Err(error)) => Ok(output.with_error(&error.to_string())),
    }
}

/// Registers all in the namespace that this process has made, and will be the last of. Says too whether anything is
/// registered now.
pub(super) fn register_in_own_namespace(args: &CommonArgs) -> Result<(Output, bool), Error> {
    let (folder, mut register) = binfmt_misc::find_and_lock(None, MountPolicy::RequireOwn)?;
    let guard = guard()?;
    let steps = plan(&folder, args, &handlers(args), guard, None)?;
    let mut report = Report::new(Action::Register, DryRun::No, folder.path(), args);
    let mut writer = Writer::new(&folder, &args.desired, &mut register);
    steps.into_iter().for_each(|step| report.add(writer.apply(step)));
    Ok((report.output(), folder.entries()?.names().next().is_some()))
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
    command: &RegisterArgs,
    handlers: &[&'static Handler],
    namespace: Option<&UserNamespace>,
) -> Result<Output, Error> {
    let args = &command.args;
    let guard = match guard() {
        Err(error @ Error::Emulated(_)) => return Err(error),
        // Where there is no /proc, what cannot be mounted there says more.
        guard => guard,
    };
    // Before the lock: no other run need wait for a slow disk.
    let report = match copy_emulators(args, handlers) {
        Ok(report) => report,
        Err(error) => return Ok(Output::failure(&error.to_string())),
    };
    let copied = match &report {
        Some(report) if args.detail != Verbosity::Quiet => Output::success(report.line(&args.desired.emulators)),
        _ => Output::success(String::new()),
    };
    let missing = MountPolicy::in_scope(namespace.is_some());
    let (folder, mut register) = binfmt_misc::find_and_lock(args.mount.as_deref(), missing)?;
    let output = guard.and_then(|guard| register_in(&folder, &mut register, command, handlers, guard, namespace));
    let output = output.map(|output| copied.then(output));
    if output.as_ref().map_or(true, |output| output.is_failure()) {
        folder.unmount_if_unused();
    }
    // What programs do takes time that no other run need wait for.
    drop(register);
    match output {
        Ok(output) if command.verify && !output.is_failure() => {
            Ok(output.then(verify_registered(args, handlers, &folder)))
        }
        output => output,
    }
}

/// Copies the emulators of all that needs a handler, if they are to be copied.
fn copy_emulators(args: &CommonArgs, handlers: &[&'static Handler]) -> Result<Option<CopyReport>, emulators::Error> {
    let Some(copies) = &args.copies else { return Ok(None) };
    let foreign = native::foreign_handlers(handlers.iter().copied());
    let place = StagingDir::make(Path::new(slashed(&args.desired.emulators)))?;
    CopyJob::new(copies.originals(&foreign), &copies.label, &place)?.finish().map(Some)
}

/// The file that will be the emulator: where nothing is done, the one to be copied from `originals`.
fn emulator_path(handler: &Handler, desired: &DesiredState, originals: Option<&str>) -> String {
    let original = originals.map(|folder| handler.interpreter(folder));
    original.filter(|path| Path::new(path).exists()).unwrap_or_else(|| handler.interpreter(&desired.emulators))
}

/// What came of running programs of all that was asked for, whoever serves it, in a line; in full if that is wanted.
fn verify_registered(args: &CommonArgs, handlers: &[&'static Handler], folder: &BinfmtMount) -> Output {
    let run = || -> Result<Output, verify::Error> {
        let entries = folder.entries()?;
        let verified = verify::verify(&VerifyRequest {
            handlers,
            folder,
            entries: &entries,
            emulators: &args.desired.emulators,
            is_fixed: args.desired.flags.fixes_binary(),
            limit: PROBE_TIMEOUT,
        })?;
        Ok(match args.detail {
            Verbosity::Quiet => verified.summary().without_stdout(),
            Verbosity::Normal => verified.summary(),
            Verbosity::Verbose => verified.output(false),
        })
    };
    run().unwrap_or_else(|error| Output::failure(&error.to_string()))
}

fn register_in(
    folder: &BinfmtMount,
    register: &mut binfmt_misc::RegisterFile,
    command: &RegisterArgs,
    handlers: &[&'static Handler],
    guard: Guard,
    namespace: Option<&UserNamespace>,
) -> Result<Output, Error> {
    let args = &command.args;
    let is_lasting_asked = command.stay.is_none() && !command.temporary;
    let lasting = if is_lasting_asked { binfmt_misc::lasting(folder) } else { Lifetime::Permanent };
    if lasting == Lifetime::Process {
        return Err(Error::WouldNotPersist(namespace.cloned()));
    }
    let mut report = Report::new(Action::Register, DryRun::No, folder.path(), args);
    if lasting == Lifetime::MountNamespace {
        report.remark("as long as this mount namespace".into());
    }
    if let Some(namespace) = folder.namespace() {
        report.remark(of_namespace(&namespace));
    }
    let steps = plan(folder, args, handlers, guard, None)?;
    let mut writer = Writer::new(folder, &args.desired, register);
    steps.into_iter().for_each(|step| report.add(writer.apply(step)));
    Ok(report.output())
}

fn of_namespace(namespace: &UserNamespace) -> String {
    format!("for programs of {namespace} alone")
}

/// What is there, and what is to be done.
fn plan(
    folder: &BinfmtMount,
    args: &CommonArgs,
    handlers: &[&'static Handler],
    guard: Guard,
    originals: Option<&str>,
) -> Result<Vec<HandlerPlan>, Error> {
    if !folder.is_switched_on()? {
        return Err(Error::SwitchedOff { at: folder.path().into() });
    }
    let entries = folder.entries()?;
    Ok(steps(args, handlers, guard, &entries, originals))
}

fn steps(
    args: &CommonArgs,
    handlers: &[&'static Handler],
    mut guard: Guard,
    entries: &Entries,
    originals: Option<&str>,
) -> Vec<HandlerPlan> {
    let mut native_support = NativeSupportCache::new(guard.emulation);
    let mut wanted = handlers.to_vec();
    wanted.retain(|handler| handler.target != HOST);
    let native_support: Vec<_> = wanted.iter().map(|handler| native_support.of(handler)).collect();
    for (handler, support) in wanted.iter().zip(&native_support) {
        if *support == NativeSupport::Native {
            guard.add(handler);
        }
    }
    let planned = wanted.into_iter().zip(native_support).map(|(handler, support)| {
        let path = || emulator_path(handler, &args.desired, originals);
        let step = plan::register(handler, &args.desired, entries, support, || Path::new(&path()).exists());
        if let Some(errno) = not_executable(&step, &args.desired, path) {
            return HandlerPlan { outcome: PlanOutcome::NotExecutable(errno), changes: Vec::new(), ..step };
        }
        let outcome = match step.outcome {
            PlanOutcome::Skipped(SkipReason::Unknown(cause)) if !args.targets.is_empty() => {
                PlanOutcome::Undecidable(cause)
            }
            _ if step.changes.is_empty() => return step,
            _ => match (guard.taken_by(handler), static_check(&args.desired, path)) {
                (Some(native), _) => PlanOutcome::TakesNative(native),
                (None, Some(why)) => PlanOutcome::Unfit(why),
                (None, None) => return step,
            },
        };
        HandlerPlan { outcome, changes: Vec::new(), ..step }
    });
    planned.collect()
}

/// What keeps the emulator in a folder of the user's from running wherever its entry is used. Those of the image are
/// known to be static; one that cannot be opened, the kernel will tell.
fn static_check(desired: &DesiredState, path: impl Fn() -> String) -> Option<String> {
    if desired.emulators == EMULATOR_DIR || !desired.flags.fixes_binary() {
        return None;
    }
    match elf::read(Path::new(&path())) {
        Ok(facts) => facts.loader.map(|loader| format!("not static: it needs {loader}")),
        Err(elf::Unfit::Unreadable(_)) => None,
        Err(unfit) => Some(unfit.to_string()),
    }
}

/// What would keep an emulator from being opened later, as the kernel would have said of one that it opens now.
fn not_executable(step: &HandlerPlan, desired: &DesiredState, path: impl Fn() -> String) -> Option<Errno> {
    let is_meant = matches!(step.outcome, PlanOutcome::Registered | PlanOutcome::Replaced(_) | PlanOutcome::Unchanged);
    if !is_meant || desired.flags.fixes_binary() {
        return None;
    }
    let path = path();
    match fs::metadata(&path) {
        Err(error) => Some(errno(&error)),
        // Folders are executable too.
        Ok(found) if !found.is_file() => Some(Errno::EACCES),
        Ok(_) => access(path.as_str(), AccessFlags::X_OK).err(),
    }
}

/// A folder that is not there is one mistake, not one of each handler. The image's own is not asked for.
fn check_emulators(args: &CommonArgs) -> Result<(), Error> {
    let emulators = args.copies.as_ref().map_or(&args.desired.emulators, |copies| &copies.from);
    if emulators == EMULATOR_DIR {
        return Ok(());
    }
    let folder = Path::new(slashed(emulators));
    let error = |errno| Err(Error::Emulators { source: args.emulators_from, folder: folder.into(), errno });
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => error(Errno::ENOTDIR),
        Err(cause) => error(errno(&cause)),
    }
}

/// The root folder's path is empty, so that a slash may follow it.
fn slashed(folder: &str) -> &str {
    if folder.is_empty() { "/" } else { folder }
}
