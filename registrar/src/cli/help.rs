//! The text of `--help`.

pub(crate) const HELP: &str = "\
Registers QEMU's user-mode emulators with the kernel's binfmt_misc, which then runs programs of other architectures.

Usage: registrar [COMMAND] [OPTIONS] [ARCH...]
       registrar run [OPTIONS] [--] PROGRAM [ARGUMENTS...]

Commands:
  register    register handlers for each ARCH, or for all that the CPU does not run natively
  unregister  remove our handlers for each ARCH, or all; other tools' entries stay. An entry with our name and
              our emulator's file name is ours, whichever tool wrote it
  status      show which entry is active for each target (default command if there are only options)
  verify      run a test program of each ARCH, or of each registered handler of ours, through the kernel, and
              say what is wrong where it fails
  doctor      check every link from the kernel to a running program, and name the first broken one and how to fix it
  persist     make the host whose root is at --root register handlers at each boot: copies the emulators there and
              writes configuration files; registers nothing now
  unpersist   remove everything that persist wrote
  export      print the rules for each ARCH, or for all that the CPU does not run natively
  run         run PROGRAM in a user namespace with its own handlers; needs no root

ARCH is any usual name: arm64, aarch64, linux/arm64/v9, aarch64-unknown-linux-gnu, qemu-aarch64-static; lists are
separated by commas or spaces

Options of register:
      --verify            then run verify, and fail if it fails
      --keep              skip targets that another tool's entry already handles, also another QEMU's; without it, and
                          without names, only what a translator that is no QEMU serves (Rosetta, FEX, box64) is skipped
      --credentials       also flag C, for sudo and other set-user-ID programs; the emulator then runs as root for any
                          set-user-ID file. Default flags: P (original argv[0]; from Linux 5.12 on), O, F
      --preserve-argv0    flag P also on older kernels, which do not tell emulators of it
      --no-fix-binary     open the emulator's path at each start, in the program's root, not once now (no flag F)
      --flags LETTERS     exactly these flags; with one besides P, O, C and F, as with --verify: few emulators fit it
      --copy-to DIR       copy the emulators to DIR first, and register the copies; also BINDIR in the environment
      --selinux-label L   label of the copies: a type, a full label, none, or auto: bin_t if SELinux is enabled;
                          also CHCON='-t TYPE' in the environment [auto]
      --scope userns      in a user namespace: register for programs of that namespace only
      --temporary         register even if the handlers will disappear with this container
      --stay              keep running, and restore what other tools remove or shadow, until SIGTERM or SIGINT
      --unregister-on-exit  with --stay: remove the handlers at the end
      --dry-run           print what would be done; change nothing

Options of persist, besides --keep, --credentials to --flags, --copy-to [/opt/registrar/bin] and --selinux-label:
      --format NAME  what reads the rules at boot: systemd or openrc; unpersist and export ignore it
      --root DIR     where the host's root is mounted; also of unpersist and status --persisted
      --unit         systemd: also a service that runs register --stay, from a copy of registrar on the host

Other options:
      --mount DIR   where binfmt_misc is mounted, or an empty folder to mount it on
      --bindir DIR  folder of the emulators; also BINDIR in the environment, except for register [/usr/bin]
      --json        status, verify, doctor: print JSON
      --check       status: fail unless every entry is what register with the same options (--keep too) would
                    write; does not check the emulators' files, as verify does
      --persisted   status: with --root DIR, fail unless that host registers what persist wrote at its next boot
      --timeout N   verify, doctor: seconds for each program [10]
      --wait N      verify: for up to so many seconds, until all of them run; needs no privilege if ARCH is named
      --repeat N    verify: run each program so many times [1]
  -q, --quiet       print failures only
  -v, --verbose     also print what was found, and the rules that are written
  -V, --version     versions of registrar and QEMU, and where QEMU comes from
  -h, --help        this text

Command lines of other images work too: tonistiigi/binfmt's (--install all; without arguments: what runs, as JSON),
multiarch/qemu-user-static's (--reset -p yes) and dbhi/qus's (-s -- -p). Add --help to one of them for its options.

Exit status: 0 if everything asked for is in place and stays; 1 if not, with the cause on the last line of stderr.
verify, doctor: 2 if no program could be run, so that nothing is known. run: PROGRAM's own; 125 if registrar failed before, 126 or 127 if PROGRAM could not be started.
";
