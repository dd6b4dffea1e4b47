//! The whole pipeline: from a repository to a root file system with a `registrar` that knows it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use xtask::system;
use xtask::workspace::workspace_root;

use crate::command::{Builds, QUICKLY_COMPILED, names};
use crate::fixture::{MIRROR, key, text};

/// Paths below a folder with modes, or where links lead.
fn tree(folder: &Path, prefix: &str) -> Vec<String> {
    let mut tree = Vec::new();
    for name in names(folder) {
        let (path, shown) = (folder.join(&name), format!("{prefix}{name}"));
        let metadata = path.symlink_metadata().expect("a file");
        if metadata.is_symlink() {
            tree.push(format!("{shown} -> {}", text(&fs::read_link(&path).expect("a link"))));
            continue;
        }
        tree.push(format!("{shown} {:o}", metadata.permissions().mode() & 0o7777));
        if metadata.is_dir() {
            tree.extend(self::tree(&path, &format!("{shown}/")));
        }
    }
    tree
}

#[test]
fn a_root_file_system_with_what_was_wanted_and_nothing_else() {
    let (repository, builds) = (MIRROR.repo(), Builds::alone());
    let arguments = ["--source", text(&repository), "--key", key(), "--target", "arm", "386", "--offline"];
    let first = builds.build(tempfile::tempdir().expect("a temporary folder"), &arguments);
    assert!(first.good, "{}", first.stderr);
    for line in
        ["qemu-arm-static ", "qemu-i386-static ", &MIRROR.key.fingerprint, "next, as root:", "3 rules: 1 packaged"]
    {
        assert!(first.stdout.contains(line), "no {line:?} in {}", first.stdout);
    }
    let host = first.out().join(MIRROR.host);
    let rootfs = host.join("rootfs");
    assert_eq!(
        tree(&rootfs, ""),
        [
            "entrypoint.sh 755",
            "qus 755",
            "qus/register 755",
            "register 755",
            "registrar 755",
            "usr 755",
            "usr/bin 755",
            "usr/bin/binfmt 755",
            "usr/bin/qemu-arm-static 755",
            "usr/bin/qemu-i386-static 755",
            "usr/share 755",
            "usr/share/doc 755",
            "usr/share/doc/registrar 755",
            "usr/share/doc/registrar/packages 644",
            "usr/share/licenses 755",
            "usr/share/licenses/qemu-user-static 755",
            "usr/share/licenses/qemu-user-static/COPYING 644",
            "usr/share/licenses/qemu-user-static/COPYING.LIB 644",
            "usr/share/licenses/qemu-user-static/LICENSE 644",
            "usr/share/licenses/qemu-user-static-arm 755",
            "usr/share/licenses/qemu-user-static-arm/COPYING 644",
            "usr/share/licenses/qemu-user-static-arm/COPYING.LIB 644",
            "usr/share/licenses/qemu-user-static-arm/LICENSE 644",
            "usr/share/licenses/qemu-user-static-x86 755",
            "usr/share/licenses/qemu-user-static-x86/COPYING 644",
            "usr/share/licenses/qemu-user-static-x86/COPYING.LIB 644",
            "usr/share/licenses/qemu-user-static-x86/LICENSE 644",
            "usr/share/licenses/registrar 755",
            "usr/share/licenses/registrar/LICENSE-APACHE 644",
            "usr/share/licenses/registrar/LICENSE-MIT 644",
        ]
    );
    for alias in ["entrypoint.sh", "qus/register", "register", "usr/bin/binfmt"] {
        let [one, other] = [alias, "registrar"].map(|name| rootfs.join(name).metadata().expect("a file").ino());
        assert_eq!(one, other, "{alias}");
    }
    let version = Command::new(rootfs.join("registrar")).arg("--version").output().expect("running registrar");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(
        version.contains(&format!("QEMU {}", MIRROR.version)) && version.contains("3 handlers of 2 targets"),
        "{version}"
    );

    // Targets that this image lacks are not unknown ones.
    let missing = Command::new(rootfs.join("registrar")).args(["register", "arm,arm64", "S390X"]).output();
    let missing = missing.expect("running registrar");
    let message = "not in this image: arm64, S390X; registrar status lists what is\n";
    assert_eq!(String::from_utf8_lossy(&missing.stderr), message);

    assert_eq!(names(&host), ["packages", "rootfs", "sbom.spdx.json", "try-arm"]);

    // What a run has left that was killed while it removed the old.
    let left = first.out().join(format!("{}.partial", MIRROR.host));
    fs::create_dir_all(left.join("rootfs")).expect("a folder");
    let identity = |path: &Path| path.metadata().map(|metadata| (metadata.ino(), metadata.mtime_nsec())).expect("it");
    let before = identity(&rootfs);
    let second = builds.build(first.into_folder(), &arguments);
    assert!(second.good, "{}", second.stderr);
    assert_eq!(identity(&rootfs), before, "nothing has changed, so nothing is made");
    assert_eq!(names(&second.out()), [MIRROR.host], "what was left is cleared up");

    fs::remove_file(rootfs.join("usr/bin/qemu-arm-static")).expect("removing an emulator");
    let third = builds.build(second.into_folder(), &arguments);
    assert!(third.good, "{}", third.stderr);
    assert!(rootfs.join("usr/bin/qemu-arm-static").exists(), "what is missing is put back");
}

