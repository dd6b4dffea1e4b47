//! One line of a `binfmt.d` file: read as systemd and the kernel read it, written back byte for byte, computed from a
//! target, corrected.
//!
//! Which rules belong together, and to which emulator, is decided in [`crate::table`].

use std::fmt;

use object::Endianness;

use crate::probe;
use crate::targets::{Machine, Target};

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

/// A value together with the text that it was written as, so that a line can be written back unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled<T> {
    /// What the text means.
    pub value: T,
    text: String,
}

impl<T> Spelled<T> {
    /// The text as it stands in the line.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What is compared with a file that is to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Type `M`: bytes at an offset.
    Magic {
        /// Distance of the compared bytes from the file's start.
        offset: Spelled<usize>,
        /// The bytes, before masking.
        magic: Spelled<Vec<u8>>,
        /// Which bits count; all if absent.
        mask: Option<Spelled<Vec<u8>>>,
    },
    /// Type `E`: a file name's extension. The kernel ignores the offset and mask fields.
    Extension {
        /// The extension, without the dot.
        extension: String,
        /// Text of the ignored offset field.
        offset: String,
        /// Text of the ignored mask field.
        mask: String,
    },
}

/// The kernel's flags of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `P`: keep `argv[0]`.
    pub preserve_argv0: bool,
    /// `O`: pass the program as an open file.
    pub open_binary: bool,
    /// `C`: take credentials from the program, not from the interpreter; implies `O`.
    pub credentials: bool,
    /// `F`: open the interpreter once, at registration.
    pub fix_binary: bool,
}

/// One registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    delimiter: char,
    /// The entry's file name below `binfmt_misc`.
    pub name: String,
    /// What it compares.
    pub kind: Kind,
    /// Path of the program that runs what matches.
    pub interpreter: String,
    /// Options.
    pub flags: Spelled<Flags>,
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

    /// The rule that follows from what is known of `target`, with the given masks, for its programs with this machine
    /// number, run by `interpreter` with flag `F`.
    pub fn for_target(target: &Target, machine: Machine, masks: Masks, interpreter: &str) -> Self {
        let header = probe::header(target, machine.number, 2);
        let mut magic = header[..20].to_vec();
        let mut mask = vec![0xff; 20];
        for correction in Correction::ALL {
            correction.apply(target, &mut mask);
        }
        if masks == Masks::Upstream {
            mask[8..16].fill(0xff);
            for &(at, value) in target.upstream_mask {
                mask[at] = value;
            }
        }
        if let Some(bit) = target.flag_bit {
            // Nothing between the machine number and the flags counts, and of the flags only their low byte.
            let at = match target.endian {
                Endianness::Little => 36,
                Endianness::Big => 39,
            };
            magic.extend_from_slice(&header[20..24]);
            mask.extend_from_slice(if masks == Masks::Upstream { &[0xff; 4] } else { &[0; 4] });
            magic.resize(40, 0);
            mask.resize(40, 0);
            magic[at] = bit.value as u8;
            mask[at] = bit.mask as u8;
        }
        Self {
            delimiter: ':',
            name: format!("qemu-{}", machine.name),
            kind: Kind::Magic {
                offset: Spelled { value: 0, text: String::new() },
                magic: spell(magic),
                mask: Some(spell(mask)),
            },
            interpreter: interpreter.into(),
            flags: Flags::FIX_BINARY.spelled(),
        }
    }

    /// Whether the kernel would take a file that begins with `header` for this rule's. `header` is read as if zeros
    /// followed. A rule by extension matches no header.
    pub fn matches(&self, header: &[u8]) -> bool {
        self.compared().is_some_and(|compared| {
            compared.iter().all(|&(at, byte, mask)| (header.get(at).copied().unwrap_or(0) ^ byte) & mask == 0)
        })
    }

    /// Whether some header would match both rules.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (Some(ours), Some(theirs)) = (self.compared(), other.compared()) else { return false };
        ours.iter().all(|&(at, byte, mask)| {
            theirs.iter().filter(|theirs| theirs.0 == at).all(|theirs| (theirs.1 ^ byte) & theirs.2 & mask == 0)
        })
    }

    /// Every byte that counts: its offset in the file, its value, and which of its bits count. `None` if the rule goes
    /// by extension.
    pub fn compared(&self) -> Option<Vec<(usize, u8, u8)>> {
        let Kind::Magic { offset, magic, mask } = &self.kind else { return None };
        let mask_at = |index: usize| mask.as_ref().map_or(0xff, |mask| mask.value[index]);
        Some(
            magic
                .value
                .iter()
                .enumerate()
                .map(|(index, &byte)| (offset.value + index, byte & mask_at(index), mask_at(index)))
                .filter(|&(_, _, mask)| mask != 0)
                .collect(),
        )
    }

    /// Applies all corrections that `target` needs; returns those that changed something.
    ///
    /// A rule that does not compare the first 20 bytes of an ELF header is left alone.
    pub fn correct(&mut self, target: &Target) -> Vec<Correction> {
        let Kind::Magic { offset: Spelled { value: 0, .. }, magic, mask: Some(mask) } = &mut self.kind else {
            return Vec::new();
        };
        if magic.value.len() < 20 || !magic.value.starts_with(b"\x7fELF") {
            return Vec::new();
        }
        let mut bytes = mask.value.clone();
        let applied = Correction::ALL.into_iter().filter(|correction| correction.apply(target, &mut bytes)).collect();
        if bytes != mask.value {
            *mask = spell(bytes);
        }
        applied
    }
}

