//! What is there of one handler: under each of its names, and whose entries serve its programs.

use super::{Difference, Slot, Wanted, is_ours, text_difference};
use crate::binfmt_misc::{Entries, Entry, Named};
use crate::elf::header::{Beginning, KINDS};
use crate::table::Handler;

/// What an entry of a handler's name is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder<'e> {
    Nobody,
    Us(&'e Entry),
    Other(&'e Entry),
}

/// The entries that have to do with a handler.
pub(crate) struct Found<'e> {
    pub(super) handler: &'e Handler,
    /// In the order of [`Slot::ALL`].
    holders: [Holder<'e>; 3],
    /// The kinds of programs that the handler's rule takes.
    kinds: Vec<Beginning>,
    /// Which entry runs each of them.
    servers: Vec<Option<Named<'e>>>,
}

/// An entry of somebody else that serves.
#[derive(Clone, Copy)]
pub(crate) struct Server<'e> {
    pub(crate) name: &'e str,
    pub(crate) entry: &'e Entry,
    /// Entries of others serve all of the handler's programs, and not only some kinds of them.
    pub(crate) is_of_all: bool,
}

impl<'e> Found<'e> {
    pub(crate) fn new(handler: &'e Handler, entries: &'e Entries) -> Self {
        let mut found = Self { handler, holders: [Holder::Nobody; 3], kinds: Vec::new(), servers: Vec::new() };
        // As mostly, and nothing need be compared.
        if entries.names().next().is_none() {
            return found;
        }
        for (name, entry) in entries.iter() {
            let Some(slot) = Slot::of(handler, name) else { continue };
            found.holders[slot as usize] = if entry.is_of(handler) { Holder::Us(entry) } else { Holder::Other(entry) };
        }
        let kinds: [_; KINDS] = Beginning::of(&handler.header()).kinds();
        for (kind, server) in kinds.into_iter().zip(entries.servers_of(&kinds)) {
            if handler.takes(kind.bytes()) {
                found.kinds.push(kind);
                found.servers.push(server);
            }
        }
        found
    }

    pub(super) fn holder(&self, slot: Slot) -> Holder<'e> {
        self.holders[slot as usize]
    }

    /// Names that entries of ours have.
    pub(super) fn slots_of_ours(&self) -> impl Iterator<Item = Slot> {
        Slot::ALL.into_iter().filter(|slot| matches!(self.holder(*slot), Holder::Us(_)))
    }

    /// The entry of ours that is meant to stay, with its name.
    pub(crate) fn ours(&self) -> Option<(String, &'e Entry)> {
        self.our_slot().map(|(slot, entry)| (slot.name(self.handler), entry))
    }

    fn our_slot(&self) -> Option<(Slot, &'e Entry)> {
        Slot::ALL.into_iter().find_map(|slot| match self.holder(slot) {
            Holder::Us(entry) => Some((slot, entry)),
            _ => None,
        })
    }

    /// The entry of somebody else that serves programs of the handler; of several, that of the first kind.
    pub(crate) fn server(&self) -> Option<Server<'e>> {
        let is_theirs = |&&(name, entry): &&Named<'_>| !is_ours(self.handler, name, entry);
        let theirs = || self.servers.iter().flatten().filter(is_theirs);
        let is_of_all = theirs().count() == self.servers.len();
        theirs().next().map(|&(name, entry)| Server { name, entry, is_of_all })
    }

    /// Whether an entry takes all of the handler's programs.
    pub(super) fn takes_all(&self, entry: &Entry) -> bool {
        !self.kinds.is_empty() && self.kinds.iter().all(|kind| entry.serves(kind.bytes()))
    }

    /// How the entry of ours that is meant to stay differs from what would be registered.
    pub(crate) fn difference(&self, wanted: &Wanted) -> Option<Difference> {
        let (slot, entry) = self.our_slot()?;
        if let Some(difference) = text_difference(self.handler, wanted, entry) {
            Some(difference)
        } else if self.server().is_some() {
            Some(Difference::Shadowed)
        } else if self.servers.iter().flatten().any(|(name, _)| Slot::of(self.handler, name) != Some(slot)) {
            // Another one of ours.
            Some(Difference::Leftover)
        } else {
            None
        }
    }
}
