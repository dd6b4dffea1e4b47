//! The links themselves.

use std::fs;
use std::time::Duration;

use super::emulator::emulator;
use super::{Check, CheckStatus, condensed, policy};
use crate::binfmt_misc::{self, BinfmtMount, Entries, MountPolicy, UserNamespace};
use crate::native::{NativeSupport, NativeSupportCache};
use crate::plan::{self, ActiveForeignEntry, Drift, Observed};
use crate::request::CommonArgs;
use crate::sys;
use crate::table::{Handler, TABLE};
use crate::verify::{self, VerifyRequest};

use CheckStatus::{Broken, Holds, Unknown};

/// All links, up to one that nothing after it can do without.
pub(super) fn checks(args: &CommonArgs, limit: Duration) -> Vec<Check> {
    let found = binfmt_misc::find(args.mount.as_deref(), MountPolicy::Lookup);
    let mut checks = vec![kernel_link(found.is_ok())];
    let folder = match found {
        Err(_) if checks.iter().any(|check| check.state == Broken) => return checks,
        Err(error) => {
            checks.push(Check::new("mount", Broken, error.to_string()));
            return checks;
        }
        Ok(folder) => folder,
    };
    checks.push(Check::new("mount", Holds, folder.path().display().to_string()));
    match folder.is_switched_on() {
        Ok(true) => checks.push(Check::new("switch", Holds, "on")),
        Ok(false) => {
            let cure = format!("all of it is off; to switch it on: echo 1 > {}/status", folder.path().display());
            checks.push(Check::new("switch", Broken, cure));
            return checks;
        }
        Err(error) => checks.push(Check::new("switch", Unknown, error.to_string())),
    }
    checks.extend(surroundings(&folder));
    match folder.entries() {
        Ok(entries) => checks.extend(of_handlers(args, &folder, &entries, limit)),
        Err(error) => checks.push(Check::new("rule", Broken, error.to_string())),
    }
    checks
}

fn kernel_link(is_mounted: bool) -> Check {
    let names = |list: &str| list.lines().any(|line| line.split_whitespace().last() == Some("binfmt_misc"));
    match fs::read_to_string("/proc/filesystems") {
        _ if is_mounted => Check::new("kernel", Holds, "has binfmt_misc"),
        Ok(list) if names(&list) => Check::new("kernel", Holds, "has binfmt_misc"),
        Ok(_) => Check::new("kernel", Broken, "has no binfmt_misc; on the host, as root: modprobe binfmt_misc"),
        Err(_) => Check::new("kernel", Unknown, "no /proc here that would tell"),
    }
}

/// Whose programs are served, and for how long.
fn surroundings(folder: &BinfmtMount) -> [Check; 2] {
    let namespace = UserNamespace::current();
    let scope = match &namespace {
        None => Check::new("scope", Holds, "programs of this machine"),
        Some(namespace) => match folder.is_own() {
            Some(true) => Check::new("scope", Holds, format!("programs of {namespace} alone")),
            Some(false) => {
                let whose = "programs of a user namespace above, and of those in it that have no instance of their own";
                Check::new("scope", Holds, whose)
            }
            None => Check::new("scope", Unknown, format!("whether programs of {namespace} alone cannot be told")),
        },
    };
    let mount_namespace = |process: &str| sys::namespace(process, "mnt");
    let is_first = namespace.is_none() && mount_namespace("self") == mount_namespace("1");
    let lasting = match mount_namespace("1") {
        Some(_) if is_first && std::process::id() != 1 => {
            Check::new("lasting", Holds, "as long as PID 1 keeps the mount")
        }
        _ => Check::new(
            "lasting",
            Unknown,
            "not to be told from here; from Linux 6.7 on as long as anything keeps binfmt_misc mounted",
        ),
    };
    [scope, lasting]
}

/// The links of each handler that is asked for, or of ours.
fn of_handlers(args: &CommonArgs, folder: &BinfmtMount, entries: &Entries, limit: Duration) -> Vec<Check> {
    let is_named = |handler: &&Handler| args.targets.contains(&handler.target);
    let mut handlers: Vec<_> = TABLE.handlers.iter().filter(is_named).collect();
    if args.targets.is_empty() {
        handlers = verify::registered(&TABLE.handlers.iter().collect::<Vec<_>>(), entries);
        if handlers.is_empty() {
            return vec![Check::new("rule", Broken, "nothing of ours is registered; registrar register")];
        }
    }
    let mut native_support = NativeSupportCache::default();
    let mut checks = Vec::new();
    let mut to_verify = Vec::new();
    for handler in handlers {
        let is_native = native_support.of(handler) == NativeSupport::Native;
        let of_handler = of_rule(handler, args, folder, entries, is_native);
        // Where there is no rule, it need not be tried that no program runs.
        if of_handler.iter().any(|check| check.what != "rule") {
            to_verify.push(handler);
        }
        checks.extend(of_handler);
    }
    if !to_verify.is_empty() {
        checks.extend(verified(args, folder, entries, limit, &to_verify));
        believe_programs(&mut checks);
    }
    condensed(checks)
}

