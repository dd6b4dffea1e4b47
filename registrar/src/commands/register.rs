//! `register`, stage by stage: check the emulators, copy them, locate and lock `binfmt_misc`, its lifetime, observe, plan,
//! apply, verify, report. `run` enters at the second half, a resident goes through all of it as often as needed.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};

use super::error::Error;
use super::others::{in_order_of_asking, left_to_others};
use super::report::{Action, DryRun, Report};
use super::{handlers, require_scope, resident, unregister};
use crate::apply::{PlanResult, PlanStatus, Writer};
use crate::arch::HOST;
use crate::binfmt_misc::{self, BinfmtMount, Entries, Lifetime, MountPolicy, RegisterFile, UserNamespace, lifetime};
use crate::elf::{self, Unfit};
use crate::emulators::{self, CopyJob, Root};
use crate::flags::tells_argv0;
use crate::native::{self, Emulation, NativeSupportCache};
use crate::output::Output;
use crate::plan::{self, HandlerPlan, PlanOutcome, SkipReason};
use crate::request::{CommonArgs, PROBE_TIMEOUT, RegisterArgs, Verbosity};
use crate::sys::{self, errno, errno_text};
use crate::table::{EMULATOR_DIR, Handler};
use crate::verify;

/// `CAP_SYS_ADMIN`, which mount(2) asks for.
const MAY_MOUNT: u64 = 1 << 21;

/// The list of packages that every image of ours has.
const IMAGE_PACKAGES: &str = "/usr/share/doc/registrar/packages";

/// Registers what is asked for, once or as long as this process stays.
pub(super) fn register(request: &RegisterArgs) -> Result<Output, Error> {
    let args = &request.args;
    check_emulators(args)?;
    let registration = Registration {
        args,
        namespace: require_scope(args)?,
        emulation: Emulation::current(),
        is_dry_run: request.dry_run,
        must_last: request.stay.is_none() && !request.temporary,
        // With flags that its emulator does not fit, an entry is taken that runs nothing.
        verify: request.verify || (!request.dry_run && !args.desired.flags.uncommon().is_empty()),
        are_static: are_static(args),
    };
    let all = handlers(args);
    let Some(resident) = request.stay else { return registration.run(&all) };
    let output = resident::stay(args, &all, &|handlers| registration.run(handlers))?;
    Ok(match resident.unregister_on_exit.then(|| unregister(args, DryRun::No)) {
        None => output,
        Some(Ok(gone)) => output.chain(gone),
        Some(Err(error)) => output.with_error(&error.to_string()),
    })
}

/// Registers all in the namespace that this process has made, and will be the last of. Says too whether anything is
/// registered now.
pub(super) fn register_in_own_namespace(args: &CommonArgs) -> Result<(Output, bool), Error> {
    let (namespace, emulation) = (UserNamespace::current(), Emulation::current());
    let are_static = are_static(args);
    let registration =
        Registration { args, namespace, emulation, is_dry_run: false, must_last: false, verify: false, are_static };
    registration.refuse_emulation()?;
    let mut location = Location::locked(binfmt_misc::find_and_lock(None, MountPolicy::RequireOwn)?);
    let output = registration.register_at(&mut location, &handlers(args))?;
    Ok((output, location.entries()?.names().next().is_some()))
}

/// What is asked for, and what this process is.
struct Registration<'a> {
    args: &'a CommonArgs,
    namespace: Option<UserNamespace>,
    emulation: Option<Emulation>,
    is_dry_run: bool,
    /// Handlers that go with this process's mount are not what is asked for.
    must_last: bool,
    verify: bool,
    /// Whether the emulators need no check.
    are_static: bool,
}

/// Where `binfmt_misc` is, or would be mounted. Locked unless it is a dry run.
pub(super) struct Location {
    pub(super) at: PathBuf,
    pub(super) mount: Option<BinfmtMount>,
    pub(super) register: Option<RegisterFile>,
    pub(super) is_to_be_mounted: bool,
}

impl Location {
    pub(super) fn locked((mount, register): (BinfmtMount, RegisterFile)) -> Self {
        Self { at: mount.path().into(), mount: Some(mount), register: Some(register), is_to_be_mounted: false }
    }

