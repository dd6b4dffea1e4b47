//! Conf lines, read as systemd and the kernel read them, and what they would refuse.

use std::fmt;

use super::Rule;

/// The kernel's bounds (`fs/binfmt_misc.c`).
pub mod limits {
    /// Shortest accepted line, in bytes.
    pub const SHORTEST_LINE: usize = 11;
    /// Longest accepted line, in bytes: `MAX_REGISTER_LENGTH`.
    pub const LONGEST_LINE: usize = 1920;
    /// How much of a file is compared, in bytes: `BINPRM_BUF_SIZE` since Linux 5.1.
    pub const COMPARED_BYTES: usize = 256;
    /// Longest entry name, in bytes: `NAME_MAX`.
    pub const LONGEST_NAME: usize = 255;
}

/// One line of a `binfmt.d` file. Its flags are checked and forgotten: an image has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfLine {
    /// The entry's file name below `binfmt_misc`.
    pub name: String,
    /// What it compares.
    pub rule: Rule,
    /// Path of the program that runs what matches.
    pub interpreter: String,
}

/// Why the kernel would refuse a line, or why it is of no use for an emulator.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Bytes that are no UTF-8 text.
    NotUtf8,
    /// Fewer than [`limits::SHORTEST_LINE`] bytes.
    TooShort(usize),
    /// More than [`limits::LONGEST_LINE`] bytes.
    TooLong(usize),
    /// A raw NUL, which would cut the line.
    Nul,
    /// The first character, which separates the fields, is not ASCII.
    Delimiter(char),
    /// The line ends before this field does.
    MissingField(&'static str),
    /// Empty, `.`, `..` or with a slash.
    Name(String),
    /// Longer than [`limits::LONGEST_NAME`] bytes.
    NameTooLong(usize),
    /// Type `E`, which compares a file name's extension.
    Extension,
    /// Neither `M` nor `E`.
    Type(String),
    /// Not a decimal number of at least 0.
    Offset(String),
    /// `\x` without two hexadecimal digits, in this field.
    Escape(&'static str),
    /// No bytes to compare.
    EmptyMagic,
    /// Mask and magic have different numbers of bytes.
    MaskLength {
        /// Bytes of the magic.
        magic: usize,
        /// Bytes of the mask.
        mask: usize,
    },
    /// Offset and magic reach beyond [`limits::COMPARED_BYTES`]; holds the end.
    BeyondHeader(usize),
    /// No interpreter.
    EmptyInterpreter,
    /// A flag that is none of `P`, `O`, `C`, `F`.
    Flag(char),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => write!(f, "not UTF-8 text; other bytes are written as \\x.."),
            Self::TooShort(bytes) => write!(f, "{bytes} bytes, the kernel wants at least {}", limits::SHORTEST_LINE),
            Self::TooLong(bytes) => write!(f, "{bytes} bytes, the kernel takes at most {}", limits::LONGEST_LINE),
            Self::Nul => write!(f, "a raw NUL byte cuts the line; write it as \\x00"),
            Self::Delimiter(c) => write!(f, "delimiter {c:?} is not an ASCII character"),
            Self::MissingField(field) => write!(f, "ends before the {field} field does"),
            Self::Name(name) => write!(f, "{name:?} cannot be an entry's name"),
            Self::NameTooLong(bytes) => write!(f, "name of {bytes} bytes, at most {} fit", limits::LONGEST_NAME),
            Self::Extension => write!(f, "type E compares a file name's extension, not an ELF header"),
            Self::Type(text) => write!(f, "type {text:?} is neither M nor E"),
            Self::Offset(text) => write!(f, "offset {text:?} is not a decimal number"),
            Self::Escape(field) => write!(f, "\\x without two hexadecimal digits in the {field} field"),
            Self::EmptyMagic => write!(f, "no magic: nothing to compare"),
            Self::MaskLength { magic, mask } => write!(f, "mask of {mask} bytes for a magic of {magic}"),
            Self::BeyondHeader(end) => {
                write!(f, "compares up to byte {end}, the kernel reads only {}", limits::COMPARED_BYTES)
            }
            Self::EmptyInterpreter => write!(f, "no interpreter"),
            Self::Flag(c) => write!(f, "unknown flag {c:?}"),
        }
    }
}

impl std::error::Error for Problem {}

