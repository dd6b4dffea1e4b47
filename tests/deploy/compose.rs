//! `deploy/compose.yaml`, as Docker Compose and the Compose specification's schema read it. The container tests start it.

use tests::tools::{debian, passes, python, refuses};
use xtask::workspace::workspace_root;

/// Compose, about to show what it has read.
fn config() -> std::process::Command {
    let mut compose = debian("usr/libexec/docker/cli-plugins/docker-compose");
    compose.arg("--file").arg(workspace_root().join("deploy/compose.yaml"));
    compose.args(["config", "--quiet"]).env_remove("IMAGE");
    compose
}

#[test]
fn it_is_read_with_an_image_and_refused_without() {
    passes(config().env("IMAGE", "an/image:1"));
    refuses(&mut config(), "name the image");
}

#[test]
fn it_is_of_the_specification() {
    let file = workspace_root().join("deploy/compose.yaml");
    passes(python("check-jsonschema").args(["--builtin-schema", "vendor.compose-spec"]).arg(file));
}
