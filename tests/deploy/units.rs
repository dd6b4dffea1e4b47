//! systemd's unit and podman's, as systemd reads them; what podman's generator makes of the latter.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use tests::documents::Document;
use tests::tools::{debian, passes, refuses};
use xtask::system;
use xtask::workspace::workspace_root;

/// Ten times the exposure that systemd calculates, of 100: what is left is that it is root, may not be another, and sees
/// /proc.
const EXPOSURE: &str = "--threshold=15";

const GENERATOR: &str = "usr/libexec/podman/quadlet";

fn unit(path: &str) -> String {
    fs::read_to_string(workspace_root().join("deploy").join(path)).expect(path)
}

/// Writes a unit whose program is there on every machine; gives a folder and the file.
fn written(text: &str, program: &str) -> (TempDir, std::path::PathBuf) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("registrar.service");
    assert!(text.contains(program), "no {program} in:\n{text}");
    fs::write(&file, text.replace(program, "/bin/true")).expect("a unit");
    (folder, file)
}

fn analyze(words: &[&str], file: &Path) -> Command {
    let mut command = system::command("systemd-analyze");
    command.args(words).arg(file);
    command
}

/// What systemd has to say of a unit: of each line that it does not take, and goes on without.
fn complaints(file: &Path) -> String {
    let output = analyze(&["verify", "--man=no", "--recursive-errors=no"], file).output().expect("systemd-analyze");
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || !printed.is_empty(), "{}", output.status);
    // It also reads this machine's units, of which each may have something.
    printed.lines().filter(|line| line.contains("registrar")).map(|line| format!("{line}\n")).collect()
}

/// The service that the generator makes of a unit.
fn generated(text: &str) -> (TempDir, Command) {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("registrar.container"), text).expect("a unit");
    let mut generator = debian(GENERATOR);
    generator.args(["-dryrun", "-no-kmsg-log"]).env("QUADLET_UNIT_DIRS", folder.path());
    (folder, generator)
}

#[test]
fn the_service_is_understood_and_confined() {
    let text = unit("systemd/registrar.service");
    let (_folder, file) = written(&text, "/opt/registrar/bin/registrar");
    assert_eq!(complaints(&file), "");
    passes(&mut analyze(&["security", "--offline=true", EXPOSURE, "--no-pager"], &file));
}

#[test]
fn a_word_that_systemd_does_not_know_is_seen() {
    let text = unit("systemd/registrar.service").replace("ProtectSystem=", "ProtectsSystem=");
    let (_folder, file) = written(&text, "/opt/registrar/bin/registrar");
    assert!(complaints(&file).contains("ProtectsSystem"), "{}", complaints(&file));
    let text = unit("systemd/registrar.service").replace("CapabilityBoundingSet=", "");
    let (_folder, file) = written(&text, "/opt/registrar/bin/registrar");
    refuses(&mut analyze(&["security", "--offline=true", EXPOSURE, "--no-pager"], &file), "CAP_SYS_ADMIN");
}

#[test]
fn podmans_unit_becomes_a_service() {
    // As the document says, but for where the file goes.
    let document = Document::read("deploy/README.md");
    let [name, write, _start] = document.block("registrar.container") else { panic!("{document:?}") };
    let folder = TempDir::new().expect("a folder");
    let write = write.replace("/etc/containers/systemd/", "\"$0\"/");
    let mut sh = Command::new("sh");
    sh.current_dir(workspace_root()).arg("-ec").arg(format!("{name}\n{write}")).arg(folder.path());
    passes(&mut sh);
    let text = fs::read_to_string(folder.path().join("registrar.container")).expect("a unit");
    let image = crate::image();
    let (_folder, mut generator) = generated(&text);
    let printed = passes(&mut generator);
    let (_, service) =
        printed.split_once("---registrar.service---\n").unwrap_or_else(|| panic!("no service: {printed}"));
    let (_folder, file) = written(service, "/usr/bin/podman");
    assert_eq!(complaints(&file), "");
    let start = service.lines().find(|line| line.starts_with("ExecStart=")).expect("a command");
    for option in [
        "--cap-drop all",
        "--security-opt=no-new-privileges",
        "--security-opt label=disable",
        "--network none",
        "--read-only ",
        "--read-only-tmpfs=false",
        "--sdnotify=healthy",
        "--health-cmd \"[\\\"/registrar\\\",\\\"status\\\",\\\"--check\\\"]\"",
        "-v /proc/sys/fs/binfmt_misc:/binfmt_misc -v /opt/registrar/bin:/opt/registrar/bin",
        "--env BINDIR=/opt/registrar/bin",
    ] {
        assert!(start.contains(option), "no {option} in {start}");
    }
    assert!(start.ends_with(&format!(" {image} register --stay")), "{start}");
}

#[test]
fn a_word_that_podman_does_not_know_is_refused() {
    let text = unit("podman/registrar.container").replace("DropCapability=", "DropsCapability=");
    let (_folder, mut generator) = generated(&text);
    refuses(&mut generator, "DropsCapability");
}

/// Whatever registers names the option for sudo, and its price.
#[test]
fn each_file_that_registers_says_what_flag_c_costs() {
    let listed =
        Command::new("git").args(["ls-files", "-z", "deploy"]).current_dir(workspace_root()).output().expect("git");
    let names = String::from_utf8(listed.stdout).expect("text");
    let mut found = 0;
    for name in names.split_terminator('\0') {
        let text = fs::read_to_string(workspace_root().join(name)).expect(name);
        let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && !"-_/.".contains(letter));
        if words.any(|word| word == "register") {
            let line = text.replace("\n#", " ").split_whitespace().collect::<Vec<_>>().join(" ").replace("# ", "");
            assert!(line.contains("--credentials"), "{name}");
            assert!(line.contains("the emulator then runs as root for any set-user-ID file"), "{name}: {line}");
            found += 1;
        }
    }
    assert!(found >= 6, "{found} files");
}
