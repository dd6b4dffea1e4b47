//! The list for people: what each package is, where its source is, and which emulators it gave.

use std::fmt::Write as _;

use crate::extract::Record;
use crate::sbom;

/// The list, as text: tabs between columns, a line for each package.
pub(super) fn list(record: &Record, origin: &str) -> String {
    let mut text = format!("# Origin: {origin}\n");
    text += "# package, licence, source package, its address, SHA-256, signed by, emulators\n";
    for proof in &record.packages {
        let emulators: Vec<_> = record
            .emulators
            .iter()
            .filter(|emulator| emulator.nevra == proof.nevra)
            .map(|emulator| emulator.target.as_str())
            .collect();
        let emulators = if emulators.is_empty() { "-".to_owned() } else { emulators.join(",") };
        let signer = proof.signer.as_deref().unwrap_or("-");
        let address = sbom::source_address(proof, origin).unwrap_or_else(|| "-".into());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{address}\t{}\t{signer}\t{emulators}",
            proof.nevra, proof.licence, proof.source, proof.sha256
        );
    }
    text
}