/// Where programs run, the kernel holds a better emulator than the file that is there now.
fn believe_programs(checks: &mut [Check]) {
    let runs = |check: &&Check| check.what == "verify" && check.state == Holds;
    let good: Vec<_> = checks.iter().filter(runs).map(|check| check.of).collect();
    for check in checks.iter_mut().filter(|check| check.what == "emulator" && good.contains(&check.of)) {
        if check.state == Broken {
            check.state = Unknown;
            check.detail.push_str("; the kernel still uses the one that it opened");
        }
    }
}

/// What the entries say of one handler.
fn of_rule(
    handler: &Handler,
    args: &CommonArgs,
    folder: &BinfmtMount,
    entries: &Entries,
    is_native: bool,
) -> Vec<Check> {
    let target = handler.target;
    let found = Observed::new(handler, entries);
    let server = found.server();
    let check = |what, state, detail: String| Check::of(handler, what, state, detail);
    let mount = folder.path().display();
    let Some((own, entry)) = found.ours() else {
        return match server {
            Some(ActiveForeignEntry { name, entry, is_of_all: true }) => {
                vec![
                    check("rule", Holds, format!("served by {name} ({})", entry.interpreter)),
                    emulator(handler, entry),
                ]
            }
            Some(ActiveForeignEntry { name, entry, .. }) if !is_native => {
                let by = format!("only some programs are served, by {name} ({})", entry.interpreter);
                vec![check("rule", Broken, format!("{by}; registrar register {target}"))]
            }
            Some(_) => vec![check("rule", Holds, "needs none, this machine runs it".into())],
            None if is_native => vec![check("rule", Holds, "needs none, this machine runs it".into())],
            None => vec![check("rule", Broken, format!("no handler; registrar register {target}"))],
        };
    };
    let difference = plan::text_difference(handler, &args.desired, entry);
    let mut checks = vec![check(
        "rule",
        Holds,
        match difference {
            None => entry.interpreter.clone(),
            Some(Drift::Disabled) => entry.interpreter.clone(),
            Some(difference) => {
                format!("{}, but {difference}; registrar register {target} would replace it", entry.interpreter)
            }
        },
    )];
    checks.push(if entry.enabled {
        check("enabled", Holds, "yes".into())
    } else {
        check("enabled", Broken, format!("to enable it: echo 1 > {mount}/{own}"))
    });
    if let Some(ActiveForeignEntry { name: by, entry: theirs, is_of_all }) = server {
        let instead = if is_of_all { "serves instead" } else { "serves some programs instead" };
        let cure =
            format!("{by} ({}) is newer and {instead}; to remove that: echo -1 > {mount}/{by}", theirs.interpreter);
        checks.push(check("first", Broken, cure));
    } else {
        checks.push(check("first", Holds, "no other is newer".into()));
    }
    checks.push(emulator(handler, server.map_or(entry, |server| server.entry)));
    checks
}

/// Whether programs run; if not, what may forbid it.
fn verified(
    args: &CommonArgs,
    folder: &BinfmtMount,
    entries: &Entries,
    limit: Duration,
    handlers: &[&'static Handler],
) -> Vec<Check> {
    let (emulators, is_fixed) = (&args.desired.emulators, args.desired.flags.fixes_binary());
    let verified = match verify::verify(&VerifyRequest { handlers, folder, entries, emulators, is_fixed, limit }) {
        Ok(verified) => verified,
        Err(error) => return vec![Check::new("verify", Unknown, error.to_string())],
    };
    let mut checks = Vec::new();
    for (handler, finding) in verified.findings() {
        let detail =
            [Some(finding.result), finding.detail.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let state = if finding.is_good() { Holds } else { Broken };
        checks.push(Check::of(handler, "verify", state, detail));
    }
    if let Some((handler, _)) = verified.failures().next() {
        let path =
            entries.get(handler.name).map_or_else(|| handler.interpreter(emulators), |entry| entry.interpreter.clone());
        checks.extend(policy::hints(&path).into_iter().map(|hint| Check::new("policy", Unknown, hint)));
    }
    checks
}
