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
    for time in $(seq 30); do
        "$1" 2>/dev/null
        [ $? = 29 ] || failed=$((failed + 1))
    done
    if [ $failed = 0 ]; then echo "no start failed"; else echo "starts failed"; fi
}

# The folder's files, in the order in which the kernel lists them.
list() {
    find $folder -mindepth 1 | sed "s,$folder/,," | tr '\n' ' '
}

# A program that no loader takes, and entries for it: a name, what to run instead, flags.
echo MAGIC >/tmp/magic
chmod +x /tmp/magic
add() {
    echo ":$1:M::MAGIC::$2:$3" >$folder/register
}
