//! Places that hold the same files, best first, and which of them have failed in this run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::location::Location;

/// Several places with the same files.
#[derive(Debug)]
pub struct Mirrors {
    places: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    location: Location,
    /// Set where it gave something wrong, so that other files are asked of others while any works.
    failed: AtomicBool,
}

/// Servers that could not be reached, or were busy, slow or silent, in this run: for whatever they are a mirror of,
/// others are asked first.
#[derive(Debug, Default)]
pub(super) struct Down(Mutex<BTreeSet<String>>);

impl Down {
    fn has(&self, location: &Location) -> bool {
        self.servers().contains(location.server())
    }

    /// Remembers whether a server works.
    pub(super) fn remember(&self, location: &Location, works: bool) {
        match works {
            true => self.servers().remove(location.server()),
            false => self.servers().insert(location.server().to_owned()),
        };
    }

    fn servers(&self) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

    /// Where one is.
    pub(super) fn location(&self, index: usize) -> &Location {
        &self.places[index].location
    }

    /// Which to ask next: the first that has neither been tried for this file nor failed for another; else the first
    /// that has not been tried.
    pub(super) fn next(&self, tried: &[usize], down: &Down) -> Option<usize> {
        let untried = || (0..self.places.len()).filter(|index| !tried.contains(index));
        let works = |place: &Place| !place.failed.load(Ordering::Relaxed) && !down.has(&place.location);
        untried().find(|&index| works(&self.places[index])).or_else(|| untried().next())
    }

    /// Remembers whether one works.
    pub(super) fn remember(&self, index: usize, works: bool) {
        self.places[index].failed.store(!works, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Down, Location, Mirrors};

    #[test]
    fn those_that_failed_come_last() {
        let (down, places) = (Down::default(), ["http://a/x", "http://b/x", "http://c/x"].map(Location::parse));
        let mirrors = Mirrors::new(places.clone().into());
        assert_eq!(mirrors.next(&[], &down), Some(0));
        mirrors.remember(0, false);
        assert_eq!(mirrors.next(&[], &down), Some(1));
        assert_eq!(mirrors.next(&[1], &down), Some(2));
        assert_eq!(mirrors.next(&[1, 2], &down), Some(0));
        assert_eq!(mirrors.next(&[1, 2, 0], &down), None);
        mirrors.remember(0, true);
        assert_eq!(mirrors.next(&[], &down), Some(0));

        // A server that is down is so for all that it has.
        down.remember(&Location::parse("http://a/y"), false);
        assert_eq!(mirrors.next(&[], &down), Some(1));
        assert_eq!(mirrors.next(&[1, 2], &down), Some(0));
        down.remember(&places[0], true);
        assert_eq!(mirrors.next(&[], &down), Some(0));
    }
}
