//! `deploy/compose.yaml`, as Docker Compose and the Compose specification's schema read it. The container tests start it.

use std::process::Command;

use serde_json::Value;
use tests::tools::{debian, passes, python, refuses};
use xtask::workspace::workspace_root;

use crate::image;

/// Compose, about to show what it has read.
fn config() -> Command {
    let mut compose = debian("usr/libexec/docker/cli-plugins/docker-compose");
    compose.arg("--file").arg(workspace_root().join("deploy/compose.yaml"));
    compose.args(["config"]).env_remove("IMAGE");
    compose
}

#[test]
fn the_image_is_the_one_of_image_env_or_of_the_environment() {
    let found = |compose: &mut Command| -> Value {
        serde_json::from_str(&passes(compose.args(["--format", "json"]))).expect("JSON")
    };
    assert_eq!(found(&mut config())["services"]["registrar"]["image"], image());
    assert_eq!(found(config().env("IMAGE", "an/image:1"))["services"]["registrar"]["image"], "an/image:1");
    // A copy of the file alone.
    refuses(config().env("COMPOSE_DISABLE_ENV_FILE", "1"), "name the image");
}

#[test]
fn it_is_of_the_specification() {
    let file = workspace_root().join("deploy/compose.yaml");
    passes(python("check-jsonschema").args(["--builtin-schema", "vendor.compose-spec"]).arg(file));
}
