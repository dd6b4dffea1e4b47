//! What must hold on every kernel: scripts of steps, and what each must say. How a kernel differs from another is in
//! its row in `main.rs`.

use crate::Machine;

pub(crate) mod apparmor;
pub(crate) mod arm64;
pub(crate) mod selinux;

/// A fact: a script, which calls what `prelude.sh` holds, and the lines that it says, without space at their ends.
pub(crate) struct Fact {
    pub(crate) name: &'static str,
    pub(crate) script: &'static str,
    pub(crate) expected: fn(&Machine) -> &'static [&'static str],
}

/// In an expected line: how many handlers the machine has for what it does not run itself.
pub(crate) const FOREIGN: &str = "FOREIGN";

pub(crate) const FACTS: &[Fact] = &[
    Fact {
        name: "host_is_served_and_left_as_it_was",
        script: "
            try aarch64 s390x
            registrar register aarch64 s390x
            try aarch64 s390x arm
            registrar unregister
            try aarch64 s390x
            mounts",
        expected: |_| {
            &[
                "aarch64 does not run",
                "s390x does not run",
                "register: 0",
                "aarch64 runs",
                "s390x runs",
                "arm does not run",
                "unregister: 0",
                "aarch64 does not run",
                "s390x does not run",
                "1 mounts",
            ]
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
        name: "newest_is_listed_first_and_asked_first",
        script: "
            mount -t binfmt_misc none $folder
            say() { echo $(list) $(/tmp/magic); }
            for name in b a c; do
                printf '#!/busybox sh\\necho %s\\n' $name >/tmp/$name
                chmod +x /tmp/$name
                add $name /tmp/$name
            done
            say
            echo -1 >$folder/a; add a /tmp/a; say
            echo 0 >$folder/b; echo 1 >$folder/b; say
            echo -1 >$folder/a; say
            for name in 1 2 3 4 5 6 7 8 9; do add $name /tmp/b; done; add 0 /tmp/c; say",
        expected: |_| {
            &[
                "c a b register status c",
                "a c b register status a",
                "a c b register status a",
                "c b register status c",
                "0 9 8 7 6 5 4 3 2 1 c b register status c",
            ]
        },
    },
    Fact {
        name: "file_of_an_entry_that_is_gone_reaches_no_other",
        script: "
            mount -t binfmt_misc none $folder
            add a /29
            exec 3<>$folder/a
            sed -n 2p <&3
            echo -1 >$folder/a; add a /other
            echo -1 >&3; list
            exec 3<>$folder/a
            sed -n 2p <&3
            echo -1 >&3; list
            exec 3>&-",
        expected: |_| &["interpreter /29", "a register status", "interpreter /other", "register status"],
    },
    Fact {
        name: "entries_and_the_last_mount",
        script: "
            unshare -m sh -c '. /prelude; mount -t binfmt_misc none $folder
                add named /29; add opened /29 F; /tmp/magic; echo $?'
            /tmp/magic 2>/dev/null; [ $? = 29 ] && echo 'they serve without a mount'
            mount -t binfmt_misc none $folder
            list",
        expected: |machine| match machine.entries_need_a_mount {
            false => &["29", "they serve without a mount", "opened named register status"],
            true => &["29", "register status"],
        },
    },
    Fact {
        name: "container_whose_mount_goes_with_it_is_refused",
        script: "
            container '. /prelude; registrar register aarch64; try aarch64'
            try aarch64",
        expected: |machine| match machine.entries_need_a_mount {
            false => &["register: 0", "aarch64 runs", "aarch64 runs"],
            true => &[
                "register: 1, handlers would disappear with this container: use -v /proc/sys/fs/binfmt_misc:/binfmt_misc, \
                 or --stay; on the host, if not mounted there: mount -t binfmt_misc binfmt_misc \
                 /proc/sys/fs/binfmt_misc",
                "aarch64 does not run",
                "aarch64 does not run",
            ],
        },
    },
    Fact {
        name: "container_whose_host_has_a_mount_registers_there",
        script: "
            mount -t binfmt_misc none $folder
            container '. /prelude; registrar register aarch64; try aarch64'
            try aarch64",
        expected: |_| &["register: 0", "aarch64 runs", "aarch64 runs"],
    },
    Fact {
        name: "container_that_sees_the_host_mounts_there",
        script: "
            unshare -m sh -c '. /prelude; registrar register aarch64'
            try aarch64
            mounts",
        expected: |machine| match machine.entries_need_a_mount {
            false => &["register: 0", "aarch64 runs", "0 mounts"],
            true => &["register: 0", "aarch64 runs", "1 mounts"],
        },
    },
    Fact {
        name: "entry_that_is_enabled_later_is_asked_first",
        script: r"
            mount -t binfmt_misc none $folder
            magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7'
            echo :theirs:M::$magic::/nonexistent/theirs:D 2>/dev/null >$folder/register || echo no flag D
            registrar register aarch64
            [ ! -e $folder/theirs ] || echo 1 >$folder/theirs
            list
            try aarch64
            registrar status --check aarch64
            registrar verify aarch64
            registrar register aarch64
            try aarch64
            registrar unregister
            list",
        expected: |machine| match machine.linux_7_3 {
            false => &[
                "no flag D",
                "register: 0",
                "qemu-aarch64 register status",
                "aarch64 runs",
                "status: 0",
                "verify: 0",
                "register: 0",
                "aarch64 runs",
                "unregister: 0",
                "register status",
            ],
            true => &[
                "register: 0",
                "qemu-aarch64 theirs register status",
                "aarch64 does not run",
                "status: 1, qemu-aarch64 is shadowed; registrar register fixes it",
                "verify: 1, verifying qemu-aarch64: no-emulator: programs of type ET_EXEC: /nonexistent/theirs, which \
                 theirs names, is not there",
                "register: 0",
                "aarch64 runs",
                "unregister: 0",
                "theirs register status",
            ],
        },
    },
    Fact {
        name: "flags_of_newer_kernels",
        script: r"
            mount -t binfmt_misc none $folder
            for flags in FT FL FD; do
                registrar register aarch64 --flags $flags
                [ ! -e $folder/qemu-aarch64 ] || grep ^flags $folder/qemu-aarch64
                registrar status --check aarch64 --flags $flags
                registrar status --check aarch64
                try aarch64
            done
            registrar register aarch64
            grep ^flags $folder/qemu-aarch64 | tr -d P
            registrar unregister
            list",
        expected: |machine| match machine.linux_7_3 {
            false => &[
                "register: 1, registering qemu-aarch64: the kernel does not take this rule; it may not know flag T, or the \
                 emulator does not fit it",
                "status: 1, qemu-aarch64 is absent; registrar register with the same options fixes it",
                "status: 1, qemu-aarch64 is absent; registrar register fixes it",
                "aarch64 does not run",
                "register: 1, registering qemu-aarch64: the kernel does not take this rule; it may not know flag L, or the \
                 emulator does not fit it",
                "status: 1, qemu-aarch64 is absent; registrar register with the same options fixes it",
                "status: 1, qemu-aarch64 is absent; registrar register fixes it",
                "aarch64 does not run",
                "register: 1, registering qemu-aarch64: the kernel does not take this rule; it may not know flag D, or the \
                 emulator does not fit it",
                "status: 1, qemu-aarch64 is absent; registrar register with the same options fixes it",
                "status: 1, qemu-aarch64 is absent; registrar register fixes it",
                "aarch64 does not run",
                "register: 0",
                "flags: OF",
                "unregister: 0",
                "register status",
            ],
            true => &[
                "register: 1, verifying qemu-aarch64: wrong-argv0: it wrote nothing; it may not know flag T: register it \
                 without",
                "flags: OFT",
                "status: 0",
                "status: 1, qemu-aarch64 is different; registrar register fixes it",
                "aarch64 does not run",
                "register: 1, verifying qemu-aarch64: unused: flag L of qemu-aarch64 is for loaders of this machine's \
                 programs; register it without",
                "flags: FL",
                "status: 0",
                "status: 1, qemu-aarch64 is different; registrar register fixes it",
                "aarch64 does not run",
                "register: 1, verifying qemu-aarch64: disabled: to enable it: echo 1 > \
                 /proc/sys/fs/binfmt_misc/qemu-aarch64",
                "flags: F",
                "status: 1, qemu-aarch64 is disabled; registrar register with the same options fixes it",
                "status: 1, qemu-aarch64 is disabled; registrar register fixes it",
                "aarch64 does not run",
                "register: 0",
                "flags: OF",
                "unregister: 0",
                "register status",
            ],
        },
    },
    Fact {
        name: "limit_of_interpreters",
        script: r"
            mount -t binfmt_misc none $folder
            limit=/proc/sys/user/max_binfmt_misc_interpreters
            [ ! -e $limit ] || { before=$(cat $limit); echo 1 >$limit; }
            registrar register aarch64 s390x
            try aarch64 s390x
            registrar register aarch64
            try aarch64
            [ ! -e $limit ] || echo $before >$limit
            registrar unregister
            list",
        expected: |machine| match machine.linux_7_3 {
            false => &[
                "register: 0",
                "aarch64 runs",
                "s390x runs",
                "register: 0",
                "aarch64 runs",
                "unregister: 0",
                "register status",
            ],
            true => &[
                "register: 1, registering qemu-s390x: the kernel's limit is reached; remove entries, or raise sysctl \
                 user.max_binfmt_misc_interpreters",
                "aarch64 runs",
                "s390x does not run",
                "register: 1, registering qemu-aarch64: the kernel's limit is reached; remove entries, or raise sysctl \
                 user.max_binfmt_misc_interpreters",
                "aarch64 runs",
                "unregister: 0",
                "register status",
            ],
        },
    },
    Fact {
        name: "age_of_an_instance",
        script: "
            age() { mount -t binfmt_misc none $folder; stat -c %Z $folder; umount $folder; }
            mkdir -p /other
            first=$(age)
            sleep 1.1
            second=$(age)
            [ $second -gt $first ] && echo 'new for the only mount'
            mount -t binfmt_misc none /other
            held=$(stat -c %Z /other)
            sleep 1.1
            [ $(age) = $held ] && echo 'old for a second mount'
            umount /other",
        expected: |_| &["new for the only mount", "old for a second mount"],
    },
    Fact {
        name: "user_namespace",
        script: "
            unshare -U -r -m sh -c '. /prelude
                registrar register aarch64 --scope userns --temporary
                try aarch64
                registrar unregister --scope userns' | sed 's/user:[^ )]*/user:[]/'
            registrar run /probe/aarch64
            try aarch64",
        expected: |machine| match machine.user_namespaces {
            false => &[
                "register: 1, mounting binfmt_misc at /proc/sys/fs/binfmt_misc: not permitted; run as the \
                 host's root (this is root of user:[]), or with -v /proc/sys/fs/binfmt_misc:/binfmt_misc",
                "aarch64 does not run",
                "unregister: 0",
                "run: 125, user namespaces cannot mount binfmt_misc here: it needs Linux 6.7; AppArmor may forbid \
                 it (sysctl kernel.apparmor_restrict_unprivileged_userns, or the profile in deploy/apparmor)",
                "aarch64 does not run",
            ],
            true => &["register: 0", "aarch64 runs", "unregister: 0", "run: 29", "aarch64 does not run"],
        },
    },
    Fact {
        name: "user_namespace_that_sees_the_hosts_handlers",
        script: "
            mount -t binfmt_misc none $folder
            registrar register s390x
            unshare -U -r -m sh -c '. /prelude
                registrar unregister --scope userns
                try s390x
                registrar register aarch64 --scope userns --temporary
                try aarch64 s390x
                registrar unregister --scope userns
                list' | sed 's/user:[^ )]*/user:[]/'
            list
            registrar run /probe/aarch64 | sed 's/,.*//'
            try aarch64 s390x",
        expected: |machine| match machine.user_namespaces {
            false => &[
                "register: 0",
                "unregister: 0",
                "s390x runs",
                "register: 1, mounting binfmt_misc at /proc/sys/fs/binfmt_misc: not permitted; run as the \
                 host's root (this is root of user:[]), or with -v /proc/sys/fs/binfmt_misc:/binfmt_misc",
                "aarch64 does not run",
                "s390x runs",
                "unregister: 0",
                "qemu-s390x register status",
                "qemu-s390x register status",
                "run: 125",
                "aarch64 does not run",
                "s390x runs",
            ],
            true => &[
                "register: 0",
                "unregister: 0",
                "s390x runs",
                "register: 0",
                "aarch64 runs",
                "s390x does not run",
                "unregister: 0",
                "register status",
                "qemu-s390x register status",
                "run: 29",
                "aarch64 does not run",
                "s390x runs",
            ],
        },
    },
    Fact {
        name: "user_namespace_with_all_users",
        script: "
            rm -f /tmp/inside
            unshare -U -m sh -c '. /prelude
                echo $$ >/tmp/inside
                until grep -q . /proc/$$/gid_map; do sleep 0.1; done
                registrar register aarch64' | sed 's/user:[^ )]*/user:[]/' &
            until [ -s /tmp/inside ]; do sleep 0.1; done
            for kind in uid gid; do echo 0 0 4294967295 >/proc/$(cat /tmp/inside)/${kind}_map; done
            wait
            mounts",
        expected: |_| {
            &[
                "register: 1, handlers would serve programs of user:[] only, not the host's: run as the host's root, or \
                 if that is wanted add --scope userns",
                "0 mounts",
            ]
        },
    },
    Fact {
        name: "scope_of_a_user_namespace_is_refused_outside_of_any",
        script: "
            registrar register aarch64 --scope userns
            registrar register aarch64 --scope userns --stay
            registrar register aarch64 --scope userns --dry-run
            registrar register aarch64
            registrar unregister --scope userns
            registrar unregister --scope userns --dry-run
            try aarch64",
        expected: |_| {
            macro_rules! refused {
                ($command:literal) => {
                    concat!(
                        $command,
                        ": 1, --scope userns: this is the host's initial user namespace; \
                         leave the option out, or use podman unshare"
                    )
                };
            }
            &[
                refused!("register"),
                refused!("register"),
                refused!("register"),
                "register: 0",
                refused!("unregister"),
                refused!("unregister"),
                "aarch64 runs",
            ]
        },
    },
    Fact {
        name: "names_of_programs_in_memory",
        script: "
            rm /dev/fd
            registrar register i386
            ln -s /proc/self/fd /dev/fd",
        expected: |machine| match machine.name {
            "5.10" => &["register: 1, registering i386: cannot tell whether it runs natively: no /dev/fd here; \
                 ln -s /proc/self/fd /dev/fd"],
            _ => &["register: 0"],
        },
    },
    Fact {
        name: "i386_is_registered_only_where_it_does_not_run",
        script: "
            mount -t binfmt_misc none $folder
            try i386
            /registrar register i386 | grep -o 'i386 skipped: runs natively'
            list
            try i386",
        expected: |machine| match machine.runs("i386") {
            true => &["i386 runs", "i386 skipped: runs natively", "register status", "i386 runs"],
            false => &["i386 does not run", "qemu-i486 qemu-i386 register status", "i386 runs"],
        },
    },
    Fact {
        name: "without_the_module",
        script: "
            rmmod binfmt_misc
            registrar register aarch64
            insmod /binfmt_misc.ko",
        expected: |_| {
            &[
                "register: 1, mounting binfmt_misc at /proc/sys/fs/binfmt_misc: this kernel has none; on the host: modprobe binfmt_misc",
            ]
        },
    },
    Fact {
        name: "a_handler_is_replaced_without_a_gap",
        script: "
            mount -t binfmt_misc none $folder
            rm -f /tmp/stop
            mkdir -p /one /other
            ln /29 /one/qemu-aarch64-static
            ln /29 /other/qemu-aarch64-static
            registrar register aarch64 --bindir /one
            (start_many_times /probe/aarch64; touch /tmp/stop) &
            rounds=0
            until [ -e /tmp/stop ]; do
                for emulators in /other /one; do
                    /registrar register aarch64 --bindir $emulators | tail -n 1
                done
                rounds=$((rounds + 1))
            done >/tmp/sums
            wait
            sort -u /tmp/sums
            [ $rounds -ge 10 ] || echo only $rounds rounds",
        expected: |machine| match machine.version {
            // Flag P is told to emulators since Linux 5.12.
            "5.10." => &[
                "register: 0",
                "no start failed",
                "0 registered, 1 replaced, 0 unchanged; without flag P: this kernel does not tell emulators of it, \
                 Linux 5.12 does",
            ],
            _ => &["register: 0", "no start failed", "0 registered, 1 replaced, 0 unchanged"],
        },
    },
    Fact {
        name: "a_handler_that_is_removed_and_added_has_a_gap",
        script: "
            mount -t binfmt_misc none $folder
            rm -f /tmp/stop
            add gap /29
            (start_many_times /tmp/magic | sed 's/^[0-9]* //'; touch /tmp/stop) &
            until [ -e /tmp/stop ]; do echo -1 >$folder/gap; add gap /29; done
            wait",
        expected: |_| &["starts failed"],
    },
];
