//! The SBOM, read by other means than it was written with, and the command that holds a result against it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use xtask::system;
use xtask::system::host::Host;
use xtask::workspace::workspace_root;

use crate::command::CommandResult;
use crate::fixture::{MIRROR, key, text};

/// A build of two emulators, in a folder that goes with it.
fn built() -> CommandResult {
    let repository = MIRROR.repo();
    let arguments = ["--source", text(&repository), "--key", key(), "--target", "arm", "386", "--offline"];
    let built = CommandResult::build(tempfile::tempdir().expect("a temporary folder"), &arguments);
    assert!(built.good, "{}", built.stderr);
    built
}

/// Runs `xtask inspect`.
pub(crate) fn inspect(out: &Path, arguments: &[&str]) -> Output {
    let mut inspect = Command::new(env!("CARGO_BIN_EXE_tested-xtask"));
    inspect.arg("inspect").arg("--out").arg(out).args(arguments).output().expect("running xtask")
}

/// Its one line of failure.
#[track_caller]
fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "it went well: {}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    stderr
}

fn document(host: &Path) -> Value {
    let bytes = fs::read(host.join("sbom.spdx.json")).expect("an SBOM");
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The entries of a list.
#[track_caller]
fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn string<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What `sha1sum` or its like says of all plain files below a folder, by their paths (`./usr/bin/…`).
fn sums(tool: &str, folder: &Path) -> BTreeMap<String, String> {
    let mut find = Command::new("find");
    find.args([".", "-type", "f", "-exec", tool, "{}", "+"]).current_dir(folder);
    let printed = system::run(&mut find).expect("find").stdout;
    let printed = String::from_utf8(printed).expect("text");
    let pairs = printed.lines().map(|line| line.split_once("  ").expect("a sum and a path"));
    pairs.map(|(sum, path)| (path.to_owned(), sum.to_owned())).collect()
}

/// The sum of one text.
fn sum(tool: &str, content: &str) -> String {
    let mut child =
        Command::new(tool).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starting a summing tool");
    child.stdin.take().expect("its input").write_all(content.as_bytes()).expect("writing to it");
    let output = child.wait_with_output().expect("its output");
    String::from_utf8_lossy(&output.stdout).split(' ').next().unwrap_or_default().to_owned()
}

/// What `rpm` says of a package of the mirror.
fn query(name: &str, format: &str) -> String {
    let start = format!("{name}-{}-", MIRROR.version);
    let is_it = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start));
    let package = MIRROR.packages().expect("the packages").into_iter().find(is_it).expect("that package");
    let mut rpm = Command::new("rpm");
    let printed = system::run(rpm.args(["-qp", "--nosignature", "--qf", format]).arg(package)).expect("rpm").stdout;
    String::from_utf8(printed).expect("text")
}

/// The elements that an element has one kind of relationship to.
fn related<'a>(document: &'a Value, id: &str, kind: &str) -> BTreeSet<&'a str> {
    let is_it = |one: &&Value| string(one, "spdxElementId") == id && string(one, "relationshipType") == kind;
    let related = list(document, "relationships").iter().filter(is_it);
    related.map(|one| string(one, "relatedSpdxElement")).collect()
}

#[track_caller]
fn package<'a>(document: &'a Value, name: &str) -> &'a Value {
    let found = list(document, "packages").iter().find(|package| package["name"] == name);
    found.unwrap_or_else(|| panic!("no package {name}"))
}

fn purl(package: &Value) -> &str {
    list(package, "externalRefs").iter().map(|one| string(one, "referenceLocator")).next().unwrap_or_default()
}

