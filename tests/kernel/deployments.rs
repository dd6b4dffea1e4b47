//! Every way of deployment beside a translator that is no QEMU, as Rosetta is on a Mac and box64 on arm64: the command lines
//! are those of the files of `deploy/` and of `action.yml`, and each is run. A file that cannot be read so fails the test.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{action, yaml};
use xtask::workspace::workspace_root;

use crate::resident::Resident;
use crate::sandbox::{Sandbox, line, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[
    test("deployments/all_leaves_what_a_translator_serves", all_leaves_what_a_translator_serves),
    test("deployments/files_that_are_not_known_are_seen", files_that_are_not_known_are_seen),
];

/// Its programs the translator runs; `arm64` in the files.
const TARGET: &str = "aarch64";
const OURS: &str = "qemu-aarch64";
const TRANSLATOR: &str = "box64";

/// One that nobody else serves, which each file registers.
const OTHER: &str = "qemu-riscv64";

/// Where the files have emulators that are not in an image.
const FOLDER: &str = "/opt/registrar/bin";

const BASE: &str = "deploy/kubernetes/base/daemonset.yaml";

type Words = Vec<String>;

/// What a file starts.
#[derive(Debug, Default)]
struct Deployment {
    from: String,
    environment: Vec<(String, String)>,
    /// Each after the one before it, of which the last may stay.
    commands: Vec<Words>,
    /// To succeed while that one stays.
    probes: Vec<Words>,
}

fn all_leaves_what_a_translator_serves(sandbox: &Sandbox) {
    let translator = sandbox.scratch().join(TRANSLATOR);
    fs::copy(format!("/usr/bin/qemu-{TARGET}-static"), &translator).expect("copied");
    sandbox.add(&line(TARGET, TRANSLATOR, translator.to_str().expect("text"), "POCF"));
    let opt = sandbox.scratch().join("opt");
    fs::create_dir(&opt).expect("a folder");
    mount(Some(&opt), "/opt", None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("bound");
    let files = files();
    let deployments: Vec<_> = files.iter().flat_map(|file| deployments(file)).collect();
    for deployment in &deployments {
        println!("{deployment:?}");
        carry_out(sandbox, deployment);
    }
    let count = |what: &str| deployments.iter().filter(|one| one.from.ends_with(what)).count();
    assert!([".container", ".service", "compose.yaml", "base/daemonset.yaml"].iter().all(|file| count(file) == 1));
    for inputs in [&[][..], &[("platforms", "linux/arm64,riscv64")], &[("reset", "true")]] {
        carry_out_action(sandbox, inputs);
    }
}

fn files_that_are_not_known_are_seen(_: &Sandbox) {
    for (name, text) in [("new.nomad", "args = [\"register\"]"), ("job.yaml", "kind: Job\nspec: {}\n")] {
        let read = std::panic::catch_unwind(|| of_text(name, text));
        assert!(read.is_err(), "{name}: {read:?}");
    }
}

/// Runs what a file says, removes it, and sees who serves meanwhile and after it.
fn carry_out(sandbox: &Sandbox, deployment: &Deployment) {
    let Deployment { from, environment, commands, probes } = deployment;
    let before = sandbox.entries();
    prepare_folder(environment.is_empty());
    let command = |words: &Words| {
        let mut command = Command::new(sandbox.registrar());
        command.args(words).env("REGISTRAR_SCOPE", "userns").envs(environment.iter().cloned());
        command
    };
    let (mut resident, mut is_registered, mut is_named) = (None, false, false);
    for words in commands {
        is_registered |= words[0] == "register";
        is_named |= words.iter().any(|word| word.split(',').any(|name| name == "arm64"));
        if words.contains(&"--stay".into()) {
            resident = Some(Resident::of(&mut command(words)));
        } else {
            let ran = ran(&mut command(words));
            assert_eq!(ran.code, Some(0), "{from}: {words:?}: {}{}", ran.out, ran.err);
        }
    }
    for words in probes {
        let ran = ran(&mut command(words));
        assert_eq!(ran.code, Some(0), "{from}: {words:?}: {}{}", ran.out, ran.err);
    }
    check(sandbox, from, is_registered, is_registered && is_named);
    if let Some(resident) = resident {
        assert_eq!(resident.end(Signal::SIGTERM), (Some(0), String::new()), "{from}");
    }
    if commands.iter().flatten().any(|word| word == "--unregister-on-exit") {
        assert_eq!(sandbox.entries(), before, "{from}");
    }
    remove(sandbox);
    assert_eq!(sandbox.entries(), before, "{from}");
}

/// Who serves the target now, which the translator serves unless it `is_named`.
fn check(sandbox: &Sandbox, from: &str, is_registered: bool, is_named: bool) {
    let names = sandbox.names();
    let is_there = |name: &str| names.iter().any(|one| one == name);
    assert_eq!(is_there(OURS), is_named, "{from}: {names:?}");
    assert_eq!(is_there(OTHER), is_registered, "{from}: {names:?}");
    assert!(is_there(TRANSLATOR), "{from}: {names:?}");
    serves(sandbox, from, if is_named { OURS } else { TRANSLATOR });
}

fn serves(sandbox: &Sandbox, from: &str, entry: &str) {
    let out = sandbox.succeeds(&["verify", "--json", TARGET]);
    assert!(out.contains(&format!("\"entry\": \"{entry}\"")), "{from}: {out}");
}

/// Gives the target back, and then the rest.
fn remove(sandbox: &Sandbox) {
    sandbox.succeeds(&["unregister", "arm64"]);
    serves(sandbox, "unregister arm64", TRANSLATOR);
    sandbox.succeeds(&["unregister"]);
}

/// An empty folder, as before emulators are copied there, or one that `has_emulators`.
fn prepare_folder(has_emulators: bool) {
    let _ = fs::remove_dir_all(FOLDER);
    fs::create_dir_all(FOLDER).expect("a folder");
    for file in fs::read_dir("/usr/bin").expect("programs").filter(|_| has_emulators) {
        let file = file.expect("a file");
        if file.file_name().to_string_lossy().ends_with("-static") {
            symlink(file.path(), Path::new(FOLDER).join(file.file_name())).expect("a link");
        }
    }
}

/// The action's script, with a docker that runs `registrar` here.
fn carry_out_action(sandbox: &Sandbox, inputs: &[(&str, &str)]) {
    const DOCKER: &str = "#!/bin/sh\n[ \"$1\" = run ] || exit 0\nwhile [ \"$1\" != -- ]; do shift; done; shift 2\n\
                          exec $REGISTRAR \"$@\"\n";
    let before = sandbox.entries();
    let programs = sandbox.scratch().join("programs");
    fs::create_dir_all(&programs).expect("a folder");
    let docker = programs.join("docker");
    fs::write(&docker, DOCKER).expect("a script");
    fs::set_permissions(&docker, Permissions::from_mode(0o755)).expect("executable");
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let inputs = [inputs, &[("image", "registrar")]].concat();
    let outputs = action::run(&inputs, |bash| {
        bash.env("PATH", &path).env("REGISTRAR", sandbox.registrar()).env("REGISTRAR_SCOPE", "userns");
    });
    let outputs = outputs.expect("the action succeeds");
    assert!(outputs["platforms"].contains("linux/arm64"), "{outputs:?}");
    check(sandbox, "action.yml", true, inputs.iter().any(|(name, _)| *name == "platforms"));
    remove(sandbox);
    assert_eq!(sandbox.entries(), before);
}

/// All files of `deploy/`, named from the workspace's root.
fn files() -> Vec<String> {
    let mut folders = vec![PathBuf::from("deploy")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(workspace_root().join(&folder)).expect("a folder") {
            let file = file.expect("a file");
            let path = folder.join(file.file_name());
            if file.path().is_dir() {
                folders.push(path);
            } else {
                files.push(path.to_str().expect("text").to_owned());
            }
        }
    }
    files.sort();
    files
}

fn deployments(file: &str) -> Vec<Deployment> {
    of_text(file, &fs::read_to_string(workspace_root().join(file)).expect(file))
}

fn of_text(file: &str, text: &str) -> Vec<Deployment> {
    let name = Path::new(file).file_name().and_then(|name| name.to_str()).expect("text");
    let mut found = match name.rsplit_once('.').map(|(_, end)| end) {
        Some("yaml") => yaml::documents(text).iter().flat_map(of_document).collect(),
        Some("container" | "service") => vec![of_unit(text)],
        // Commands that are typed: `persist/leaves_what_another_serves_now` has those that register.
        Some("md") => Vec::new(),
        _ => match file {
            "deploy/.env" | "deploy/image/image.env" | "deploy/apparmor/registrar" => Vec::new(),
            _ => panic!("{file}: read its command lines here"),
        },
    };
    found.iter_mut().for_each(|one| one.from = file.into());
    found
}

/// A unit of systemd or podman.
fn of_unit(text: &str) -> Deployment {
    let values = |keys: &[&str]| -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.split_once('='));
        lines.filter(|(key, _)| keys.contains(key)).map(|(_, value)| value).collect()
    };
    let environment = values(&["Environment"]);
    let split = |line: &&str| line.split(' ').map(str::to_owned).collect::<Words>();
    // podman's own ExecStartPre makes a folder.
    let commands = values(&["Exec", "ExecStartPre", "ExecStart"]);
    let commands = commands.iter().filter(|line| !line.starts_with("mkdir ")).map(split).map(without_program);
    let probes = values(&["HealthCmd"]);
    let probes = probes.iter().map(|list| without_program(serde_json::from_str(list).expect("a list")));
    Deployment {
        environment: environment.iter().filter_map(|text| text.split_once('=')).map(owned).collect(),
        commands: commands.collect(),
        probes: probes.collect(),
        ..Deployment::default()
    }
}

