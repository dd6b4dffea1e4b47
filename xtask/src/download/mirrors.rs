//! Places that hold the same files, best first, and which of them have failed in this run.

use std::sync::atomic::{AtomicBool, Ordering};

use super::location::Location;

/// Several places with the same files.
#[derive(Debug)]
pub struct Mirrors {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    location: Location,
    /// Set by what it failed with, so that other files are asked of others while any works.
    failed: AtomicBool,
}

impl From<Location> for Mirrors {
    fn from(location: Location) -> Self {
        Self::new(vec![location])
    }
}

impl Mirrors {
    /// Of these places, the preferred first. There must be one.
    pub fn new(locations: Vec<Location>) -> Self {
        let place = |location| Place { location, failed: AtomicBool::new(false) };
        Self { places: locations.into_iter().map(place).collect() }
    }

    /// The preferred place, which stands for all of them in messages.
    pub fn first(&self) -> &Location {
        &self.places[0].location
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// Where one is.
    pub(super) fn location(&self, index: usize) -> &Location {
        &self.places[index].location
    }

    /// Which to ask next: the first that has neither been tried for this file nor failed for another; else the first
    /// that has not been tried.
    pub(super) fn next(&self, tried: &[usize]) -> Option<usize> {
        let untried = || (0..self.places.len()).filter(|index| !tried.contains(index));
        untried().find(|&index| !self.places[index].failed.load(Ordering::Relaxed)).or_else(|| untried().next())
    }

    /// Remembers whether one works.
    pub(super) fn remember(&self, index: usize, works: bool) {
        self.places[index].failed.store(!works, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Location, Mirrors};

    #[test]
    fn those_that_failed_come_last() {
        let mirrors = Mirrors::new(["a", "b", "c"].map(Location::parse).into());
        assert_eq!(mirrors.next(&[]), Some(0));
        mirrors.remember(0, false);
        assert_eq!(mirrors.next(&[]), Some(1));
        assert_eq!(mirrors.next(&[1]), Some(2));
        assert_eq!(mirrors.next(&[1, 2]), Some(0));
        assert_eq!(mirrors.next(&[1, 2, 0]), None);
        mirrors.remember(0, true);
        assert_eq!(mirrors.next(&[]), Some(0));
    }
}
