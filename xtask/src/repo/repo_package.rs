//! A package as `primary.xml` lists it, and the ranges of versions that it obsoletes.

use anyhow::{Result, bail};
use rpm_version::{Evr, ReqOperator};

use crate::download::Location;
use crate::output::quoted;
use crate::verify::digest::ExpectedDigest;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepoPackage {
    pub(crate) name: String,
    pub(crate) arch: String,
    pub(crate) epoch: String,
    pub(crate) version: String,
    pub(crate) release: String,
    /// File name of the source package that it was built from; may be empty.
    pub(crate) source_rpm: String,
    /// Index of its repository, set by the caller that reads several.
    pub(crate) repository: usize,
    /// Path below the repository's root, or below [`RepoPackage::base`].
    pub href: String,
    pub(crate) base: Option<Location>,
    /// What the file must be; absent while the entry is read.
    pub expected: Option<ExpectedDigest>,
    pub(crate) requires: Vec<String>,
    pub(crate) provides: Vec<String>,
    pub(crate) obsoletes: Vec<Range>,
    /// Paths that the metadata list: programs in `/usr/bin` among them.
    pub(crate) files: Vec<String>,
}

impl RepoPackage {
    pub(crate) fn evr(&self) -> Evr<'_> {
        Evr::new(self.epoch.as_str(), self.version.as_str(), self.release.as_str())
    }
}

/// Whether a package may matter: it has, provides or obsoletes a name that begins with `prefix`.
pub(crate) fn is_candidate(entry: &RepoPackage, prefix: &str) -> bool {
    let mut obsoletes = entry.obsoletes.iter().map(|range| &range.name);
    entry.name.starts_with(prefix)
        || entry.provides.iter().any(|name| name.starts_with(prefix))
        || obsoletes.any(|name| name.starts_with(prefix))
}

/// `Obsoletes` as metadata state it: a name, and perhaps which versions of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) name: String,
    /// How its version must compare, and to what; without it every version is meant.
    pub(crate) constraint: Option<(ReqOperator, Evr<'static>)>,
}

impl Range {
    /// Whether it includes a package. As in RPM, a range without a release means every release of that version.
    pub(crate) fn admits(&self, name: &str, evr: &Evr<'_>) -> bool {
        let Some((operator, stated)) = &self.constraint else { return self.name == name };
        let release = if stated.release().is_empty() { "" } else { evr.release() };
        let ordering = Evr::new(evr.epoch(), evr.version(), release).cmp(stated);
        self.name == name
            && match operator {
                ReqOperator::LT => ordering.is_lt(),
                ReqOperator::LE => ordering.is_le(),
                ReqOperator::EQ => ordering.is_eq(),
                ReqOperator::GE => ordering.is_ge(),
                ReqOperator::GT => ordering.is_gt(),
            }
    }
}

pub(crate) fn operator(flags: &str) -> Result<ReqOperator> {
    Ok(match flags {
        "LT" => ReqOperator::LT,
        "LE" => ReqOperator::LE,
        "EQ" => ReqOperator::EQ,
        "GE" => ReqOperator::GE,
        "GT" => ReqOperator::GT,
        other => bail!("{} is no comparison of versions", quoted(other)),
    })
}

#[cfg(test)]
mod tests {
    use rpm_version::Evr;

    use super::{Range, operator};

    #[test]
    fn ranges_admit_what_rpm_says() {
        let candidates = ["1:99-1", "2:9.2-1", "2:10~rc1-1", "2:10-0", "2:10-1", "2:10-2", "2:10.1-1", "3:1-1"];
        for (flags, stated, admitted) in [
            ("", "", &candidates[..]),
            ("LT", "2:10-1", &candidates[..4]),
            ("LE", "2:10-1", &candidates[..5]),
            ("EQ", "2:10-1", &candidates[4..5]),
            ("GE", "2:10-1", &candidates[4..]),
            ("GT", "2:10-1", &candidates[5..]),
            ("LT", "2:10", &candidates[..3]),
            ("LE", "2:10", &candidates[..6]),
            ("EQ", "2:10", &candidates[3..6]),
            ("GE", "2:10", &candidates[3..]),
            ("GT", "2:10", &candidates[6..]),
            // Without an epoch it is 0.
            ("LT", "10", &[]),
            ("GT", "99", &candidates[..]),
        ] {
            let constraint = (!flags.is_empty()).then(|| {
                let (epoch, version, release) = Evr::parse_values(stated);
                (operator(flags).expect(flags), Evr::new(epoch, version, release))
            });
            let range = Range { name: "a".into(), constraint };
            let found: Vec<_> = candidates.into_iter().filter(|text| range.admits("a", &Evr::parse(text))).collect();
            assert_eq!(found, admitted, "{flags} {stated}");
            assert!(!candidates.iter().any(|text| range.admits("b", &Evr::parse(text))), "{flags} {stated}");
        }
        for bad in ["", "NE", "lt", "LT ", "<"] {
            operator(bad).expect_err(bad);
        }
    }
}
