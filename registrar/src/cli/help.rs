//! What `--help` says.

pub(crate) const HELP: &str = "\
Tells the kernel's binfmt_misc which QEMU emulator runs which programs.

Usage: registrar [COMMAND] [OPTIONS] [ARCH...]
       registrar run [OPTIONS] [--] PROGRAM [ARGUMENTS...]

Commands:
  register    register handlers: of each ARCH, or of all that this machine does not run itself
  unregister  remove our handlers: of each ARCH, or all; entries of others stay, but one with
              our name and our emulator's file name is ours, whoever wrote it
  status      show what serves each target (also where only options are given)
  verify      run a test program of each ARCH, or of all of ours that are registered, through the
              kernel, and say what is wrong where it does not run
  doctor      go through all that must be so, from the kernel to a program that runs, for each ARCH or
              for all of ours, and name the first that is not, with its cure
  persist     have the host whose root is at --root register handlers by itself at each start: copies the
              emulators to it and writes configuration; nothing is registered now
  unpersist   remove what persist has written
  export      print the rules of each ARCH, or of all that this machine does not run itself
  run         run PROGRAM in a user namespace with handlers of its own; needs no root

ARCH is any usual name: arm64, aarch64, linux/arm64, aarch64-linux-gnu; several may stand in one word: arm64,s390x

Options of register:
      --verify            fail unless foreign programs then really run, as verify tells
      --keep              what an entry of somebody else serves, it goes on serving
      --credentials       set-user-ID programs get their rights, which the emulator then has (flags OC)
      --preserve-argv0    programs see the argv[0] that they were started with (flag P)
      --no-fix-binary     open the emulator at each start, wherever that is, instead of once now (no flag F)
      --flags LETTERS     all flags spelled out
      --copy-to DIR       copy the emulators to DIR first, and register those; also BINDIR in the environment
      --selinux-label L   of the copies: a type or a whole label, none, or auto: bin_t where SELinux is on; also
                          CHCON='-t TYPE' in the environment [auto]
      --scope userns      in a user namespace: register for its programs alone
      --temporary         where the handlers would go with this container: register all the same
      --stay              stay, and put back what others remove, until SIGTERM or SIGINT
      --unregister-on-exit  with --stay: remove the handlers at the end
      --dry-run           say what would be done, and do nothing

Options of persist, beside those from --credentials to --flags, --copy-to [/opt/registrar/bin] and --selinux-label:
      --format NAME  who reads it: systemd or openrc; also of unpersist and export
      --root DIR     where the host's root is mounted; also of unpersist
      --unit         systemd: also a service that puts back what others remove, with registrar beside the emulators

Other options:
      --mount DIR   binfmt_misc is mounted at DIR, or is to be mounted there
      --bindir DIR  folder where the emulators are; but for register also BINDIR in the environment [/usr/bin]
      --json        status or verify as JSON
      --check       status: fail unless each entry is as register, with the same options (of which --keep is one
                    here too), would have it; at the emulators' files it does not look, as verify does
      --timeout N   verify, doctor: seconds that each program is given [10]
  -q, --quiet       only failures
  -v, --verbose     what was found, and the rules as they are written
  -V, --version     versions of this program and of QEMU, and where QEMU comes from
  -h, --help        this text

Other images' command lines are read as they are there: tonistiigi/binfmt's (--install all; without any word, what
runs, as JSON), multiarch/qemu-user-static's (--reset -p yes), dbhi/qus's (-s -- -p); each with --help shows its own.

Exit status: 0 if what was asked for is so, and stays so; 1 if not, with the cause as the last line of standard error.
run ends as PROGRAM does; with 125 if something failed before, with 126 or 127 if PROGRAM could not be started.
";