    /// What a run would find, or mount if it `mounts`. What others hold shows in a private mount namespace, in a user
    /// namespace only if that is known (`is_held`).
    pub(super) fn foreseen(
        only: Option<&Path>,
        is_namespace: bool,
        mounts: bool,
        is_held: bool,
    ) -> Result<Self, Error> {
        let (at, mount, is_to_be_mounted) = match binfmt_misc::find(only, MountPolicy::never_in_scope(is_namespace)) {
            Ok(mount) => (mount.path().into(), Some(mount), false),
            Err(binfmt_misc::Error::NotMounted { at }) => {
                binfmt_misc::check_mount_point_empty(&at)?;
                if mounts {
                    check_may_mount(&at)?;
                }
                let shows = !is_namespace || is_held;
                let mount = if shows { binfmt_misc::look(only, false, &|| is_held).ok() } else { None };
                (at, mount, mounts)
            }
            Err(other) => return Err(other.into()),
        };
        Ok(Self { at, mount, register: None, is_to_be_mounted })
    }

    /// For a dry run.
    pub(super) fn to_be_mounted(&self) -> Option<String> {
        self.is_to_be_mounted.then(|| format!("binfmt_misc to be mounted at {}", self.at.display()))
    }

    pub(super) fn entries(&self) -> Result<Entries, binfmt_misc::Error> {
        self.mount.as_ref().map_or_else(|| Ok(Entries::default()), BinfmtMount::entries)
    }
}

