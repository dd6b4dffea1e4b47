//! Which programs a rule takes.

/// Bytes at an offset of a program, and which of their bits count. Magic and mask have the same length; without any, the
/// rule is about a file's name and takes no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule<B = &'static [u8]> {
    pub(crate) offset: usize,
    pub(crate) magic: B,
    pub(crate) mask: B,
}

impl<B: AsRef<[u8]>> Rule<B> {
    /// Whether it takes programs that begin with `header`.
    pub(crate) fn matches(&self, header: &[u8]) -> bool {
        let (magic, mask) = (self.magic.as_ref(), self.mask.as_ref());
        let compared = header.get(self.offset..).and_then(|rest| rest.get(..magic.len()));
        let (Some(compared), Some(mask)) = (compared, mask.get(..magic.len())) else { return false };
        // From the end: the last bytes of most rules are `e_machine`, in which most programs differ.
        !magic.is_empty() && (0..magic.len()).rev().all(|at| (compared[at] ^ magic[at]) & mask[at] == 0)
    }

    /// Whether both say the same.
    pub(crate) fn equals(&self, other: &Rule<impl AsRef<[u8]>>) -> bool {
        self.offset == other.offset
            && self.magic.as_ref() == other.magic.as_ref()
            && self.mask.as_ref() == other.mask.as_ref()
    }
}

impl Rule {
    /// Whether some program is taken by both.
    pub(super) const fn overlaps(&self, other: &Self) -> bool {
        let mut at = 0;
        while at < self.offset + self.magic.len() {
            if at >= self.offset && at >= other.offset && at < other.offset + other.magic.len() {
                let (own, theirs) = (at - self.offset, at - other.offset);
                if (self.magic[own] ^ other.magic[theirs]) & self.mask[own] & other.mask[theirs] != 0 {
                    return false;
                }
            }
            at += 1;
        }
        !self.magic.is_empty() && !other.magic.is_empty()
    }
}