#[test]
fn the_sbom_is_of_what_is_there() {
    let built = built();
    let host = built.out().join(MIRROR.host);
    let (rootfs, document) = (host.join("rootfs"), document(&host));
    assert_eq!((&document["spdxVersion"], &document["SPDXID"]), (&"SPDX-2.3".into(), &"SPDXRef-DOCUMENT".into()));

    // Every plain file with both of its digests, no other, and the digest over all of them.
    let (sha1, sha256) = (sums("sha1sum", &rootfs), sums("sha256sum", &rootfs));
    let recorded = |algorithm: &str| -> BTreeMap<String, String> {
        let files = list(&document, "files").iter();
        files
            .map(|file| {
                let sums = list(file, "checksums");
                let sum = sums.iter().find(|sum| sum["algorithm"] == algorithm).expect("a checksum");
                (string(file, "fileName").to_owned(), string(sum, "checksumValue").to_owned())
            })
            .collect()
    };
    assert_eq!(recorded("SHA1"), sha1);
    assert_eq!(recorded("SHA256"), sha256);
    assert!(sha1.contains_key("./usr/bin/qemu-arm-static") && sha1.contains_key("./registrar"), "{sha1:?}");
    let mut sorted: Vec<_> = sha1.values().cloned().collect();
    sorted.sort();
    let root = package(&document, "root-file-system");
    assert_eq!(root["filesAnalyzed"], true);
    assert_eq!(root["packageVerificationCode"]["packageVerificationCodeValue"], sum("sha1sum", &sorted.concat()));

    // What SPDX asks of any document.
    let elements = list(&document, "packages").iter().chain(list(&document, "files"));
    let ids: Vec<_> = elements.map(|element| string(element, "SPDXID")).chain(["SPDXRef-DOCUMENT"]).collect();
    let unique: BTreeSet<_> = ids.iter().copied().collect();
    assert_eq!(unique.len(), ids.len(), "an id twice: {ids:?}");
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    assert!(ids.iter().all(|id| id.starts_with("SPDXRef-") && id.chars().all(plain)), "{ids:?}");
    for one in list(&document, "relationships") {
        for end in ["spdxElementId", "relatedSpdxElement"] {
            assert!(unique.contains(string(one, end)), "{one} is of nothing");
        }
    }
    // What the NTIA asks for besides: a supplier of each component, and that no element stands apart.
    for one in list(&document, "packages") {
        let supplier = string(one, "supplier").strip_prefix("Organization: ").unwrap_or_default();
        assert!(!supplier.is_empty(), "no supplier: {one}");
    }
    let mut reached = BTreeSet::from(["SPDXRef-DOCUMENT"]);
    while let Some(next) = list(&document, "relationships").iter().find_map(|one| {
        let is_way = ["DESCRIBES", "CONTAINS", "STATIC_LINK", "DEPENDS_ON"].contains(&string(one, "relationshipType"));
        let (from, to) = (string(one, "spdxElementId"), string(one, "relatedSpdxElement"));
        (is_way && reached.contains(from) && !reached.contains(to)).then_some(to)
    }) {
        reached.insert(next);
    }
    assert_eq!(reached, unique, "elements that no way leads to");
    for library in ["glibc", "glib", "pcre2", "zlib"] {
        assert!(string(&document, "comment").contains(library), "nothing is said of {library}");
    }
    let listed: BTreeSet<_> =
        list(&document, "hasExtractedLicensingInfos").iter().map(|one| string(one, "licenseId")).collect();
    let declared =
        list(&document, "packages").iter().flat_map(|one| string(one, "licenseDeclared").split(['(', ' ', ')']));
    let used: BTreeSet<_> = declared.filter(|word| word.starts_with("LicenseRef-")).collect();
    assert_eq!(used, listed);
    assert!(listed.contains("LicenseRef-Fedora-Public-Domain"), "the mirror's packages name it: {listed:?}");

    // Who is what to whom.
    let root = string(root, "SPDXID");
    assert_eq!(related(&document, "SPDXRef-DOCUMENT", "DESCRIBES"), [root].into());
    let contained = related(&document, root, "CONTAINS");
    for file in list(&document, "files") {
        assert!(contained.contains(string(file, "SPDXID")), "{file} is in nothing");
    }
    let file = |name: &str| {
        let file = list(&document, "files").iter().find(|file| file["fileName"] == name);
        string(file.unwrap_or_else(|| panic!("no {name}")), "SPDXID")
    };
    let meta = "qemu-user-static";
    let license = "./usr/share/licenses/qemu-user-static/COPYING";
    for (name, from) in [
        ("./usr/bin/qemu-arm-static", "qemu-user-static-arm"),
        ("./usr/bin/qemu-i386-static", "qemu-user-static-x86"),
        (license, meta),
        ("./registrar", "registrar"),
    ] {
        let from = string(package(&document, from), "SPDXID");
        assert_eq!(related(&document, file(name), "GENERATED_FROM"), [from].into(), "{name}");
    }

    // What rpm says of the packages.
    let source = package(&document, "qemu");
    let version = query(meta, "%{VERSION}-%{RELEASE}");
    assert_eq!(source["packageFileName"], query(meta, "%{SOURCERPM}"));
    assert_eq!(purl(source), format!("pkg:rpm/fedora/qemu@{version}?arch=src"));
    let mut times = Vec::new();
    for name in [meta, "qemu-user-static-arm", "qemu-user-static-x86"] {
        let package = package(&document, name);
        let id = string(package, "SPDXID");
        assert!(contained.contains(id), "{name} is in nothing");
        assert_eq!(related(&document, id, "GENERATED_FROM"), [string(source, "SPDXID")].into());
        let expected = query(name, "%{EPOCH}:%{VERSION}-%{RELEASE}|Organization: %{VENDOR}|%{LICENSE}");
        let found = ["versionInfo", "supplier", "licenseDeclared"].map(|key| string(package, key)).join("|");
        assert_eq!(found, expected, "{name}");
        let signed = format!("signed by {};", MIRROR.key.fingerprint);
        assert!(string(package, "comment").starts_with(&signed), "{package}");
        let expected = query(name, "pkg:rpm/fedora/%{NAME}@%{VERSION}-%{RELEASE}?arch=%{ARCH}&epoch=%{EPOCH}");
        assert_eq!(purl(package), format!("{expected}&upstream={}", query(name, "%{SOURCERPM}")));
        times.push(query(name, "%{BUILDTIME}"));
    }
    let newest = times.iter().max().expect("a time");
    let date = system::run(Command::new("date").args(["-u", "-d", &format!("@{newest}"), "+%Y-%m-%dT%H:%M:%SZ"]));
    let date = String::from_utf8(date.expect("date").stdout).expect("text");
    assert_eq!(document["creationInfo"]["created"], date.trim(), "no clock but the packages'");

    // What another tool says of the crates.
    let mut tree = Command::new(env!("CARGO"));
    tree.current_dir(workspace_root()).args([
        "tree",
        "--package",
        "registrar",
        "--edges",
        "normal",
        "--prefix",
        "none",
    ]);
    let target = Host::named(None).expect("this machine").rust_target;
    tree.args(["--locked", "--offline", "--format", "pkg:cargo/{p}", "--target", target]);
    let tree = String::from_utf8(system::run(&mut tree).expect("cargo tree").stdout).expect("text");
    let crates: BTreeSet<_> = tree.lines().skip(1).map(|line| line.replace(" v", "@")).collect();
    let registrar = string(package(&document, "registrar"), "SPDXID");
    let linked = related(&document, registrar, "STATIC_LINK");
    let is_linked = |package: &&Value| linked.contains(string(package, "SPDXID"));
    let found = list(&document, "packages").iter().filter(is_linked).map(|one| purl(one).to_owned());
    assert_eq!(found.collect::<BTreeSet<_>>(), crates);

    // What compiled it, and of which commit, as other commands say.
    let run = |program: &str, arguments: &[&str]| {
        let printed = Command::new(program).args(arguments).current_dir(workspace_root()).output();
        printed
            .ok()
            .filter(|printed| printed.status.success())
            .map(|printed| String::from_utf8_lossy(&printed.stdout).trim().to_owned())
    };
    let compiled = package(&document, "registrar");
    let rustc = run("rustc", &["--version"]).expect("rustc");
    assert!(string(compiled, "comment").contains(&rustc), "{compiled}");
    let is_clean =
        run("git", &["status", "--porcelain", "--untracked-files=normal"]).is_some_and(|list| list.is_empty());
    let commit = run("git", &["rev-parse", "HEAD"]).filter(|_| is_clean && workspace_root().join(".git").exists());
    let expected = commit.map(|commit| format!("git commit {commit}")).unwrap_or_default();
    assert_eq!(string(compiled, "sourceInfo"), expected);

    // The list for people is the same inside and outside.
    let packages = fs::read_to_string(host.join("packages")).expect("the list");
    assert_eq!(fs::read_to_string(rootfs.join("usr/share/doc/registrar/packages")).expect("the list inside"), packages);
    assert_eq!(packages.lines().count(), 2 + 3, "{packages}");
}