/// The lines of a `binfmt.d` file that are rules, each with its number, from 1. As systemd reads it: white space around
/// a line is dropped; empty lines and those that begin with `#` or `;` are skipped.
pub fn parse_conf(text: &[u8]) -> impl Iterator<Item = (usize, Result<ConfLine, Problem>)> {
    let blank = |byte: &u8| b" \t\r".contains(byte);
    let trimmed = move |line: &'_ [u8]| {
        let start = line.iter().position(|byte| !blank(byte)).unwrap_or(line.len());
        let end = line.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
        start..end
    };
    text.split(|&byte| byte == b'\n')
        .map(move |line| &line[trimmed(line)])
        .enumerate()
        .filter(|(_, line)| !matches!(line.first(), None | Some(b'#' | b';')))
        .map(|(index, line)| {
            let text = std::str::from_utf8(line).map_err(|_| Problem::NotUtf8);
            (index + 1, text.and_then(ConfLine::parse))
        })
}

/// Reads a line's fields from left to right.
struct Fields<'a> {
    rest: &'a str,
    delimiter: char,
}

impl<'a> Fields<'a> {
    /// The text up to the next delimiter.
    fn plain(&mut self, field: &'static str) -> Result<&'a str, Problem> {
        let (text, rest) = self.rest.split_once(self.delimiter).ok_or(Problem::MissingField(field))?;
        self.rest = rest;
        Ok(text)
    }

    /// The bytes that the text up to the next delimiter outside an escape stands for.
    fn bytes(&mut self, field: &'static str) -> Result<Vec<u8>, Problem> {
        let text = self.rest.as_bytes();
        let mut value = Vec::new();
        let mut at = 0;
        loop {
            match text.get(at) {
                None => return Err(Problem::MissingField(field)),
                Some(&byte) if char::from(byte) == self.delimiter => break,
                Some(b'\\') if text.get(at + 1) == Some(&b'x') => {
                    let digit = |index: usize| text.get(index).and_then(|&byte| char::from(byte).to_digit(16));
                    let (Some(high), Some(low)) = (digit(at + 2), digit(at + 3)) else {
                        return Err(Problem::Escape(field));
                    };
                    value.push((high << 4 | low) as u8);
                    at += 4;
                }
                Some(&byte) => {
                    value.push(byte);
                    at += 1;
                }
            }
        }
        self.rest = &self.rest[at + 1..];
        Ok(value)
    }
}

impl ConfLine {
    /// Reads one line, without a newline.
    ///
    /// # Errors
    /// Whatever would make the kernel answer `EINVAL` or `ENAMETOOLONG`, or read less than the line says; and type `E`.
    pub fn parse(line: &str) -> Result<Self, Problem> {
        let delimiter = line.chars().next().ok_or(Problem::TooShort(0))?;
        if line.len() < limits::SHORTEST_LINE {
            return Err(Problem::TooShort(line.len()));
        }
        if line.len() > limits::LONGEST_LINE {
            return Err(Problem::TooLong(line.len()));
        }
        if line.contains('\0') {
            return Err(Problem::Nul);
        }
        if !delimiter.is_ascii() {
            return Err(Problem::Delimiter(delimiter));
        }
        let mut fields = Fields { rest: &line[1..], delimiter };
        let name = fields.plain("name")?;
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(Problem::Name(name.into()));
        }
        if name.len() > limits::LONGEST_NAME {
            return Err(Problem::NameTooLong(name.len()));
        }
        let rule = match fields.plain("type")? {
            "M" => parse_magic(&mut fields)?,
            "E" => return Err(Problem::Extension),
            other => return Err(Problem::Type(other.into())),
        };
        let interpreter = fields.plain("interpreter")?;
        if interpreter.is_empty() {
            return Err(Problem::EmptyInterpreter);
        }
        if let Some(flag) = fields.rest.chars().find(|&c| !"POCF".contains(c)) {
            return Err(Problem::Flag(flag));
        }
        Ok(Self { name: name.into(), rule, interpreter: interpreter.into() })
    }
}

fn parse_magic(fields: &mut Fields<'_>) -> Result<Rule, Problem> {
    let text = fields.plain("offset")?;
    // As the kernel's kstrtoint: a plus sign is fine, white space and an empty sign are not.
    let offset = match text {
        "" => 0,
        _ => text
            .parse::<i32>()
            .ok()
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| Problem::Offset(text.into()))?,
    };
    let magic = fields.bytes("magic")?;
    if magic.is_empty() {
        return Err(Problem::EmptyMagic);
    }
    let mut mask = fields.bytes("mask")?;
    if mask.is_empty() {
        mask = vec![0xff; magic.len()];
    }
    if mask.len() != magic.len() {
        return Err(Problem::MaskLength { magic: magic.len(), mask: mask.len() });
    }
    let end = offset.saturating_add(magic.len());
    if end > limits::COMPARED_BYTES {
        return Err(Problem::BeyondHeader(end));
    }
    Ok(Rule { offset, magic, mask })
}
