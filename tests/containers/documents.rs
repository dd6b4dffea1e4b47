//! The commands of `deploy/README.md` and `docs/` that can be typed on this machine, from `tests::documents`: with docker, with root's podman,
//! and as an ordinary user. Names that stand for something are replaced: an image, its tag, a registry, a folder of the host's.

use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use tests::docker::Docker;
use tests::documents::{COMMANDS, Environment, Tested};
use tests::host::{self, Host};
use tests::podman::{Podman, SETTINGS};
use tests::registry::Registry;
use tests::tools;
use xtask::system;
use xtask::workspace::target_dir;

use crate::publish::write_cargo;
use crate::readme::{IMAGE, Shell, alpine, scratch};
use crate::rootless::{ROOTLESS, User};
use crate::{build, hello};

/// Types all commands of an environment; `name` puts in what a name stands for.
fn run_all(environment: Environment, shell: &Shell<'_>, name: &dyn Fn(&str) -> String) {
    let commands: Vec<_> = COMMANDS.iter().filter(|(_, tested)| *tested == Tested::In(environment)).collect();
    assert!(!commands.is_empty(), "{environment:?}");
    for (command, _) in commands {
        match command.starts_with("COPY ") {
            true => shell.run(&name(&format!("printf 'FROM scratch\\n{command}\\n' | docker build --tag=copied -"))),
            false => shell.run(&name(command)),
        };
    }
}

/// The tag of what is in `dist`, as the build tool names it.
fn tag(checkout: &Path) -> String {
    let archive = checkout.join("dist/image.tar");
    let output =
        system::run(Command::new("tar").args(["--extract", "--to-stdout", "--file"]).arg(archive).arg("index.json"));
    let index: serde_json::Value = serde_json::from_slice(&output.expect("an index").stdout).expect("JSON");
    index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"].as_str().expect("a tag").to_owned()
}

#[test]
fn commands_of_documents_are_typed() {
    let scratch = scratch();
    let checkout = scratch.join("documents");
    let _ = fs::remove_dir_all(&checkout);
    fs::create_dir_all(&scratch).expect("a folder");
    build::copy_source(&checkout);
    let folder = tempfile::tempdir_in(&scratch).expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let registry = Registry::new(&folder.path().join("registry"));
    // oras takes a registry of this name to have no TLS.
    let repository = registry.repository("registrar").replace("127.0.0.1", "localhost");
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).expect("a folder");
    write_cargo(&programs, &checkout);
    let oras = tools::sid_root().join("usr/bin");
    let path = format!("{}:{}:{}", programs.display(), oras.display(), env::var("PATH").expect("PATH"));
    let host = Host::mounted();
    let this = xtask::system::host::Host::named(None).expect("this machine").name;
    let opt = folder.path().join("opt");
    let name = |command: &str| {
        let mut command = command.replace("IMAGE", IMAGE).replace("\"$localhost/registrar\"", IMAGE);
        if command.contains("10.1.0-1") || command.contains(":TAG") {
            let tag = tag(&checkout);
            command = command.replace("10.1.0-1", &tag).replace(":TAG", &format!(":{tag}"));
        }
        // A build machine may have no privilege to give. Nothing here needs one: no file gets an SELinux label.
        command = command.replace("--privileged", "--cap-drop=ALL");
        // Those of other hosts take their packages, and minutes.
        let command = command.replace("REGISTRY/registrar", &repository).replace("x86_64,aarch64,ppc64le,s390x", this);
        command.replace("dist/x86_64/", &format!("dist/{this}/")).replace("-v /opt:", &format!("-v {}:", opt.display()))
    };
    {
        let docker = Docker::new(&folder.path().join("docker"));
        let address = docker.host();
        let sh = || {
            let mut sh = Command::new("sh");
            sh.env("DOCKER_HOST", &address).env("DOCKER_BUILDKIT", "0").env("PATH", &path);
            sh
        };
        run_all(Environment::Docker, &Shell { sh: &sh, folder: &checkout }, &name);
        assert!(opt.join("registrar/bin/qemu-aarch64-static").exists(), "copies");
    }
    let settings = SETTINGS.replace("[containers]\n", "[containers]\nnetns = \"none\"\n");
    {
        let podman = Podman::new(&target_dir().join("containers"));
        let [(conf, _), path] = podman.settings();
        let file = folder.path().join("containers.conf");
        fs::write(&file, &settings).expect("podman's settings");
        let sh = || {
            let mut sh = Command::new("sh");
            sh.envs([(conf, &file), (path.0, &path.1)]);
            sh
        };
        // Loaded under its tag alone.
        let name = |command: &str| match command.contains(" unregister") {
            true => name(command).replace(IMAGE, &format!("{IMAGE}:{}", tag(&checkout))),
            false => name(command),
        };
        run_all(Environment::Podman, &Shell { sh: &sh, folder: &checkout }, &name);
        podman.run(&["rmi", "--force", &format!("{IMAGE}:{}", tag(&checkout))]);
    }
    assert_eq!(host::entries(), host.before);
    as_a_user(folder.path(), &checkout, &settings, &name);
    assert_eq!(host::entries(), host.before);
}

/// `docs/rootless.md`, in a folder with a Containerfile and an arm64 program of the user's.
fn as_a_user(folder: &Path, checkout: &Path, settings: &str, name: &dyn Fn(&str) -> String) {
    let user = User::new();
    fs::write(user.path("containers.conf"), [settings, ROOTLESS].concat()).expect("settings");
    user.succeeds("podman", &["import", "--quiet", "--arch=arm64", "--os=linux", &alpine(folder), "alpine"]);
    user.succeeds("podman", &["load", "--input", checkout.join("dist/image.tar").to_str().expect("text")]);
    user.succeeds("podman", &["tag", &format!("{IMAGE}:{}", tag(checkout)), IMAGE]);
    symlink(checkout.join("dist"), user.path("dist")).expect("a link");
    fs::rename(hello(folder), user.path("program-of-another-machine")).expect("a program");
    fs::write(user.path("Containerfile"), "FROM alpine\nRUN [\"/bin/uname\"]\n").expect("a file");
    let sh = || {
        let mut sh = user.command("sh");
        // What buildah does in a container is forbidden to a user here, who has no session.
        sh.env("BUILDAH_ISOLATION", "chroot");
        sh
    };
    run_all(Environment::User, &Shell { sh: &sh, folder: &user.path("") }, name);
}
