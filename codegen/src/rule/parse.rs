//! Reading a line as systemd and the kernel read it, and saying what they would refuse.

use std::fmt;

use super::{Flags, Kind, Rule, Spelled};

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

/// Why the kernel would refuse a line, or read something else than its writer meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Fewer than [`limits::SHORTEST_LINE`] bytes.
    TooShort(usize),
    /// More than [`limits::LONGEST_LINE`] bytes.
    TooLong(usize),
    /// A raw NUL or newline, which would cut the line.
    ControlByte(u8),
    /// The first character, which separates the fields, is not ASCII.
    Delimiter(char),
    /// The line ends before this field does.
    MissingField(&'static str),
    /// Empty, `.`, `..` or with a slash.
    Name(String),
    /// Longer than [`limits::LONGEST_NAME`] bytes.
    NameTooLong(usize),
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
    /// An extension that is empty or has a slash.
    Extension(String),
    /// No interpreter.
    EmptyInterpreter,
    /// A flag that is none of `P`, `O`, `C`, `F`.
    Flag(char),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(bytes) => write!(f, "{bytes} bytes, the kernel wants at least {}", limits::SHORTEST_LINE),
            Self::TooLong(bytes) => write!(f, "{bytes} bytes, the kernel takes at most {}", limits::LONGEST_LINE),
            Self::ControlByte(byte) => write!(f, "raw byte {byte:#04x} cuts the rule; write it as \\x{byte:02x}"),
            Self::Delimiter(c) => write!(f, "delimiter {c:?} is not an ASCII character"),
            Self::MissingField(field) => write!(f, "ends before the {field} field does"),
            Self::Name(name) => write!(f, "{name:?} cannot be an entry's name"),
            Self::NameTooLong(bytes) => write!(f, "name of {bytes} bytes, at most {} fit", limits::LONGEST_NAME),
            Self::Type(text) => write!(f, "type {text:?} is neither M nor E"),
            Self::Offset(text) => write!(f, "offset {text:?} is not a decimal number"),
            Self::Escape(field) => write!(f, "\\x without two hexadecimal digits in the {field} field"),
            Self::EmptyMagic => write!(f, "no magic: nothing to compare"),
            Self::MaskLength { magic, mask } => write!(f, "mask of {mask} bytes for a magic of {magic}"),
            Self::BeyondHeader(end) => {
                write!(f, "compares up to byte {end}, the kernel reads only {}", limits::COMPARED_BYTES)
            }
            Self::Extension(text) => write!(f, "{text:?} cannot be a file name's extension"),
            Self::EmptyInterpreter => write!(f, "no interpreter"),
            Self::Flag(c) => write!(f, "unknown flag {c:?}"),
        }
    }
}

/// A [`Problem`] and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    /// The file's name as given to [`parse_conf`].
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)
    }
}

impl std::error::Error for RuleError {}

/// The rules of a `binfmt.d` file. As systemd reads it: white space around a line is dropped; empty lines and those
/// that begin with `#` or `;` are skipped.
///
/// # Errors
/// The first line that the kernel would refuse.
pub fn parse_conf(file: &str, text: &str) -> Result<Vec<Rule>, RuleError> {
    text.split('\n')
        .map(|line| line.trim_matches([' ', '\t', '\r', '\n']))
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(['#', ';']))
        .map(|(index, line)| {
            Rule::parse(line).map_err(|problem| RuleError { file: file.into(), line: index + 1, problem })
        })
        .collect()
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

    /// The text up to the next delimiter outside an escape, and the bytes that it stands for.
    fn bytes(&mut self, field: &'static str) -> Result<Spelled<Vec<u8>>, Problem> {
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
        let (text, rest) = self.rest.split_at(at);
        self.rest = &rest[1..];
        Ok(Spelled { value, text: text.into() })
    }
}

impl Rule {
    /// Reads one line, without a newline.
    ///
    /// # Errors
    /// Whatever would make the kernel answer `EINVAL` or `ENAMETOOLONG`, or read less than the line says.
    pub fn parse(line: &str) -> Result<Self, Problem> {
        let delimiter = line.chars().next().ok_or(Problem::TooShort(0))?;
        if line.len() < limits::SHORTEST_LINE {
            return Err(Problem::TooShort(line.len()));
        }
        if line.len() > limits::LONGEST_LINE {
            return Err(Problem::TooLong(line.len()));
        }
        if let Some(&byte) = line.as_bytes().iter().find(|&&byte| byte == 0 || byte == b'\n') {
            return Err(Problem::ControlByte(byte));
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
        let kind = match fields.plain("type")? {
            "M" => Self::parse_magic(&mut fields)?,
            "E" => {
                let offset = fields.plain("offset")?.into();
                let extension = fields.plain("extension")?;
                if extension.is_empty() || extension.contains('/') {
                    return Err(Problem::Extension(extension.into()));
                }
                Kind::Extension { extension: extension.into(), offset, mask: fields.plain("mask")?.into() }
            }
            other => return Err(Problem::Type(other.into())),
        };
        let interpreter = fields.plain("interpreter")?;
        if interpreter.is_empty() {
            return Err(Problem::EmptyInterpreter);
        }
        let flags = Flags::parse(fields.rest)?;
        Ok(Self { delimiter, name: name.into(), kind, interpreter: interpreter.into(), flags })
    }

    fn parse_magic(fields: &mut Fields<'_>) -> Result<Kind, Problem> {
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
        if magic.value.is_empty() {
            return Err(Problem::EmptyMagic);
        }
        let mask = fields.bytes("mask")?;
        let mask = (!mask.text.is_empty()).then_some(mask);
        if let Some(mask) = mask.as_ref().filter(|mask| mask.value.len() != magic.value.len()) {
            return Err(Problem::MaskLength { magic: magic.value.len(), mask: mask.value.len() });
        }
        let end = offset.saturating_add(magic.value.len());
        if end > limits::COMPARED_BYTES {
            return Err(Problem::BeyondHeader(end));
        }
        Ok(Kind::Magic { offset: Spelled { value: offset, text: text.into() }, magic, mask })
    }
}

impl Flags {
    fn parse(text: &str) -> Result<Spelled<Self>, Problem> {
        let mut value = Self::default();
        for c in text.chars() {
            match c {
                'P' => value.preserve_argv0 = true,
                'O' => value.open_binary = true,
                'C' => (value.credentials, value.open_binary) = (true, true),
                'F' => value.fix_binary = true,
                other => return Err(Problem::Flag(other)),
            }
        }
        Ok(Spelled { value, text: text.into() })
    }
}
