//! Numbers that nobody has chosen, from a seed that is printed, so that a failure can be had again.

use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// Names the seed in the environment.
const SEED: &str = "TEST_SEED";

/// Sebastiano Vigna's splitmix64.
pub(crate) struct Random(u64);

impl Random {
    /// The seed is the environment's, else the clock's.
    pub(crate) fn new(test: &str) -> Self {
        let given = env::var(SEED).ok().map(|seed| seed.parse().expect("a number in TEST_SEED"));
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let seed = given.unwrap_or_else(clock);
        println!("{test}: {SEED}={seed}");
        // To the panic's words as well.
        eprintln!("{SEED}={seed}");
        Self(seed)
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % u64::try_from(limit).expect("a number of 64 bits")).expect("it is below limit")
    }

    /// One of them.
    pub(crate) fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}
