//! What is there of one handler: under each of its names, and whose entries serve its programs.

use std::ffi::OsStr;
use std::ptr;

use super::{Drift, EntryName, text_difference};
use crate::binfmt_misc::{Entries, Entry, Named};
use crate::elf::header::{EI_OSABI, ElfHeader, HEADER_VARIANTS};
use crate::request::DesiredState;
use crate::table::Handler;

/// What an entry of a handler's name is.
#[derive(Clone, Copy, Debug)]
pub(super) enum NameOwner<'e> {
    Free,
    Ours(&'e Entry),
    Foreign(&'e Entry),
}

/// The entries that have to do with a handler.
pub(crate) struct Observed<'e> {
    pub(super) handler: &'e Handler,
    /// In the order of [`EntryName::ALL`].
    holders: [NameOwner<'e>; 3],
    /// The variants of programs that the handler's rule takes, and the entry that runs each.
    variants: Vec<(ElfHeader, Option<Named<'e>>)>,
}

/// An entry of somebody else that serves.
#[derive(Clone, Copy)]
pub(crate) struct ActiveForeignEntry<'e> {
    pub(crate) name: &'e OsStr,
    pub(crate) entry: &'e Entry,
    /// Entries of others serve all of the handler's programs, and not only some kinds of them.
    pub(crate) is_of_all: bool,
    /// The same of programs without extensions (OSABI 0), which other tools' rules may take alone.
    pub(crate) is_of_usual: bool,
    /// One of them is a QEMU.
    pub(crate) is_of_qemu: bool,
}

impl<'e> Observed<'e> {
    pub(crate) fn new(handler: &'e Handler, entries: &'e Entries) -> Self {
        let mut found = Self { handler, holders: [NameOwner::Free; 3], variants: Vec::new() };
        // As mostly, and nothing need be compared.
        if entries.names().next().is_none() {
            return found;
        }
        found.holders =
            EntryName::ALL.map(|known| match entries.get(OsStr::new(&*handler.name_with(known.suffix()))) {
                None => NameOwner::Free,
                Some(entry) if entry.is_of(handler) => NameOwner::Ours(entry),
                Some(entry) => NameOwner::Foreign(entry),
            });
        let kinds: [_; HEADER_VARIANTS] = ElfHeader::of(&handler.header()).kinds();
        let variants = kinds.into_iter().zip(entries.servers_of(&kinds));
        found.variants = variants.filter(|(header, _)| handler.rule.matches(header.bytes())).collect();
        found
    }

    pub(super) fn holder(&self, entry_name: EntryName) -> NameOwner<'e> {
        self.holders[entry_name as usize]
    }

    /// Names that entries of ours have.
    pub(super) fn names_of_ours(&self) -> impl Iterator<Item = EntryName> {
        EntryName::ALL.into_iter().filter(|entry_name| matches!(self.holder(*entry_name), NameOwner::Ours(_)))
    }

    /// Whether it is one of those that were found under our names.
    fn is_ours(&self, entry: &Entry) -> bool {
        self.holders.iter().any(|holder| matches!(holder, NameOwner::Ours(ours) if ptr::eq(*ours, entry)))
    }

    /// The entry of ours that is meant to stay, with its name.
    pub(crate) fn ours(&self) -> Option<(String, &'e Entry)> {
        self.our_entry_name().map(|(entry_name, entry)| (entry_name.name(self.handler), entry))
    }

    fn our_entry_name(&self) -> Option<(EntryName, &'e Entry)> {
        EntryName::ALL.into_iter().find_map(|entry_name| match self.holder(entry_name) {
            NameOwner::Ours(entry) => Some((entry_name, entry)),
            _ => None,
        })
    }

    /// The entry of somebody else that serves programs of the handler; of several, that of the first kind.
    pub(crate) fn server(&self) -> Option<ActiveForeignEntry<'e>> {
        let is_theirs = |(_, entry): &Named<'_>| !self.is_ours(entry);
        let theirs = || self.servers().filter(is_theirs);
        let (name, entry) = theirs().next()?;
        let serve = |server: &Option<Named<'_>>| server.as_ref().is_some_and(is_theirs);
        let is_of_all = self.variants.iter().all(|(_, server)| serve(server));
        let is_of_usual = self.variants.iter().all(|(header, server)| header.bytes()[EI_OSABI] != 0 || serve(server));
        let is_of_qemu = theirs().any(|(name, entry)| entry.is_of_qemu(name));
        Some(ActiveForeignEntry { name, entry, is_of_all, is_of_usual, is_of_qemu })
    }

    /// Whether an entry takes all of the handler's programs.
    pub(super) fn matches_all(&self, entry: &Entry) -> bool {
        !self.variants.is_empty() && self.variants.iter().all(|(header, _)| entry.is_active_for(header.bytes()))
    }

    /// The entries that run programs of the handler.
    pub(super) fn servers(&self) -> impl Iterator<Item = Named<'e>> {
        self.variants.iter().filter_map(|(_, server)| *server)
    }

    /// How the entry of ours that is meant to stay differs from what would be registered.
    pub(crate) fn difference(&self, desired: &DesiredState) -> Option<Drift> {
        let (_, entry) = self.our_entry_name()?;
        if let Some(difference) = text_difference(self.handler, desired, entry) {
            Some(difference)
        } else if self.server().is_some() {
            Some(Drift::Shadowed)
        } else if self.servers().any(|(_, server)| !ptr::eq(server, entry)) {
            // Another one of ours.
            Some(Drift::Leftover)
        } else {
            None
        }
    }
}
