//! The links themselves.

use std::fs;
use std::time::Duration;

use super::emulator::emulator;
use super::{Link, State, condensed, policy};
use crate::binfmt_misc::{self, Entries, Folder, Mount, Namespace};
use crate::cli::Asked;
use crate::native::{Verdict, Verdicts};
use crate::plan::{self, Difference, Found, Server};
use crate::table::{Handler, TABLE};
use crate::verify::{self, Question};

use State::{Broken, Holds, Unknown};

/// All links, up to one that nothing after it can do without.
pub(super) fn links(asked: &Asked, limit: Duration) -> Vec<Link> {
    let found = binfmt_misc::find(asked.mount.as_deref(), Mount::Never);
    let mut links = vec![kernel_link(found.is_ok())];
    let folder = match found {
        Err(_) if links.iter().any(|link| link.state == Broken) => return links,
        Err(error) => {
            links.push(Link::new("mount", Broken, error.to_string()));
            return links;
        }
        Ok(folder) => folder,
    };
    links.push(Link::new("mount", Holds, folder.path().display().to_string()));
    match folder.is_switched_on() {
        Ok(true) => links.push(Link::new("switch", Holds, "on")),
        Ok(false) => {
            let cure = format!("all of it is off; to switch it on: echo 1 > {}/status", folder.path().display());
            links.push(Link::new("switch", Broken, cure));
            return links;
        }
        Err(error) => links.push(Link::new("switch", Unknown, error.to_string())),
    }
    links.extend(surroundings(&folder));
    match folder.entries() {
        Ok(entries) => links.extend(of_handlers(asked, &folder, &entries, limit)),
        Err(error) => links.push(Link::new("rule", Broken, error.to_string())),
    }
    links
}

fn kernel_link(is_mounted: bool) -> Link {
    let names = |list: &str| list.lines().any(|line| line.split_whitespace().last() == Some("binfmt_misc"));
    match fs::read_to_string("/proc/filesystems") {
        _ if is_mounted => Link::new("kernel", Holds, "has binfmt_misc"),
        Ok(list) if names(&list) => Link::new("kernel", Holds, "has binfmt_misc"),
        Ok(_) => Link::new("kernel", Broken, "has no binfmt_misc; on the host, as root: modprobe binfmt_misc"),
        Err(_) => Link::new("kernel", Unknown, "no /proc here that would tell"),
    }
}

/// Whose programs are served, and for how long.
fn surroundings(folder: &Folder) -> [Link; 2] {
    let namespace = Namespace::current();
    let scope = match &namespace {
        None => Link::new("scope", Holds, "programs of this machine"),
        Some(namespace) => match folder.is_own() {
            Some(true) => Link::new("scope", Holds, format!("programs of {namespace} alone")),
            Some(false) => {
                let whose = "programs of a user namespace above, and of those in it that have no instance of their own";
                Link::new("scope", Holds, whose)
            }
            None => Link::new("scope", Unknown, format!("whether programs of {namespace} alone cannot be told")),
        },
    };
    let mount_namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let is_first = namespace.is_none() && mount_namespace("self") == mount_namespace("1");
    let lasting = match mount_namespace("1") {
        Some(_) if is_first && std::process::id() != 1 => {
            Link::new("lasting", Holds, "as long as PID 1 keeps the mount")
        }
        _ => Link::new(
            "lasting",
            Unknown,
            "not to be told from here; from Linux 6.7 on as long as anything keeps binfmt_misc mounted",
        ),
    };
    [scope, lasting]
}

/// The links of each handler that is asked for, or of ours.
fn of_handlers(asked: &Asked, folder: &Folder, entries: &Entries, limit: Duration) -> Vec<Link> {
    let is_named = |handler: &&Handler| asked.targets.contains(&handler.target);
    let mut handlers: Vec<_> = TABLE.handlers.iter().filter(is_named).collect();
    if asked.targets.is_empty() {
        handlers = verify::registered(&TABLE.handlers.iter().collect::<Vec<_>>(), entries);
        if handlers.is_empty() {
            return vec![Link::new("rule", Broken, "nothing of ours is registered; registrar register")];
        }
    }
    let mut verdicts = Verdicts::default();
    let mut links = Vec::new();
    let mut to_verify = Vec::new();
    for handler in handlers {
        let is_native = verdicts.of(handler) == Verdict::Native;
        let of_handler = of_rule(handler, asked, folder, entries, is_native);
        // Where there is no rule, it need not be tried that no program runs.
        if of_handler.iter().any(|link| link.what != "rule") {
            to_verify.push(handler);
        }
        links.extend(of_handler);
    }
    if !to_verify.is_empty() {
        links.extend(verified(asked, folder, entries, limit, &to_verify));
        believe_programs(&mut links);
    }
    condensed(links)
}

