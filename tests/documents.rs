//! The commands that the documents tell readers to type: those of code blocks, and those in running text. And for each of `deploy/` and
//! `docs/` how it is tested; README.md's have a test of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use xtask::workspace::workspace_root;

/// How commands begin, in blocks that are only indented and in running text.
const PROGRAMS: [&str; 18] = [
    ". ",
    "COPY ",
    "IMAGE ",
    "cargo ",
    "cosign ",
    "cp ",
    "crane ",
    "dist/",
    "docker ",
    "gh ",
    "kubectl ",
    "nsenter ",
    "oras ",
    "podman ",
    "registrar ",
    "sed ",
    "skopeo ",
    "systemctl ",
];

/// A command in running text has so many words; what has fewer is a name of something.
const WORDS: usize = 4;

/// How a command is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tested {
    /// The container tests type it, in the order of [`COMMANDS`].
    In(Environment),
    /// This test does the same; the words after its name say what differs.
    By(&'static str, &'static str),
    /// Nothing does, for this reason.
    Not(&'static str),
}

/// Where a command is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// In a checkout, as root, with docker.
    Docker,
    /// In a checkout, as root, with podman.
    Podman,
    /// In a folder with `dist` of the checkout, as an ordinary user with podman.
    User,
}

use Environment::{Docker, Podman, User};
use Tested::{By, In, Not};

const CLUSTER: Tested = Not("it needs a cluster; `kubernetes` of the container tests runs the same pod with podman");
const SYSTEMD: &str = "a_host_with_systemd_registers_and_keeps_its_handlers";
const COMPOSE: &str = "the_compose_file_registers_heals_and_leaves_handlers";
const DOCKERFILE: &str = "docker_builds_the_image_and_fetches_again_when_it_is_told_to";
const WEEKLY: &str = "the_weekly_workflows_update_build_push_sign_and_tag";
const RELEASE: &str = "a_release_is_archives_and_with_write_two_commits_and_a_tag";

