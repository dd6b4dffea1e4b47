//! What `deploy/kubernetes` builds, alone and with each component, held against Kubernetes' own schemas.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::tools::{debian, passes, python, refuses};
use tests::yaml;
use xtask::workspace::workspace_root;

const VALIDATE: &str = "kubernetes-validate";

/// Oldest and newest of the schemas that are asked: what is used has long been there.
const VERSIONS: [&str; 2] = ["1.25", "1.37"];

const IMAGE: &str = "registry.invalid/registrar:10.1.0-1";

/// Components that are taken together, and the words that `register` gets and those that it shares with `status`.
const BUILDS: [(&[&str], &[&str], &[&str]); 6] = [
    (&[], &[], &[]),
    (&["selinux"], &[], &[]),
    (&["some-targets"], &[], &["arm64,riscv64"]),
    (&["remove"], &["--unregister-on-exit"], &[]),
    (&["selinux", "remove"], &["--unregister-on-exit"], &[]),
    (&["selinux", "remove", "some-targets"], &["--unregister-on-exit"], &["arm64,riscv64"]),
];

/// What kustomize makes of the base and components, with a user's image: as `deploy/README.md` has it.
fn build(components: &[&str]) -> String {
    let folder = TempDir::new().expect("a folder");
    // kustomize takes no absolute paths.
    std::os::unix::fs::symlink(workspace_root().join("deploy"), folder.path().join("deploy")).expect("a link");
    let components: Vec<_> = components.iter().map(|name| format!("deploy/kubernetes/components/{name}")).collect();
    let (name, tag) = IMAGE.rsplit_once(':').expect("a tag");
    let text = json!({
        "resources": ["deploy/kubernetes/base"],
        "components": components,
        "images": [{ "name": "IMAGE", "newName": name, "newTag": tag }],
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
    for (components, _, _) in BUILDS {
        let built = build(components);
        for version in VERSIONS {
            let (_folder, mut command) = validate(version, &built);
            let said = passes(&mut command);
            assert_eq!(said.matches(" passed for resource ").count(), 4, "{components:?}: {said}");
        }
    }
}

#[test]
fn a_field_that_does_not_exist_is_refused() {
    let built = build(&[]).replace("readOnlyRootFilesystem", "readonlyRootFilesystem");
    let (_folder, mut command) = validate(VERSIONS[1], &built);
    refuses(&mut command, "readonlyRootFilesystem");
}

#[test]
fn probes_ask_for_what_is_registered() {
    for (components, of_register, of_both) in BUILDS {
        let built = build(components);
        let set = daemon_set(&built);
        let container = &set["spec"]["template"]["spec"]["containers"][0];
        let mut args: Vec<_> = yaml::texts(&container["args"]);
        args.sort_unstable();
        let mut expected = [&["register", "--stay"], of_register, of_both].concat();
        expected.sort_unstable();
        assert_eq!(args, expected, "{components:?}");
        for probe in ["startupProbe", "readinessProbe"] {
            let command = yaml::texts(&container[probe]["exec"]["command"]);
            assert_eq!(command, [&["/registrar", "status", "--check"], of_both].concat(), "{components:?}: {probe}");
        }
        assert_eq!(container["image"], IMAGE);
    }
}

/// Whatever is asked of the nodes is here: what is not named is not allowed, and what is has these values.
#[test]
fn pods_have_no_more_rights_than_they_need() {
    for (components, _, _) in BUILDS {
        let set = daemon_set(&build(components));
        let pod = &set["spec"]["template"]["spec"];
        let selinux = components.contains(&"selinux");
        for asked in ["hostNetwork", "hostPID", "hostIPC", "initContainers", "priorityClassName"] {
            assert_eq!(pod[asked], Value::Null, "{components:?}: {asked}");
        }
        assert_eq!(pod["automountServiceAccountToken"], false);
        let of_pod = json!({ "runAsUser": 0, "runAsGroup": 0, "seccompProfile": { "type": "RuntimeDefault" } });
        assert_eq!(pod["securityContext"], of_pod, "{components:?}");
        let mut of_container = json!({
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        });
        let mut folders = vec![json!({ "path": "/proc/sys/fs/binfmt_misc", "type": "Directory" })];
        if selinux {
            of_container["seLinuxOptions"] = json!({ "type": "spc_t" });
            folders.push(json!({ "path": "/opt/registrar/bin", "type": "DirectoryOrCreate" }));
        }
        let containers = pod["containers"].as_array().expect("containers");
        assert_eq!(containers.len(), 1, "{components:?}");
        assert_eq!(containers[0]["securityContext"], of_container, "{components:?}");
        assert_eq!(containers[0]["livenessProbe"], Value::Null, "{components:?}");
        let volumes = pod["volumes"].as_array().expect("volumes");
        let mut found: Vec<_> = volumes.iter().map(|volume| volume["hostPath"].clone()).collect();
        found.sort_by_key(|folder| folder["type"] != "Directory");
        assert_eq!(found, folders, "{components:?}");
    }
}
