//! What `doctor` says of each link of the chain, and which it names as the first that is broken.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use codegen::targets::Target;
use nix::mount::{MsFlags, mount};
use serde_json::Value;
use tests::emulators::TARGETS;

use crate::sandbox::{Sandbox, host, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("doctor/all_is_well", all_is_well),
    Test { mounted: false, ..test("doctor/not_mounted", not_mounted) },
    test("doctor/json_is_documented", json_is_documented),
    test("doctor/switched_off", switched_off),
    test("doctor/unknown_to_the_kernel", unknown_to_the_kernel),
    test("doctor/no_rule", no_rule),
    test("doctor/disabled", disabled),
    test("doctor/another_is_newer", another_is_newer),
    test("doctor/emulators", emulators),
    test("doctor/no_program_runs", no_program_runs),
    test("doctor/security_modules", security_modules),
    test("doctor/native_trial_denied", native_trial_denied),
];

/// Link, state and detail of each line, in order.
fn links(out: &str) -> Vec<(String, String, String)> {
    let link = |line: &str| {
        let (what, rest) = line.split_once(' ').expect("a link");
        let (state, detail) = rest.trim_start().split_once(' ').expect("a state");
        (what.to_owned(), state.to_owned(), detail.trim_start().to_owned())
    };
    out.lines().map(link).collect()
}

/// The state and detail of a link.
fn link<'l>(links: &'l [(String, String, String)], what: &str) -> (&'l str, &'l str) {
    let found: Vec<_> = links.iter().filter(|link| link.0 == what).collect();
    assert_eq!(found.len(), 1, "{what}: {links:?}");
    (&found[0].1, &found[0].2)
}

/// Runs it where something is broken, and returns the links.
fn broken(sandbox: &Sandbox, arguments: &[&str], what: &str, detail: &str) -> Vec<(String, String, String)> {
    let arguments = [&["doctor", "--timeout", "2"], arguments].concat();
    let out = sandbox.fails(&arguments, &format!("{what} is broken: {detail}"));
    let links = links(&out);
    let first = links.iter().find(|link| link.1 == "broken").expect("a broken link");
    assert_eq!((first.0.as_str(), first.2.as_str()), (what, detail));
    links
}

fn all_is_well(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    let before = sandbox.entries();
    let found = links(&sandbox.succeeds(&["doctor"]));
    assert_eq!(sandbox.entries(), before);
    let chain: Vec<_> = found.iter().map(|link| link.0.as_str()).collect();
    let expected = ["kernel", "mount", "switch", "scope", "lifetime", "rule", "enabled", "first", "emulator", "verify"];
    assert_eq!(chain, expected);
    assert_eq!(link(&found, "mount"), ("ok", "/proc/sys/fs/binfmt_misc"));
    assert!(link(&found, "scope").1.starts_with("programs of user:["), "{found:?}");
    assert_eq!(link(&found, "emulator"), ("ok", "qemu-s390x: /usr/bin/qemu-s390x-static is static"));
    assert_eq!(link(&found, "verify"), ("ok", "qemu-s390x: ok"));
    // What holds of several is one line.
    sandbox.succeeds(&["register", "m68k", "arm"]);
    let found = links(&sandbox.succeeds(&["doctor"]));
    assert_eq!((link(&found, "rule"), link(&found, "verify")), (("ok", "3 handlers"), ("ok", "3 handlers")));
    assert_eq!(link(&links(&sandbox.succeeds(&["doctor", "m68k"])), "verify"), ("ok", "qemu-m68k: ok"));
    let own = links(&sandbox.succeeds(&["doctor", host().qemu]));
    assert!(link(&own, "rule").1.ends_with(": none needed, the CPU runs it natively"), "{own:?}");
    assert_eq!(sandbox.succeeds(&["doctor", "--quiet"]), "");
}