fn of_document(document: &Value) -> Vec<Deployment> {
    if let Some(services) = document["services"].as_object() {
        let environment = |service: &Value| assert!(service["environment"].is_null());
        return services.values().inspect(|service| environment(service)).map(of_service).collect();
    }
    match document["kind"].as_str() {
        Some("DaemonSet") => vec![of_pod(&whole(document)["spec"]["template"]["spec"])],
        Some("Pod") => vec![of_pod(&document["spec"])],
        Some("Component" | "Kustomization") => {
            let patches = document["patches"].as_array().into_iter().flatten();
            patches.filter_map(|patch| patch["patch"].as_str()).map(of_patch).collect()
        }
        Some("Namespace" | "NetworkPolicy" | "ServiceAccount") => Vec::new(),
        other => panic!("{other:?}: read the command lines of this kind here"),
    }
}

fn of_service(service: &Value) -> Deployment {
    Deployment {
        commands: vec![words(&service["command"])],
        probes: vec![words(&service["healthcheck"]["test"])],
        ..Deployment::default()
    }
}

/// Of the containers that are of our image.
fn of_pod(pod: &Value) -> Deployment {
    let mut found = Deployment::default();
    for container in [&pod["initContainers"], &pod["containers"]].into_iter().filter_map(Value::as_array).flatten() {
        if container["image"] != "IMAGE" {
            continue;
        }
        found.commands.push(words(&container["args"]));
        let probes = ["startupProbe", "readinessProbe", "livenessProbe"].map(|probe| &container[probe]);
        let probes = probes.into_iter().filter(|probe| !probe.is_null());
        found.probes.extend(probes.map(|probe| words(&probe["exec"]["command"])));
        for variable in container["env"].as_array().into_iter().flatten() {
            found.environment.push(owned(["name", "value"].map(|key| variable[key].as_str().expect("text")).into()));
        }
    }
    found
}

