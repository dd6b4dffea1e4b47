//! tonistiigi's status: the platforms that run here and the names of the enabled entries, as JSON in the format of Go's
//! `MarshalIndent`.
//!
//! Platforms have containerd's spelling and BuildKit's order. Test programs show whether they run.

use std::ffi::OsStr;

use crate::arch::HOST;
use crate::binfmt_misc::Entries;
use crate::commands::look;
use crate::output::Output;
use crate::output::json::string;
use crate::request::{CommonArgs, PROBE_TIMEOUT};
use crate::sys;
use crate::table::TABLE;
use crate::verify;

/// QEMU's name of a target, and its platforms. This CPU's own are printed first.
const PLATFORMS: &[(&str, &[&str])] = &[
    ("x86_64", &["linux/amd64"]),
    ("aarch64", &["linux/arm64"]),
    ("riscv64", &["linux/riscv64"]),
    ("ppc64", &["linux/ppc64"]),
    ("ppc64le", &["linux/ppc64le"]),
    ("s390x", &["linux/s390x"]),
    ("i386", &["linux/386"]),
    ("mips64el", &["linux/mips64le"]),
    ("mips64", &["linux/mips64"]),
    ("loongarch64", &["linux/loong64"]),
    ("arm", &["linux/arm/v7", "linux/arm/v6"]),
];

/// Variants of `linux/amd64`, the psABI's levels, with the CPU flags that each adds, in the kernel's spelling.
const LEVELS: [(&str, &str); 3] = [
    ("linux/amd64/v2", "cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2"),
    ("linux/amd64/v3", "avx avx2 bmi1 bmi2 f16c fma abm movbe"),
    ("linux/amd64/v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
];

pub(crate) fn platforms(args: &CommonArgs) -> Output {
    let mut output = Output::success(String::new());
    let entries = match look(args, true).and_then(|folder| folder.entries()) {
        Ok(entries) => entries,
        // As in tonistiigi's image, only a named folder is required.
        Err(error) if args.mount.is_some() => return Output::failure(&error.to_string()),
        Err(error) => {
            output.detail(&format!("cannot list the entries: {error}"));
            Entries::default()
        }
    };
    let enabled = entries.iter().filter(|(_, entry)| entry.enabled);
    let mut emulators: Vec<_> = enabled.map(|(name, _)| name).collect();
    emulators.sort_unstable();
    let emulators: Vec<_> = emulators.into_iter().map(OsStr::to_string_lossy).collect();
    let is_known = |target: &str| target != HOST && PLATFORMS.iter().any(|(known, _)| *known == target);
    let mut handlers: Vec<_> = TABLE.handlers.iter().filter(|handler| is_known(handler.target)).collect();
    handlers.dedup_by_key(|handler| handler.target);
    let running = match verify::running(&handlers, PROBE_TIMEOUT) {
        Ok(running) => running,
        Err(error) => {
            output.detail(&error.to_string());
            Vec::new()
        }
    };
    let mut supported = of(HOST).to_vec();
    supported.extend(variants());
    supported.extend(PLATFORMS.iter().filter(|(target, _)| running.contains(target)).flat_map(|(_, names)| *names));
    let members = [member("supported", &supported), member("emulators", &emulators)].join(",\n");
    output.chain(Output::success(["{\n", &members, "\n}\n"].concat()))
}

fn of(target: &str) -> &'static [&'static str] {
    PLATFORMS.iter().find(|(known, _)| *known == target).map_or(&[], |(_, names)| names)
}

/// Those that this CPU has; none on other architectures.
fn variants() -> impl Iterator<Item = &'static str> {
    let text = sys::text("/proc/cpuinfo");
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default().to_owned();
    let has_all = move |level: &str| level.split(' ').all(|flag| flags.split(' ').any(|found| found == flag));
    LEVELS.into_iter().take_while(move |(_, level)| has_all(level)).map(|(name, _)| name)
}

fn member(key: &str, names: &[impl AsRef<str>]) -> String {
    let list = match names.iter().map(|name| string(name.as_ref())).collect::<Vec<_>>().join(",\n    ") {
        names if names.is_empty() => "[]".into(),
        names => ["[\n    ", &names, "\n  ]"].concat(),
    };
    ["  \"", key, "\": ", &list].concat()
}
