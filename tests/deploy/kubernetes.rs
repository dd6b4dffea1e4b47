//! What `deploy/kubernetes` builds, alone and with each component, held against Kubernetes' own schemas.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::tools::{debian, passes, python, refuses};
use tests::yaml;
use xtask::workspace::workspace_root;

use crate::image;

const VALIDATE: &str = "kubernetes-validate";

/// Oldest and newest of the schemas that are asked: what is used has long been there.
const VERSIONS: [&str; 2] = ["1.25", "1.37"];

/// Components that are taken together.
const BUILDS: [&[&str]; 6] =
    [&[], &["selinux"], &["some-targets"], &["remove"], &["selinux", "remove"], &["selinux", "remove", "some-targets"]];

/// What kustomize makes of the base and components: as `deploy/README.md` has it.
fn build(components: &[&str]) -> String {
    let folder = TempDir::new().expect("a folder");
    // kustomize takes no absolute paths.
    std::os::unix::fs::symlink(workspace_root().join("deploy"), folder.path().join("deploy")).expect("a link");
    let components: Vec<_> = components.iter().map(|name| format!("deploy/kubernetes/components/{name}")).collect();
    let text = json!({
        "resources": ["deploy/kubernetes/base"],
        "components": components,
    });
    fs::write(folder.path().join("kustomization.yaml"), text.to_string()).expect("a kustomization");
    passes(debian("usr/bin/kustomize").arg("build").arg(folder.path()))
}

/// The tool, asked about this text.
fn validate(version: &str, text: &str) -> (TempDir, std::process::Command) {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("built.yaml");
    fs::write(&file, text).expect("a file");
    let mut command = python(VALIDATE);
    command.args(["--strict", "--kubernetes-version", version]).arg(file);
    (folder, command)
}

fn daemon_set(built: &str) -> Value {
    let all = yaml::documents(built);
    all.into_iter().find(|document| document["kind"] == "DaemonSet").unwrap_or_else(|| panic!("none in:\n{built}"))
}

#[test]
fn every_build_is_valid() {
    for components in BUILDS {
        let built = build(components);
        for version in VERSIONS {
            let (_folder, mut command) = validate(version, &built);
            let printed = passes(&mut command);
            assert_eq!(printed.matches(" passed for resource ").count(), 4, "{components:?}: {printed}");
        }
    }
}

#[test]
fn the_example_waits_by_the_same_image() {
    let built =
        passes(debian("usr/bin/kustomize").arg("build").arg(workspace_root().join("deploy/kubernetes/examples")));
    for version in VERSIONS {
        let (_folder, mut command) = validate(version, &built);
        assert_eq!(passes(&mut command).matches(" passed for resource ").count(), 1, "{built}");
    }
    let [pod] = &yaml::documents(&built)[..] else { panic!("not one pod:\n{built}") };
    assert_eq!(pod["spec"]["initContainers"][0]["image"], image());
}

#[test]
fn a_field_that_does_not_exist_is_refused() {
    let built = build(&[]).replace("readOnlyRootFilesystem", "readonlyRootFilesystem");
    let (_folder, mut command) = validate(VERSIONS[1], &built);
    refuses(&mut command, "readonlyRootFilesystem");
}

/// A probe that asks for other targets than are registered would never pass, or pass too early.
#[test]
fn probes_ask_for_what_is_registered() {
    for components in BUILDS {
        let set = daemon_set(&build(components));
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        let targets = |words: &Value| -> Vec<String> {
            let is_target = |word: &&str| !word.starts_with(['-', '/']) && !["register", "status"].contains(word);
            yaml::texts(words).into_iter().filter(is_target).map(str::to_owned).collect()
        };
        let registered = targets(&container["args"]);
        assert_eq!(registered.is_empty(), !components.contains(&"some-targets"), "{components:?}: {registered:?}");
        for probe in ["startupProbe", "readinessProbe"] {
            assert_eq!(targets(&container[probe]["exec"]["command"]), registered, "{components:?}: {probe}");
        }
        assert_eq!(container["image"], image());
    }
}
