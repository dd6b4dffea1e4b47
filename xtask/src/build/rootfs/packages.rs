//! The list for people: what each package is, where its source is, and which emulators it gave.

use std::fmt::Write as _;

use crate::build::sbom::names::source_address;
use crate::extract::Record;

/// The list, as text: tabs between columns, a line for each package.
pub(super) fn list(record: &Record, origin: &str) -> String {
    let mut text = format!("# Origin: {origin}\n");
    text += "# package, license, source package, its address, SHA-256, signed by, emulators\n";
    for package in &record.packages {
        let emulators: Vec<_> = record
            .emulators
            .iter()
            .filter(|emulator| emulator.nevra == package.nevra)
            .map(|emulator| emulator.target.as_str())
            .collect();
        let emulators = if emulators.is_empty() { "-".to_owned() } else { emulators.join(",") };
        let signer = package.signer.as_deref().unwrap_or("-");
        let address = source_address(package, origin).unwrap_or_else(|| "-".into());
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{}\t{}\t{}\t{address}\t{}\t{signer}\t{emulators}",
            package.nevra, package.license, package.source, package.sha256
        );
    }
    text
}
