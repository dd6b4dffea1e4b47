//! What must hold on arm64, with QEMU's own emulators, where the machine runs arm's programs (AArch32) and where it does
//! not.

use super::Fact;

pub(crate) const FACTS: &[Fact] = &[
    Fact {
        name: "host_is_served_and_left_as_it_was",
        script: "
            try aarch64 arm x86_64 s390x
            registrar register
            try aarch64 arm x86_64 i386 riscv64 s390x
            registrar status --check
            registrar unregister
            try aarch64 arm x86_64 s390x
            mounts",
        expected: |machine| match machine.runs("arm") {
            true => &[
                "aarch64 runs",
                "arm runs",
                "x86_64 does not run",
                "s390x does not run",
                "register: 0",
                "aarch64 runs",
                "arm runs",
                "x86_64 runs",
                "i386 runs",
                "riscv64 runs",
                "s390x runs",
                "status: 0",
                "unregister: 0",
                "aarch64 runs",
                "arm runs",
                "x86_64 does not run",
                "s390x does not run",
                "1 mounts",
            ],
            false => &[
                "aarch64 runs",
                "arm does not run",
                "x86_64 does not run",
                "s390x does not run",
                "register: 0",
                "aarch64 runs",
                "arm runs",
                "x86_64 runs",
                "i386 runs",
                "riscv64 runs",
                "s390x runs",
                "status: 0",
                "unregister: 0",
                "aarch64 runs",
                "arm does not run",
                "x86_64 does not run",
                "s390x does not run",
                "1 mounts",
            ],
        },
    },
    Fact {
        name: "each_command_tells_who_runs_arms_programs",
        script: "
            registrar register arm x86_64
            /registrar verify arm x86_64 | sed 's/ * / /g; s/;.*//'
            /registrar status arm | tail -n 1 | awk '{ print $1, $4 }'
            /registrar doctor arm | sed -n 's/^\\(rule\\|verify\\) *ok *//p'
            list",
        expected: |machine| match machine.runs("arm") {
            true => &[
                "register: 0",
                "ENTRY TARGET RESULT DETAIL",
                "qemu-arm arm native this machine runs it without a handler",
                "qemu-x86_64 x86_64 ok",
                "1 native, 1 ok",
                "qemu-arm native",
                "qemu-arm: none needed, the CPU runs it natively",
                "qemu-x86_64 register status",
            ],
            false => &[
                "register: 0",
                "ENTRY TARGET RESULT DETAIL",
                "qemu-arm arm ok",
                "qemu-x86_64 x86_64 ok",
                "2 ok",
                "qemu-arm registered",
                "qemu-arm: /usr/bin/qemu-arm-static",
                "qemu-arm: ok",
                "qemu-x86_64 qemu-arm register status",
            ],
        },
    },
    Fact {
        name: "all_handlers_are_registered_and_unregistered",
        script: "
            /registrar register | tail -n 1 | sed 's/; .*//'
            /registrar unregister | tail -n 1
            list",
        expected: |_| &["FOREIGN registered, 0 replaced, 0 unchanged", "FOREIGN unregistered", "register status"],
    },
    Fact {
        name: "user_namespace",
        script: "
            unshare -U -r -m sh -c '. /prelude
                registrar register x86_64 --scope userns --temporary
                try x86_64 s390x
                registrar unregister --scope userns'
            registrar run /probe/riscv64
            try x86_64",
        expected: |_| {
            &["register: 0", "x86_64 runs", "s390x does not run", "unregister: 0", "run: 29", "x86_64 does not run"]
        },
    },
];
