/* Stands in for emulators that do something wrong: which one it is, its own name tells. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int is_alone = argc == 2;
    if (strstr(argv[0], "qemu-arm-")) {
        fputs("qemu: \033[1mit is\tbroken\nand more\n", stderr);
        raise(SIGSEGV);
    }
    if (strstr(argv[0], "qemu-hppa-")) {
        fork();
        for (;;)
            pause();
    }
    unsigned char chance = 0;
    if (strstr(argv[0], "qemu-nios2-") && getrandom(&chance, 1, 0) == 1 && chance < 64)
        raise(SIGSEGV);
    const char *name = strstr(argv[0], "qemu-m68k-") ? "another name" : argv[1];
    if (write(1, name, 8) != 8)
        return 99;
    if (strstr(argv[0], "qemu-alpha-"))
        return 7;
    if (strstr(argv[0], "qemu-sh4-"))
        return is_alone ? 29 : 30;
    if (strstr(argv[0], "qemu-sh4eb-"))
        return is_alone ? 29 : 31;
    if (strstr(argv[0], "qemu-or1k-"))
        return is_alone ? 29 : 0;
    if (strstr(argv[0], "qemu-ppc-") && !is_alone)
        raise(SIGILL);
    return 29;
}
