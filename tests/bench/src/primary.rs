//! A list of packages like Fedora's, of any length and always the same: names, texts, dependencies and files are made
//! up from a fixed seed, sizes and shapes are as in the real one. The emulators' own packages are in [`crate::family`].

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::family;

/// The first packages, which require only each other: what everything stands on. Whoever resolves recursively ends
/// there, as with Fedora's glibc, bash and systemd.
const CORE: usize = 60;

/// How many names and shared libraries a package provides beside its own, and how many it requires, on
/// average.
const DEPENDENCIES: u64 = 10;

/// Syllables that names and words are made of: some 4,000 words of up to three.
const SYLLABLES: [&str; 16] =
    ["al", "ber", "co", "dra", "en", "fi", "gra", "ho", "in", "kel", "lo", "mun", "ni", "par", "so", "te"];

/// Beginnings of names, by how often Fedora has them.
const KINDS: [&str; 16] = [
    "",
    "",
    "",
    "lib",
    "python3-",
    "python3-",
    "perl-",
    "rust-",
    "rust-",
    "golang-github-",
    "texlive-",
    "texlive-",
    "nodejs-",
    "ghc-",
    "R-",
    "php-",
];

/// Ends of names: what is built from one source, whose packages share its version and most of their texts.
const PARTS: [&str; 3] = ["", "-devel", "-libs"];

/// Numbers that look random and are the same in each run.
pub(super) struct Random(fastrand::Rng);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// Below `limit`; 0 of none.
    fn below(&mut self, limit: u64) -> u64 {
        self.0.u64(..limit.max(1))
    }

    /// Below `limit`, and small numbers far more often than large ones, like words of a text.
    fn mostly_small(&mut self, limit: u64) -> u64 {
        let bound = self.below(limit) + 1;
        let bound = self.below(bound) + 1;
        self.below(bound)
    }

    /// A digest in hexadecimal digits.
    pub(super) fn digest(&mut self) -> String {
        (0..4).fold(String::new(), |text, _| text + &format!("{:016x}", self.0.u64(..)))
    }
}

/// Writes the list with `count` packages, in less memory than one of them takes.
pub(super) fn write(count: usize, out: &mut impl Write) -> io::Result<()> {
    let mut random = Random::new(45);
    writeln!(
        out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<metadata xmlns=\"http://linux.duke.edu/metadata/common\" \
         xmlns:rpm=\"http://linux.duke.edu/metadata/rpm\" packages=\"{count}\">"
    )?;
    let family = family::packages(&mut random);
    let others = count.saturating_sub(family.len());
    for index in 0..others {
        // Sorted by nothing, as in the real one: the family lies somewhere in the middle.
        if index == others / 2 {
            for package in &family {
                out.write_all(package.as_bytes())?;
            }
        }
        out.write_all(package(index, &mut random).as_bytes())?;
    }
    out.write_all(b"</metadata>\n")
}

/// The word of a number: the same number gives the same word.
fn word(number: u64) -> String {
    let mut rest = number + 16;
    let mut word = String::new();
    while rest > 0 {
        word.push_str(SYLLABLES[(rest % 16) as usize]);
        rest /= 16;
    }
    word
}

/// The source package that a package is built from, and a name that no other package has.
fn names(index: usize) -> (String, String) {
    match index {
        0 => ("bash".into(), "bash".into()),
        1 => ("glibc".into(), "glibc".into()),
        2 => ("systemd".into(), "systemd".into()),
        _ => {
            let source = index / PARTS.len();
            let kind = KINDS[Random::new(source as u64).below(16) as usize];
            let source = format!("{kind}{}", word(source as u64));
            let name = format!("{source}{}", PARTS[index % PARTS.len()]);
            (source, name)
        }
    }
}

fn sentence(words: u64, random: &mut Random) -> String {
    let words: Vec<_> = (0..words).map(|_| word(random.mostly_small(4000))).collect();
    words.join(" ")
}

fn version(random: &mut Random) -> String {
    format!("{}.{}.{}", random.mostly_small(30), random.mostly_small(20), random.mostly_small(12))
}