/// Every command of `deploy/README.md` and the pages of `docs/`.
pub const COMMANDS: &[(&str, Tested)] = &[
    // docs/building.md
    ("cargo xtask fetch-and-build --target common --load docker", In(Docker)),
    ("cargo xtask image --load docker", In(Docker)),
    ("cargo xtask image", In(Docker)),
    ("cargo xtask image --release", In(Docker)),
    ("podman load -i dist/image.tar && podman run --rm localhost/registrar:10.1.0-1 --version", In(Podman)),
    ("cargo xtask image --host x86_64,aarch64,ppc64le,s390x --release --out dist/release", In(Docker)),
    ("oras cp -r --from-oci-layout dist/release:10.1.0-1 REGISTRY/registrar:10.1.0-1", In(Docker)),
    (
        "oras attach --artifact-type application/spdx+json REGISTRY/registrar:TAG \
         dist/x86_64/sbom.spdx.json:application/spdx+json",
        In(Docker),
    ),
    ("cargo xtask image --format docker", In(Docker)),
    ("cargo xtask inspect -v", In(Docker)),
    ("COPY --from=IMAGE /usr/bin/qemu-aarch64-static /usr/bin/", In(Docker)),
    ("COPY --from=IMAGE /usr/bin/qemu-aarch64-static /usr/bin/qemu-aarch64", In(Docker)),
    (
        "docker run --rm --privileged -v /proc/sys/fs/binfmt_misc:/binfmt_misc -v /opt:/opt localhost/registrar register \
         --copy-to /opt/registrar/bin",
        In(Docker),
    ),
    ("docker run --rm --network=none --cap-drop=ALL IMAGE verify arm64,riscv64 --wait 60", In(Docker)),
    (
        "podman run --rm --security-opt label=disable -v /proc/sys/fs/binfmt_misc:/binfmt_misc \"$IMAGE\" unregister",
        In(Podman),
    ),
    ("cargo xtask fetch-and-build", In(Docker)),
    ("cargo xtask fetch-and-build --load docker", In(Docker)),
    (
        "cargo xtask fetch-and-build --strict --host x86_64,aarch64,ppc64le,s390x",
        By(
            "each_hosts_image_is_for_that_host_and_its_registrar_runs_there",
            "a mirror of some emulators, not strictly",
        ),
    ),
    ("docker build -t registrar .", By(DOCKERFILE, "the builder is made here, and packages are this machine's")),
    (
        "docker build -t registrar --build-arg FETCH_DATE=$(date +%F) .",
        By(DOCKERFILE, "the builder is made here, and packages are this machine's"),
    ),
    (
        "docker build -t registrar --build-arg BUILDER=registry.fedoraproject.org/fedora@sha256:DIGEST .",
        By(DOCKERFILE, "the builder is made here, and packages are this machine's"),
    ),
    (
        "cargo xtask mirror --serve",
        Not("it serves until it is stopped; the mirror tests start the same server without the command"),
    ),
    // docs/rootless.md
    (
        "dist/$(uname -m)/rootfs/registrar run --bindir $PWD/dist/$(uname -m)/rootfs/usr/bin -- \
         ./program-of-another-machine",
        In(User),
    ),
    (
        "podman unshare dist/$(uname -m)/rootfs/registrar register --scope userns --bindir \
         $PWD/dist/$(uname -m)/rootfs/usr/bin",
        In(User),
    ),
    ("podman run --rm --platform linux/arm64 alpine uname -m", In(User)),
    ("podman build --platform linux/arm64 .", In(User)),
    ("podman unshare dist/$(uname -m)/rootfs/registrar unregister --scope userns", In(User)),
    (
        "podman unshare sh -c 'd=$(podman image mount localhost/registrar) && $d/registrar register --scope userns \
         --bindir $d/usr/bin'",
        In(User),
    ),
    (
        "nsenter --user --mount --preserve-credentials --target $(cat $XDG_RUNTIME_DIR/docker.pid) \
         $PWD/dist/$(uname -m)/rootfs/registrar register --scope userns --bindir $PWD/dist/$(uname -m)/rootfs/usr/bin",
        By("a_namespace_of_rootlesskit_can_be_entered", "a process stands in for dockerd"),
    ),
    // docs/persistence.md
    (
        "docker run --rm --privileged -v /:/host localhost/registrar persist --root /host --format systemd",
        By(SYSTEMD, "the host is a container of systemd-nspawn, and registrar in none"),
    ),
    ("systemctl restart systemd-binfmt", By(SYSTEMD, "in that host")),
    (
        "docker run --rm --privileged -v /:/host localhost/registrar unpersist --root /host",
        By(SYSTEMD, "from outside of the host"),
    ),
    ("registrar status --persisted --root DIR", By("persist/boot/said_later", "the host is a folder")),
    // docs/publishing.md, docs/security.md
    ("cargo xtask release 1.0.0", By(RELEASE, "for one host")),
    ("cargo xtask release 1.0.0 --write --image ghcr.io/OWNER/REPOSITORY@sha256:DIGEST", By(RELEASE, "for one host")),
    (
        "cosign verify ghcr.io/OWNER/REPOSITORY@sha256:DIGEST --certificate-identity \
         https://github.com/OWNER/REPOSITORY/.github/workflows/image.yml@refs/heads/main --certificate-oidc-issuer \
         https://token.actions.githubusercontent.com",
        Not(
            "nothing is published yet, and GitHub alone can sign so; the test of the weekly workflows verifies with a local key",
        ),
    ),
    ("cosign verify --key cosign.pub IMAGE", By(WEEKLY, "without Sigstore's public log")),
    (
        "gh attestation verify oci://ghcr.io/OWNER/REPOSITORY@sha256:DIGEST --repo OWNER/REPOSITORY",
        Not("it asks GitHub for what GitHub has signed"),
    ),
    ("cargo xtask fetch-and-build --locked", By(WEEKLY, "strictly too")),
    ("cargo xtask fetch-and-build --locked --strict", By(WEEKLY, "with a mirror that stands in for Fedora")),
    // docs/compat.md, docs/fleet.md, docs/comparison.md
    (
        "docker run --rm --privileged IMAGE --install all",
        By("setup_qemu_actions_calls_do_what_it_expects", "podman, and one platform"),
    ),
    ("cargo xtask bench fleet", Not("a measurement, which other tests at the same time would spoil")),
    ("cargo xtask bench register", Not("a measurement, which other tests at the same time would spoil")),
    ("cargo xtask bench pull", Not("a measurement, which other tests at the same time would spoil")),
    (
        "cargo xtask fetch-and-build --target common --out dist/common",
        Not("the same as with --load, for a measurement"),
    ),
    // deploy/README.md
    ("kubectl apply -k deploy/kubernetes/base", CLUSTER),
    ("kubectl -n registrar rollout status daemonset/registrar", CLUSTER),
    ("kubectl -n registrar exec daemonset/registrar -- /registrar verify", CLUSTER),
    ("kubectl -n registrar describe pod", CLUSTER),
    ("kubectl wait --for=condition=Ready pod/CHECK && kubectl taint node NODE foreign-programs-", CLUSTER),
    ("docker compose -f deploy/compose.yaml up --detach --wait", By(COMPOSE, "Debian 13's program of that name")),
    (
        "docker compose -f deploy/compose.yaml exec registrar /registrar verify",
        By(COMPOSE, "Debian 13's program of that name"),
    ),
    ("docker compose -f deploy/compose.yaml down", By(COMPOSE, "Debian 13's program of that name")),
    (
        "docker compose -f deploy/compose.yaml run --rm registrar unregister",
        By(COMPOSE, "Debian 13's program of that name"),
    ),
    (
        "podman exec registrar /registrar verify --bindir /opt/registrar/bin",
        By("the_selinux_components_container_copies_emulators_without_any_capability", "a pod with the same copies"),
    ),
    (". deploy/image/image.env", By("podmans_unit_becomes_a_service", "the file goes to another folder")),
    (
        "sed \"s,Image=IMAGE,Image=$IMAGE,\" deploy/podman/registrar.container > \
         /etc/containers/systemd/registrar.container",
        By("podmans_unit_becomes_a_service", "the file goes to another folder"),
    ),
    (
        "systemctl daemon-reload && systemctl start registrar",
        Not("it needs podman 5 on a host with systemd; `units` reads the service that podman makes of the file"),
    ),
    ("registrar persist --root / --format systemd --unit", By(SYSTEMD, "from outside of the host")),
    (
        "dist/$(uname -m)/rootfs/registrar persist --root / --format systemd --unit --bindir \
         $PWD/dist/$(uname -m)/rootfs/usr/bin",
        By(SYSTEMD, "from outside of the host"),
    ),
    ("systemctl daemon-reload && systemctl restart registrar", By(SYSTEMD, "systemd starts it at the host's boot")),
    ("systemctl stop registrar", By(SYSTEMD, "in that host")),
    ("/opt/registrar/bin/registrar unregister", By(SYSTEMD, "in a user namespace")),
    ("dist/$(uname -m)/rootfs/registrar unpersist --root /", By(SYSTEMD, "from outside of the host")),
    (
        "cp deploy/apparmor/registrar /etc/apparmor.d/ && apparmor_parser --replace /etc/apparmor.d/registrar",
        By("profile_in_deploy_holds_for_run", "from another folder, on Debian's kernel"),
    ),
];

