#!/busybox sh
# Process 1 of the tests' machines: does each step in /steps, and says on the second serial line how it ended. What a
# step leaves is taken away before the next, for which the module is loaded anew.
/busybox mkdir -p /bin /dev /proc /tmp
# Adds what is not there.
/busybox --install -s /bin 2>/dev/null
export PATH=/usr/sbin:/bin:/
mount -t proc proc /proc
mount -t devtmpfs dev /dev
# As everywhere. Linux 5.10 with TOMOYO looks up the name that it has for a program in memory.
ln -s /proc/self/fd /dev/fd
echo MAGIC >/tmp/magic
chmod +x /tmp/magic
stty -F $said raw
exec 3>$said

# Switches the machine off; what it has not said tells that it stopped too early.
stop() {
    echo "$1" >&3
    poweroff -f
}

. /setup
[ -f /binfmt_misc.ko ] || xzcat /binfmt_misc.ko.xz >/binfmt_misc.ko

folder=/proc/sys/fs/binfmt_misc
for step in /steps/*; do
    insmod /binfmt_misc.ko || stop "no module"
    echo "begin ${step##*/}" >&3
    timeout 120 sh "$step" </dev/null 2>&1 | sed 's/^/| /' >&3
    echo "end" >&3
    # Where the step has left none, its entries may be there all the same.
    mount -t binfmt_misc none $folder 2>/dev/null
    echo -1 >$folder/status
    while umount $folder 2>/dev/null; do :; done
    # Namespaces, and the mounts in them, go a little later than their last process.
    for time in $(seq 50); do
        rmmod binfmt_misc 2>/dev/null && continue 2
        sleep 0.1
    done
    stop "the module is in use after ${step##*/}"
done
stop "done"