/// All keys and no others, and all links that a run on this machine checks.
fn json_is_documented(sandbox: &Sandbox) {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json.md")).expect("docs/json.md");
    let (_, section) = text.split_once("\n## `doctor --json`\n").expect("a section");
    let first_cells = |part: &str| -> Vec<String> {
        let rows = part.lines().filter_map(|line| line.strip_prefix("| `"));
        rows.filter_map(|row| row.split('`').next()).map(str::to_owned).collect()
    };
    let mut parts = section.split("\n\n").map(first_cells).filter(|cells| !cells.is_empty());
    let [of_all, of_check, links] = [(); 3].map(|()| parts.next().expect("three tables"));
    sandbox.succeeds(&["register", "s390x", "m68k"]);
    let runs: [(&[&str], Option<&str>); 2] =
        [(&["doctor", "--json"], None), (&["doctor", "--json", "arm", "s390x"], Some("rule"))];
    for (arguments, broken) in runs {
        let ran = sandbox.run(arguments);
        assert_eq!(ran.code == Some(0), broken.is_none(), "{ran:?}");
        let found: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        let keys = |object: &Value| object.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
        let expected = ["registrar", "qemu", "origin"].iter().map(|key| (*key).to_owned()).chain(of_all.clone());
        assert_eq!(keys(&found), expected.collect());
        assert_eq!(found["broken"].as_str(), broken, "{found}");
        let checks = found["checks"].as_array().expect("a list");
        for check in checks {
            assert_eq!(keys(check), of_check.iter().cloned().collect());
            assert!(links[1..].iter().any(|link| check["link"] == **link), "{check}: {links:?}");
        }
        assert!(checks.iter().any(|check| check["link"] == "verify" && check["name"] == "qemu-s390x"), "{found}");
    }
}

fn not_mounted(sandbox: &Sandbox) {
    let fix = "binfmt_misc is not mounted at /proc/sys/fs/binfmt_misc; `registrar register` as root mounts it, a \
                container needs -v /proc/sys/fs/binfmt_misc:/binfmt_misc";
    let ran = sandbox.run(&["doctor", "s390x"]);
    assert_eq!((ran.code, ran.err), (Some(1), format!("mount is broken: {fix}\n")));
    let found = links(&ran.out);
    assert_eq!((found.len(), link(&found, "kernel").0, link(&found, "mount")), (2, "ok", ("broken", fix)));
}

fn unknown_to_the_kernel(sandbox: &Sandbox) {
    // As on a kernel without it: nothing is mounted at the place that is named, and the list does not name it.
    let list = sandbox.scratch().join("filesystems");
    fs::write(&list, "nodev\ttmpfs\n\text4\n").expect("written");
    let none = None::<&str>;
    mount(Some(&list), "/proc/filesystems", none, MsFlags::MS_BIND, none).expect("bound");
    let folder = sandbox.emulators(&[]);
    let fix = "has no binfmt_misc; on the host, as root: modprobe binfmt_misc";
    let found = broken(sandbox, &["--mount", folder.to_str().expect("text")], "kernel", fix);
    assert_eq!(found.len(), 1, "{found:?}");
}

fn switched_off(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    sandbox.write("status", "0");
    let fix = "binfmt_misc is disabled; to enable it: echo 1 > /proc/sys/fs/binfmt_misc/status";
    let found = broken(sandbox, &[], "switch", fix);
    assert_eq!(found.len(), 3, "nothing else matters: {found:?}");
}

fn no_rule(sandbox: &Sandbox) {
    broken(sandbox, &[], "rule", "no handler of ours is registered; first: registrar register");
    let found = broken(sandbox, &["s390x"], "rule", "qemu-s390x: no handler; registrar register s390x");
    assert!(!found.iter().any(|link| link.0 == "verify"), "{found:?}");
    sandbox.add(&line("s390x", "theirs", "/usr/bin/qemu-s390x-static", "F"));
    let found = links(&sandbox.succeeds(&["doctor", "s390x"]));
    assert_eq!(link(&found, "rule").1, "qemu-s390x: handled by theirs (/usr/bin/qemu-s390x-static)");
    assert_eq!(link(&found, "verify").1, "qemu-s390x: served: by theirs (/usr/bin/qemu-s390x-static)");
}

fn disabled(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "m68k"]);
    sandbox.write("qemu-s390x", "0");
    let fix = "qemu-s390x: to enable it: echo 1 > /proc/sys/fs/binfmt_misc/qemu-s390x";
    let found = broken(sandbox, &[], "enabled", fix);
    let verify: Vec<_> = found.iter().filter(|link| link.0 == "verify").map(|link| link.1.as_str()).collect();
    assert_eq!(verify, ["ok", "broken"]);
}

