//! The bytes of every test program are those that an assembler makes of the assembly beside them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use codegen::targets;
use object::{Object, ObjectSection};

/// The assemblers that come with the cross compilers of the kernel tests, and how many programs each makes.
/// `cargo xtask test` installs those that the distribution has.
const AT_HAND: &[(&str, usize)] = &[
    ("aarch64-linux-gnu-as", 1),
    ("arm-linux-gnueabihf-as", 1),
    ("m68k-linux-gnu-as", 1),
    ("mips64el-linux-gnuabi64-as", 3),
    ("powerpc64le-linux-gnu-as", 2),
    ("riscv64-linux-gnu-as", 2),
    ("s390x-linux-gnu-as", 1),
    ("sparc64-linux-gnu-as", 2),
    #[cfg(target_arch = "x86_64")]
    ("x86_64-linux-gnu-as", 2),
];

/// The one that has no assembler.
const MIRRORED: &str = "xtensaeb";

/// A file of `codegen/src/targets/programs`.
struct Source {
    /// Also the name of a target that has the program in the byte order of the file.
    name: String,
    /// An assembler with its options; none of xtensaeb.
    command: Vec<String>,
    /// What it is given.
    assembly: String,
}

fn sources() -> Vec<Source> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/targets/programs");
    let files = fs::read_dir(folder).expect("the programs");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| Source::read(path)).collect()
}

impl Source {
    fn read(path: &Path) -> Self {
        let name = path.file_stem().expect("a name").to_str().expect("text").to_owned();
        let text = fs::read_to_string(path).expect("the file");
        let quoted = |line: &str| Some(line.strip_prefix("//! `")?.strip_suffix('`')?.to_owned());
        let command = text.lines().find_map(quoted).unwrap_or_default();
        let command = command.split(' ').map(str::to_owned).collect();
        let beside = text.lines().filter_map(|line| Some(line.split_once(" // ")?.1));
        // A label only at the beginning of a line, an instruction only elsewhere (hppa).
        let line = |line: &str| format!("{}{line}\n", if line.ends_with(':') { "" } else { " " });
        Self { name, command, assembly: beside.map(line).collect() }
    }

    /// Assembles it; why the bytes are not those of the program, if so.
    fn fault(&self) -> Option<String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (source, made) = (folder.path().join("source"), folder.path().join("object"));
        fs::write(&source, &self.assembly).expect("written");
        let mut assembler = Command::new(&self.command[0]);
        assembler.args(&self.command[1..]).arg("-o").arg(&made).arg(&source);
        let output = match assembler.output() {
            Ok(output) => output,
            Err(error) => return Some(format!("{}: {}: {error}", self.name, self.command[0])),
        };
        if !output.status.success() {
            return Some(format!("{}: {}", self.name, String::from_utf8_lossy(&output.stderr)));
        }
        let bytes = fs::read(&made).expect("what the assembler made");
        let file = object::File::parse(&*bytes).expect("an object file");
        let text = file.section_by_name(".text").expect("code").data().expect("bytes");
        let expected = targets::by_qemu_name(&self.name).expect("a target").program.bytes();
        // Assemblers fill up to the section's alignment.
        let is_same = text.starts_with(&expected) && text.len() - expected.len() < 16;
        (!is_same).then(|| format!("{}: made\n{text:02x?}, in the file are\n{expected:02x?}", self.name))
    }
}

fn none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn programs_are_what_their_assembly_makes() {
    let sources = sources();
    let mut missing = Vec::new();
    for (assembler, count) in AT_HAND {
        let of_it: Vec<_> = sources.iter().filter(|source| source.command[0] == *assembler).collect();
        assert_eq!(of_it.len(), *count, "{assembler}");
        match Command::new(assembler).arg("--version").output() {
            Err(error) if error.kind() == ErrorKind::NotFound => missing.push(*assembler),
            _ => none(of_it.into_iter().filter_map(Source::fault).collect()),
        }
    }
    println!("not compared, for want of an assembler: {missing:?}");
    assert!(missing.len() < AT_HAND.len(), "no assembler is here: {missing:?}; cargo xtask test installs some");
}

#[test]
#[ignore = "needs assemblers that nothing else here does, some of which no distribution has"]
fn so_are_the_others() {
    let is_other = |source: &&Source| {
        source.name != MIRRORED && AT_HAND.iter().all(|(assembler, _)| *assembler != source.command[0])
    };
    none(sources().iter().filter(is_other).filter_map(Source::fault).collect());
}

#[test]
fn what_no_assembler_makes_has_the_assembly_of_another() {
    let sources = sources();
    let named = |name: &str| sources.iter().find(|source| source.name == name).expect(name);
    assert_eq!(named(MIRRORED).assembly, named("xtensa").assembly);
}
