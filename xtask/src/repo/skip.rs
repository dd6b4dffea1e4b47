//! Takes packages that cannot matter out of a list before it is parsed: of Fedora's 200 MB the parser sees 100 kB, and the
//! list is read about as fast as it is decompressed.
//!
//! What is taken out begins with `<package ` and ends with the next `</package>`, without the wanted text in between.
//! Why that is sound:
//!
//! - In XML a `<` that begins no tag only stands in comments, CDATA, processing instructions and document types. All of
//!   these begin with `<!` or `<?`. From the first of them on (but for the XML declaration) nothing
//!   is taken out any more. Before it, both marks are tags and nothing else, so a well-formed list stays well-formed
//!   and loses whole packages only.
//! - A package that could matter has a name with the wanted text, so it is kept; whether it does matter is the parser's
//!   to say. (Somebody could write the text with character references, and so hide a package. It could as well be left
//!   out.)
//! - What is not well-formed inside of what is taken out goes unnoticed. Nothing of it is used, and what remains is
//!   parsed, and each entry checked, as if it had been all. A hostile list gains nothing: what it could make us see this
//!   way it could say openly.
//! - The memory it takes is bounded: a package that is longer than [`LONGEST`] goes to the parser as it comes.

use std::io::{self, BufRead, Read};

use memchr::memmem::Finder;

/// Longest package that is held back to be looked at as a whole, in bytes. Few are longer than 100 kB.
const LONGEST: usize = 1 << 20;

/// How much is asked of the source at once, in bytes.
const CHUNK: usize = 1 << 17;

/// How the declaration begins, in which nothing else can be.
const XML: &[u8] = b"<?xml ";

const START: &[u8] = b"<package ";
const END: &[u8] = b"</package>";

/// A list without the packages that do not contain a text.
pub(super) struct Skip<'a, R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in the buffer what is passed on begins,
    begin: usize,
    /// where it ends and what is undecided begins,
    decided: usize,
    /// and where that ends.
    filled: usize,
    /// From where in what is undecided an end has to be looked for.
    searched: usize,
    is_first: bool,
    at_end: bool,
    /// Whether anything may still be taken out.
    skipping: bool,
    start: Finder<'static>,
    end: Finder<'static>,
    wanted: Finder<'a>,
    declaration: Finder<'static>,
    instruction: Finder<'static>,
}

impl<'a, R: Read> Skip<'a, R> {
    /// Of `source`, an XML document, without the packages that do not contain `wanted`.
    pub(super) fn new(source: R, wanted: &'a str) -> Self {
        Self {
            source,
            buffer: vec![0; 2 * CHUNK],
            begin: 0,
            decided: 0,
            filled: 0,
            searched: 0,
            is_first: true,
            at_end: false,
            skipping: true,
            start: Finder::new(START),
            end: Finder::new(END),
            wanted: Finder::new(wanted),
            declaration: Finder::new(b"<!"),
            instruction: Finder::new(b"<?"),
        }
    }

    /// Gets more of the source behind what is undecided.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.decided..self.filled, 0);
        (self.begin, self.decided, self.filled) = (0, 0, self.filled - self.decided);
        if self.buffer.len() < self.filled + CHUNK {
            self.buffer.resize(self.filled + CHUNK, 0);
        }
        let length = loop {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.filled += length;
        self.at_end = length == 0;
        Ok(())
    }

    /// Decides on some of what is undecided: passes it on, takes it out, or gets more.
    fn decide(&mut self) -> io::Result<()> {
        let open = &self.buffer[self.decided..self.filled];
        if self.is_first && open.len() < XML.len() && !self.at_end {
            return self.fill();
        }
        if std::mem::take(&mut self.is_first) && open.starts_with(XML) {
            return self.pass(XML.len());
        }
        if !self.skipping {
            return if open.is_empty() { self.fill() } else { self.pass(open.len()) };
        }
        match self.start.find(open) {
            Some(0) => match self.end.find(&open[self.searched..]) {
                Some(place) => self.package(self.searched + place + END.len()),
                None if self.at_end || open.len() > LONGEST => self.outside(START.len()),
                None => {
                    // An end may have begun in the last bytes.
                    self.searched = open.len().saturating_sub(END.len() - 1);
                    self.fill()
                }
            },
            Some(place) => self.outside(place),
            None if self.at_end => self.outside(open.len()),
            // So may a start.
            None if open.len() >= START.len() => self.outside(open.len() - (START.len() - 1)),
            None => self.fill(),
        }
    }

    /// Takes a package out, or passes it on.
    fn package(&mut self, length: usize) -> io::Result<()> {
        let package = &self.buffer[self.decided..self.decided + length];
        if self.is_special(package) {
            self.skipping = false;
        } else if self.wanted.find(package).is_none() {
            self.searched = 0;
            self.decided += length;
            self.begin = self.decided;
            return Ok(());
        }
        self.pass(length)
    }

    /// Passes on what is not part of a package that could be taken out. The byte behind it is looked at too: with the
    /// last one it may begin something special.
    fn outside(&mut self, length: usize) -> io::Result<()> {
        let end = (self.decided + length + 1).min(self.filled);
        if self.is_special(&self.buffer[self.decided..end]) {
            self.skipping = false;
        }
        self.pass(length)
    }

    fn pass(&mut self, length: usize) -> io::Result<()> {
        self.searched = 0;
        self.decided += length;
        Ok(())
    }

    /// Whether there is anything in which a tag might be no tag.
    fn is_special(&self, bytes: &[u8]) -> bool {
        self.declaration.find(bytes).is_some() || self.instruction.find(bytes).is_some()
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
        while self.begin == self.decided && !(self.at_end && self.decided == self.filled) {
            self.decide()?;
        }
        Ok(&self.buffer[self.begin..self.decided])
    }

    fn consume(&mut self, length: usize) {
        self.begin += length;
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
            assert!(skip.buffer.len() <= LONGEST + 3 * super::CHUNK, "{}", skip.buffer.len());
        }
    }
}
