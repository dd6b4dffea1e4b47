//! Variants of `linux/amd64` that this CPU has: the psABI's levels v2 to v4.

use crate::sys;

const PROCESSORS: &str = "/proc/cpuinfo";

/// CPU flags that each level adds, in the kernel's spelling.
const LEVELS: [&str; 3] = [
    "cx16 lahf_lm popcnt pni ssse3 sse4_1 sse4_2",
    "avx avx2 bmi1 bmi2 f16c fma abm movbe",
    "avx512f avx512bw avx512cd avx512dq avx512vl",
];

/// In ascending order; none on other architectures.
pub(super) fn variants() -> &'static [&'static str] {
    const ALL: [&str; 3] = ["linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"];
    let text = sys::text(PROCESSORS);
    let flags = text.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    let has_all = |level: &&&str| level.split(' ').all(|flag| flags.split(' ').any(|found| found == flag));
    &ALL[..LEVELS.iter().take_while(has_all).count()]
}
