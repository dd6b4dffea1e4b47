//! Carries out each command, from the parsed request to the output.

mod compat;
mod doctor;
mod error;
mod others;
mod register;
mod report;
mod resident;
mod run;
mod status;
mod verify;

use nix::unistd::{AccessFlags, access};

use crate::apply::{PlanResult, PlanStatus, Writer};
use crate::binfmt_misc::{self, BinfmtMount, MountPolicy, UserNamespace};
use crate::cli::HELP;
use crate::compat::help as compat_help;
use crate::native::{self, NativeSupportCache};
use crate::output::Output;
use crate::persist;
use crate::plan::{self, HandlerPlan, Operation};
use crate::request::{Command, CommonArgs, PROBE_TIMEOUT, Verbosity};
use crate::table::{Handler, TABLE};

use error::Error;
use register::Location;
use report::{Action, DryRun, Report};
pub(crate) use run::run_if_mapper;
use status::Status;

pub(crate) fn run(command: &Command) -> Output {
    let output = match command {
        Command::Register(request) => {
            register::register(request).or_else(|error| others::running_already(request, error))
        }
        Command::Unregister { args, dry_run } => unregister(args, if *dry_run { DryRun::Yes } else { DryRun::No }),
        Command::Status { args, json, check } => status(args, *json, *check),
        Command::Verify(request) => verify::verify(request),
        Command::Doctor { args, json, limit } => Ok(doctor::doctor(args, *json, *limit)),
        Command::Persist { args, format, has_unit, root } => {
            let (handlers, left) = others::without_left(args, handlers(args));
            let output = persist::persist(args, handlers, *format, *has_unit, root);
            of_persist(args, output.map(|output| Output::success(left).chain(output)))
        }
        Command::Unpersist { args, root } => of_persist(args, persist::unpersist(args, root)),
        Command::Persisted { args, root } => of_persist(args, persist::status(root)),
        Command::Export { args } => persist::export(args, handlers(args)).map_err(Error::text),
        Command::Run { args, program } => Ok(run::run(args, program)),
        Command::Compat(command) => Ok(compat::run(command)),
        Command::Help(None) => Ok(Output::success(HELP.into())),
        Command::Help(Some(mode)) => Ok(Output::success(compat_help(*mode))),
        Command::Version => Ok(Output::success(version())),
    };
    output.unwrap_or_else(Output::from)
}

fn of_persist(args: &CommonArgs, output: Result<Output, String>) -> Result<Output, Error> {
    let is_quiet = args.detail == Verbosity::Quiet;
    output.map(|output| if is_quiet { output.without_stdout() } else { output }).map_err(Error::Text)
}

fn unregister(args: &CommonArgs, dry_run: DryRun) -> Result<Output, Error> {
    let mut location = locate_to_remove(args, dry_run)?;
    let output = location.entries().map(|entries| {
        let handlers = handlers(args);
        let plans: Vec<_> = handlers.iter().map(|handler| plan::unregister(handler, &entries)).collect();
        let left = plans.iter().all(|plan| plan.changes.is_empty()).then(|| others::served(&handlers, &entries));
        let results = match (&location.mount, &mut location.register) {
            (Some(mount), Some(register)) => {
                let mut writer = Writer::new(mount, &args.desired, register);
                plans.into_iter().map(|plan| writer.apply(plan)).collect()
            }
            _ => plans.into_iter().map(|plan| preview_removal(args, &location, plan)).collect(),
        };
        let remarks: Vec<_> = location.to_be_mounted().into_iter().chain(left.flatten()).collect();
        Report { action: Action::Unregister, dry_run, at: &location.at, args }.output(results, &remarks)
    });
    if let Some(mount) = location.mount.filter(|_| dry_run == DryRun::No) {
        mount.unmount_if_unused();
    }
    Ok(output?)
}

/// What would come of a plan that only removes: whether the entries could be written.
fn preview_removal(args: &CommonArgs, location: &Location, plan: HandlerPlan) -> PlanResult {
    let refused = location.mount.as_ref().filter(|_| !plan.changes.is_empty()).and_then(|mount| {
        let (Operation::Add(entry_name) | Operation::Remove(entry_name)) = *plan.changes.first()?;
        let path = mount.path().join(entry_name.name(plan.handler));
        let errno = access(&path, AccessFlags::W_OK).err()?;
        let remaining = plan.remaining(&args.desired, |name| mount.entry(name));
        Some(PlanStatus::Failed(binfmt_misc::Error::Remove { path, errno }, remaining))
    });
    PlanResult { plan, end: refused.unwrap_or(PlanStatus::AsPlanned) }
}

