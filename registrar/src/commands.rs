//! Each command from what is asked to what is told: finds the folder, has the plan made, has it carried out.

mod compat;
mod doctor;
mod error;
mod register;
mod report;
mod resident;
mod run;
mod status;

use std::path::Path;
use std::time::Duration;

use crate::apply::{PlanResult, PlanStatus, Writer};
use crate::binfmt_misc::{self, Entries, MountPolicy, UserNamespace};
use crate::cli::HELP;
use crate::compat::help as compat_help;
use crate::native::NativeSupportCache;
use crate::output::Output;
use crate::persist;
use crate::plan;
use crate::request::{Command, CommonArgs, Verbosity};
use crate::table::{Handler, TABLE};
use crate::verify::{self, VerifyRequest};

use error::Error;
use report::{Action, DryRun, Report};
use status::Status;

/// Does what is asked.
pub(crate) fn run(command: &Command) -> Output {
    let output = match command {
        Command::Register(request) => register::register(request),
        Command::Unregister { args, dry_run: false } => unregister(args),
        Command::Unregister { args, dry_run: true } => would_unregister(args),
        Command::Status { args, json, check } => status(args, *json, *check),
        Command::Verify { args, json, limit } => verify(args, *json, *limit),
        Command::Doctor { args, limit } => Ok(doctor::doctor(args, *limit)),
        Command::Persist { args, format, has_unit, root } => {
            persist::persist(args, handlers(args), *format, *has_unit, root).map_err(Error::from)
        }
        Command::Unpersist { args, root } => persist::unpersist(args, root).map_err(Error::from),
        Command::Export { args } => persist::export(args, handlers(args)).map_err(Error::from),
        Command::Run { args, program } => Ok(run::run(args, program)),
        Command::Compat(command) => Ok(compat::run(command)),
        Command::Help(None) => Ok(Output::success(HELP.into())),
        Command::Help(Some(mode)) => Ok(Output::success(compat_help(*mode))),
        Command::Version => Ok(Output::success(version())),
    };
    output.unwrap_or_else(Output::from)
}

fn unregister(args: &CommonArgs) -> Result<Output, Error> {
    // Mounted if need be: entries may be there all the same, since on older kernels they outlive the last mount, and on
    // others the host may hold the mount that a container lacks. Not in a user namespace, whose new instance would take
    // the handlers of those above from its programs.
    let is_namespace = require_scope(args)?.is_some();
    let missing = if is_namespace { MountPolicy::LookupOwn } else { MountPolicy::IfMissing };
    let (folder, mut register) = match binfmt_misc::find_and_lock(args.mount.as_deref(), missing) {
        Err(binfmt_misc::Error::NotMounted { at }) => return nothing_mounted(args, &at, DryRun::No),
        found => found?,
    };
    let output = folder.entries().map(|entries| {
        let report = Report { action: Action::Unregister, dry_run: DryRun::No, at: folder.path(), args };
        let mut writer = Writer::new(&folder, &args.desired, &mut register);
        let plans = handlers(args).into_iter().map(|handler| plan::unregister(handler, &entries));
        report.output(plans.map(|plan| writer.apply(plan)).collect(), &[])
    });
    folder.unmount_if_unused();
    Ok(output?)
}

fn would_unregister(args: &CommonArgs) -> Result<Output, Error> {
    let is_namespace = require_scope(args)?.is_some();
    let folder = match binfmt_misc::find(args.mount.as_deref(), MountPolicy::never_in_scope(is_namespace)) {
        Err(binfmt_misc::Error::NotMounted { at }) if is_namespace => return nothing_mounted(args, &at, DryRun::Yes),
        found => found?,
    };
    Ok(unregistered(args, folder.path(), &folder.entries()?, DryRun::Yes))
}

/// In a user namespace without an instance nothing can be registered.
fn nothing_mounted(args: &CommonArgs, at: &Path, mode: DryRun) -> Result<Output, Error> {
    binfmt_misc::check_mount_point_empty(at)?;
    Ok(unregistered(args, at, &Entries::default(), mode))
}

/// What would be told if all went as planned.
fn unregistered(args: &CommonArgs, at: &Path, entries: &Entries, mode: DryRun) -> Output {
    let report = Report { action: Action::Unregister, dry_run: mode, at, args };
    let plans = handlers(args).into_iter().map(|handler| plan::unregister(handler, entries));
    report.output(plans.map(|plan| PlanResult { plan, end: PlanStatus::AsPlanned }).collect(), &[])
}

/// The user namespace whose programs alone will be served, if that is what is asked for.
fn require_scope(args: &CommonArgs) -> Result<Option<UserNamespace>, Error> {
    match UserNamespace::current() {
        Some(namespace) if !args.in_user_namespace => Err(Error::InUserNamespace(namespace)),
        None if args.in_user_namespace && UserNamespace::is_first() => Err(Error::FirstNamespace),
        namespace => Ok(namespace),
    }
}

fn status(args: &CommonArgs, json: bool, check: bool) -> Result<Output, Error> {
    let folder = binfmt_misc::find(args.mount.as_deref(), MountPolicy::Lookup)?;
    let entries = folder.entries()?;
    let mut status = Status::new(&folder, folder.is_switched_on()?, &args.desired);
    let mut native_support = NativeSupportCache::default();
    for handler in handlers(args) {
        status.add(handler, &entries, native_support.of(handler));
    }
    let output = Output::success(match args.detail {
        Verbosity::Quiet => String::new(),
        _ if json => status.json(),
        _ => status.text(),
    });
    Ok(match status.failure().filter(|_| check) {
        Some(failure) => output.with_error(&failure),
        None => output,
    })
}

fn verify(args: &CommonArgs, json: bool, limit: Duration) -> Result<Output, Error> {
    let folder = binfmt_misc::find(args.mount.as_deref(), MountPolicy::Lookup)?;
    let entries = folder.entries()?;
    let mut handlers = handlers(args);
    if args.targets.is_empty() {
        handlers = verify::registered(&handlers, &entries);
    }
    let output = if handlers.is_empty() {
        Output::failure("nothing of ours is registered, so there is nothing to verify; registrar register")
    } else {
        let emulators = &args.desired.emulators;
        let is_fixed = args.desired.flags.fixes_binary();
        let (handlers, folder, entries) = (&handlers, &folder, &entries);
        verify::verify(&VerifyRequest { handlers, folder, entries, emulators, is_fixed, limit })?.output(json)
    };
    Ok(if args.detail == Verbosity::Quiet { output.without_stdout() } else { output })
}

/// The handlers of the targets that are named, or all.
fn handlers(args: &CommonArgs) -> Vec<&'static Handler> {
    let is_named = |handler: &&Handler| args.targets.is_empty() || args.targets.contains(&handler.target);
    let named = TABLE.handlers.iter().filter(is_named).collect();
    match &args.naming {
        None => named,
        // Who asks for all asks for what is there.
        Some(naming) => naming.of(named, &args.desired.emulators, args.targets.is_empty()),
    }
}

fn version() -> String {
    let mut targets: Vec<_> = TABLE.handlers.iter().map(|handler| handler.target).collect();
    targets.sort_unstable();
    targets.dedup();
    let qemu = if TABLE.qemu_version.is_empty() { "none" } else { TABLE.qemu_version };
    format!(
        "registrar {}\nQEMU {qemu} ({})\n{} handlers of {} targets\n",
        env!("CARGO_PKG_VERSION"),
        TABLE.origin,
        TABLE.handlers.len(),
        targets.len()
    )
}
