//! Each command from what is asked to what is told: finds the folder, has the plan made, has it carried out.

mod compat;
mod doctor;
mod register;
mod report;
mod resident;
pub(crate) mod run;
mod status;

use std::path::Path;
use std::time::Duration;

use crate::apply::{Done, End, Writer};
use crate::binfmt_misc::{self, Entries, Error, Mount, Namespace};
use crate::cli::{Asked, Command, Detail, HELP};
use crate::commands::report::{Mode, Report, Verb};
use crate::commands::status::Status;
use crate::native::Verdicts;
use crate::output::Told;
use crate::persist;
use crate::plan;
use crate::table::{Handler, TABLE};
use crate::verify::{self, Question};

/// Does what is asked.
pub(crate) fn run(command: &Command) -> Told {
    let told = match command {
        Command::Register(wanted) => register::register(wanted),
        Command::Unregister { asked, dry_run: false } => unregister(asked),
        Command::Unregister { asked, dry_run: true } => would_unregister(asked),
        Command::Status { asked, json, check } => status(asked, *json, *check),
        Command::Verify { asked, json, limit } => {
            let told = verify(asked, *json, *limit);
            return told.unwrap_or_else(|error| Told::failure(&error.to_string()));
        }
        Command::Doctor { asked, limit } => return doctor::doctor(asked, *limit),
        Command::Persist { asked, format, has_unit, root } => {
            return persisted(persist::persist(asked, handlers(asked), *format, *has_unit, root));
        }
        Command::Unpersist { asked, format, root } => {
            return persisted(persist::unpersist(asked, *format, root));
        }
        Command::Export { asked, format } => {
            return persisted(persist::export(asked, handlers(asked), *format));
        }
        Command::Run { asked, program } => return run::run(asked, program, register::register_in_own_namespace),
        Command::Foreign(wanted) => return compat::run(wanted),
        Command::Help(None) => Ok(Told::success(HELP.into())),
        Command::Help(Some(dialect)) => Ok(Told::success(dialect.help())),
        Command::Version => Ok(Told::success(version())),
    };
    told.unwrap_or_else(|error| Told::failure(&error.to_string()))
}

fn persisted(told: Result<Told, persist::Error>) -> Told {
    told.unwrap_or_else(|error| Told::failure(&error.to_string()))
}

fn unregister(asked: &Asked) -> Result<Told, Error> {
    // Mounted if need be: entries may be there all the same, since on older kernels they outlive the last mount, and on
    // others the host may hold the mount that a container lacks. Not in a user namespace, whose new instance would take
    // the handlers of those above from its programs.
    let is_namespace = in_wanted_scope(asked)?.is_some();
    let missing = if is_namespace { Mount::NeverOther } else { Mount::Allowed };
    let (folder, mut register) = match binfmt_misc::find_and_lock(asked.mount.as_deref(), missing) {
        Err(Error::NotMounted { at }) => return nothing_mounted(asked, &at, Mode::Real),
        found => found?,
    };
    let told = folder.entries().map(|entries| {
        let mut report = Report::new(Verb::Unregister, Mode::Real, folder.path(), asked);
        let mut writer = Writer::new(&folder, &asked.wanted, &mut register);
        for handler in handlers(asked) {
            report.add(writer.apply(plan::unregister(handler, &entries)));
        }
        report.told()
    });
    folder.unmount_if_unused();
    told
}

fn would_unregister(asked: &Asked) -> Result<Told, Error> {
    let is_namespace = in_wanted_scope(asked)?.is_some();
    let folder = match binfmt_misc::find(asked.mount.as_deref(), Mount::never_in_scope(is_namespace)) {
        Err(Error::NotMounted { at }) if is_namespace => return nothing_mounted(asked, &at, Mode::DryRun),
        found => found?,
    };
    Ok(unregistered(asked, folder.path(), &folder.entries()?, Mode::DryRun))
}

/// In a user namespace without an instance nothing can be registered.
fn nothing_mounted(asked: &Asked, at: &Path, mode: Mode) -> Result<Told, Error> {
    binfmt_misc::hides_nothing(at)?;
    Ok(unregistered(asked, at, &Entries::default(), mode))
}

/// What would be told if all went as planned.
fn unregistered(asked: &Asked, at: &Path, entries: &Entries, mode: Mode) -> Told {
    let mut report = Report::new(Verb::Unregister, mode, at, asked);
    for handler in handlers(asked) {
        report.add(Done { step: plan::unregister(handler, entries), end: End::AsPlanned });
    }
    report.told()
}

/// The user namespace whose programs alone will be served, if that is what is asked for.
fn in_wanted_scope(asked: &Asked) -> Result<Option<Namespace>, Error> {
    match Namespace::current() {
        Some(namespace) if !asked.in_user_namespace => Err(Error::Scope(namespace)),
        None if asked.in_user_namespace && Namespace::is_first() => Err(Error::FirstNamespace),
        namespace => Ok(namespace),
    }
}

fn status(asked: &Asked, json: bool, check: bool) -> Result<Told, Error> {
    let folder = binfmt_misc::find(asked.mount.as_deref(), Mount::Never)?;
    let entries = folder.entries()?;
    let mut status = Status::new(&folder, folder.is_switched_on()?, &asked.wanted);
    let mut verdicts = Verdicts::default();
    for handler in handlers(asked) {
        status.add(handler, &entries, verdicts.of(handler));
    }
    let told = Told::success(match asked.detail {
        Detail::Quiet => String::new(),
        _ if json => status.json(),
        _ => status.text(),
    });
    Ok(match status.failure().filter(|_| check) {
        Some(failure) => told.and_failure(&failure),
        None => told,
    })
}

fn verify(asked: &Asked, json: bool, limit: Duration) -> Result<Told, verify::Error> {
    let folder = binfmt_misc::find(asked.mount.as_deref(), Mount::Never)?;
    let entries = folder.entries()?;
    let mut handlers = handlers(asked);
    if asked.targets.is_empty() {
        handlers = verify::registered(&handlers, &entries);
    }
    let told = if handlers.is_empty() {
        Told::failure("nothing of ours is registered, so there is nothing to verify; registrar register")
    } else {
        let emulators = &asked.wanted.emulators;
        let is_fixed = asked.wanted.flags.fixes_binary();
        let (handlers, folder, entries) = (&handlers, &folder, &entries);
        verify::verify(&Question { handlers, folder, entries, emulators, is_fixed, limit })?.told(json)
    };
    Ok(if asked.detail == Detail::Quiet { told.without_out() } else { told })
}

/// The handlers of the targets that are named, or all.
fn handlers(asked: &Asked) -> Vec<&'static Handler> {
    let is_named = |handler: &&Handler| asked.targets.is_empty() || asked.targets.contains(&handler.target);
    let named = TABLE.handlers.iter().filter(is_named).collect();
    match &asked.naming {
        None => named,
        // Who asks for all asks for what is there.
        Some(naming) => naming.of(named, &asked.wanted.emulators, asked.targets.is_empty()),
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