/// Locates `binfmt_misc`, and mounts it if needed: on older kernels entries outlive the last mount, and a container may
/// lack the host's mount. In a user namespace it mounts only an instance that others hold: a new one would disable its
/// parent's handlers.
fn locate_to_remove(args: &CommonArgs, dry_run: DryRun) -> Result<Location, Error> {
    let is_namespace = require_scope(args)?.is_some();
    let only = args.mount.as_deref();
    // Without the option, that is why the scope was not required.
    let is_held = is_namespace && (!args.in_user_namespace || has_lasting_instance(args));
    if dry_run == DryRun::Yes {
        return Location::foreseen(only, is_namespace, !is_namespace, is_held);
    }
    let policy = match (is_namespace, is_held) {
        (false, _) => MountPolicy::IfMissing,
        (true, false) => MountPolicy::LookupOwn,
        (true, true) => MountPolicy::PreferOwn,
    };
    match binfmt_misc::find_and_lock(only, policy) {
        // Nothing is registered there.
        Err(binfmt_misc::Error::NotMounted { at }) => {
            binfmt_misc::check_mount_point_empty(&at)?;
            Ok(Location { at, mount: None, register: None, is_to_be_mounted: false })
        }
        found => Ok(Location::locked(found?)),
    }
}

/// The current user namespace, if its handlers are asked for (`--scope userns`).
fn require_scope(args: &CommonArgs) -> Result<Option<UserNamespace>, Error> {
    match UserNamespace::current() {
        Some(namespace) if !args.in_user_namespace && !has_lasting_instance(args) => {
            Err(Error::InUserNamespace(namespace))
        }
        None if args.in_user_namespace && UserNamespace::is_first() => Err(Error::FirstNamespace),
        namespace => Ok(namespace),
    }
}

/// Whether this user namespace's own instance lasts without `--scope userns`. Handlers of the namespace above, which run
/// programs as long as there is none, would be disabled by a mount.
fn has_lasting_instance(args: &CommonArgs) -> bool {
    binfmt_misc::has_lasting_instance(args.mount.as_deref(), || {
        let foreign = native::foreign_handlers(TABLE.handlers);
        crate::verify::none_runs_from_above(&foreign, PROBE_TIMEOUT)
    })
}

/// Finds the folder for a command that only reads.
fn look(args: &CommonArgs, may_be_new: bool) -> Result<BinfmtMount, binfmt_misc::Error> {
    binfmt_misc::look(args.mount.as_deref(), may_be_new, &|| has_lasting_instance(args))
}

fn status(args: &CommonArgs, json: bool, check: bool) -> Result<Output, Error> {
    let folder = look(args, false)?;
    let entries = folder.entries()?;
    let handlers = handlers(args);
    let entries = if check { others::in_order_of_asking(&handlers, entries) } else { entries };
    let mut status = Status::new(&folder, folder.is_switched_on()?, args);
    let mut native_support = NativeSupportCache::default();
    // Running programs is only for an answer that needs it.
    let left = others::left_to_others(args, &handlers, &entries, !check);
    for handler in handlers {
        status.add(handler, &entries, native_support.of(handler), &left);
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

/// The handlers of the named targets, or all.
fn handlers(args: &CommonArgs) -> Vec<&'static Handler> {
    let is_named = |handler: &&Handler| args.targets.is_empty() || args.targets.contains(&handler.target);
    let named = TABLE.handlers.iter().filter(is_named).collect();
    match &args.naming {
        None => named,
        // Without names: all whose emulators exist.
        Some(naming) => naming.of(named, &args.desired.emulators, args.targets.is_empty()),
    }
}

fn version() -> String {
    // A target may have several handlers, one after the other.
    let targets = TABLE.handlers.chunk_by(|one, next| one.target == next.target).count();
    let qemu = if TABLE.qemu_version.is_empty() { "none" } else { TABLE.qemu_version };
    format!(
        "registrar {}\nQEMU {qemu} ({})\n{} handlers of {} targets\n",
        env!("CARGO_PKG_VERSION"),
        TABLE.origin,
        TABLE.handlers.len(),
        targets
    )
}
