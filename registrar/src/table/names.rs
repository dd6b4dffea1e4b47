//! Names of architectures as containerd reads them, where the table does not list them: any name of the table may stand
//! in a platform, `linux/aarch64` and `linux/x86_64/v2` too.

use super::TABLE;

/// The only system whose programs are meant.
const LINUX: &str = "linux/";

/// QEMU's name of the target that a user means.
pub(crate) fn target(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    TABLE.target(&name).or_else(|| {
        let name = name.strip_prefix(LINUX).unwrap_or(&name);
        let (machine, variant) = name.split_once('/').map_or((name, None), |(name, variant)| (name, Some(variant)));
        TABLE.target(machine).filter(|target| variant.is_none_or(|variant| has_variant(target, variant)))
    })
}

/// Whether a platform of the target may have this variant.
fn has_variant(target: &str, variant: &str) -> bool {
    TABLE.names.iter().any(|(name, known)| {
        *known == target
            && name.strip_prefix(LINUX).unwrap_or(name).split_once('/').is_some_and(|(_, of)| of == variant)
    })
}