/// A build into `out`, without what the environment says of times.
pub(crate) fn build(out: &Path, target: &Path) -> Command {
    let mut build = Command::new(env!("CARGO_BIN_EXE_tested-xtask"));
    build.args(["fetch-and-build", "--offline", "--target", "arm,386", "--key", key()]);
    build.arg("--source").arg(MIRROR.repo()).arg("--out").arg(out);
    build.env("CARGO_TARGET_DIR", target).env_remove("SOURCE_DATE_EPOCH").envs(QUICKLY_COMPILED);
    build
}

/// Where all tests compile that do not measure compilation itself.
pub(crate) fn kept_target() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/builds"))
}

/// A copy of the workspace, as a repository of its own with one commit.
fn checkout(folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let mut copy = Command::new("sh");
    copy.args(["-c", "tar -cf - --exclude=./.git --exclude=./target --exclude=./dist . | tar -C \"$1\" -xf -", "sh"]);
    system::run(copy.arg(folder).current_dir(workspace_root())).expect("a copy of the workspace");
    git(folder, &["init", "--quiet"]);
    commit(folder);
}

/// Commits everything; gives the commit.
fn commit(folder: &Path) -> String {
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "--message", "all of it"]);
    git(folder, &["rev-parse", "HEAD"])
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=tester", "-c", "user.email=tester@localhost", "-c", "commit.gpgsign=false"]);
    let printed = system::run(git.current_dir(folder).args(arguments)).expect("git");
    String::from_utf8(printed.stdout).expect("text").trim().to_owned()
}

/// Lets a build find its own sources in another checkout, as cargo does for the program that it runs.
fn from_checkout<'a>(build: &'a mut Command, folder: &Path) -> &'a mut Command {
    build.env("CARGO_PKG_NAME", "xtask").env("CARGO_MANIFEST_DIR", folder.join("xtask"))
}

/// Lets a build compile as releases are.
fn as_released(build: &mut Command) -> &mut Command {
    QUICKLY_COMPILED.iter().fold(build, |build, (name, _)| build.env_remove(name))
}

