//! What packages say of their licenses, as SPDX expressions where it is one. No license is guessed.

use std::collections::BTreeSet;

use spdx::{Expression, LicenseItem, ParseMode};

use super::spdx::{ExtractedLicense, NOASSERTION};

/// What is taken: SPDX's own grammar, with identifiers that it has given up, since packages of earlier years hold them.
const MODE: ParseMode = ParseMode { allow_deprecated: true, allow_postfix_plus_on_gpl: true, ..ParseMode::STRICT };

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Declared {
    /// An expression, or [`NOASSERTION`].
    pub(super) expression: String,
    pub(super) comment: Option<String>,
}

pub(super) fn declared(statement: &str) -> Declared {
    // crates.io took a slash for OR in its first years.
    let expression = statement.replace('/', " OR ");
    match references(&expression) {
        Some(_) => Declared { expression, comment: None },
        None => {
            let comment = (!statement.is_empty()).then(|| format!("stated as: {statement}"));
            Declared { expression: NOASSERTION.into(), comment }
        }
    }
}

/// Entries for all licenses of some expressions that SPDX does not know, sorted. A document without them is not valid.
pub(super) fn extracted<'a>(expressions: impl Iterator<Item = &'a str>) -> Vec<ExtractedLicense> {
    let names: BTreeSet<_> = expressions.filter_map(references).flatten().collect();
    let entry = |name: String| ExtractedLicense {
        extracted_text: format!(
            "{name} is a name of the package's distribution; the text is in the source package. \
             Fedora explains its names at https://docs.fedoraproject.org/en-US/legal/allowed-licenses/"
        ),
        name: name.trim_start_matches("LicenseRef-").into(),
        license_id: name,
    };
    names.into_iter().map(entry).collect()
}

/// The `LicenseRef-…` of an expression; none if it is not one.
fn references(expression: &str) -> Option<Vec<String>> {
    let parsed = Expression::parse_mode(expression, MODE).ok()?;
    let mut names = Vec::new();
    for one in parsed.requirements() {
        match (&one.req.license, &one.req.addition) {
            // A custom addition (`AdditionRef-`) came with SPDX 3.
            (_, Some(addition)) if addition.id().is_none() => return None,
            // A reference into another document, which is not there.
            (LicenseItem::Other(other), _) if other.doc_ref.is_some() => return None,
            (LicenseItem::Other(other), _) => names.push(other.to_string()),
            (LicenseItem::Spdx { .. }, _) => {}
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::{declared, extracted};

    #[test]
    fn an_expression_is_declared_and_anything_else_is_quoted() {
        for (statement, expression) in [
            ("MIT", "MIT"),
            ("GPL-2.0-or-later WITH GCC-exception-2.0 AND MIT", "GPL-2.0-or-later WITH GCC-exception-2.0 AND MIT"),
            (
                "BSD-3-Clause AND (MIT OR LicenseRef-Fedora-Public-Domain)",
                "BSD-3-Clause AND (MIT OR LicenseRef-Fedora-Public-Domain)",
            ),
            ("GPL-2.0+", "GPL-2.0+"),
            ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
            ("GPLv2+ and LGPLv2+ and BSD", "NOASSERTION"),
            ("DocumentRef-other:LicenseRef-Mine", "NOASSERTION"),
            ("MIT WITH AdditionRef-Mine", "NOASSERTION"),
            ("MIT AND", "NOASSERTION"),
            ("see its copyright file", "NOASSERTION"),
            ("", "NOASSERTION"),
        ] {
            let found = declared(statement);
            assert_eq!(found.expression, expression, "{statement}");
            let quoted = expression == "NOASSERTION" && !statement.is_empty();
            assert_eq!(found.comment, quoted.then(|| format!("stated as: {statement}")), "{statement}");
        }
    }

    #[test]
    fn every_license_of_somebodys_own_is_listed_once() {
        let expressions = ["LicenseRef-B AND MIT", "NOASSERTION", "LicenseRef-A OR LicenseRef-B"];
        let found = extracted(expressions.into_iter());
        let ids: Vec<_> = found.iter().map(|license| license.license_id.as_str()).collect();
        assert_eq!(ids, ["LicenseRef-A", "LicenseRef-B"]);
        assert!(found.iter().all(|license| !license.extracted_text.is_empty()));
    }
}
