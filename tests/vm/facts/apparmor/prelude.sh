
# A program with its arguments, confined by a profile; then its exit status.
confined() {
    aa-exec -p "$@" 2>&1
    echo "exit status $?"
}