impl Registration<'_> {
    /// All stages, for some of the handlers that are asked for.
    fn run(&self, handlers: &[&'static Handler]) -> Result<Output, Error> {
        self.refuse_emulation()?;
        // Before the lock: no other run need wait for a slow disk.
        let copied = self.copy_emulators(handlers)?;
        let mut location = self.locate()?;
        let output = self.register_at(&mut location, handlers).map(|output| copied.chain(output));
        let is_good = output.as_ref().is_ok_and(|output| !output.is_failure());
        if let Some(mount) = location.mount.as_ref().filter(|_| !is_good && !self.is_dry_run) {
            mount.unmount_if_unused();
        }
        // What programs do takes time that no other run need wait for.
        drop(location.register);
        match location.mount {
            Some(mount) if is_good && self.verify => {
                output.map(|output| output.chain(self.verify_registered(handlers, &mount)))
            }
            _ => output,
        }
    }

    /// From the lifetime to the report.
    fn register_at(&self, location: &mut Location, handlers: &[&'static Handler]) -> Result<Output, Error> {
        let mut remarks = self.lifetime(location)?;
        if self.is_dry_run {
            remarks.splice(..0, location.to_be_mounted());
            remarks.extend(
                self.args
                    .copies
                    .is_some()
                    .then(|| format!("emulators to be copied to {} first", self.args.desired.emulators)),
            );
        }
        if self.args.mode.is_none() && !self.args.desired.flags.keeps_argv0() && !tells_argv0() {
            remarks.push("without flag P: this kernel does not tell emulators of it, Linux 5.12 does".into());
        }
        let mut entries = observe(location)?;
        if !self.is_dry_run {
            entries = in_order_of_asking(handlers, entries);
        }
        let plans = self.plan(handlers, &entries);
        let results = if self.is_dry_run { self.preview(location, plans) } else { self.apply(location, plans) };
        let dry_run = if self.is_dry_run { DryRun::Yes } else { DryRun::No };
        let report = Report { action: Action::Register, dry_run, at: &location.at, args: self.args };
        let mut output = report.output(results, &remarks);
        if self.args.detail == Verbosity::Verbose && !self.is_dry_run {
            let paths = handlers.iter().map(|handler| self.emulator_path(handler));
            paths
                .filter_map(|path| emulators::label_warning(Path::new(&path)))
                .for_each(|warning| output.detail(&warning));
        }
        // Of a dry run, after what it would do elsewhere.
        Ok(match self.emulation {
            Some(emulation) => output.with_error(&emulation.to_string()),
            None => output,
        })
    }

    fn refuse_emulation(&self) -> Result<(), Error> {
        match self.emulation {
            Some(emulation) if !self.is_dry_run => Err(Error::text(emulation)),
            _ => Ok(()),
        }
    }

    /// Copies the emulators of all that needs a handler, if they are to be copied.
    fn copy_emulators(&self, handlers: &[&'static Handler]) -> Result<Output, Error> {
        let nothing = Output::success(String::new());
        let Some(copies) = self.args.copies.as_ref().filter(|_| !self.is_dry_run) else { return Ok(nothing) };
        let folder = &self.args.desired.emulators;
        let foreign = native::foreign_handlers(handlers.iter().copied());
        let dir = Root::open(Path::new("/"))?.make(folder)?;
        let is_ours = |_: &str| !dir.is_of_packages();
        let job = CopyJob::new(copies.originals(&foreign), &copies.label, &dir, &is_ours)?;
        let line = job.line(folder);
        job.finish()?;
        Ok(if self.args.detail == Verbosity::Quiet { nothing } else { Output::success(line) })
    }

    fn locate(&self) -> Result<Location, Error> {
        let (only, is_namespace) = (self.args.mount.as_deref(), self.namespace.is_some());
        if self.is_dry_run {
            return Location::foreseen(only, is_namespace, true, false);
        }
        let policy = if is_namespace { MountPolicy::PreferOwn } else { MountPolicy::IfMissing };
        Ok(Location::locked(binfmt_misc::find_and_lock(only, policy)?))
    }

    /// Refuses what would go with this process, unless that is asked for; says what else goes with what.
    fn lifetime(&self, location: &Location) -> Result<Vec<String>, Error> {
        let mount = location.mount.as_ref();
        let mut remarks = Vec::new();
        match if self.must_last { lifetime(mount) } else { Lifetime::Permanent } {
            Lifetime::Process => return Err(Error::WouldNotPersist(self.namespace.clone())),
            Lifetime::MountNamespace => remarks.push("as long as this mount namespace".into()),
            Lifetime::Permanent => {}
        }
        let is_own = || mount.is_none_or(|mount| mount.is_own() == Some(true));
        remarks.extend(self.namespace.as_ref().filter(|_| is_own()).map(|it| format!("for programs of {it} only")));
        Ok(remarks)
    }

    fn plan(&self, handlers: &[&'static Handler], entries: &Entries) -> Vec<HandlerPlan> {
        let mut native_support = NativeSupportCache::new(self.emulation);
        let left = left_to_others(self.args, handlers, entries, self.is_dry_run);
        let foreign = handlers.iter().filter(|handler| handler.target != HOST);
        let plan = |handler: &&'static Handler| {
            let support = native_support.of(handler);
            let has_emulator = || Path::new(&self.emulator_path(handler)).exists();
            let mut plan = plan::register(handler, &self.args.desired, entries, support, &left, has_emulator);
            if let Some(refused) = self.refused(&plan) {
                (plan.outcome, plan.changes) = (refused, Vec::new());
            }
            plan
        };
        foreign.map(plan).collect()
    }

    /// What keeps a plan from being carried out although the kernel might take it.
    fn refused(&self, plan: &HandlerPlan) -> Option<PlanOutcome> {
        match &plan.outcome {
            PlanOutcome::Skipped(SkipReason::Unknown(cause)) if !self.args.targets.is_empty() => {
                Some(PlanOutcome::Undecidable(cause.clone()))
            }
            PlanOutcome::Registered | PlanOutcome::Replaced(_) | PlanOutcome::Refreshed | PlanOutcome::Unchanged
                if !self.args.desired.flags.fixes_binary() =>
            {
                not_executable(&self.emulator_path(plan.handler)).map(PlanOutcome::NotExecutable)
            }
            _ if plan.changes.is_empty() || self.are_static => None,
            _ => not_static(&self.emulator_path(plan.handler)).map(PlanOutcome::Unfit),
        }
    }

    /// The file that will be the emulator: for a dry run the one to be copied, if it is there.
    fn emulator_path(&self, handler: &Handler) -> String {
        let copies = self.args.copies.as_ref().filter(|_| self.is_dry_run);
        let original = copies.map(|copies| handler.interpreter(&copies.from)).filter(|path| Path::new(path).exists());
        original.unwrap_or_else(|| handler.interpreter(&self.args.desired.emulators))
    }

    fn apply(&self, location: &mut Location, plans: Vec<HandlerPlan>) -> Vec<PlanResult> {
        let Location { mount: Some(mount), register: Some(register), .. } = location else { return Vec::new() };
        let mut writer = Writer::new(mount, &self.args.desired, register);
        plans.into_iter().map(|plan| writer.apply(plan)).collect()
    }

    /// What would be refused at once, and else what is planned.
    fn preview(&self, location: &Location, plans: Vec<HandlerPlan>) -> Vec<PlanResult> {
        let mut refused = location.mount.as_ref().and_then(not_writable);
        let is_refused = refused.is_some();
        let result = |plan: HandlerPlan| {
            let end = match refused.take_if(|_| !plan.changes.is_empty()) {
                Some(cause) => {
                    let entry = |name: &str| location.mount.as_ref().and_then(|mount| mount.entry(name));
                    PlanStatus::Failed(cause, plan.remaining(&self.args.desired, entry))
                }
                None if is_refused && !plan.changes.is_empty() => PlanStatus::NotTried,
                None => PlanStatus::AsPlanned,
            };
            PlanResult { plan, end }
        };
        plans.into_iter().map(result).collect()
    }

    /// What came of running programs of all that was asked for, whoever serves it, in a line; in full if that is wanted.
    fn verify_registered(&self, handlers: &[&'static Handler], mount: &BinfmtMount) -> Output {
        let verify = || -> Result<Output, verify::Error> {
            let verified =
                verify::verify(handlers, Some((mount, &mount.entries()?)), &self.args.desired, PROBE_TIMEOUT)?;
            Ok(match self.args.detail {
                Verbosity::Quiet => verified.summary().without_stdout(),
                Verbosity::Normal => verified.summary(),
                Verbosity::Verbose => verified.output(false),
            })
        };
        verify().unwrap_or_else(|error| Error::from(error).into())
    }
}

/// Reads all entries, unless `status` says that the kernel uses none.
fn observe(location: &Location) -> Result<Entries, Error> {
    match &location.mount {
        Some(mount) if !mount.is_switched_on()? => Err(Error::Text(format!(
            "binfmt_misc is disabled, so no handler would be used; to enable it: echo 1 > {}/status",
            mount.path().display()
        ))),
        _ => Ok(location.entries()?),
    }
}

/// What keeps an emulator from running wherever its entry is used. Of one that cannot be opened, the kernel will tell.
fn not_static(path: &str) -> Option<String> {
    let unfit = elf::check_static(Path::new(path)).err();
    unfit.filter(|unfit| !matches!(unfit, Unfit::Unreadable(_))).map(|unfit| unfit.to_string())
}

/// Whether the emulators are those of the root that this program was built with, which are known to be static. A host's
/// own `/usr/bin` may have any.
fn are_static(args: &CommonArgs) -> bool {
    args.desired.emulators == EMULATOR_DIR && Path::new(IMAGE_PACKAGES).exists()
}

/// What would keep an emulator from being opened later, as the kernel would have said of one that it opens now.
fn not_executable(path: &str) -> Option<Errno> {
    match fs::metadata(path) {
        Err(error) => Some(errno(&error)),
        // Folders are executable too.
        Ok(found) if !found.is_file() => Some(Errno::EACCES),
        Ok(_) => access(path, AccessFlags::X_OK).err(),
    }
}

/// A folder that is not there is one mistake, not one of each handler. The image's own is not asked for.
fn check_emulators(args: &CommonArgs) -> Result<(), Error> {
    let emulators = args.copies.as_ref().map_or(args.desired.emulators.as_str(), |copies| &copies.from);
    if emulators == EMULATOR_DIR {
        return Ok(());
    }
    // The root folder's path is empty, so that a slash may follow it.
    let emulators = if emulators.is_empty() { "/" } else { emulators };
    let cause = match fs::metadata(emulators).map_err(|error| errno(&error)) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) | Err(Errno::ENOTDIR) => "not a directory".into(),
        Err(Errno::ENOENT) => "no such directory".into(),
        Err(errno) => errno_text(errno),
    };
    let source = args.emulators_from.unwrap_or("--bindir");
    Err(Error::Text(format!("{source} {emulators}: {cause}")))
}

/// Why nothing can be registered there, if so.
fn not_writable(mount: &BinfmtMount) -> Option<binfmt_misc::Error> {
    let path = mount.path().join("register");
    let errno = access(&path, AccessFlags::W_OK).err()?;
    Some(binfmt_misc::Error::Register { path, errno })
}

/// Fails as mount(2) would. What cannot be told is left to be seen.
fn check_may_mount(at: &Path) -> Result<(), binfmt_misc::Error> {
    if sys::status_mask("CapEff:").is_some_and(|effective| effective & MAY_MOUNT == 0) {
        return Err(binfmt_misc::Error::Mount { at: at.into(), errno: Errno::EPERM });
    }
    Ok(())
}
