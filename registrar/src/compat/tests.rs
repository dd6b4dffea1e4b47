//! Whose a line is, and the command that it is parsed into.

use std::ffi::{OsStr, OsString};

use super::*;
use crate::flags::Flags;
use crate::request::{CommonArgs, CompatCommand, DesiredState, EntryGlob, StatusKind};

fn parsed_in(line: &str, environment: &[(&str, &str)]) -> Result<Command, String> {
    let value = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
    parse(line.split(' ').map(OsString::from).collect(), &value).map_err(|error| error.to_string())
}

fn parsed(line: &str) -> Result<Command, String> {
    parsed_in(line, &[])
}

fn command(line: &str) -> CompatCommand {
    match parsed(line) {
        Ok(Command::Compat(command)) => command,
        other => panic!("{line}: {other:?}"),
    }
}

fn request(mode: CompatMode, targets: &[&'static str], flags: &str) -> RegisterArgs {
    let desired = DesiredState { flags: Flags::raw(flags).expect("flags"), ..DesiredState::default() };
    let args = CommonArgs { targets: targets.into(), desired, mode: Some(mode), ..CommonArgs::default() };
    RegisterArgs { args, ..RegisterArgs::default() }
}

#[test]
fn the_first_argument_decides_whose_line_it_is() {
    let (tonistiigi, multiarch, qus) =
        (Some(CompatMode::Tonistiigi), Some(CompatMode::Multiarch), Some(CompatMode::Qus));
    let cases = [
        ("registrar", tonistiigi),
        ("registrar --install all", tonistiigi),
        ("registrar -install=all", tonistiigi),
        ("registrar --uninstall qemu-*", tonistiigi),
        ("registrar --mount /m", tonistiigi),
        ("registrar --mount=/m --install all", tonistiigi),
        ("registrar -mount /m", tonistiigi),
        ("/usr/bin/binfmt", tonistiigi),
        ("binfmt --mount /m --install arm64", tonistiigi),
        ("registrar /usr/bin/binfmt --install all", tonistiigi),
        ("registrar --reset", multiarch),
        ("registrar --reset -p yes", multiarch),
        ("registrar -p yes", multiarch),
        ("registrar --persistent=yes", multiarch),
        ("registrar --credential yes --persistent yes", multiarch),
        ("registrar --preserve-argv0 yes", multiarch),
        ("registrar -- -r", qus),
        ("registrar -s -- -p", qus),
        ("registrar -l -- -t", qus),
        ("/register", multiarch),
        ("/register --reset -p yes", multiarch),
        ("/opt/registrar/register -p yes", multiarch),
        ("registrar /register --reset", multiarch),
        ("/qus/register", qus),
        ("/qus/register -s -- -p", qus),
        ("registrar /qus/register -- -r", qus),
        ("/entrypoint.sh register", None),
        ("registrar register /register", None),
        ("registrar --json", None),
        ("registrar --bindir=/opt/binfmt register", None),
        ("registrar enable=/usr/bin/binfmt", None),
        ("registrar enable=no", None),
        ("registrar --mount /m status", None),
        ("registrar --mount /m register arm64", None),
        ("registrar --preserve-argv0 register", None),
        ("registrar --credentials register", None),
        ("registrar -v", None),
        ("registrar register --install", None),
        ("registrar verify", None),
        ("registrar run -- binfmt", None),
        ("registrar nonsense", None),
    ];
    for (line, expected) in cases {
        let words: Vec<_> = line.split(' ').map(OsString::from).collect();
        let (found, _) = interpretation(&words);
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn entry_points_of_other_images_take_their_words() {
    for (line, ours) in [
        ("/entrypoint.sh register", "registrar register --flags=F"),
        ("/entrypoint.sh unregister", "registrar unregister"),
        ("registrar /entrypoint.sh register", "registrar register --flags=F"),
        ("/entrypoint.sh", "registrar --help"),
        ("registrar /entrypoint.sh", "registrar --help"),
        ("/register --reset -p yes", "registrar --reset -p yes"),
        ("/qus/register -s -- -p aarch64", "registrar -s -- -p aarch64"),
        ("/qus/register -- -r", "registrar -- -r"),
    ] {
        assert_eq!(parsed(line), parsed(ours), "{line}");
    }
    // Without a word, both images register all.
    for (line, mode) in [("/register", CompatMode::Multiarch), ("/qus/register", CompatMode::Qus)] {
        let found = command(line);
        assert_eq!((found.request, found.registers), (request(mode, &[], ""), true), "{line}");
    }
    assert_eq!(parsed("/register -h"), Ok(Command::Help(Some(CompatMode::Multiarch))));
    assert_eq!(parsed("/qus/register --help"), Ok(Command::Help(Some(CompatMode::Qus))));
}

#[test]
fn tonistiigi() {
    let of = |targets: &[&'static str], registers| CompatCommand {
        remove: Vec::new(),
        request: request(CompatMode::Tonistiigi, targets, "CF"),
        registers,
        show: StatusKind::Platforms,
        passed_over: Vec::new(),
        warning: None,
    };
    let with_warning = |command, warning: &str| CompatCommand { warning: Some(warning.into()), ..command };
    let cases = [
        ("registrar", of(&[], false)),
        ("registrar --install all", of(&[], true)),
        ("registrar -install=all", of(&[], true)),
        ("registrar --install linux/arm64,riscv64", of(&["aarch64", "riscv64"], true)),
        ("binfmt --install linux/arm/v7,386,amd64", of(&["arm", "i386", "x86_64"], true)),
        ("binfmt --install=", of(&[], false)),
        ("binfmt --install s390x --install arm", of(&["arm"], true)),
        (
            "binfmt --install arm46,s390x",
            with_warning(of(&["s390x"], true), "unknown architecture: 'arm46' (did you mean arm64?)"),
        ),
        ("binfmt --install pdp11", with_warning(of(&[], false), "unknown architecture: 'pdp11'")),
        ("binfmt --install pdp11,all", with_warning(of(&[], true), "unknown architecture: 'pdp11'")),
        (
            "binfmt --uninstall qemu-*,linux/arm64",
            CompatCommand {
                remove: ["qemu-*", "linux/arm64"].map(|word| EntryGlob::of_word(OsStr::new(word))).into(),
                ..of(&[], false)
            },
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(command(line), expected, "{line}");
    }
    let mounted = command("binfmt -mount /m");
    assert_eq!(mounted.request.args.mount.as_deref(), Some(Path::new("/m")));
    for line in ["binfmt --version", "binfmt -version"] {
        assert_eq!(parsed(line), Ok(Command::Version));
    }
    for line in ["binfmt -h", "binfmt --help", "binfmt --install all -help"] {
        assert_eq!(parsed(line), Ok(Command::Help(Some(CompatMode::Tonistiigi))));
    }
}

#[test]
fn tonistiigis_environment() {
    let args = |environment: &[(&str, &str)]| match parsed_in("binfmt --install all", environment) {
        Ok(Command::Compat(command)) => command.request.args,
        other => panic!("{environment:?}: {other:?}"),
    };
    assert_eq!(args(&[("QEMU_PRESERVE_ARGV0", "1")]).desired.flags, Flags::new(true, true, true));
    assert_eq!(args(&[("QEMU_PRESERVE_ARGV0", "")]).desired.flags, Flags::new(false, true, true));
    assert!(args(&[("REGISTRAR_SCOPE", "userns")]).in_user_namespace);
    let elsewhere = args(&[("QEMU_BINARY_PATH", "/opt/")]);
    assert_eq!(elsewhere.desired.emulators, "/opt");
    assert_eq!(elsewhere.naming, Some(BinaryName { prefix: String::new(), suffix: None }));
    // The image's own, where emulators have one name each.
    for folder in ["/usr/bin", "/usr/bin/"] {
        assert_eq!(args(&[("QEMU_BINARY_PATH", folder)]), args(&[]), "{folder}");
    }
    let prefixed = args(&[("QEMU_BINARY_PREFIX", "b-")]);
    assert_eq!(prefixed.naming, Some(BinaryName { prefix: "b-".into(), suffix: None }));
}

#[test]
fn options_of_qemus_script() {
    let of = |mode, targets: &[&'static str], flags, remove: &[&str]| CompatCommand {
        remove: remove.iter().map(|name| EntryGlob::of_name(name)).collect(),
        request: request(mode, targets, flags),
        registers: true,
        show: StatusKind::Nothing,
        passed_over: Vec::new(),
        warning: None,
    };
    let multiarch = |flags, remove| of(CompatMode::Multiarch, &[], flags, remove);
    let qus = |targets, flags| of(CompatMode::Qus, targets, flags, &[]);
    let cases = [
        ("registrar --reset", multiarch("", &["qemu-*"])),
        ("registrar --reset -p yes", multiarch("F", &["qemu-*"])),
        ("registrar --reset -p yes -c yes", multiarch("CF", &["qemu-*"])),
        ("registrar --reset --credential yes --persistent yes", multiarch("CF", &["qemu-*"])),
        ("registrar --persistent=yes --credential no", multiarch("F", &[])),
        ("registrar -p no", multiarch("", &[])),
        ("registrar -g yes -i yes -p yes", multiarch("PF", &[])),
        ("registrar -p --qemu-suffix -static", multiarch("F", &[])),
        ("registrar -s -- -p", qus(&[], "F")),
        ("registrar -s -- -p aarch64", qus(&["aarch64"], "F")),
        ("registrar -s -- -p yes aarch64 arm", qus(&["aarch64", "arm"], "F")),
        ("registrar -s -- -p no arm64", qus(&["aarch64"], "")),
        ("registrar -- -p -c", qus(&[], "CF")),
        ("registrar -- -r", CompatCommand { registers: false, ..of(CompatMode::Qus, &[], "", &["qemu-*"]) }),
        (
            "registrar -- -r i386",
            CompatCommand { registers: false, ..of(CompatMode::Qus, &["i386"], "", &["qemu-i386", "qemu-i486"]) },
        ),
        ("registrar -r -s -- -p", of(CompatMode::Qus, &[], "F", &["qemu-*"])),
        ("registrar -l", CompatCommand { registers: false, show: StatusKind::Status, ..qus(&[], "POF") }),
    ];
    for (line, expected) in cases {
        assert_eq!(command(line), expected, "{line}");
    }
    let trial = command("registrar -s -- -p -t");
    assert_eq!((trial.registers, trial.request.dry_run, trial.request.args.mode), (true, true, None));
    let shown = command("registrar -l -- -t");
    assert_eq!((shown.registers, shown.show, shown.remove), (false, StatusKind::Status, Vec::new()));
    let elsewhere = command("registrar -Q /opt -F -x").request.args;
    assert_eq!((elsewhere.desired.emulators.as_str(), elsewhere.emulators_from), ("/opt", Some("--qemu-path")));
    assert_eq!(elsewhere.naming, Some(BinaryName { prefix: String::new(), suffix: Some("-x".into()) }));
    for (line, mode) in [
        ("registrar --reset -h", CompatMode::Multiarch),
        ("registrar -s -h", CompatMode::Qus),
        ("registrar -h --", CompatMode::Qus),
        ("registrar -- --help", CompatMode::Qus),
    ] {
        assert_eq!(parsed(line), Ok(Command::Help(Some(mode))), "{line}");
    }
}

#[test]
fn refused_lines_say_how_they_were_read() {
    let tonistiigi = "; parsed as tonistiigi/binfmt's command line, see --install all --help";
    let multiarch = "; parsed as multiarch/qemu-user-static's command line, see --reset --help";
    let errno_text = "names of emulators must be UTF-8 without slashes, colons and control characters";
    let qus = "; parsed as dbhi/qus's command line, see -- --help";
    let cases = [
        ("binfmt --instal all", &[][..], "unknown word '--instal'", tonistiigi),
        ("binfmt --install all more", &[], "unknown word 'more'", tonistiigi),
        ("binfmt --install", &[], "--install: no value", tonistiigi),
        ("binfmt --mount=", &[], "--mount '': no folder", ""),
        ("binfmt --install all", &[("QEMU_BINARY_PREFIX", "a/b")], errno_text, tonistiigi),
        ("binfmt --install all", &[("QEMU_BINARY_PATH", "x")], "QEMU_BINARY_PATH 'x': not an absolute path", ""),
        ("binfmt", &[("REGISTRAR_SCOPE", "host")], "REGISTRAR_SCOPE: the only value is userns", tonistiigi),
        ("registrar --reset --nonsense", &[], "unknown word '--nonsense'", multiarch),
        ("registrar --reset -Q", &[], "-Q: no value", multiarch),
        ("registrar --persistent=perhaps", &[], "--persistent=perhaps: not yes or no", multiarch),
        ("registrar -- -p  ", &[], "unknown architecture: ''", ""),
        ("registrar --reset -h pdp11", &[], "unknown architecture: 'pdp11'", ""),
        ("registrar -p yes arm46", &[], "unknown architecture: 'arm46' (did you mean arm64?)", ""),
        ("registrar --reset=perhaps", &[], "--reset=perhaps: not yes or no", multiarch),
        (
            "registrar --systemd ALL",
            &[],
            "--systemd: files are written by export and persist, see registrar --help",
            multiarch,
        ),
        (
            "registrar -p yes --exportdir=/etc/binfmt.d",
            &[],
            "--exportdir=/etc/binfmt.d: files are written by export and persist, see registrar --help",
            multiarch,
        ),
        (
            "registrar -s -- --debian",
            &[],
            "--debian: files are written by export and persist, see registrar --help",
            qus,
        ),
        ("registrar -F a:b", &[], errno_text, multiarch),
        ("registrar -s -x -- -p", &[], "unknown word '-x'", qus),
    ];
    for (line, environment, cause, read_as) in cases {
        assert_eq!(parsed_in(line, environment), Err(format!("{cause}{read_as}")), "{line}");
    }
}

#[test]
fn names_beside_those_of_the_table() {
    let cases = [
        ("linux/aarch64", Some("aarch64")),
        ("aarch64/v8", Some("aarch64")),
        ("linux/x86-64", Some("x86_64")),
        ("linux/x86_64/v3", Some("x86_64")),
        ("linux/armhf", Some("arm")),
        ("linux/armel", Some("arm")),
        ("linux/i386", Some("i386")),
        ("Linux/ARM64", Some("aarch64")),
        ("linux/arm64/v8", Some("aarch64")),
        ("linux/arm64/v9.2", Some("aarch64")),
        ("linux/riscv64/rva23u64", Some("riscv64")),
        ("linux/ppc64le/power10", Some("ppc64le")),
        ("linux/mips64le/hardfloat", Some("mips64el")),
        ("linux/386/softfloat", Some("i386")),
        ("s390x/z16", Some("s390x")),
        ("linux/arm64/", None),
        ("linux/arm64/v8/x", None),
        ("linux/arm64/v 8", None),
        ("linux/pdp11/v1", None),
        ("windows/amd64", None),
        ("linux/", None),
        ("aarch64-unknown-linux-gnu", Some("aarch64")),
        ("aarch64-linux-musl", Some("aarch64")),
        ("aarch64-linux", Some("aarch64")),
        ("aarch64_be-none-linux-gnu", Some("aarch64_be")),
        ("riscv64gc-unknown-linux-gnu", Some("riscv64")),
        ("armv7-unknown-linux-gnueabihf", Some("arm")),
        ("armv5te-unknown-linux-musleabi", Some("arm")),
        ("armeb-unknown-linux-gnueabi", Some("armeb")),
        ("thumbv7neon-unknown-linux-gnueabihf", Some("arm")),
        ("powerpc64le-unknown-linux-gnu", Some("ppc64le")),
        ("i686-pc-linux-gnu", Some("i386")),
        ("x86_64-alpine-linux-musl", Some("x86_64")),
        ("mips64-unknown-linux-gnuabi64", Some("mips64")),
        ("mips64el-unknown-linux-muslabin32", Some("mipsn32el")),
        ("aarch64-linux-android", Some("aarch64")),
        ("x86_64-linux-gnux32", None),
        ("aarch64-apple-darwin", None),
        ("x86_64-pc-windows-msvc", None),
        ("riscv64-unknown-elf", None),
        ("aarch64-notlinux-gnu", None),
        ("qemu-aarch64-static", Some("aarch64")),
        ("/usr/bin/qemu-aarch64", Some("aarch64")),
        ("/usr/libexec/qemu-ppc64le-static", Some("ppc64le")),
        ("/usr/bin/aarch64", None),
        ("bin/qemu-aarch64", None),
        ("qemu-system-aarch64", None),
        ("qemu-static", None),
    ];
    for (name, expected) in cases {
        assert_eq!(crate::table::names::target(name), expected, "{name}");
    }
    // A test of the machine's name alone would take them.
    for name in ["riscv64x-y", "armv7/"] {
        assert_eq!(crate::table::names::target(name), None, "{name}");
    }
}

#[test]
fn platforms_of_other_systems_are_passed_over() {
    let passed_over = |line: &str| {
        let command = command(line);
        (command.request.args.targets, command.registers, command.passed_over.join(" "), command.warning)
    };
    for (line, expected) in [
        (
            "binfmt --install linux/arm64,windows/amd64,wasi/wasm",
            (vec!["aarch64"], true, "windows/amd64 wasi/wasm".into(), None),
        ),
        ("binfmt --install Windows(10.0.17763)/amd64", (vec![], false, "Windows(10.0.17763)/amd64".into(), None)),
        ("binfmt --install all,darwin/arm64", (vec![], true, "darwin/arm64".into(), None)),
        ("binfmt --install arm64,,s390x,", (vec!["aarch64", "s390x"], true, String::new(), None)),
        ("binfmt --install=arm64,\ts390x\n", (vec!["aarch64", "s390x"], true, String::new(), None)),
        ("registrar -- -p windows/amd64", (vec![], false, "windows/amd64".into(), None)),
        ("registrar -- -p windows/amd64 arm64,s390x", (vec!["aarch64", "s390x"], true, "windows/amd64".into(), None)),
    ] {
        assert_eq!(passed_over(line), expected, "{line:?}");
    }
    assert_eq!(command("registrar -- -r windows/amd64").remove, []);
}
