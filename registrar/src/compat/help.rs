//! What `--help` says in each dialect.

use crate::request::CompatMode;

const TONISTIIGI: &str = "\
Usage: [--uninstall NAME[,NAME...]] [--install all|NAME[,NAME...]] [--mount DIR] [--version]

  --install    register these architectures with flags CF; what the machine runs itself is skipped
  --uninstall  remove entries, whosever they are: by name, pattern such as qemu-*, end of a name, or architecture
  --mount      where binfmt_misc is mounted

What runs is shown at the end, as JSON. One dash will do, and = instead of the space.
Environment: QEMU_BINARY_PATH (folder of the emulators), QEMU_BINARY_PREFIX (of entries and emulators),
QEMU_PRESERVE_ARGV0 (flag P too)
";

const MULTIARCH: &str = "\
Usage: [--reset] [OPTIONS] [TARGET...]

      --reset                    first remove all entries named qemu-*, whosever they are
  -p, --persistent [yes|no]      open the emulator now, so that it works everywhere (flag F)
  -c, --credential [yes|no]      set-user-ID programs get their rights (flags OC)
  -g, --preserve-argv0 [yes|no]  programs see the argv[0] that they were started with (flag P)
  -i, --ignore-family [yes|no]   not needed: what runs natively is asked of the kernel
  -Q, --qemu-path DIR            folder of the emulators, also QEMU_BIN_DIR in the environment
  -F, --qemu-suffix SUFFIX       end of the emulators' names [-static]
";

const QUS: &str = "\
Usage: [-s] [-l] [-r] -- [-p [yes|no]] [-c [yes|no]] [-r] [-t] [TARGET...]

  -s   not needed: the emulators are static
  -l   show what is registered
  -r   before --: first remove all entries named qemu-*; behind: remove those of TARGET, or all, and end
  -t   register nothing, say what would be done
  -p, -c, -g, -Q, -F   as --reset --help says
";

/// The whole text.
pub(super) fn text(mode: CompatMode) -> String {
    let usage = match mode {
        CompatMode::Tonistiigi => TONISTIIGI,
        CompatMode::Multiarch => MULTIARCH,
        CompatMode::Qus => QUS,
    };
    format!(
        "Read as {mode}'s command line; our own has more, see registrar --help\n\n{usage}\n\
         Entries that are not for ELF programs are never removed. In a user namespace, REGISTRAR_SCOPE=userns in the\n\
         environment is needed: register for its programs alone.\n"
    )
}