/// Lets every program fail that links for this machine, but for what runs during the compilation.
fn without_linkers(build: &mut Command, folder: &Path) {
    let compiler = system::find("cc").expect("a C compiler");
    fs::create_dir_all(folder).expect("a folder");
    for name in ["cc", "gcc", "clang", "ld", "ld.lld", "ld.bfd", "ld.gold"] {
        let path = folder.join(name);
        fs::write(&path, "#!/bin/sh\nexit 1\n").expect("a program that fails");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its mode");
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    build.env("PATH", path.expect("a search path"));
    // Build scripts are linked by the real one, which has the real linker beside it.
    let triple = rustc(&["--print", "host-tuple"]).to_ascii_uppercase().replace('-', "_");
    let wrapper = folder.join("host-cc");
    let path = std::env::var("PATH").expect("a search path");
    fs::write(&wrapper, format!("#!/bin/sh\nPATH='{path}' exec '{}' \"$@\"\n", compiler.display())).expect("a script");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("its mode");
    build.env(format!("CARGO_TARGET_{triple}_LINKER"), wrapper);
}

fn rustc(arguments: &[&str]) -> String {
    let printed = system::run(Command::new("rustc").args(arguments).current_dir(workspace_root())).expect("rustc");
    String::from_utf8(printed.stdout).expect("text").trim().to_owned()
}

/// The SBOM, but for what tells of the working tree.
fn sbom(host: &Path) -> (Value, Value) {
    let text = fs::read(host.join("sbom.spdx.json")).expect("an SBOM");
    let mut document: Value = serde_json::from_slice(&text).expect("JSON");
    document["documentNamespace"].take();
    let packages = document["packages"].as_array_mut().expect("packages");
    let registrar = packages.iter_mut().find(|package| package["name"] == "registrar").expect("registrar");
    let revision = registrar.as_object_mut().and_then(|fields| fields.remove("sourceInfo")).unwrap_or_default();
    (document, revision)
}

#[test]
fn what_is_built_depends_on_no_folder_no_umask_no_linker_and_names_its_commit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, two) = (folder.path().join("one"), folder.path().join("another/with/a/longer/name"));
    {
        let _alone = Builds::alone();
        system::run(as_released(&mut build(&one, kept_target()))).expect("a build");
    }

    let (checkout, target) = (folder.path().join("another/checkout"), folder.path().join("target"));
    self::checkout(&checkout);
    let mut other = build(&two, &target);
    from_checkout(as_released(&mut other), &checkout);
    let libdir = rustc(&["--print", "target-libdir"]);
    // A distribution's toolchain has none; there a C compiler links.
    if Path::new(&libdir).with_file_name("bin/rust-lld").exists() {
        without_linkers(&mut other, &folder.path().join("bin"));
    }
    let mut shell = Command::new("sh");
    // A login shell's umask is the user's own.
    shell.args(["-c", "umask 077 && exec \"$@\"", "sh"]).arg(other.get_program()).args(other.get_args());
    for (key, value) in other.get_envs() {
        match value {
            Some(value) => shell.env(key, value),
            None => shell.env_remove(key),
        };
    }
    system::run(&mut shell).expect("a build in other folders");

    let [one, two] = [one, two].map(|out| out.join(MIRROR.host));
    assert_eq!(tree(&one, ""), tree(&two, ""), "names, modes and links");
    let mut diff = Command::new("diff");
    diff.args(["--recursive", "--no-dereference", "--brief"]);
    let printed = diff.args(["--exclude", "sbom.spdx.json"]).arg(&one).arg(&two).output().expect("running diff");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stdout));
    let (document, revision) = sbom(&two);
    assert_eq!(sbom(&one).0, document);

    // The compilation decides which commit is named, and nothing that happens to the sources later. Where cargo has
    // nothing to do, the program is what the sources as they are now give.
    let first = git(&checkout, &["rev-parse", "HEAD"]);
    assert_eq!(revision, format!("git commit {first}"));
    let image = || {
        let mut image = Command::new(env!("CARGO_BIN_EXE_tested-xtask"));
        let dist = two.parent().expect("a folder");
        image.args(["image", "--out"]).arg(folder.path().join("image")).arg("--dist").arg(dist);
        system::run(from_checkout(&mut image, &checkout)).expect("an image");
        let index = fs::read(folder.path().join("image/index.json")).expect("an index");
        let mut descriptor: Value = serde_json::from_slice(&index).expect("JSON");
        let mut blob = |list: &str| {
            let digest = descriptor[list][0]["digest"].as_str().expect("a digest").replace(':', "/");
            let text = fs::read(folder.path().join("image/blobs").join(digest)).expect("a blob");
            descriptor = serde_json::from_slice(&text).expect("JSON");
            descriptor["annotations"]["org.opencontainers.image.revision"].clone()
        };
        [blob("manifests"), blob("manifests")]
    };
    fs::write(checkout.join("notes.txt"), "not committed").expect("a file");
    assert_eq!(image(), [first.as_str(), &first], "the tree has changed since");
    let again = || {
        let program = fs::read(two.join("rootfs/registrar")).expect("registrar");
        let mut build = build(two.parent().expect("a folder"), &target);
        let printed = system::run(from_checkout(as_released(&mut build), &checkout)).expect("a build once more");
        assert!(fs::read(two.join("rootfs/registrar")).expect("registrar") == program, "the same program");
        (sbom(&two).1, String::from_utf8(printed.stdout).expect("text"))
    };
    let (revision, stdout) = again();
    assert!(revision.is_null() && stdout.contains("from uncommitted files"), "{revision} {stdout}");
    assert_eq!(image(), [Value::Null, Value::Null]);
    let second = commit(&checkout);
    let (revision, stdout) = again();
    assert_eq!(revision, format!("git commit {second}"));
    assert!(stdout.contains(&second), "{stdout}");
    assert_eq!(image(), [second.as_str(), &second]);
}

#[test]
fn a_file_of_the_users_is_neither_removed_nor_kept_silently() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (out, _alone) = (folder.path().join("out"), Builds::alone());
    system::run(&mut build(&out, kept_target())).expect("a build");
    let thesis = out.join(MIRROR.host).join("thesis.txt");
    fs::write(&thesis, "mine").expect("a file of the user's");
    system::run(&mut build(&out, kept_target())).expect("a build that has nothing to do");
    let printed = build(&out, kept_target()).env("SOURCE_DATE_EPOCH", "1").output().expect("running xtask");
    let stderr = String::from_utf8_lossy(&printed.stderr);
    let line = stderr.lines().last().unwrap_or_default();
    assert!(
        !printed.status.success() && line.contains("holds thesis.txt, which this command has not made"),
        "{stderr}"
    );
    assert_eq!(fs::read_to_string(&thesis).expect("the file"), "mine");
}