fn another_is_newer(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x", "--credentials"]);
    let found = links(&sandbox.succeeds(&["doctor"]));
    let different =
        "qemu-s390x: /usr/bin/qemu-s390x-static, but other flags; registrar register s390x would replace it";
    assert_eq!(link(&found, "rule"), ("ok", different));
    sandbox.add(&line("s390x", "theirs", "/usr/bin/qemu-s390x-static", "F"));
    let fix = "qemu-s390x: theirs (/usr/bin/qemu-s390x-static) is newer and used instead; to remove it: \
                echo -1 > /proc/sys/fs/binfmt_misc/theirs";
    let found = broken(sandbox, &[], "first", fix);
    assert!(link(&found, "verify").1.starts_with("qemu-s390x: shadowed: "), "{found:?}");
}

fn emulators(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    let path = |target: &str| folder.join(format!("qemu-{target}-static")).display().to_string();
    fs::copy("/usr/bin/env", path("m68k")).expect("copied");
    fs::write(path("sh4"), "#!/bin/sh\n").expect("written");
    fs::set_permissions(path("sh4"), Permissions::from_mode(0o755)).expect("executable");
    for (target, flags) in [("s390x", ""), ("m68k", "F"), ("sh4", "F"), ("arm", "")] {
        sandbox.add(&line(target, &format!("qemu-{target}"), &path(target), flags));
    }
    let found = |target: &str| {
        let found = links(&sandbox.run(&["doctor", target]).out);
        let (state, detail) = link(&found, "emulator");
        (state.to_owned(), detail.to_owned())
    };
    let (state, detail) = found("m68k");
    assert_eq!(state, "broken", "{detail}");
    assert!(detail.starts_with(&format!("qemu-m68k: {} is not static, it needs /", path("m68k"))), "{detail}");
    let cases = [
        ("sh4", "broken", format!("{} is a script; register a static one for this CPU", path("sh4"))),
        (
            "arm",
            "broken",
            format!("no {}, and no flag F; put it there, or register its folder with --bindir", path("arm")),
        ),
        (
            "s390x",
            "unknown",
            format!("no flag F, so {} must be in each container; registrar register s390x sets F", path("s390x")),
        ),
    ];
    for (target, state, detail) in cases {
        assert_eq!(found(target), (state.into(), format!("qemu-{target}: {detail}")));
    }
    sandbox.succeeds(&["register", "hppa"]);
    sandbox.write("qemu-hppa", "-1");
    fs::copy("/usr/bin/qemu-hppa-static", path("hppa")).expect("copied");
    sandbox.add(&line("hppa", "qemu-hppa", &path("hppa"), "F"));
    fs::remove_file(path("hppa")).expect("removed");
    let held = format!("qemu-hppa: no {} here; the kernel keeps the file that it opened", path("hppa"));
    assert_eq!(found("hppa"), ("unknown".into(), held));
    fs::copy("/usr/bin/env", path("hppa")).expect("copied");
    let (state, detail) = found("hppa");
    assert_eq!(state, "unknown", "{detail}");
    assert!(detail.ends_with("; the kernel still uses the one that it opened"), "{detail}");
    assert_eq!(sandbox.run(&["doctor", "hppa"]).code, Some(0), "a program runs");
}

fn no_program_runs(sandbox: &Sandbox) {
    sandbox.succeeds(&["register", "s390x"]);
    sandbox.add(&line("m68k", "qemu-m68k", "/usr/bin/qemu-m68k-static", ""));
    let detail = "qemu-m68k: no-emulator: qemu-m68k has no flag F, so that /usr/bin/qemu-m68k-static must be wherever a \
                  program runs; register it with F";
    let found = broken(sandbox, &[], "verify", detail);
    assert_eq!(link(&found, "rule"), ("ok", "2 handlers"));
}

