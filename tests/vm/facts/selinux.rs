//! What must hold where SELinux confines containers, with Debian's policy in force. Root of a privileged container is
//! another than root of a confined one: what serves the first may end the programs of the second.

use super::Fact;
use crate::machine::Scripts;

pub(crate) const SCRIPTS: Scripts =
    Scripts { prelude: include_str!("selinux/prelude.sh"), setup: include_str!("selinux/setup.sh") };

pub(crate) const FACTS: &[Fact] = &[
    Fact {
        name: "label_that_ends_containers_programs_is_told",
        script: "
            privileged /registrar register -v --bindir /var/lib/emulators aarch64 | grep -E 'labelled|status'
            confined /probe/aarch64
            privileged /registrar verify aarch64 | tail -n 2
            privileged /registrar doctor aarch64 | grep -E '^policy|status'",
        expected: |_| {
            macro_rules! message {
                ($before:literal) => {
                    concat!(
                        $before,
                        "/var/lib/emulators/qemu-aarch64-static is labelled system_u:object_r:var_lib_t:s0, not bin_t, \
                         so that programs in confined containers may end with SIGSEGV; registrar register --copy-to \
                         /opt/registrar/bin"
                    )
                };
            }
            &[
                message!(""),
                "exit status 0",
                "Segmentation fault",
                "exit status 139",
                "1 ok; in an empty root",
                "exit status 0",
                message!("policy    unknown  qemu-aarch64: "),
                "exit status 0",
            ]
        },
    },
    Fact {
        name: "label_auto_serves_containers",
        script: "
            privileged /registrar register --copy-to /opt/emulators --selinux-label auto aarch64 | tail -n 1
            /usr/bin/stat -c %C /opt/emulators/qemu-aarch64-static
            confined /probe/aarch64
            privileged /registrar verify aarch64 | tail -n 2
            privileged /registrar doctor aarch64 | grep -E '^policy|status'",
        expected: |_| {
            &[
                "exit status 0",
                "system_u:object_r:bin_t:s0",
                "exit status 29",
                "1 ok; in an empty root",
                "exit status 0",
                "exit status 0",
            ]
        },
    },
    Fact {
        name: "confined_container_cannot_tell_whether_emulators_work",
        script: "
            privileged /registrar register --copy-to /opt/emulators --selinux-label auto aarch64 | tail -n 1
            confined /probe/aarch64
            confined /registrar verify aarch64
            confined /registrar doctor aarch64 | grep -E '^verify|status'",
        expected: |_| {
            macro_rules! message {
                ($before:literal) => {
                    concat!(
                        $before,
                        "cannot tell whether programs run: namespace: a namespace: permission denied; folder: no folder \
                         can be written to and executed in; memory: a program of this machine's own: permission denied"
                    )
                };
            }
            &[
                "exit status 0",
                "exit status 29",
                message!(""),
                "exit status 2",
                message!("verify    unknown  "),
                "exit status 2",
            ]
        },
    },
    Fact {
        name: "register_in_a_confined_container_names_selinux",
        script: "
            mount -t binfmt_misc none $folder
            confined /registrar register aarch64 | tail -n 2
            confined /registrar register i386 | tail -n 2
            list",
        expected: |_| {
            &[
                "writing /proc/sys/fs/binfmt_misc/register: permission denied, to root as well; SELinux may forbid it; \
                 in a container: --security-opt label=disable",
                "exit status 1",
                "registering i386: cannot tell whether it runs natively: permission denied; SELinux may forbid it; in a \
                 container: --security-opt label=disable",
                "exit status 1",
                "register status",
            ]
        },
    },
    Fact {
        name: "run_in_a_privileged_container_and_a_confined_one",
        script: "
            privileged /registrar run /probe/s390x
            confined /registrar run /probe/s390x | sed 's/;.*//'",
        expected: |_| &["exit status 29", "making a user namespace: permission denied", "exit status 125"],
    },
];
