//! Variants of this machine's own platform: what its processor can beyond the first amd64 ones, as the psABI counts.

/// In ascending order; each has what the one before has.
pub(super) fn variants() -> &'static [&'static str] {
    const ALL: &[&str] = &["linux/amd64/v2", "linux/amd64/v3", "linux/amd64/v4"];
    &ALL[..level()]
}

/// How many of them.
#[cfg(target_arch = "x86_64")]
fn level() -> usize {
    macro_rules! has {
        ($($feature:tt)*) => { $(is_x86_feature_detected!($feature))&&* };
    }
    let levels = [
        has!("cmpxchg16b" "popcnt" "sse3" "ssse3" "sse4.1" "sse4.2"),
        has!("avx" "avx2" "bmi1" "bmi2" "f16c" "fma" "lzcnt" "movbe"),
        has!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl"),
    ];
    levels.iter().take_while(|has_it| **has_it).count()
}

#[cfg(not(target_arch = "x86_64"))]
fn level() -> usize {
    0
}
