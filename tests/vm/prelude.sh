# What steps share.
folder=/proc/sys/fs/binfmt_misc

# registrar, of which only the exit status and the last words are of interest here.
registrar() {
    /registrar "$@" >/tmp/out 2>/tmp/err
    echo "$1: $?$(sed -n '$s/^/, /p' /tmp/err)"
}

# Whether a target's test program runs; it ends with 29.
try() {
    for target; do
        /probe/$target >/dev/null 2>&1
        if [ $? = 29 ]; then echo "$target runs"; else echo "$target does not run"; fi
    done
}

# Starts a program many times, and says whether all starts have succeeded.
start_many_times() {
    failed=0
    for time in $(seq 400); do
        "$1" 2>/dev/null
        [ $? = 29 ] || failed=$((failed + 1))
    done
    if [ $failed = 0 ]; then echo "no start failed"; else echo "$failed starts failed"; fi
}

# Does something as process 1 of a container would: with a mount namespace that ends with it, and without the host's
# processes.
container() {
    unshare -m -p -f sh -c "mount -t proc proc /proc; $1"
}

# Where the init process sees binfmt_misc.
mounts() {
    echo "$(grep -c ' binfmt_misc ' /proc/1/mounts) mounts"
}

# The folder's files, in the order in which the kernel lists them.
list() {
    echo $(find $folder -mindepth 1 | sed "s,$folder/,,")
}

# Adds an entry for /tmp/magic, which no loader takes: a name, what to run instead, flags.
add() {
    echo ":$1:M::MAGIC::$2:$3" >$folder/register
}