/// The documents of [`COMMANDS`].
fn documents() -> Vec<String> {
    let pages =
        fs::read_dir(workspace_root().join("docs")).expect("docs").map(|file| file.expect("a file").file_name());
    let pages = pages.filter_map(|name| name.into_string().ok()).filter(|name| name.ends_with(".md"));
    ["deploy/README.md".to_owned()].into_iter().chain(pages.map(|name| format!("docs/{name}"))).collect()
}

/// Every command that they have, with the documents that have it.
///
/// # Panics
/// If they cannot be read.
pub fn commands() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in documents() {
        let mut document = Document::read(&path);
        document.inline.retain(|code| code.split(' ').count() >= WORDS);
        for command in document.commands() {
            found.entry(command.to_owned()).or_default().insert(path.clone());
        }
    }
    found
}

/// A document's commands.
#[derive(Debug)]
pub struct Document {
    /// Lines of each code block. A line that ends with a backslash is joined with the next.
    pub blocks: Vec<Vec<String>>,
    /// Commands in running text and tables.
    pub inline: Vec<String>,
}

impl Document {
    /// Reads one, named from the workspace's root.
    ///
    /// # Panics
    /// If it cannot be read.
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self::of(&text)
    }

    /// Of a document's text.
    pub fn of(text: &str) -> Self {
        let (mut blocks, mut inline) = (Vec::new(), Vec::new());
        for (number, part) in text.split("```").enumerate() {
            if number % 2 == 1 {
                blocks.extend(part.strip_prefix("sh\n").map(|block| lines(&block.replace("\\\n", ""))));
                continue;
            }
            let indented = part.lines().map(|line| line.strip_prefix("    ").filter(|line| is_command(line)));
            let indented: Vec<_> = indented.collect();
            let is_block = |block: &&[Option<&str>]| block.iter().any(Option::is_some);
            for block in indented.split(Option::is_none).filter(is_block) {
                blocks.push(lines(&block.iter().flatten().copied().collect::<Vec<_>>().join("\n")));
            }
            let code =
                part.split('`').skip(1).step_by(2).map(|code| code.split_whitespace().collect::<Vec<_>>().join(" "));
            inline.extend(code.filter(|code| is_command(code)));
        }
        Self { blocks, inline }
    }

    /// The one block with a line that contains this.
    ///
    /// # Panics
    /// If there is none.
    pub fn block(&self, part: &str) -> &[String] {
        let is_it = |block: &&Vec<String>| block.iter().any(|line| line.contains(part));
        self.blocks.iter().find(is_it).unwrap_or_else(|| panic!("no block has {part}"))
    }

    /// All commands, without their comments.
    pub fn commands(&self) -> impl Iterator<Item = &str> {
        let lines = self.blocks.iter().flatten().map(|line| split(line).0);
        lines.chain(self.inline.iter().map(String::as_str))
    }
}

/// A line without its comment, and the comment.
pub fn split(line: &str) -> (&str, &str) {
    let (command, comment) = line.split_once(" # ").unwrap_or((line, ""));
    (command.trim(), comment.trim())
}

fn lines(block: &str) -> Vec<String> {
    block.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Whether it is a whole command: a word about a program, or one with something left out, is none.
fn is_command(code: &str) -> bool {
    PROGRAMS.iter().any(|program| code.starts_with(program)) && !code.contains('…')
}
