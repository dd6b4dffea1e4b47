//! `deploy/compose.yaml`, brought up and down by Docker Compose.

use std::process::Command;

use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::docker::Docker;
use tests::host::{self, Host};
use tests::{process, tools};
use xtask::system;
use xtask::workspace::{target_dir, workspace_root};

use super::{ENTRYPOINT, IMAGE, is_handler_there, pack, remove_handler, runs, wait_until};
use crate::hello;

#[test]
fn the_compose_file_registers_heals_and_leaves_handlers() {
    let folder = tempfile::tempdir().expect("a folder");
    let hello = hello(folder.path());
    let docker = Docker::new(&target_dir().join("containers/docker-compose"));
    docker.run(&["import", "--change", ENTRYPOINT, &pack(folder.path()), IMAGE]);
    let compose = |words: &[&str]| {
        let mut compose: Command = tools::debian("usr/libexec/docker/cli-plugins/docker-compose");
        compose.arg("--file").arg(workspace_root().join("deploy/compose.yaml")).args(words);
        let output = system::run(compose.env("IMAGE", IMAGE).env("DOCKER_HOST", docker.host()));
        let output = output.unwrap_or_else(|error| panic!("{words:?}: {error:#}"));
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };

    let host = Host::mounted();
    let printed = compose(&["up", "--detach", "--wait"]);
    assert!(printed.contains("Healthy"), "{printed}");
    assert!(runs(&hello));
    compose(&["exec", "--no-TTY", "registrar", "/registrar", "verify"]);
    let container = compose(&["ps", "--quiet"]);
    let process = docker.run(&["inspect", "--format={{.State.Pid}}", container.trim()]);
    let process = process.trim().parse().expect("a process");
    assert!(process::is_confined(process).expect("its status"), "it has capabilities, or could gain them");
    remove_handler();
    println!("put back after {:?}", wait_until("put back", is_handler_there));
    compose(&["down"]);
    assert!(runs(&hello), "handlers are gone from {DEFAULT_MOUNT_POINT}");
    compose(&["run", "--rm", "registrar", "unregister"]);
    assert!(!runs(&hello));
    assert_eq!(host::entries(), host.before);
}
