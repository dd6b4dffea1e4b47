//! The DaemonSet's container as podman runs it, with its probes. Each field of its specification becomes an option, and
//! one that is not known here fails the test.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::host::{self, Host};
use tests::podman::Podman;
use tests::process;
use tests::yaml;
use xtask::workspace::target_dir;

use super::{ENTRYPOINT, HANDLER, IMAGE, is_handler_there, pack, remove_handler, runs, wait_until};
use crate::hello;

const BASE: &str = "deploy/kubernetes/base/daemonset.yaml";
const SELINUX: &str = "deploy/kubernetes/components/selinux/daemonset.yaml";

/// Options of `podman run`.
fn options(pod: &Value, copies: &Path) -> Vec<String> {
    let container = &pod["containers"][0];
    let mut options = Vec::new();
    let of = |value: &Value| value.as_object().cloned().unwrap_or_default();
    for (key, value) in of(&pod["securityContext"]) {
        match key.as_str() {
            "runAsUser" => options.push(format!("--user={value}:{}", pod["securityContext"]["runAsGroup"])),
            // Goes with the user; podman's own default.
            "runAsGroup" => {}
            "seccompProfile" => assert_eq!(value["type"], "RuntimeDefault"),
            other => panic!("securityContext of the pod: {other}"),
        }
    }
    for (key, value) in of(&container["securityContext"]) {
        match key.as_str() {
            "allowPrivilegeEscalation" if value == false => options.push("--security-opt=no-new-privileges".into()),
            "readOnlyRootFilesystem" if value == true => {
                options.extend(["--read-only".into(), "--read-only-tmpfs=false".into()]);
            }
            "capabilities" => {
                options.extend(yaml::texts(&value["drop"]).iter().map(|name| format!("--cap-drop={name}")));
                assert_eq!(value["add"], Value::Null);
            }
            "seLinuxOptions" => {
                options.push(format!("--security-opt=label=type:{}", value["type"].as_str().expect("a type")))
            }
            other => panic!("securityContext of the container: {other}"),
        }
    }
    for variable in container["env"].as_array().into_iter().flatten() {
        let [name, value] = ["name", "value"].map(|key| variable[key].as_str().expect("text"));
        options.push(format!("--env={name}={value}"));
    }
    for mount in container["volumeMounts"].as_array().expect("mounts") {
        let volumes = pod["volumes"].as_array().expect("volumes");
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).expect("a volume of that name");
        let [path, at] = [&volume["hostPath"]["path"], &mount["mountPath"]].map(|path| path.as_str().expect("a path"));
        match volume["hostPath"]["type"].as_str() {
            Some("Directory") => options.push(format!("--volume={path}:{at}")),
            // The host's own stays as it is.
            Some("DirectoryOrCreate") => options.push(format!("--volume={}:{at}", copies.display())),
            other => panic!("{path}: {other:?}"),
        }
    }
    if let Some(limit) = container["resources"]["limits"]["memory"].as_str() {
        options.push(format!("--memory={}", bytes(limit)));
    }
    // Nothing of the node's is asked for, which is podman's default too.
    assert!(["hostNetwork", "hostPID", "hostIPC"].iter().all(|key| pod[*key].is_null()));
    options
}

/// `16Mi`, in bytes.
fn bytes(quantity: &str) -> u64 {
    let number = quantity.strip_suffix("Mi").and_then(|number| number.parse::<u64>().ok());
    number.unwrap_or_else(|| panic!("{quantity} is not in Mi")) << 20
}

/// A container, removed when it is dropped.
struct Container<'a> {
    podman: &'a Podman,
    id: String,
}

impl<'a> Container<'a> {
    fn start(podman: &'a Podman, options: &[String], arguments: &[&str]) -> Self {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        // The policy forbids traffic.
        let id = podman.run(&[&["run", "--detach", "--network=none"], &options[..], &[IMAGE], arguments].concat());
        Self { podman, id: id.trim().into() }
    }