/// Where programs run, the kernel holds a better emulator than the file that is there now.
fn believe_programs(links: &mut [Link]) {
    let runs = |link: &&Link| link.what == "verify" && link.state == Holds;
    let good: Vec<_> = links.iter().filter(runs).map(|link| link.of).collect();
    for link in links.iter_mut().filter(|link| link.what == "emulator" && good.contains(&link.of)) {
        if link.state == Broken {
            link.state = Unknown;
            link.detail.push_str("; the kernel still uses the one that it opened");
        }
    }
}

/// What the entries say of one handler.
fn of_rule(handler: &Handler, asked: &Asked, folder: &Folder, entries: &Entries, is_native: bool) -> Vec<Link> {
    let target = handler.target;
    let found = Found::new(handler, entries);
    let server = found.server();
    let link = |what, state, detail: String| Link::of(handler, what, state, detail);
    let mount = folder.path().display();
    let Some((own, entry)) = found.ours() else {
        return match server {
            Some(Server { name, entry, is_of_all: true }) => {
                vec![link("rule", Holds, format!("served by {name} ({})", entry.interpreter)), emulator(handler, entry)]
            }
            Some(Server { name, entry, .. }) if !is_native => {
                let by = format!("only some programs are served, by {name} ({})", entry.interpreter);
                vec![link("rule", Broken, format!("{by}; registrar register {target}"))]
            }
            Some(_) => vec![link("rule", Holds, "needs none, this machine runs it".into())],
            None if is_native => vec![link("rule", Holds, "needs none, this machine runs it".into())],
            None => vec![link("rule", Broken, format!("no handler; registrar register {target}"))],
        };
    };
    let difference = plan::text_difference(handler, &asked.wanted, entry);
    let mut links = vec![link(
        "rule",
        Holds,
        match difference {
            None => entry.interpreter.clone(),
            Some(Difference::Disabled) => entry.interpreter.clone(),
            Some(difference) => {
                format!("{}, but {difference}; registrar register {target} would replace it", entry.interpreter)
            }
        },
    )];
    links.push(if entry.enabled {
        link("enabled", Holds, "yes".into())
    } else {
        link("enabled", Broken, format!("to enable it: echo 1 > {mount}/{own}"))
    });
    if let Some(Server { name: by, entry: theirs, is_of_all }) = server {
        let instead = if is_of_all { "serves instead" } else { "serves some programs instead" };
        let cure =
            format!("{by} ({}) is newer and {instead}; to remove that: echo -1 > {mount}/{by}", theirs.interpreter);
        links.push(link("first", Broken, cure));
    } else {
        links.push(link("first", Holds, "no other is newer".into()));
    }
    links.push(emulator(handler, server.map_or(entry, |server| server.entry)));
    links
}

/// Whether programs run; if not, what may forbid it.
fn verified(
    asked: &Asked,
    folder: &Folder,
    entries: &Entries,
    limit: Duration,
    handlers: &[&'static Handler],
) -> Vec<Link> {
    let (emulators, is_fixed) = (&asked.wanted.emulators, asked.wanted.flags.fixes_binary());
    let verified = match verify::verify(&Question { handlers, folder, entries, emulators, is_fixed, limit }) {
        Ok(verified) => verified,
        Err(error) => return vec![Link::new("verify", Unknown, error.to_string())],
    };
    let mut links = Vec::new();
    for (handler, finding) in verified.findings() {
        let detail =
            [Some(finding.result), finding.detail.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
        let state = if finding.is_good() { Holds } else { Broken };
        links.push(Link::of(handler, "verify", state, detail));
    }
    if let Some((handler, _)) = verified.failures().next() {
        let path =
            entries.get(handler.name).map_or_else(|| handler.interpreter(emulators), |entry| entry.interpreter.clone());
        links.extend(policy::hints(&path).into_iter().map(|hint| Link::new("policy", Unknown, hint)));
    }
    links
}
