//! What `--help` says.

pub(crate) const HELP: &str = "\
Tells the kernel's binfmt_misc which QEMU emulator runs which programs.

Usage: registrar [COMMAND] [OPTIONS] [ARCH...]
       registrar run [OPTIONS] [--] PROGRAM [ARGUMENTS...]

Commands:
  register    register handlers: of each ARCH, or of all that this machine does not run itself
  unregister  remove our handlers: of each ARCH, or all; entries of others stay, but one with
              our name and our emulator's file name is ours, whoever wrote it
  status      show what serves each target (without a command: the same)
  run         run PROGRAM in a user namespace with handlers of its own; needs no root

ARCH is any usual name: arm64, aarch64, linux/arm64, aarch64-linux-gnu; several may stand in one word: arm64,s390x

Options of register:
      --keep              what an entry of somebody else serves, it goes on serving
      --atomic            all or nothing: a failure takes back what this run did
      --credentials       set-user-ID programs get their rights, which the emulator then has (flags OC)
      --preserve-argv0    programs see the argv[0] that they were started with (flag P)
      --no-fix-binary     open the emulator at each start, wherever that is, instead of once now (no flag F)
      --flags LETTERS     all flags spelled out
      --scope userns      in a user namespace: register for its programs alone
      --temporary         where the handlers would go with this container: register all the same
      --stay              stay, and put back what others remove, until SIGTERM or SIGINT
      --unregister-on-exit  with --stay: remove the handlers at the end
      --dry-run           say what would be done, and do nothing

Other options:
      --mount DIR   binfmt_misc is mounted at DIR, or is to be mounted there
      --bindir DIR  folder of the emulators, also BINDIR in the environment [/usr/bin]
      --json        status as JSON
      --check       status: fail unless all is as register, with the same options, would have it
  -q, --quiet       only failures
  -v, --verbose     what was found, and the rules as they are written
  -V, --version     versions of this program and of QEMU, and where QEMU comes from
  -h, --help        this text

Exit status: 0 if what was asked for is so, and stays so; 1 if not, with the cause as the last line of standard error.
run ends as PROGRAM does.
";
