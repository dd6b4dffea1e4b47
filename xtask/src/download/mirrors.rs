//! Locations that hold the same files, best first, and which of them have failed in this run.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::location::Location;

/// Several locations with the same files, the preferred first; at least one.
#[derive(Debug)]
pub(crate) struct Mirrors(Vec<Location>);

/// Hosts that were unreachable, busy or slow, and locations that gave wrong bytes: they are asked last.
#[derive(Debug, Default)]
pub(super) struct UnhealthyHosts(Mutex<BTreeSet<String>>);

impl UnhealthyHosts {
    fn has(&self, location: &Location) -> bool {
        let names = self.names();
        names.contains(location.server()) || names.contains(&location.name())
    }

    pub(super) fn add_host(&self, location: &Location) {
        self.names().insert(location.server().to_owned());
    }

    pub(super) fn add_location(&self, location: &Location) {
        self.names().insert(location.name());
    }

    pub(super) fn remove(&self, location: &Location) {
        let mut names = self.names();
        names.remove(location.server());
        names.remove(&location.name());
    }

    fn names(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Location> for Mirrors {
    fn from(location: Location) -> Self {
        Self(vec![location])
    }
}

impl Mirrors {
    pub(crate) fn new(locations: Vec<Location>) -> Self {
        Self(locations)
    }

    /// The preferred location, which stands for all of them in messages.
    pub(crate) fn first(&self) -> &Location {
        &self.0[0]
    }

    /// Which to ask next: the first healthy one that has not been tried, else the first that has not been tried.
    pub(super) fn next(&self, tried: &[&Location], unhealthy: &UnhealthyHosts) -> Option<&Location> {
        let untried = || self.0.iter().filter(|location| !tried.contains(location));
        untried().find(|location| !unhealthy.has(location)).or_else(|| untried().next())
    }
}

#[cfg(test)]
mod tests {
    use super::{Location, Mirrors, UnhealthyHosts};

    #[test]
    fn those_that_failed_come_last() {
        let unhealthy = UnhealthyHosts::default();
        let locations = ["http://a/x", "http://b/x", "http://c/x"].map(Location::parse);
        let [a, b, c] = &locations;
        let mirrors = Mirrors::new(locations.to_vec());
        assert_eq!(mirrors.next(&[], &unhealthy), Some(a));
        unhealthy.add_location(a);
        assert_eq!(mirrors.next(&[], &unhealthy), Some(b));
        assert_eq!(mirrors.next(&[b], &unhealthy), Some(c));
        assert_eq!(mirrors.next(&[b, c], &unhealthy), Some(a));
        assert_eq!(mirrors.next(&[b, c, a], &unhealthy), None);
        let elsewhere = Mirrors::from(Location::parse("http://a/y"));
        assert!(!unhealthy.has(elsewhere.first()), "another location of the same host");
        unhealthy.remove(a);
        assert_eq!(mirrors.next(&[], &unhealthy), Some(a));

        // A host that does not answer is unhealthy for everything that it has.
        unhealthy.add_host(elsewhere.first());
        assert_eq!(mirrors.next(&[], &unhealthy), Some(b));
        assert_eq!(mirrors.next(&[b, c], &unhealthy), Some(a));
        unhealthy.remove(a);
        assert_eq!(mirrors.next(&[], &unhealthy), Some(a));
    }
}
