//! What must hold where AppArmor confines programs: by profiles in `apparmor/setup.sh`, and by that in `deploy/`.

use super::Fact;
use crate::machine::Scripts;

pub(crate) const SCRIPTS: Scripts = Scripts {
    prelude: include_str!("apparmor/prelude.sh"),
    setup: concat!(
        "cat >/tmp/registrar <<'P'\n",
        include_str!("../../../deploy/apparmor/registrar"),
        "P\n",
        include_str!("apparmor/setup.sh")
    ),
};

pub(crate) const FACTS: &[Fact] = &[
    Fact {
        name: "test_programs_that_are_refused_tell_nothing_of_emulators",
        script: "
            registrar register aarch64 s390x
            confined no-memory-files /probe/aarch64
            confined no-memory-files /registrar verify aarch64 s390x
            confined no-memory-files /registrar doctor aarch64 | grep -E '^(verify|policy)|status'",
        expected: |_| {
            macro_rules! message {
                ($before:literal) => {
                    concat!(
                        $before,
                        "cannot tell whether programs run: namespace, folder, memory: a program of this machine's own: \
                         permission denied"
                    )
                };
            }
            &[
                "register: 0",
                "exit status 29",
                message!(""),
                "exit status 2",
                message!("verify    unknown  "),
                "policy    unknown  AppArmor confines this process (no-memory-files); dmesg shows what it has denied; in a \
                 container: --security-opt apparmor=unconfined",
                "exit status 2",
            ]
        },
    },
    Fact {
        name: "verify_in_a_container_of_docker",
        script: "
            registrar register aarch64
            confined container /registrar verify aarch64 | tail -n 2
            confined container /registrar doctor aarch64 | grep -E '^(verify|policy)|status'",
        expected: |_| {
            &[
                "register: 0",
                "1 ok; in an empty root",
                "exit status 0",
                "verify    ok       qemu-aarch64: ok",
                "exit status 0",
            ]
        },
    },
    Fact {
        name: "each_command_tells_that_the_native_trial_is_refused",
        script: "
            mount -t binfmt_misc none $folder
            confined no-memory-files /registrar register i386 | tail -n 2
            confined no-memory-files /registrar status --check i386 | sed -n 's/.* unknown *(/(/p; $p'
            confined no-memory-files /registrar doctor i386 | sed -n 's/^rule *broken *//p; $p'
            list",
        expected: |_| {
            macro_rules! message {
                ($before:literal, $after:literal) => {
                    concat!(
                        $before,
                        "permission denied; AppArmor's no-memory-files may forbid it; in a container: --security-opt \
                         apparmor=unconfined",
                        $after
                    )
                };
            }
            &[
                message!("registering i386: cannot tell whether it runs natively: ", ""),
                "exit status 1",
                message!("(", ")"),
                message!("(", ")"),
                "exit status 1",
                message!("qemu-i386: cannot tell whether it runs natively: ", ""),
                message!("qemu-i486: cannot tell whether it runs natively: ", ""),
                "exit status 1",
                "register status",
            ]
        },
    },
    Fact {
        name: "run_where_namespaces_or_mounts_are_refused",
        script: "
            for profile in no-userns no-mount container; do
                confined $profile /registrar run /probe/s390x | sed 's/;.*//'
            done",
        expected: |_| {
            &[
                "making a user namespace: permission denied",
                "exit status 125",
                "making / a slave mount: permission denied",
                "exit status 125",
                "making a user namespace: permission denied",
                "exit status 125",
            ]
        },
    },
    Fact {
        name: "profile_in_deploy_holds_for_run",
        script: "
            /usr/local/bin/registrar run /probe/s390x
            echo $?
            /usr/local/bin/registrar run /probe/busybox cat /proc/self/attr/current
            # What is unconfined needs the rule for user namespaces on Ubuntu's kernels alone; confined, it does here.
            mkdir -p /etc/apparmor.d/local
            rules='capability, network, mount, umount, pivot_root, signal, ptrace, unix, file,'
            echo $rules >/etc/apparmor.d/local/registrar
            sed 's/(unconfined)/(attach_disconnected)/' /tmp/registrar | apparmor_parser --replace --skip-cache
            /usr/local/bin/registrar run /probe/s390x
            echo $?
            /usr/local/bin/registrar run /probe/busybox cat /proc/self/attr/current",
        expected: |_| &["29", "registrar (unconfined)", "29", "registrar (enforce)"],
    },
];
