//! Removes packages that cannot matter from a list before it is parsed: of Fedora's 200 MB the XML parser sees 100 kB.
//!
//! From `<package ` to the next `</package>`, all is removed that does not contain the wanted text. That is safe:
//! - `<` without a tag occurs only in comments, CDATA, processing instructions and document types, which begin with
//!   `<!` or `<?`. From the first of them on (but for the XML declaration) nothing is removed.
//! - A wanted package has the text in a name. Character references could hide it; so could a list that leaves it out.
//! - Memory is bounded: a package longer than [`LONGEST`] is not searched.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

use memchr::memmem::Finder;

/// Longest package that is held back to be searched as a whole, in bytes. Few are longer than 100 kB.
const LONGEST: usize = 1 << 20;

const CHUNK: usize = 1 << 17;

const XML_DECLARATION: &[u8] = b"<?xml ";
const START: &[u8] = b"<package ";
const END: &[u8] = b"</package>";

pub(super) struct Skip<'a, R> {
    source: R,
    pending: Vec<u8>,
    kept: VecDeque<u8>,
    at_start: bool,
    at_end: bool,
    /// Whether anything may still be taken out.
    skipping: bool,
    start: Finder<'static>,
    end: Finder<'static>,
    wanted: Finder<'a>,
    special: [Finder<'static>; 2],
}

