//! The digest of one file in metadata: of the kinds that it is given in, the strongest that proves something.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use crate::output::quoted;
use crate::verify::digest::{Algorithm, Digest};

#[derive(Debug, Default)]
pub(super) struct Checksum {
    found: BTreeMap<Algorithm, Digest>,
    /// The first kind that is not accepted, for the message.
    refused: Option<String>,
}

impl Checksum {
    /// Takes the text of an element whose attribute `type` is `kind`.
    pub(super) fn take(&mut self, kind: Option<&str>, text: &str) -> Result<()> {
        let kind = kind.unwrap_or_default();
        let Some(algorithm) = Algorithm::from_metadata(kind) else {
            self.refused.get_or_insert_with(|| quoted(kind));
            return Ok(());
        };
        let known = self.found.insert(algorithm, Digest::parse(algorithm, text)?);
        ensure!(known.is_none(), "two {algorithm} digests of one file");
        Ok(())
    }

    pub(super) fn strongest(&mut self) -> Option<Digest> {
        self.found.pop_last().map(|(_, digest)| digest)
    }

    /// What is missing: `SHA-256, SHA-384 or SHA-512 (only "sha1", which …)`.
    pub(super) fn missing(&self) -> String {
        const WANTED: &str = "SHA-256, SHA-384 or SHA-512";
        match &self.refused {
            Some(kind) => {
                format!("{WANTED} (only {kind}, which is not trusted; createrepo_c --checksum sha512 makes one)")
            }
            None => WANTED.to_owned(),
        }
    }
}
