//! What foreign programs see of how they were started: their names, scripts that name them, rights of files that may not be
//! read, and those of other users' files. By QEMU's emulators of three targets, and programs of C compilers.
//!
//! The names are tried as tonistiigi's image does (its `test/test.bats`), which patches its emulators for that.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sandbox::{Sandbox, host, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("programs/names", names),
    test("programs/scripts", scripts),
    Test { second_user: true, ..test("programs/execute_only", execute_only) },
    Test { second_user: true, ..test("programs/set_user_id", set_user_id) },
];

/// Targets, and the names of their compilers.
const TARGETS: [(&str, &str); 3] =
    [("aarch64", "aarch64-linux-gnu"), ("s390x", "s390x-linux-gnu"), ("riscv64", "riscv64-linux-gnu")];

/// Prints what it was called with.
const SHOW: &str = r#"
#include <stdio.h>
int main(int count, char **words) {
    for (int at = 0; at < count; at++) printf("%s%s", at ? " " : "", words[at]);
    return puts("") < 0;
}"#;

/// Executes the file that its first argument names, with the others as all of its words.
const START: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(int count, char **words) {
    if (count > 2) execvp(words[1], words + 2);
    perror("start");
    return 127;
}"#;

/// Prints its real and its effective user.
const USERS: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(void) { return printf("%d %d\n", getuid(), geteuid()) < 0; }"#;

/// Does something for each target, in a folder of its own with these programs.
fn each(sandbox: &Sandbox, programs: &[(&str, &str)], test: impl Fn(&str, &Path)) {
    let compiler = |triple: &str| PathBuf::from(format!("/usr/bin/{triple}-gcc"));
    let targets: Vec<_> =
        TARGETS.into_iter().filter(|(target, triple)| *target != host().qemu && compiler(triple).exists()).collect();
    assert!(!targets.is_empty(), "no cross compiler is here; cargo xtask test installs them");
    for (target, triple) in targets {
        let folder = sandbox.scratch().join(target);
        fs::create_dir(&folder).expect("a folder");
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("for all");
        for (name, source) in programs {
            let file = folder.join(format!("{name}.c"));
            fs::write(&file, source).expect("written");
            let compiled =
                Command::new(compiler(triple)).arg("-static").arg("-o").arg(folder.join(name)).arg(file).status();
            assert!(compiled.expect("the compiler starts").success(), "{name} of {target}");
        }
        test(target, &folder);
    }
}

/// What a program prints that is started in a folder by its path there, under another name.
fn said(folder: &Path, path: &str, name: &str, words: &[&str]) -> String {
    let mut command = Command::new(path);
    let ran = ran(command.current_dir(folder).arg0(name).args(words).env("PATH", folder));
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{path} {words:?}");
    ran.out.trim_end().into()
}

fn names(sandbox: &Sandbox) {
    each(sandbox, &[("show", SHOW), ("start", START)], |target, folder| {
        sandbox.succeeds(&["register", target]);
        let whole = folder.join("show");
        let whole = whole.to_str().expect("text");
        let started = |words: &[&str]| said(folder, "./start", "start", words);
        // By another program of the target, once and twice, by a path and by its name alone.
        assert_eq!(started(&["./show", "foo", "bar1", "bar2"]), "foo bar1 bar2", "{target}");
        assert_eq!(started(&["./start", "./show", "./show", "baz"]), "baz", "{target}");
        assert_eq!(started(&[whole, whole, "baz"]), format!("{whole} baz"), "{target}");
        assert_eq!(started(&["show", "show", "abc"]), "show abc", "{target}");
        // By one of this machine, as a login shell and as busybox are.
        for name in ["./show", whole, "-sh", "another name", ""] {
            assert_eq!(said(folder, "./show", name, &["foo"]), format!("{name} foo"), "{target}");
        }
        // Without flag P the emulator knows the path alone.
        sandbox.succeeds(&["register", target, "--flags", "OF"]);
        assert_eq!(said(folder, "./show", "-sh", &["foo"]), "./show foo", "{target}");
    });
}

fn scripts(sandbox: &Sandbox) {
    each(sandbox, &[("show", SHOW), ("start", START)], |target, folder| {
        sandbox.succeeds(&["register", target]);
        let whole = folder.join("show").display().to_string();
        let script = |name: &str, first: &str| {
            let path = folder.join(name);
            fs::write(&path, format!("#!{first}\n")).expect("written");
            fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("executable");
            path.display().to_string()
        };
        script("plain", "./show");
        script("argument", "./show arg");
        // The kernel names a script's program by its path with any flags; what that one starts is named with flag P alone.
        script("starter", "./start ./show");
        let absolute = script("absolute", &whole);
        script("of_a_script", &absolute);
        for (name, expected) in [
            ("./plain", "./show ./plain arg2".to_owned()),
            ("./argument", "./show arg ./argument arg2".to_owned()),
            ("./starter", "./starter arg2".to_owned()),
            ("./absolute", format!("{whole} ./absolute arg2")),
            ("./of_a_script", format!("{whole} {absolute} ./of_a_script arg2")),
        ] {
            assert_eq!(said(folder, "./start", "start", &[name, "arg1", "arg2"]), expected, "{target}");
            assert_eq!(said(folder, name, name, &["arg2"]), expected, "{target}");
        }
    });
}

/// By the other user.
fn by_another(program: &Path) -> (Option<i32>, String) {
    let mut command = Command::new("setpriv");
    let ran = ran(command.args(["--reuid=1", "--regid=1", "--groups=1"]).arg(program));
    (ran.code, ran.out)
}

fn execute_only(sandbox: &Sandbox) {
    each(sandbox, &[("users", USERS)], |target, folder| {
        let program = folder.join("users");
        fs::set_permissions(&program, Permissions::from_mode(0o111)).expect("a mode");
        sandbox.succeeds(&["register", target]);
        assert_eq!(by_another(&program), (Some(0), "1 1\n".into()), "{target}");
        // The emulator may not open it, as the user whom it runs as.
        sandbox.succeeds(&["register", target, "--flags", "PF"]);
        assert_ne!(by_another(&program).0, Some(0), "{target}");
    });
}

/// As sudo is.
fn set_user_id(sandbox: &Sandbox) {
    each(sandbox, &[("users", USERS)], |target, folder| {
        let program = folder.join("users");
        fs::set_permissions(&program, Permissions::from_mode(0o4755)).expect("a mode");
        sandbox.succeeds(&["register", target]);
        assert_eq!(by_another(&program), (Some(0), "1 1\n".into()), "{target}");
        sandbox.succeeds(&["register", target, "--credentials"]);
        assert_eq!(by_another(&program), (Some(0), "1 0\n".into()), "{target}");
    });
}