/// The DaemonSet after a patch by RFC 6902, of which the files use "add" at a list's end.
fn of_patch(patch: &str) -> Deployment {
    let mut base = yaml::file(BASE);
    for operations in yaml::documents(patch) {
        for operation in operations.as_array().expect("operations") {
            assert_eq!(operation["op"], "add", "{operation}");
            let path = operation["path"].as_str().and_then(|path| path.strip_suffix("/-")).expect("a list's end");
            let list = base.pointer_mut(path).and_then(Value::as_array_mut).expect("a list");
            list.push(operation["value"].clone());
        }
    }
    of_pod(&base["spec"]["template"]["spec"])
}

/// A DaemonSet, or what a patch of one makes of the base.
fn whole(document: &Value) -> Value {
    let containers = "/spec/template/spec/containers/0";
    let patch = document.pointer(containers).expect("a container");
    if patch.get("image").is_some() {
        return document.clone();
    }
    assert!(patch["args"].is_null() && patch["startupProbe"].is_null() && patch["readinessProbe"].is_null());
    let mut base = yaml::file(BASE);
    let container = base.pointer_mut(containers).and_then(Value::as_object_mut).expect("a container");
    assert!(!container.contains_key("env"));
    container.insert("env".into(), patch.get("env").cloned().unwrap_or(json!([])));
    base
}

fn words(list: &Value) -> Words {
    without_program(yaml::texts(list).into_iter().map(str::to_owned).collect())
}

/// A command's arguments, where it begins with the program's path.
fn without_program(mut words: Words) -> Words {
    while words.first().is_some_and(|word| word == "CMD" || word.ends_with("/registrar")) {
        words.remove(0);
    }
    assert!(!words.is_empty(), "no command");
    words
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}
