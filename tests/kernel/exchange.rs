//! What is so when a step of an exchange fails: an entry serves all the same, and the next run ends clean.

use crate::register::runs;
use crate::sandbox::{Sandbox, line};
use crate::{Test, test};
use codegen::targets;

pub(crate) const TESTS: &[Test] = &[test("exchange/any_step_fails", any_step_fails)];

/// Which writes fail and how, what is told, and which entries are left.
struct Case {
    inject: &'static str,
    err: &'static str,
    detail: &'static str,
    left: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        inject: "write:error=ENOMEM:when=1",
        err: "registering qemu-s390x: /usr/bin/qemu-s390x-static: out of memory\n",
        detail: "the entry that was there stays",
        left: &["qemu-s390x"],
    },
    Case {
        inject: "write:error=EIO:when=2",
        err: "writing /proc/sys/fs/binfmt_misc/qemu-s390x: i/o error\n",
        detail: "the entry that was there stays",
        left: &["qemu-s390x"],
    },
    // What is to be undone cannot be either.
    Case {
        inject: "write:error=EIO:when=2..3",
        err: "writing /proc/sys/fs/binfmt_misc/qemu-s390x: i/o error\n",
        detail: "the entry that was there stays, and so does qemu-s390x.registrar",
        left: &["qemu-s390x", "qemu-s390x.registrar"],
    },
    Case {
        inject: "write:error=ENOMEM:when=3",
        err: "registering qemu-s390x: /usr/bin/qemu-s390x-static: out of memory\n",
        detail: "served by qemu-s390x.registrar",
        left: &["qemu-s390x.registrar"],
    },
    Case {
        inject: "write:error=EIO:when=4",
        err: "writing /proc/sys/fs/binfmt_misc/qemu-s390x.registrar: i/o error\n",
        detail: "in place, but qemu-s390x.registrar stays as well",
        left: &["qemu-s390x", "qemu-s390x.registrar"],
    },
];

fn any_step_fails(sandbox: &Sandbox) {
    let s390x = targets::by_qemu_name("s390x").expect("known");
    let interpreter = "/usr/bin/qemu-s390x-static";
    sandbox.succeeds(&["register", "s390x"]);
    let wanted = sandbox.entries();
    for Case { inject, err, detail, left } in CASES {
        sandbox.write("qemu-s390x", "-1");
        sandbox.add(&line("s390x", "qemu-s390x", interpreter, "OCF"));
        let (ran, _) = sandbox.run_injected(inject, None, &["register", "s390x"]);
        let out = format!("qemu-s390x  failed        {detail}\n0 registered, 0 replaced, 0 unchanged, 1 failed\n");
        assert_eq!((ran.code, ran.err.as_str(), ran.out), (Some(1), *err, out), "{inject}");
        assert_eq!(sandbox.names(), *left, "{inject}");
        assert!(runs(sandbox, s390x), "{inject}");

        sandbox.succeeds(&["register", "s390x"]);
        assert_eq!(sandbox.entries(), wanted, "{inject}");
    }
}
