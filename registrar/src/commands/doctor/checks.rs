//! The checks, in order.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::emulator::{emulator, policy_hint};
use super::{Check, CheckStatus};
use crate::binfmt_misc::{BinfmtMount, Entries, UserNamespace};
use crate::commands::verify::none_registered;
use crate::commands::{handlers, look};
use crate::emulators;
use crate::native::{NativeSupport, NativeSupportCache};
use crate::plan::{self, ActiveForeignEntry, Drift, Observed};
use crate::request::CommonArgs;
use crate::sys;
use crate::table::Handler;
use crate::verify;

use CheckStatus::{Broken, Holds, Unknown};

/// Stops at a broken link that all later ones depend on.
pub(super) fn checks(args: &CommonArgs, limit: Duration) -> Vec<Check> {
    let found = look(args, false);
    let mut checks = vec![kernel_link(found.is_ok())];
    let folder = match found {
        Ok(folder) => folder,
        Err(error) => {
            let mount = Check::new("mount", Broken, error.to_string());
            checks.extend(Some(mount).filter(|_| checks[0].state != Broken));
            return checks;
        }
    };
    checks.push(Check::new("mount", Holds, folder.path().display().to_string()));
    match folder.is_switched_on() {
        Ok(true) => checks.push(Check::new("switch", Holds, "on")),
        Ok(false) => {
            let fix = format!("binfmt_misc is disabled; to enable it: echo 1 > {}/status", folder.path().display());
            checks.push(Check::new("switch", Broken, fix));
            return checks;
        }
        Err(error) => checks.push(Check::new("switch", Unknown, error.to_string())),
    }
    checks.extend([scope(&folder), lifetime()]);
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
        Err(_) => Check::new("kernel", Unknown, "cannot read /proc/filesystems"),
    }
}

/// Whose programs use the handlers.
fn scope(folder: &BinfmtMount) -> Check {
    let Some(namespace) = UserNamespace::current() else {
        return Check::new("scope", Holds, "programs of this host");
    };
    let (state, detail) = match folder.is_own() {
        Some(true) => (Holds, format!("programs of {namespace} only")),
        Some(false) => (Holds, "programs of a parent user namespace, and of its children without own handlers".into()),
        None => (Unknown, format!("cannot tell whether it is only for programs of {namespace}")),
    };
    Check::new("scope", state, detail)
}

/// How long the handlers stay.
fn lifetime() -> Check {
    let mount_namespace = |process: &str| sys::namespace(process, "mnt");
    let of_init = mount_namespace("1").filter(|_| UserNamespace::current().is_none() && std::process::id() != 1);
    let (state, detail) = match of_init {
        Some(_) if of_init == mount_namespace("self") => (Holds, "as long as PID 1 keeps the mount"),
        _ => (Unknown, "from Linux 6.7 on as long as binfmt_misc is mounted anywhere; not known here"),
    };
    Check::new("lifetime", state, detail)
}

/// The checks of each named handler, or of ours.
fn of_handlers(args: &CommonArgs, folder: &BinfmtMount, entries: &Entries, limit: Duration) -> Vec<Check> {
    let all = handlers(args);
    let handlers = if args.targets.is_empty() { verify::registered(&all, entries) } else { all.clone() };
    if handlers.is_empty() {
        return vec![Check::new("rule", Broken, none_registered(&all, entries))];
    }
    let mut native_support = NativeSupportCache::default();
    let mut checks = Vec::new();
    let mut to_verify = Vec::new();
    for handler in handlers {
        let of_handler = of_rule(handler, args, folder, entries, &native_support.of(handler));
        // Without an entry no program runs.
        if of_handler.iter().any(|check| check.what != "rule") {
            to_verify.push(handler);
        }
        checks.extend(of_handler);
    }
    if !to_verify.is_empty() {
        checks.extend(verified(args, folder, entries, limit, &to_verify));
        believe_programs(&mut checks);
    }
    checks
}

/// If programs run although the emulator's file is broken, the kernel has kept an older, good file open.
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

