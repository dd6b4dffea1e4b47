//! What is so when a step of an exchange fails: an entry serves all the same, and the next run ends clean.

use crate::register::runs;
use crate::sandbox::{Sandbox, line};
use crate::{Test, test};
use codegen::targets;

pub(crate) const TESTS: &[Test] = &[
    test("exchange/any_step_fails", |sandbox| any_step_fails(sandbox, false)),
    test("exchange/any_step_fails_beside_others", |sandbox| any_step_fails(sandbox, true)),
    test("exchange/of_leftovers_fails", of_leftovers_fails),
];

/// Which writes fail and how, what is told, and which entries are left.
struct Case {
    inject: &'static str,
    err: &'static str,
    detail: &'static str,
    left: &'static [&'static str],
}

const INTERPRETER: &str = "/usr/bin/qemu-s390x-static";

const CASES: &[Case] = &[
    Case {
        inject: "write:error=ENOMEM:when=1",
        err: "registering qemu-s390x: /usr/bin/qemu-s390x-static: out of memory\n",
        detail: "the old entry stays",
        left: &["qemu-s390x"],
    },
    Case {
        inject: "write:error=EIO:when=2",
        err: "writing /proc/sys/fs/binfmt_misc/qemu-s390x: i/o error\n",
        detail: "the old entry stays",
        left: &["qemu-s390x"],
    },
    // What is to be undone cannot be either.
    Case {
        inject: "write:error=EIO:when=2..3",
        err: "writing /proc/sys/fs/binfmt_misc/qemu-s390x: i/o error\n",
        detail: "the old entry stays; left over: qemu-s390x.registrar",
        left: &["qemu-s390x", "qemu-s390x.registrar"],
    },
    Case {
        inject: "write:error=ENOMEM:when=3",
        err: "registering qemu-s390x: /usr/bin/qemu-s390x-static: out of memory\n",
        detail: "removed; left over: qemu-s390x.registrar",
        left: &["qemu-s390x.registrar"],
    },
    Case {
        inject: "write:error=EIO:when=4",
        err: "writing /proc/sys/fs/binfmt_misc/qemu-s390x.registrar: i/o error\n",
        detail: "in place; left over: qemu-s390x.registrar",
        left: &["qemu-s390x", "qemu-s390x.registrar"],
    },
];

/// Where somebody else has our name, all is the same under the second and the third.
fn any_step_fails(sandbox: &Sandbox, is_beside: bool) {
    let s390x = targets::by_qemu_name("s390x").expect("known");
    if is_beside {
        sandbox.add(&line("s390x", "qemu-s390x", "/bin/false", "P"));
    }
    let names = ["qemu-s390x", "qemu-s390x.registrar", "qemu-s390x.registrar2"];
    let [main, helper] = if is_beside { [names[1], names[2]] } else { [names[0], names[1]] };
    // Not the name of the handler, nor that of its emulator's file.
    let shifted = |text: &str| {
        let marked = text.replace("registering qemu-s390x:", "registering HANDLER:").replace(INTERPRETER, "EMULATOR");
        let named = marked.replace(names[1], "HELPER").replace(names[0], main).replace("HELPER", helper);
        named.replace("HANDLER", names[0]).replace("EMULATOR", INTERPRETER)
    };
    sandbox.succeeds(&["register", "s390x"]);
    let wanted = sandbox.entries();
    for Case { inject, err, detail, left } in CASES {
        sandbox.write(main, "-1");
        sandbox.add(&line("s390x", main, INTERPRETER, "OCF"));
        let (ran, _) = sandbox.run_injected(inject, None, &["register", "s390x"]);
        let detail = shifted(detail);
        let out = format!("qemu-s390x  failed        {detail}\n0 registered, 0 replaced, 0 unchanged, 1 failed\n");
        assert_eq!((ran.code, ran.err, ran.out), (Some(1), shifted(err), out), "{inject}");
        let theirs = is_beside.then_some(names[0].to_owned());
        let left: Vec<_> = theirs.into_iter().chain(left.iter().map(|name| shifted(name))).collect();
        assert_eq!(sandbox.names(), left, "{inject}");
        assert!(runs(sandbox, s390x), "{inject}");

        sandbox.succeeds(&["register", "s390x"]);
        assert_eq!(sandbox.entries(), wanted, "{inject}");
    }
}

/// Leftovers serve while the entry is exchanged, and go one by one.
fn of_leftovers_fails(sandbox: &Sandbox) {
    let s390x = targets::by_qemu_name("s390x").expect("known");
    sandbox.succeeds(&["register", "s390x"]);
    let wanted = sandbox.entries();
    let names = ["qemu-s390x", "qemu-s390x.registrar", "qemu-s390x.registrar2"];
    let cases: [(&str, &str, &[&str]); 4] = [
        ("1", "in place; left over: qemu-s390x.registrar, qemu-s390x.registrar2", &names),
        ("2", "removed; left over: qemu-s390x.registrar, qemu-s390x.registrar2", &names[1..]),
        ("3", "in place; left over: qemu-s390x.registrar, qemu-s390x.registrar2", &names),
        ("4", "in place; left over: qemu-s390x.registrar2", &[names[0], names[2]]),
    ];
    for (when, detail, left) in cases {
        for name in &names[1..] {
            sandbox.add(&line("s390x", name, INTERPRETER, "F"));
        }
        let (ran, _) = sandbox.run_injected(&format!("write:error=EIO:when={when}"), None, &["register", "s390x"]);
        assert_eq!(ran.out.lines().next(), Some(format!("qemu-s390x  failed        {detail}").as_str()));
        assert_eq!((ran.code, sandbox.names()), (Some(1), left.iter().map(ToString::to_string).collect()));
        assert!(runs(sandbox, s390x), "{when}");
        sandbox.succeeds(&["register", "s390x"]);
        assert_eq!(sandbox.entries(), wanted, "{when}");
    }
}