impl<'a, R: Read> Skip<'a, R> {
    pub(super) fn new(source: R, wanted: &'a str) -> Self {
        Self {
            source,
            pending: Vec::new(),
            kept: VecDeque::new(),
            at_start: true,
            at_end: false,
            skipping: true,
            start: Finder::new(START),
            end: Finder::new(END),
            wanted: Finder::new(wanted),
            special: [Finder::new(b"<!"), Finder::new(b"<?")],
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        let old = self.pending.len();
        self.pending.resize(old + CHUNK, 0);
        let length = loop {
            match self.source.read(&mut self.pending[old..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.pending.truncate(old + length);
        self.at_end = length == 0;
        Ok(())
    }

    /// Moves what can be decided of the pending bytes to the kept ones, or drops it.
    fn decide(&mut self) {
        let mut decided = 0;
        if self.at_start && (self.pending.len() >= XML_DECLARATION.len() || self.at_end) {
            self.at_start = false;
            if self.pending.starts_with(XML_DECLARATION) {
                self.keep(&mut decided, XML_DECLARATION.len());
            }
        }
        while !self.at_start && decided < self.pending.len() {
            let open = &self.pending[decided..];
            if !self.skipping {
                let length = open.len();
                self.keep(&mut decided, length);
                continue;
            }
            // The last bytes may be the first of a start.
            let tail = if self.at_end { 0 } else { START.len() - 1 };
            let outside = self.start.find(open).unwrap_or(open.len().saturating_sub(tail));
            if outside > 0 {
                self.keep_outside(&mut decided, outside);
                continue;
            }
            match self.end.find(open) {
                Some(end_at) if open.starts_with(START) => self.package(&mut decided, end_at + END.len()),
                _ if open.starts_with(START) && (self.at_end || open.len() > LONGEST) => {
                    self.keep_outside(&mut decided, START.len());
                }
                _ => break,
            }
        }
        self.pending.drain(..decided);
    }

    fn package(&mut self, decided: &mut usize, length: usize) {
        let package = &self.pending[*decided..*decided + length];
        self.skipping = !self.is_special(package);
        if self.skipping && self.wanted.find(package).is_none() {
            *decided += length;
        } else {
            self.keep(decided, length);
        }
    }

    /// Keeps what is not part of a package that could be taken out. With the byte after it, its last byte may begin a `<!`.
    fn keep_outside(&mut self, decided: &mut usize, length: usize) {
        let end = (*decided + length + 1).min(self.pending.len());
        self.skipping = !self.is_special(&self.pending[*decided..end]);
        self.keep(decided, length);
    }

    fn keep(&mut self, decided: &mut usize, length: usize) {
        self.kept.extend(&self.pending[*decided..*decided + length]);
        *decided += length;
    }

    fn is_special(&self, bytes: &[u8]) -> bool {
        self.special.iter().any(|special| special.find(bytes).is_some())
    }
}

impl<R: Read> Read for Skip<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl<R: Read> BufRead for Skip<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.kept.is_empty() && !(self.at_end && self.pending.is_empty()) {
            self.fill()?;
            self.decide();
        }
        self.kept.fill_buf()
    }

    fn consume(&mut self, length: usize) {
        self.kept.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::{LONGEST, Skip};

    /// Gives so many bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.1.min(buffer.len());
            self.0.read(&mut buffer[..length])
        }
    }

    fn skipped(text: &str, step: usize) -> String {
        let mut kept = String::new();
        Skip::new(Slow(text.as_bytes(), step), "qemu").read_to_string(&mut kept).expect("UTF-8");
        kept
    }

    #[test]
    fn takes_out_whole_packages_without_the_text_and_nothing_else() {
        const A: &str = "<package type='rpm'><name>a</name><packager>b</packager></package>";
        const Q: &str = "<package type='rpm'><name>qemu-user-static</name></package>";
        let head = "<?xml version='1.0'?>\n<metadata packages='2'>";
        for (text, expected) in [
            (format!("{head}{A}\n{Q}\n{A}{A}</metadata>\n"), format!("{head}\n{Q}\n</metadata>\n")),
            (format!("{Q}{Q}"), format!("{Q}{Q}")),
            (format!("{A}{A}"), String::new()),
            (String::new(), String::new()),
            ("<".into(), "<".into()),
            ("<package ".into(), "<package ".into()),
            ("<package <package a='qe".into(), "<package <package a='qe".into()),
            // Something in which a tag may be none: all that follows is the parser's.
            (format!("{head}<!-- {A} -->{A}"), format!("{head}<!-- {A} -->{A}")),
            (format!("{head}<?x {A} ?>{A}"), format!("{head}<?x {A} ?>{A}")),
            (format!("<!DOCTYPE a>{A}"), format!("<!DOCTYPE a>{A}")),
            (format!("<?x {A} ?>{A}"), format!("<?x {A} ?>{A}")),
            (format!("{A}<?xml {A} ?>{A}"), format!("<?xml {A} ?>{A}")),
            (format!("{A}<![CDATA[{A}]]>{A}"), format!("<![CDATA[{A}]]>{A}")),
            (
                format!("{A}<package type='rpm'><!-- </package> --></package>{A}"),
                format!("<package type='rpm'><!-- </package> --></package>{A}"),
            ),
            (
                format!("{A}<package a='b'><?c </package>?><name>qemu</name></package>{A}"),
                format!("<package a='b'><?c </package>?><name>qemu</name></package>{A}"),
            ),
            // Other elements, other spellings.
            ("<packages >a</packages>".into(), "<packages >a</packages>".into()),
            ("<package>a</package>".into(), "<package>a</package>".into()),
            (format!("<package >a</package >{A}b"), "b".into()),
            (format!("<package >a</package >{Q}{A}"), format!("<package >a</package >{Q}")),
            // Not well-formed, which the parser then sees.
            ("<package ><package >a</package>b</package>".into(), "b</package>".into()),
            (format!("{A}<package >a"), "<package >a".into()),
        ] {
            for step in [1, 2, 3, 7, 64, 1 << 20] {
                assert_eq!(skipped(&text, step), expected, "{text} in steps of {step}");
            }
        }
    }

    #[test]
    fn long_packages_go_to_the_parser_as_they_come() {
        let small = "<package >b</package>";
        for (length, kept) in [(LONGEST / 2, false), (3 * LONGEST, true)] {
            let long = format!("<package >{}</package>", "a".repeat(length));
            let text = format!("<list>{small}{long}{small}</list>");
            let expected = format!("<list>{}</list>", if kept { long.as_str() } else { "" });
            assert!(skipped(&text, 1 << 16) == expected, "{length} bytes");
            let mut skip = Skip::new(text.as_bytes(), "qemu");
            std::io::copy(&mut skip, &mut std::io::sink()).expect("all of it");
            assert!(skip.pending.capacity() <= 4 * LONGEST, "{}", skip.pending.capacity());
        }
    }
}
