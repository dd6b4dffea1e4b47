//! `--help` of other images' command lines.

use crate::request::CompatMode;

const TONISTIIGI: &str = "\
Usage: [--uninstall NAME[,NAME...]] [--install all|ARCH[,ARCH...]] [--mount DIR] [--version]

  --install    register these architectures with flags CF; all: those that do not run yet. Platforms of other systems than
               Linux are skipped
  --uninstall  remove entries, whichever tool registered them: by name, glob (qemu-*), end of a name or architecture
  --mount      where binfmt_misc is mounted

Prints what runs as JSON at the end. One dash works too, and = instead of the space.
Environment: QEMU_BINARY_PATH (emulators' folder), QEMU_BINARY_PREFIX (prefix of entries and emulators),
QEMU_PRESERVE_ARGV0 (adds flag P)
";

const MULTIARCH: &str = "\
Usage: [--reset] [OPTIONS] [TARGET...]

      --reset                    first remove all entries named qemu-*, whichever tool registered them
  -p, --persistent [yes|no]      open the emulator now, so that it runs in every container (flag F)
  -c, --credential [yes|no]      set-user-ID programs get their rights (flags OC)
  -g, --preserve-argv0 [yes|no]  pass the original argv[0] to programs (flag P)
  -i, --ignore-family [yes|no]   no effect: the kernel says what runs natively
  -Q, --qemu-path DIR            emulators' folder; also QEMU_BIN_DIR in the environment
  -F, --qemu-suffix SUFFIX       end of the emulators' names [-static]
";

const QUS: &str = "\
Usage: [-s] [-l] [-r] -- [-p [yes|no]] [-c [yes|no]] [-r] [-t] [TARGET...]

  -s   no effect: all emulators are static
  -l   show what is registered
  -r   before --: first remove all entries named qemu-*; after --: remove those of TARGET, or all, and exit
  -t   dry run
  -p, -c, -g, -Q, -F   see --reset --help
";

pub(crate) fn help(mode: CompatMode) -> String {
    let usage = match mode {
        CompatMode::Tonistiigi => TONISTIIGI,
        CompatMode::Multiarch => MULTIARCH,
        CompatMode::Qus => QUS,
    };
    format!(
        "Parsed as {mode}'s command line; for registrar's own see registrar --help\n\n{usage}\n\
         Entries that are not for ELF programs are never removed. In a user namespace, set REGISTRAR_SCOPE=userns:\n\
         it registers for programs of that namespace only.\n"
    )
}
