#!/busybox sh
# First process of a machine whose root file system is Debian's: moves that to a tmpfs, which keeps labels and can be
# left by pivot_root(2), and goes on there with init.sh.
/busybox mkdir -p /bin /sysroot
/busybox --install -s /bin
mount -t tmpfs -o size=80%,mode=755 tmpfs /sysroot
mv /root/* /sysroot/
exec switch_root /sysroot /init