/// What the entries show of one handler.
fn of_rule(
    handler: &Handler,
    args: &CommonArgs,
    folder: &BinfmtMount,
    entries: &Entries,
    support: &NativeSupport,
) -> Vec<Check> {
    let target = handler.target;
    let found = Observed::new(handler, entries);
    let server = found.server();
    let check = |what, state, detail: String| Check::of(handler, what, state, detail);
    let mount = folder.path().display();
    let Some((own, entry)) = found.ours() else {
        let (state, detail) = match server {
            Some(ActiveForeignEntry { name, entry, is_of_all: true, .. }) => {
                (Holds, format!("handled by {} ({})", name.display(), entry.path()))
            }
            _ if *support == NativeSupport::Native => (Holds, "none needed, the CPU runs it natively".into()),
            Some(ActiveForeignEntry { name, entry, .. }) => {
                let by = format!("only some programs are handled, by {} ({})", name.display(), entry.path());
                (Broken, format!("{by}; registrar register {target}"))
            }
            None => match support {
                NativeSupport::Unknown(cause) => (Broken, format!("cannot tell whether it runs natively: {cause}")),
                _ => (Broken, format!("no handler; registrar register {target}")),
            },
        };
        let theirs = server.filter(|server| server.is_of_all).map(|server| emulator(handler, server.entry));
        return [check("rule", state, detail)].into_iter().chain(theirs).collect();
    };
    let path = entry.path();
    let rule = match plan::text_difference(handler, &args.desired, entry) {
        None | Some(Drift::Disabled) => path.into(),
        Some(drift) => format!("{path}, but {drift}; registrar register {target} would replace it"),
    };
    let enabled = match entry.enabled {
        true => check("enabled", Holds, "yes".into()),
        false => check("enabled", Broken, format!("to enable it: echo 1 > {mount}/{own}")),
    };
    let first = match server {
        Some(ActiveForeignEntry { name, entry, is_of_all, .. }) => {
            let instead = if is_of_all { "used instead" } else { "used for some programs instead" };
            let (name, path) = (name.display(), entry.path());
            let fix = format!("to remove it: echo -1 > {mount}/{name}");
            check("first", Broken, format!("{name} ({path}) is newer and {instead}; {fix}"))
        }
        None => check("first", Holds, "no other entry is newer".into()),
    };
    vec![check("rule", Holds, rule), enabled, first, emulator(handler, server.map_or(entry, |server| server.entry))]
}

/// Runs test programs; if one fails, adds security modules that may forbid it.
fn verified(
    args: &CommonArgs,
    folder: &BinfmtMount,
    entries: &Entries,
    limit: Duration,
    handlers: &[&'static Handler],
) -> Vec<Check> {
    let verified = match verify::verify(handlers, Some((folder, entries)), &args.desired, limit) {
        Ok(verified) => verified,
        Err(error) => {
            let path = handlers.first().map(|handler| handler.interpreter(&args.desired.emulators));
            let hint =
                path.and_then(|path| policy_hint(Path::new(&path), "")).map(|hint| Check::new("policy", Unknown, hint));
            return [Check::new("verify", Unknown, error.to_string())].into_iter().chain(hint).collect();
        }
    };
    let mut checks = Vec::new();
    for (handler, diagnosis) in verified.diagnoses() {
        let detail = diagnosis.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
        let state = if diagnosis.is_good() { Holds } else { Broken };
        checks.push(Check::of(handler, "verify", state, diagnosis.result.to_owned() + &detail));
    }
    for (handler, diagnosis) in verified.failures().take(1) {
        let path = verified.emulator(handler).unwrap_or_else(|| handler.interpreter(&args.desired.emulators).into());
        let hint = policy_hint(&path, diagnosis.stderr_line.as_deref().unwrap_or_default());
        checks.extend(hint.map(|hint| Check::new("policy", Unknown, hint)));
    }
    for (handler, _) in verified.diagnoses() {
        let label = verified.emulator(handler).and_then(|path| emulators::label_warning(&path));
        checks.extend(label.map(|label| Check::of(handler, "policy", Unknown, label)));
    }
    checks
}
