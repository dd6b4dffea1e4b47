# Loads the profile in deploy/, and others that refuse one thing each.
mount -t sysfs sysfs /sys
mount -t securityfs securityfs /sys/kernel/security
cp /registrar /usr/local/bin/
cp /busybox /probe/
apparmor_parser --replace --skip-cache /tmp/registrar
cat >/tmp/profiles <<'P'
abi <abi/4.0>,
# No memory files: neither the test programs, nor the trial of what runs natively.
profile no-memory-files {
    capability, network, mount, umount, pivot_root, userns, signal, ptrace, unix,
    / r, /** rwk, /probe/** rwix, /registrar rix, /usr/bin/qemu-* rmix,
}
# As Docker's and podman's, in what matters here.
profile container flags=(attach_disconnected,mediate_deleted) {
    network, capability, file, umount,
    signal (send,receive) peer=container,
    deny /proc/sys/[^k]** w,
    deny mount,
    ptrace (trace,read,tracedby,readby) peer=container,
}
profile no-userns flags=(attach_disconnected,mediate_deleted) {
    capability, network, mount, umount, pivot_root, signal, ptrace, unix, file,
    deny userns,
}
profile no-mount flags=(attach_disconnected,mediate_deleted) {
    capability, network, umount, pivot_root, userns, signal, ptrace, unix, file,
    deny mount,
}
P
apparmor_parser --replace --skip-cache /tmp/profiles
