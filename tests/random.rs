//! Random numbers from a seed that is printed, so that a failure can be reproduced.

use std::env;

/// Environment variable that sets the seed.
const SEED: &str = "TEST_SEED";

/// A generator seeded by `TEST_SEED`, otherwise at random.
///
/// # Panics
/// If `TEST_SEED` is not a number.
pub fn seeded(test: &str) -> fastrand::Rng {
    let given = env::var(SEED).ok().map(|seed| seed.parse().expect("TEST_SEED is a number"));
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    // The kernel tests show a failed test's stderr, other tests its stdout.
    println!("{test}: {SEED}={seed}");
    eprintln!("{test}: {SEED}={seed}");
    fastrand::Rng::with_seed(seed)
}