#[test]
fn inspect_prints_what_each_emulator_comes_from() {
    let built = built();
    let printed = inspect(&built.out(), &[]);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let stdout = String::from_utf8_lossy(&printed.stdout);
    let host = built.out().join(MIRROR.host);
    let files = sums("sha256sum", &host.join("rootfs"));
    let arm = stdout.lines().find(|line| line.starts_with("qemu-arm-static ")).expect("a line for arm");
    for (name, word) in [
        ("NEVRA", query("qemu-user-static-arm", "%{NAME}-%{EPOCH}:%{VERSION}-%{RELEASE}.%{ARCH}")),
        ("source", query("qemu-user-static-arm", "%{SOURCERPM}")),
        ("license", query("qemu-user-static-arm", "%.20{LICENSE}")),
        ("digest", files["./usr/bin/qemu-arm-static"][..16].to_owned()),
        ("signer", MIRROR.key.fingerprint.clone()),
    ] {
        assert!(arm.contains(word.trim()), "no {name} {word} in {arm}");
    }
    assert!(!arm.contains(&files["./usr/bin/qemu-arm-static"]), "a long digest without -v: {arm}");
    for line in [format!("origin: {}", MIRROR.repo().display()), format!("{} files, all as recorded", files.len())] {
        assert!(stdout.lines().any(|one| one == line), "no line {line:?} in {stdout}");
    }

    let verbose = inspect(&built.out(), &["-v", "--host", MIRROR.host]);
    let stdout = String::from_utf8_lossy(&verbose.stdout);
    for word in [&files["./usr/bin/qemu-arm-static"], &query("qemu-user-static-arm", "%{LICENSE}")] {
        assert!(stdout.contains(word), "no {word} in {stdout}");
    }
    let json = inspect(&built.out(), &["--json"]);
    assert!(json.stdout == fs::read(host.join("sbom.spdx.json")).expect("an SBOM"), "as it is");
}

