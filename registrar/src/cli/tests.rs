//! Command lines and what they are parsed to, and the messages of those that are refused.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use super::*;
use crate::flags::Flags;
use crate::request::{
    Command, CommonArgs, CopySpec, DesiredState, Format, HOST_EMULATOR_DIR, Label, PROBE_TIMEOUT, RegisterArgs,
    ResidentArgs, Verbosity, VerifyArgs,
};

fn parsed(line: &str) -> Result<Command, String> {
    parse(line.split(' ').map(OsString::from)).map_err(|error| error.to_string())
}

fn verify(targets: &[&'static str], json: bool, seconds: u64) -> Command {
    let (wait, limit) = (Duration::ZERO, Duration::from_secs(seconds));
    Command::Verify(VerifyArgs { args: args(targets), json, limit, wait, runs: 1 })
}

fn args(targets: &[&'static str]) -> CommonArgs {
    CommonArgs { targets: targets.into(), ..CommonArgs::default() }
}

#[test]
fn command_lines() {
    let register = |args| RegisterArgs { args, ..RegisterArgs::default() };
    let status = |targets, json| Command::Status { args: args(targets), json, check: false };
    let desired = |flags, keep_foreign| DesiredState {
        flags: Flags::raw(flags).expect("flags"),
        keep_foreign,
        emulators: "/usr/bin".into(),
    };
    let elsewhere = || CommonArgs {
        mount: Some("/m".into()),
        desired: DesiredState { emulators: "/opt".into(), ..desired("POF", false) },
        ..args(&[])
    };
    let on_host = || CommonArgs {
        desired: DesiredState { emulators: HOST_EMULATOR_DIR.into(), ..desired("POF", false) },
        ..args(&[])
    };
    let unpersist = || Command::Unpersist {
        args: CommonArgs { emulators_from: Some("--copy-to"), ..on_host() },
        root: "/host".into(),
    };
    let export = || Command::Export { args: CommonArgs { mount: None, ..elsewhere() } };
    let cases = [
        ("registrar", status(&[], false)),
        ("registrar --json", status(&[], true)),
        ("registrar status arm64", status(&["aarch64"], false)),
        ("registrar register", Command::Register(register(args(&[])))),
        ("registrar register arm64,S390X linux/arm64", Command::Register(register(args(&["aarch64", "s390x"])))),
        ("registrar register linux/aarch64", Command::Register(register(args(&["aarch64"])))),
        ("registrar --mount /m unregister --bindir=/opt/", Command::Unregister { args: elsewhere(), dry_run: false }),
        (
            "registrar register -q --keep --dry-run --temporary --scope=userns --credentials arm64",
            Command::Register(RegisterArgs {
                args: CommonArgs {
                    desired: desired("POCF", true),
                    in_user_namespace: true,
                    detail: Verbosity::Quiet,
                    ..args(&["aarch64"])
                },
                dry_run: true,
                temporary: true,
                verify: false,
                stay: None,
            }),
        ),
        (
            "registrar register --bindir /opt --copy-to=/host//q/ --selinux-label lib_t",
            Command::Register(register(CommonArgs {
                desired: DesiredState { emulators: "/host/q".into(), ..desired("POF", false) },
                copies: Some(CopySpec { from: "/opt".into(), label: Label::parse("lib_t").expect("a label") }),
                ..args(&[])
            })),
        ),
        (
            "registrar register --stay --unregister-on-exit --preserve-argv0 --no-fix-binary -v",
            Command::Register(RegisterArgs {
                stay: Some(ResidentArgs { unregister_on_exit: true }),
                ..register(CommonArgs { desired: desired("PO", false), detail: Verbosity::Verbose, ..args(&[]) })
            }),
        ),
        (
            "registrar status --check --flags FP",
            Command::Status {
                args: CommonArgs { desired: desired("PF", false), ..args(&[]) },
                json: false,
                check: true,
            },
        ),
        (
            "registrar run --bindir /opt ls -l --mount x",
            Command::Run {
                args: CommonArgs { mount: None, ..elsewhere() },
                program: ["ls", "-l", "--mount", "x"].map(OsString::from).into(),
            },
        ),
        ("registrar run -- -x", Command::Run { args: args(&[]), program: vec!["-x".into()] }),
        ("registrar verify --timeout 2 arm64", verify(&["aarch64"], false, 2)),
        (
            "registrar verify arm64 --wait 60 --repeat=50",
            Command::Verify(VerifyArgs {
                args: args(&["aarch64"]),
                json: false,
                limit: PROBE_TIMEOUT,
                wait: Duration::from_secs(60),
                runs: 50,
            }),
        ),
        ("registrar doctor s390x", Command::Doctor { args: args(&["s390x"]), json: false, limit: PROBE_TIMEOUT }),
        ("registrar doctor --json", Command::Doctor { args: args(&[]), json: true, limit: PROBE_TIMEOUT }),
        ("registrar verify --json", verify(&[], true, PROBE_TIMEOUT.as_secs())),
        (
            "registrar persist --root /host --format systemd arm64",
            Command::Persist {
                args: CommonArgs {
                    copies: Some(CopySpec { from: "/usr/bin".into(), label: Label::Auto }),
                    targets: ["aarch64"].into(),
                    ..on_host()
                },
                format: Format::Systemd,
                has_unit: false,
                root: "/host".into(),
            },
        ),
        ("registrar unpersist --root /host", unpersist()),
        ("registrar unpersist --root /host --format openrc", unpersist()),
        ("registrar export --bindir /opt", export()),
        ("registrar export --bindir /opt --format openrc", export()),
        ("registrar register arm64, s390x,", Command::Register(register(args(&["aarch64", "s390x"])))),
        ("registrar register arm64\ts390x,\narm", Command::Register(register(args(&["aarch64", "s390x", "arm"])))),
        ("registrar register --version", Command::Version),
        ("registrar --help status arm64 -V", Command::Help(None)),
        (
            "registrar run ls --help",
            Command::Run { args: args(&[]), program: ["ls", "--help"].map(OsString::from).into() },
        ),
        ("registrar -h", Command::Help(None)),
    ];
    for (line, expected) in cases {
        assert_eq!(parsed(line), Ok(expected), "{line}");
    }
}

#[test]
fn spellings_of_a_folder() {
    let cases = [("/", ""), ("//", ""), ("/opt//q/", "/opt/q"), ("/./opt/./q/.", "/opt/q"), ("/opt/../q", "/opt/../q")];
    for (typed, expected) in cases {
        assert_eq!(
            emulator_folder("--bindir", OsStr::new(typed), &Flags::default()).ok().as_deref(),
            Some(expected),
            "{typed}"
        );
    }
}

#[test]
fn refused_command_lines() {
    let cases = [
        ("registrar regsiter", "unknown command: regsiter; see registrar --help"),
        ("registrar register --jsno", "invalid option '--jsno'; see registrar --help"),
        ("registrar register --json", "--json is for status, verify, doctor; see registrar --help"),
        ("registrar unregister --keep", "--keep is for register, status, persist; see registrar --help"),
        ("registrar verify --dry-run", "--dry-run is for register, status, unregister; see registrar --help"),
        ("registrar register --unregister-on-exit", "--unregister-on-exit needs --stay; see registrar --help"),
        ("registrar register --stay --temporary", "--temporary cannot be combined with --stay; see registrar --help"),
        (
            "registrar register --flags F --credentials",
            "--flags names all flags; it cannot be combined with --credentials, --preserve-argv0 or --no-fix-binary; see registrar --help",
        ),
        ("registrar register --flags F:", "--flags 'F:': capital letters only, such as OCF; see registrar --help"),
        ("registrar register --scope host", "--scope 'host': the only value is userns"),
        ("registrar verify --timeout 0", "--timeout '0': not a number of seconds from 1 to 3600"),
        ("registrar verify --repeat 0", "--repeat '0': not a number from 1 to 3600"),
        ("registrar verify --wait 1h", "--wait '1h': not a number of seconds from 1 to 3600"),
        ("registrar verify --timeout=soon", "--timeout 'soon': not a number of seconds from 1 to 3600"),
        ("registrar status --timeout 5", "--timeout is for verify, doctor; see registrar --help"),
        ("registrar run", "run: no program; see registrar --help"),
        ("registrar register arm46 s390x,pdp11", "unknown architecture: 'arm46' (did you mean arm64?), 'pdp11'"),
        ("registrar register ", "unknown architecture: ''"),
        ("registrar unregister ,,", "unknown architecture: ''"),
        ("registrar register windows/amd64", "unknown architecture: 'windows/amd64'"),
        ("registrar regsiter --help", "unknown command: regsiter; see registrar --help"),
        ("registrar --version nonsense", "unknown command: nonsense; see registrar --help"),
        ("registrar register arm46 -h", "unknown architecture: 'arm46' (did you mean arm64?)"),
        ("registrar -V --nonsense", "invalid option '--nonsense'; see registrar --help"),
        ("registrar register --bindir opt", "--bindir 'opt': not an absolute path"),
        ("registrar register --copy-to q", "--copy-to 'q': not an absolute path"),
        (
            "registrar verify --copy-to /q",
            "--copy-to is for register, status, persist, unpersist; see registrar --help",
        ),
        ("registrar persist --root /", "persist needs --format; see registrar --help"),
        ("registrar unpersist --format openrc", "unpersist needs --root; see registrar --help"),
        ("registrar persist --root / --format systemD", "--format 'systemD': not systemd or openrc"),
        ("registrar persist --root / --format openrc --unit", "--unit needs --format systemd; see registrar --help"),
        ("registrar unpersist --root / --format systemd --unit", "--unit is for persist; see registrar --help"),
        (
            "registrar unpersist --root / --format openrc arm64",
            "unpersist takes no architectures: it removes everything that persist wrote",
        ),
        ("registrar register --selinux-label bin_t", "--selinux-label needs --copy-to; see registrar --help"),
        (
            "registrar register --copy-to /q --selinux-label a:b",
            "--selinux-label 'a:b': not auto, none, a type (bin_t) or a full label",
        ),
        ("registrar --mount= status", "--mount '': no folder"),
        ("registrar --help=yes", "unexpected argument for option '--help': \"yes\"; see registrar --help"),
        ("registrar register --bindir /a:b", "--bindir '/a:b': colons and control characters cannot be in a rule"),
    ];
    for (line, expected) in cases {
        assert_eq!(parsed(line), Err(expected.into()), "{line}");
    }
}
