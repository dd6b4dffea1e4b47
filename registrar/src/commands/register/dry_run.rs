//! `register --dry-run`: what would be done, and what would be refused at once. Writes and mounts nothing.

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::{of_namespace, plan, steps};
use crate::apply::{PlanResult, PlanStatus};
use crate::binfmt_misc::{self, BinfmtMount, Entries, Error, MountPolicy, UserNamespace};
use crate::commands::handlers;
use crate::commands::report::{Action, DryRun, Report};
use crate::elf::native_check::Guard;
use crate::output::Output;
use crate::request::CommonArgs;
use crate::sys;

/// The capability to mount: `CAP_SYS_ADMIN`.
const MAY_MOUNT: u64 = 1 << 21;

/// Says what `register` would do.
pub(super) fn would_register(args: &CommonArgs, namespace: Option<&UserNamespace>) -> Result<Output, Error> {
    let handlers = handlers(args);
    let guard = Guard::new().map_err(|errno| Error::Guard { errno })?;
    let emulation = guard.emulation;
    let originals = args.copies.as_ref().map(|copies| copies.from.as_str());
    let found = binfmt_misc::find(args.mount.as_deref(), MountPolicy::never_in_scope(namespace.is_some()));
    let (folder, steps) = match &found {
        Ok(folder) => (folder.path(), plan(folder, args, &handlers, guard, originals)?),
        Err(Error::NotMounted { at }) => {
            binfmt_misc::check_mount_point_empty(at)?;
            if !may_mount() {
                return Err(Error::Mount { at: at.clone(), errno: Errno::EPERM });
            }
            (at.as_path(), steps(args, &handlers, guard, &Entries::default(), originals))
        }
        Err(other) => return Err(other.clone()),
    };
    let mut report = Report::new(Action::Register, DryRun::Yes, folder, args);
    if found.is_err() {
        report.remark(format!("binfmt_misc to be mounted at {}", folder.display()));
    }
    let is_alone = || found.as_ref().map_or(true, |folder| folder.namespace().is_some());
    if let Some(namespace) = namespace.filter(|_| is_alone()) {
        report.remark(of_namespace(namespace));
    }
    if let Some(emulation) = emulation {
        report.remark(format!("not to be done here: {emulation}"));
    }
    if args.copies.is_some() {
        report.remark(format!("emulators to be copied to {} first", args.desired.emulators));
    }
    let mut refused = found.as_ref().ok().and_then(not_writable);
    let is_refused = refused.is_some();
    for step in steps {
        let end = match refused.take_if(|_| !step.changes.is_empty()) {
            Some(cause) => PlanStatus::Failed(cause, step.left_after(&[])),
            None if is_refused && !step.changes.is_empty() => PlanStatus::NotTried,
            None => PlanStatus::AsPlanned,
        };
        report.add(PlanResult { plan: step, end });
    }
    Ok(report.output())
}

/// Why nothing can be registered there, if so.
fn not_writable(folder: &BinfmtMount) -> Option<Error> {
    let path = folder.path().join("register");
    let errno = access(&path, AccessFlags::W_OK).err()?;
    Some(Error::Register { path, errno })
}

/// What cannot be told is left to be seen.
fn may_mount() -> bool {
    let status = sys::text("/proc/self/status");
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    effective.is_none_or(|effective| effective & MAY_MOUNT != 0)
}