/// They are a hint where programs do not run, and nothing where they do.
fn security_modules(sandbox: &Sandbox) {
    let folder = sandbox.emulators(&["s390x"]);
    sandbox.succeeds(&["register", "s390x"]);
    sandbox.add(&line("m68k", "qemu-m68k", folder.join("qemu-m68k-static").to_str().expect("text"), ""));
    let (none, file) = (None::<&str>, |name: &str| sandbox.scratch().join(name));
    fs::write(file("filesystems"), "nodev\tsysfs\nnodev\tselinuxfs\n").expect("written");
    mount(Some(&file("filesystems")), "/proc/filesystems", none, MsFlags::MS_BIND, none).expect("bound");
    mount(Some("tmpfs"), "/sys", Some("tmpfs"), MsFlags::empty(), none).expect("mounted");
    // A process's own label is what it is told, as in a container without /sys/fs/selinux.
    let labelled_as = |label: &str, arguments: &[&str]| {
        fs::write(file("label"), label).expect("written");
        let script = "mount --bind $1 /proc/$$/attr/current && shift && exec $@";
        let mut shell = Command::new("sh");
        ran(shell.args(["-c", script, "sh"]).arg(file("label")).arg(sandbox.registrar()).args(arguments))
    };
    let hints = |label: &str, target: &str| {
        let found = links(&labelled_as(label, &["doctor", target]).out).into_iter().filter(|link| link.0 == "policy");
        found.map(|(_, state, detail)| (state, detail)).collect::<Vec<_>>()
    };
    let (confined, docker) = ("u:system_r:container_t:s0:c1,c2\0", "docker-default (enforce)\n");
    let (state, detail) = &hints(confined, "m68k")[0];
    // In a container that path is none of the host's, where a copy has it.
    let fix = format!(
        "{}/qemu-m68k-static, here or in its image, may need the label bin_t: registrar register --copy-to \
         /opt/registrar/bin",
        folder.display()
    );
    assert!(state == "unknown" && detail.starts_with("SELinux is on; ") && detail.ends_with(&fix), "{detail}");
    assert!(hints(docker, "m68k")[0].1.ends_with("in a container: --security-opt apparmor=unconfined"));
    assert_eq!((hints("unconfined\n", "m68k"), hints(docker, "s390x")), (vec![], vec![]));
    // Switched to permissive, it forbids nothing.
    fs::create_dir_all("/sys/fs/selinux").expect("created");
    fs::write("/sys/fs/selinux/enforce", "0").expect("written");
    assert_eq!(hints(confined, "m68k"), []);
    // What runs here may be killed in a confined container.
    let labelled = folder.join("qemu-hppa-static");
    fs::copy("/usr/bin/qemu-hppa-static", &labelled).expect("copied");
    sandbox.add(&line("hppa", "qemu-hppa", labelled.to_str().expect("text"), "F"));
    let label = |text: &str| {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&labelled, "security.selinux", text.as_bytes(), flags).expect("labelled");
        hints(confined, "hppa")
    };
    let warned = label("system_u:object_r:var_lib_t:s0\0");
    let warning = format!("qemu-hppa: {} is labelled system_u:object_r:var_lib_t:s0, not bin_t", labelled.display());
    assert!(warned.len() == 1 && warned[0].1.starts_with(&warning), "{warned:?}");
    let register = ["register", "--scope", "userns", "--temporary", "-v", "--bindir", folder.to_str().expect("text")];
    let registered = labelled_as(confined, &[&register[..], &["hppa"]].concat());
    assert_eq!(registered.code, Some(0), "{registered:?}");
    assert!(registered.err.contains(" is labelled system_u:object_r:var_lib_t:s0, not bin_t"), "{registered:?}");
    assert_eq!(label("unconfined_u:object_r:bin_t:s0"), []);
    assert!(!labelled_as(confined, &[&register[..], &["hppa"]].concat()).err.contains("labelled"));
}

/// A profile of AppArmor may forbid the kernel's answer about a target of the machine's family.
fn native_trial_denied(sandbox: &Sandbox) {
    let is_related = |target: &&Target| target.family == host().family && target.qemu != host().qemu;
    let target = TARGETS.iter().find(is_related).expect("a target of this family").qemu;
    let denied = |arguments: &[&str]| {
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-etrace=execveat", "-einject=execveat:error=EACCES"]);
        ran(strace.arg(sandbox.registrar()).args(arguments))
    };
    let register = ["register", "--scope", "userns", "--temporary"];
    for arguments in [[&register[..], &[target]].concat(), vec!["status", "--check", target], vec!["doctor", target]] {
        let ran = denied(&arguments);
        let is_told = ran.err.contains("cannot tell whether it runs natively: permission denied; ");
        assert!(ran.code == Some(1) && is_told, "{arguments:?}: {ran:?}");
    }
    // What is not named is passed over.
    for arguments in [&register[..], &["status", "--check"]] {
        let ran = denied(arguments);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    }
}