fn package(index: usize, random: &mut Random) -> String {
    let (source, name) = names(index);
    // What is the same for all of a source.
    let mut common = Random::new(!((index / PARTS.len()) as u64));
    let version = version(&mut common);
    let arch = if index % 3 == 1 { "noarch" } else { "x86_64" };
    let mut provides = entry(&name, Some(&version)) + &entry(&format!("{name}(x86-64)"), Some(&version));
    let mut requires = String::new();
    match index {
        0 => provides += &entry("/bin/sh", None),
        1 => provides += &entry("rtld(GNU_HASH)", None),
        2 => provides += &entry("systemd-units", None),
        _ => {}
    }
    for number in 0..random.below(DEPENDENCIES * 2) {
        provides += &match number % 3 {
            0 => entry(&format!("bundled({}-{})", word(random.mostly_small(4000)), word(number)), Some(&version)),
            1 => entry(&format!("lib{}.so.{number}()(64bit)", word(index as u64)), None),
            _ => entry(&format!("{name}({})", word(random.mostly_small(4000))), Some(&version)),
        };
    }
    // Earlier ones only, so that each is there; mostly the earliest, like everybody's libraries.
    for _ in 0..random.below(DEPENDENCIES * 2).min(index as u64) {
        let other = random.mostly_small(index as u64) as usize;
        if index > CORE || random.below(8) == 0 {
            requires += &entry(&names(other).1, None);
        }
    }
    if index > CORE {
        requires += &entry("/bin/sh", None);
        requires += &entry("rtld(GNU_HASH)", None);
    }
    let mut files = String::new();
    if index == 0 {
        files += "    <file>/usr/bin/sh</file>\n";
    }
    for number in 0..random.mostly_small(12) {
        let _ = writeln!(files, "    <file>/usr/bin/{}-{}</file>", word(index as u64), word(number));
    }
    let words = 20 + common.mostly_small(180);
    let texts = Texts { summary: sentence(6, random), description: sentence(words, &mut common) };
    Stanza { name: &name, arch, evr: ("0", &version, "4.fc45"), source: &source, texts, provides, requires, files }
        .text(random)
}

/// A dependency.
pub(super) fn entry(name: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => {
            format!("      <rpm:entry name=\"{name}\" flags=\"EQ\" epoch=\"0\" ver=\"{version}\" rel=\"4.fc45\"/>\n")
        }
        None => format!("      <rpm:entry name=\"{name}\"/>\n"),
    }
}

pub(super) struct Texts {
    pub(super) summary: String,
    pub(super) description: String,
}

/// All that differs between packages.
pub(super) struct Stanza<'a> {
    pub(super) name: &'a str,
    pub(super) arch: &'a str,
    pub(super) evr: (&'a str, &'a str, &'a str),
    pub(super) source: &'a str,
    pub(super) texts: Texts,
    pub(super) provides: String,
    pub(super) requires: String,
    pub(super) files: String,
}

impl Stanza<'_> {
    /// As createrepo_c writes it.
    pub(super) fn text(&self, random: &mut Random) -> String {
        let Self { name, arch, evr: (epoch, version, release), source, texts, provides, requires, files } = self;
        let digest = random.digest();
        let time = 1_790_000_000 + random.below(9_000_000);
        let size = 9000 + random.below(4_000_000);
        let (installed, archive, end) = (size * 3, size * 3 + 700, 4504 + random.below(90_000));
        let first = name.chars().next().unwrap_or('_').to_ascii_lowercase();
        let (summary, description) = (&texts.summary, &texts.description);
        format!(
            "<package type=\"rpm\">
  <name>{name}</name>
  <arch>{arch}</arch>
  <version epoch=\"{epoch}\" ver=\"{version}\" rel=\"{release}\"/>
  <checksum type=\"sha256\" pkgid=\"YES\">{digest}</checksum>
  <summary>{summary}</summary>
  <description>{description}</description>
  <packager>Fedora Project</packager>
  <url>https://{source}.example/{source}</url>
  <time file=\"{time}\" build=\"{time}\"/>
  <size package=\"{size}\" installed=\"{installed}\" archive=\"{archive}\"/>
  <location href=\"Packages/{first}/{name}-{version}-{release}.{arch}.rpm\"/>
  <format>
    <rpm:license>GPL-2.0-or-later AND MIT</rpm:license>
    <rpm:vendor>Fedora Project</rpm:vendor>
    <rpm:group>Unspecified</rpm:group>
    <rpm:buildhost>buildvm-x86-17.rdu3.fedoraproject.org</rpm:buildhost>
    <rpm:sourcerpm>{source}-{version}-{release}.src.rpm</rpm:sourcerpm>
    <rpm:header-range start=\"4504\" end=\"{end}\"/>
    <rpm:provides>
{provides}    </rpm:provides>
    <rpm:requires>
{requires}    </rpm:requires>
{files}  </format>
</package>
"
        )
    }
}
