//! Each command from what is asked to what is told: finds the folder, has the plan made, has it carried out.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;

use crate::apply::Writer;
use crate::cli::{Asked, Command, HELP};
use crate::kernel::{self, Error, Folder, Mount};
use crate::native::{HOST, Verdicts};
use crate::plan::{self, Step};
use crate::report::{Report, Verb};
use crate::status::Status;
use crate::table::{EMULATOR_DIR, Handler, TABLE};
use crate::told::Told;
use crate::verify::{self, Question};

/// Does what is asked.
pub(crate) fn run(command: &Command) -> Told {
    let told = match command {
        Command::Register(asked) => register(asked),
        Command::Unregister(asked) => unregister(asked),
        Command::Status { asked, json } => status(asked, *json),
        Command::Verify { asked, json, limit } => {
            return verify(asked, *json, *limit).unwrap_or_else(|error| Told::failure(&error.to_string()));
        }
        Command::Help => Ok(Told::success(HELP.into())),
        Command::Version => Ok(Told::success(version())),
    };
    told.unwrap_or_else(|error| Told::failure(&error.to_string()))
}

fn register(asked: &Asked) -> Result<Told, Error> {
    if asked.emulators != EMULATOR_DIR {
        check_emulators(asked)?;
    }
    let folder = kernel::find(asked.mount.as_deref(), Mount::Allowed)?;
    let told = register_in(&folder, asked);
    if told.as_ref().map_or(true, |told| told.is_failure) {
        folder.unmount_if_unused();
    }
    told
}

fn register_in(folder: &Folder, asked: &Asked) -> Result<Told, Error> {
    if !folder.is_switched_on()? {
        return Err(Error::SwitchedOff { at: folder.path().into() });
    }
    let entries = folder.entries()?;
    let mut wanted = handlers(asked);
    wanted.retain(|handler| handler.target != HOST);
    let mut verdicts = Verdicts::default();
    let plan = |handler| plan::register(handler, &asked.emulators, &entries, verdicts.of(handler));
    Ok(carry_out(Verb::Register, folder, asked, wanted.into_iter().map(plan)))
}

fn unregister(asked: &Asked) -> Result<Told, Error> {
    // Mounted if need be: entries may be there all the same, since until Linux 6.6 they outlive the last mount, and
    // later the host may hold the mount that a container lacks.
    let folder = kernel::find(asked.mount.as_deref(), Mount::Allowed)?;
    let told = folder.entries().map(|entries| {
        let steps = handlers(asked).into_iter().map(|handler| plan::unregister(handler, &entries));
        carry_out(Verb::Unregister, &folder, asked, steps)
    });
    folder.unmount_if_unused();
    told
}

fn status(asked: &Asked, json: bool) -> Result<Told, Error> {
    let folder = kernel::find(asked.mount.as_deref(), Mount::Never)?;
    let entries = folder.entries()?;
    let mut status = Status::new(folder.path(), folder.is_switched_on()?);
    let mut verdicts = Verdicts::default();
    for handler in handlers(asked) {
        status.add(handler, &asked.emulators, &entries, verdicts.of(handler));
    }
    Ok(Told::success(if json { status.json() } else { status.text() }))
}

fn verify(asked: &Asked, json: bool, limit: Duration) -> Result<Told, verify::Error> {
    let folder = kernel::find(asked.mount.as_deref(), Mount::Never)?;
    let entries = folder.entries()?;
    let mut handlers = handlers(asked);
    if asked.targets.is_empty() {
        handlers = verify::registered(&handlers, &entries);
        if handlers.is_empty() {
            return Ok(Told::failure(
                "nothing of ours is registered, so there is nothing to verify; registrar register",
            ));
        }
    }
    let emulators = &asked.emulators;
    let question = Question { handlers: &handlers, folder: &folder, entries: &entries, emulators, limit };
    Ok(verify::verify(&question)?.told(json))
}

fn carry_out(verb: Verb, folder: &Folder, asked: &Asked, steps: impl Iterator<Item = Step>) -> Told {
    let mut report = Report::new(verb, folder.path(), asked);
    let mut writer = Writer::new(folder, &asked.emulators);
    for step in steps {
        report.add(writer.apply(step));
    }
    report.told()
}

/// The handlers of the targets that are named, or all.
fn handlers(asked: &Asked) -> Vec<&'static Handler> {
    let is_named = |handler: &&Handler| asked.targets.is_empty() || asked.targets.contains(&handler.target);
    TABLE.handlers.iter().filter(is_named).collect()
}

/// A folder that is not there is one mistake, not one of each handler.
fn check_emulators(asked: &Asked) -> Result<(), Error> {
    // The root folder's path is empty, so that a slash may follow it.
    let folder = Path::new(if asked.emulators.is_empty() { "/" } else { &asked.emulators });
    let error = |errno| Err(Error::Emulators { source: asked.emulators_from, folder: folder.into(), errno });
    match fs::metadata(folder) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => error(Errno::ENOTDIR),
        Err(cause) => error(kernel::errno(&cause)),
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