#[test]
fn inspect_names_the_first_thing_that_is_not_as_recorded() {
    type Change = fn(&Path) -> std::io::Result<()>;
    let changes: &[(&str, Change)] = &[
        ("usr/bin/qemu-arm-static has Sha256 ", |host| {
            let path = host.join("rootfs/usr/bin/qemu-arm-static");
            let mut bytes = fs::read(&path)?;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes)
        }),
        ("usr/bin/qemu-arm-static is missing", |host| fs::remove_file(host.join("rootfs/usr/bin/qemu-arm-static"))),
        ("qus/register is missing", |host| fs::remove_file(host.join("rootfs/qus/register"))),
        ("usr/bin/sh is in no record", |host| fs::write(host.join("rootfs/usr/bin/sh"), "")),
        ("etc is in no record", |host| fs::create_dir(host.join("rootfs/etc"))),
        ("usr/bin/sh is in no record", |host| symlink("/registrar", host.join("rootfs/usr/bin/sh"))),
        ("usr/bin/qemu-arm is in no record", |host| {
            fs::hard_link(host.join("rootfs/usr/bin/qemu-arm-static"), host.join("rootfs/usr/bin/qemu-arm"))
        }),
        ("usr/bin/binfmt is of another kind", |host| {
            fs::remove_file(host.join("rootfs/usr/bin/binfmt"))?;
            symlink("../../registrar", host.join("rootfs/usr/bin/binfmt"))
        }),
        ("register is another file than registrar", |host| {
            fs::remove_file(host.join("rootfs/register"))?;
            fs::copy(host.join("rootfs/registrar"), host.join("rootfs/register")).map(drop)
        }),
        ("registrar is of another kind", |host| {
            fs::rename(host.join("rootfs/registrar"), host.join("registrar"))?;
            symlink(host.join("registrar"), host.join("rootfs/registrar"))
        }),
        // The first name of the program, of several.
        ("entrypoint.sh has permissions 4755 instead of 755", |host| {
            fs::set_permissions(host.join("rootfs/registrar"), fs::Permissions::from_mode(0o4755))
        }),
        ("usr/bin has permissions 777 instead of 755", |host| {
            fs::set_permissions(host.join("rootfs/usr/bin"), fs::Permissions::from_mode(0o777))
        }),
        ("packages is not the list inside", |host| fs::write(host.join("packages"), "nothing")),
        ("its verification code is ", |host| {
            let path = host.join("sbom.spdx.json");
            let mut bill: Value = serde_json::from_slice(&fs::read(&path)?)?;
            for package in bill["packages"].as_array_mut().into_iter().flatten() {
                if let Some(code) = package.pointer_mut("/packageVerificationCode/packageVerificationCodeValue") {
                    *code = "0000000000000000000000000000000000000000".into();
                }
            }
            fs::write(path, bill.to_string())
        }),
        ("sbom.spdx.json: damaged; build again", |host| fs::write(host.join("sbom.spdx.json"), "{}")),
        ("nothing is built for ", |host| fs::remove_file(host.join("sbom.spdx.json"))),
    ];
    let built = built();
    for (expected, change) in changes {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut copy = Command::new("cp");
        system::run(copy.arg("-a").arg(built.out().join(MIRROR.host)).arg(folder.path())).expect("a copy");
        change(&folder.path().join(MIRROR.host)).expect(expected);
        let line = refusal(&inspect(folder.path(), &[]));
        assert!(line.contains(expected), "no {expected:?} in {line}");
    }
    assert!(inspect(&built.out(), &[]).status.success(), "the one that was copied is as it was");
}

#[test]
fn inspect_of_nothing_names_the_command_to_type() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("never");
    let line = refusal(&inspect(&out, &["--host", "arm64"]));
    let command = format!("cargo xtask fetch-and-build --host aarch64 --out {}", out.display());
    assert!(line.contains("nothing is built for aarch64") && line.contains(&command), "{line}");
    assert!(!out.exists(), "a look makes nothing");
}