    /// Executes a probe's command; whether it succeeds, and what it says.
    fn passes(&self, probe: &[&str]) -> (bool, String) {
        let output = self.podman.command().args(["exec", &self.id]).args(probe).output().expect("running podman");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Its first process, by the host's number.
    fn process(&self) -> u32 {
        self.podman.run(&["inspect", "--format={{.State.Pid}}", &self.id]).trim().parse().expect("a number")
    }

    /// As the kubelet does it.
    fn stop(&self) {
        self.podman.run(&["stop", "--time=10", &self.id]);
        let code = self.podman.run(&["inspect", "--format={{.State.ExitCode}}", &self.id]);
        assert_eq!(code.trim(), "0", "it was killed, or failed");
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = self.podman.command().args(["rm", "--force", &self.id]).output();
    }
}

/// podman with the image, and a folder for the test.
fn prepared() -> (Podman, tempfile::TempDir) {
    let scratch = target_dir().join("containers");
    fs::create_dir_all(&scratch).expect("a folder for podman");
    let (podman, folder) = (Podman::new(&scratch), tempfile::tempdir_in(&scratch).expect("a folder"));
    podman.run(&["import", "--quiet", "--change", ENTRYPOINT, &pack(folder.path()), IMAGE]);
    (podman, folder)
}

#[test]
fn the_daemon_sets_container_is_ready_heals_and_leaves_handlers() {
    let (podman, folder) = prepared();
    let hello = hello(folder.path());
    let pod = &yaml::file(BASE)["spec"]["template"]["spec"];
    let spec = &pod["containers"][0];
    let [started, ready] = ["startupProbe", "readinessProbe"].map(|probe| yaml::texts(&spec[probe]["exec"]["command"]));
    let arguments = yaml::texts(&spec["args"]);

    let host = Host::mounted();
    let container = Container::start(&podman, &options(pod, folder.path()), &arguments);
    let took = wait_until("started", || container.passes(&started).0);
    println!("started after {took:?}: {}", container.passes(&ready).1.lines().last().unwrap_or_default());
    assert!(container.passes(&ready).0 && runs(&hello));

    // It may look in the moment between, but not again and again.
    let seen = (0..5).find_map(|_| {
        remove_handler();
        let (is_ready, printed) = container.passes(&ready);
        wait_until("put back", is_handler_there);
        (!is_ready).then_some(printed)
    });
    assert!(seen.is_some_and(|printed| printed.contains(HANDLER)), "the probe does not tell that a handler is gone");
    remove_handler();
    let took = wait_until("put back", is_handler_there);
    println!("put back after {took:?}");
    assert!(container.passes(&ready).0 && runs(&hello));

    // Within the limits that the pod has.
    let (is_well, printed) = container.passes(&["/registrar", "verify"]);
    assert!(is_well, "{printed}");
    assert!(process::is_confined(container.process()).expect("its status"), "it has capabilities, or could gain them");
    let peak = process::peak_rss(container.process()).expect("its memory");
    let request = bytes(spec["resources"]["requests"]["memory"].as_str().expect("text"));
    println!("peak memory of its process: {peak} bytes");
    assert!(peak <= request / 2, "{peak} of {request} bytes");

    container.stop();
    assert!(runs(&hello), "handlers vanish while pods are exchanged");
    let removing =
        Container::start(&podman, &options(pod, folder.path()), &[&arguments[..], &["--unregister-on-exit"]].concat());
    wait_until("started", || removing.passes(&started).0);
    removing.stop();
    assert!(!runs(&hello));
    assert_eq!(host::entries(), host.before);
}

#[test]
fn the_selinux_components_container_copies_emulators_without_any_capability() {
    let (podman, folder) = prepared();
    let hello = hello(folder.path());
    let copies = folder.path().join("bin");
    fs::create_dir(&copies).expect("a folder");
    let pods = [BASE, SELINUX].map(|file| yaml::file(file)["spec"]["template"]["spec"].clone());
    let [all, more] = pods.each_ref().map(|pod| options(pod, &copies));
    let probe = yaml::texts(&pods[0]["containers"][0]["readinessProbe"]["exec"]["command"]);
    let arguments = yaml::texts(&pods[0]["containers"][0]["args"]);
    // As in the component of some targets.
    let [probe, arguments] = [probe, arguments].map(|words| [&words[..], &["arm64"]].concat());

    let _host = Host::mounted();
    // The component's come last, and so win.
    let options: Vec<String> = all.into_iter().chain(more).collect();
    let container = Container::start(&podman, &options, &arguments);
    wait_until("started", || container.passes(&probe).0);
    let entry = host::entries().remove(HANDLER).expect("an entry");
    assert!(entry.contains("interpreter /opt/registrar/bin/qemu-aarch64-static"), "{entry}");
    assert!(runs(&hello));
    let names: Vec<_> = fs::read_dir(&copies).expect("copies").map(|file| file.expect("a file").file_name()).collect();
    assert!(names.iter().any(|name| name == "qemu-aarch64-static"), "{names:?}");
    let (is_well, said) = container.passes(&["/registrar", "verify", "--bindir", "/opt/registrar/bin"]);
    assert!(is_well, "{said}");
    container.stop();
}