impl fmt::Display for Rule {
    /// The line that registers the rule, without a newline; of a parsed rule, the very line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let d = self.delimiter;
        let (kind, offset, magic, mask) = match &self.kind {
            Kind::Magic { offset, magic, mask } => {
                ('M', offset.text(), magic.text(), mask.as_ref().map_or("", Spelled::text))
            }
            Kind::Extension { extension, offset, mask } => ('E', &offset[..], &extension[..], &mask[..]),
        };
        let (name, interpreter, flags) = (&self.name, &self.interpreter, self.flags.text());
        write!(f, "{d}{name}{d}{kind}{d}{offset}{d}{magic}{d}{mask}{d}{interpreter}{d}{flags}")
    }
}

impl Flags {
    /// `F` alone, as Fedora registers.
    pub const FIX_BINARY: Self =
        Self { preserve_argv0: false, open_binary: false, credentials: false, fix_binary: true };

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

    /// As the kernel shows them: in the order `POCF`.
    pub fn spelled(self) -> Spelled<Self> {
        let letters =
            [(self.preserve_argv0, 'P'), (self.open_binary, 'O'), (self.credentials, 'C'), (self.fix_binary, 'F')];
        Spelled { value: self, text: letters.iter().filter(|(set, _)| *set).map(|&(_, letter)| letter).collect() }
    }
}

/// Bytes in QEMU's spelling: `\x7fELF` as such, all others escaped.
fn spell(value: Vec<u8>) -> Spelled<Vec<u8>> {
    let plain = if value.starts_with(b"\x7fELF") { 1..4 } else { 0..0 };
    let text = value
        .iter()
        .enumerate()
        .map(|(at, &byte)| if plain.contains(&at) { char::from(byte).into() } else { format!("\\x{byte:02x}") })
        .collect();
    Spelled { value, text }
}

/// Which masks a table is made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Masks {
    /// With every [`Correction`].
    #[default]
    Corrected,
    /// As QEMU and the packages write them.
    Upstream,
}

/// A place where the masks of QEMU's rules compare too much, or too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// Bytes 5 and 6, `fe` for alpha, i386 and x86_64: byte order and version are compared in full.
    Ident,
    /// Byte 7: GNU's OSABI 3 (IFUNC, unique symbols) must match everywhere.
    OsAbi,
    /// Bytes 8 to 15: AppImages write `41 49 02` there, MIPS executables linked with `-mplt` an ABI version of 1.
    AbiVersionAndPadding,
    /// Bytes 16 and 17: the low bit of `e_type` is in the second one for big-endian targets (wrong for microblaze), so
    /// that position-independent executables match.
    Type,
    /// Bytes 18 and 19: the machine number is compared in full (half of it was not, for ppc64le).
    Machine,
    /// Bytes 20 to 23, for 32-bit MIPS since QEMU 9: the ELF version, which is 1 everywhere, tells nothing apart.
    Version,
}

impl Correction {
    /// All, in the order of the bytes.
    pub const ALL: [Self; 6] =
        [Self::Ident, Self::OsAbi, Self::AbiVersionAndPadding, Self::Type, Self::Machine, Self::Version];

    /// Sets the bytes that this correction is about; says whether that changed them. `mask` has at least 20 bytes.
    fn apply(self, target: &Target, mask: &mut [u8]) -> bool {
        let (at, corrected): (usize, &[u8]) = match self {
            Self::Ident => (5, &[0xff, 0xff]),
            Self::OsAbi => (7, &[0]),
            Self::AbiVersionAndPadding => (8, &[0; 8]),
            Self::Type => match target.endian {
                Endianness::Little => (16, &[0xfe, 0xff]),
                Endianness::Big => (16, &[0xff, 0xfe]),
            },
            Self::Machine => (18, &[0xff, 0xff]),
            Self::Version => (20, &[0; 4]),
        };
        // Most rules end before the version.
        let Some(bytes) = mask.get_mut(at..at + corrected.len()) else { return false };
        let changes = bytes != corrected;
        bytes.copy_from_slice(corrected);
        changes
    }

    /// What the correction is about, in a few words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ident => "byte order and version",
            Self::OsAbi => "OSABI",
            Self::AbiVersionAndPadding => "ABI version and padding",
            Self::Type => "executable type",
            Self::Machine => "machine number",
            Self::Version => "ELF version",
        }
    }
}
