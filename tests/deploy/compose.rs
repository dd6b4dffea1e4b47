//! `deploy/compose.yaml`, as Docker Compose and the Compose specification's schema read it.

use serde_json::{Value, json};
use tests::tools::{debian, passes, python, refuses};
use xtask::workspace::workspace_root;

/// Compose, about to show what it has read.
fn config() -> std::process::Command {
    let mut compose = debian("usr/libexec/docker/cli-plugins/docker-compose");
    compose.arg("--file").arg(workspace_root().join("deploy/compose.yaml"));
    compose.args(["config", "--format", "json"]).env_remove("IMAGE");
    compose
}

#[test]
fn the_service_has_no_more_rights_than_it_needs() {
    let config: Value = serde_json::from_str(&passes(config().env("IMAGE", "an/image:1"))).expect("JSON");
    let services = config["services"].as_object().expect("services");
    assert_eq!(services.len(), 1, "{config}");
    let service = &services["registrar"];
    for (key, expected) in [
        ("image", json!("an/image:1")),
        ("command", json!(["register", "--stay"])),
        ("cap_drop", json!(["ALL"])),
        ("cap_add", Value::Null),
        ("privileged", Value::Null),
        ("security_opt", json!(["no-new-privileges:true"])),
        ("read_only", json!(true)),
        ("network_mode", json!("none")),
        ("pid", Value::Null),
    ] {
        assert_eq!(service[key], expected, "{key}");
    }
    let volumes =
        json!([{ "type": "bind", "source": "/proc/sys/fs/binfmt_misc", "target": "/binfmt_misc", "bind": {} }]);
    assert_eq!(service["volumes"], volumes);
    assert_eq!(service["healthcheck"]["test"], json!(["CMD", "/registrar", "status", "--check"]));
}

#[test]
fn without_an_image_it_says_what_is_missing() {
    refuses(&mut config(), "name the image");
}

#[test]
fn it_is_of_the_specification() {
    let file = workspace_root().join("deploy/compose.yaml");
    passes(python("check-jsonschema").args(["--builtin-schema", "vendor.compose-spec"]).arg(file));
}
