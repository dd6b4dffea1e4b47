//! A machine that boots a kernel, does some steps and switches itself off. What the steps are, others decide; what a
//! step does between two others is in `init.sh`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tests::cpio;

use crate::debian::Files;

/// How long a machine may take: many times what it takes emulated on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// How often is looked whether it has switched itself off.
const INTERVAL: Duration = Duration::from_millis(50);

/// What a machine is, apart from its kernel.
pub(crate) struct Hardware {
    /// QEMU's emulator of such machines, and what tells it which.
    pub(crate) qemu: &'static [&'static str],
    /// The kernel's console: the first serial line.
    pub(crate) console: &'static str,
    /// How the second serial line is attached, and the kernel's name for it.
    pub(crate) second: (&'static [&'static str], &'static str),
    /// In MiB: holds the programs twice while they are unpacked.
    pub(crate) memory: &'static str,
}

pub(crate) const X86_64: Hardware = Hardware {
    qemu: &["qemu-system-x86_64", "-machine", "pc,accel=tcg"],
    console: "ttyS0",
    second: (&["-serial", "chardev:said"], "ttyS1"),
    memory: "768",
};

/// Holds a root file system twice while it is moved.
pub(crate) const X86_64_WITH_ROOT: Hardware = Hardware { memory: "1800", ..X86_64 };

/// A processor that has AArch32; the machine has one serial line only.
pub(crate) const ARM64: Hardware = Hardware {
    qemu: &["qemu-system-aarch64", "-machine", "virt,accel=tcg", "-cpu", "cortex-a72"],
    console: "ttyAMA0",
    second: (&["-device", "pci-serial,chardev=said"], "ttyS0"),
    memory: "768",
};

const INIT: &str = include_str!("init.sh");
const PRELUDE: &str = include_str!("prelude.sh");
const SWITCH_ROOT: &str = include_str!("switch_root.sh");

/// Where the initramfs has the root file system that [`SWITCH_ROOT`] makes the machine's.
pub(crate) const ROOT: &str = "root/";

/// Shell scripts of a machine.
pub(crate) struct Scripts {
    /// What steps share, beside `prelude.sh`.
    pub(crate) prelude: &'static str,
    /// What is done once, before the first step.
    pub(crate) setup: &'static str,
}

/// What each step has said, by its name.
pub(crate) type StepOutput = BTreeMap<String, String>;

/// A machine and what it is to do.
pub(crate) struct Boot<'a> {
    pub(crate) hardware: &'a Hardware,
    pub(crate) files: &'a Files,
    /// Additional parameters of the kernel.
    pub(crate) parameters: &'a str,
    /// What else there is in the machine: `registrar`, emulators, test programs.
    pub(crate) programs: cpio::Writer,
    /// Where `programs` has what is to become the machine's `/`: [`ROOT`], or nothing if it is that itself.
    pub(crate) root: &'a str,
    /// What steps share, beside [`PRELUDE`], and what is done once before them.
    pub(crate) scripts: &'a Scripts,
    /// Names and scripts.
    pub(crate) steps: &'a [(&'a str, &'a str)],
}

impl Boot<'_> {
    /// Boots and does the steps.
    ///
    /// # Errors
    /// If the machine does not boot, or stops before its last step; then with what it has said.
    pub(crate) fn run(self) -> Result<StepOutput> {
        let scratch = tempfile::tempdir().context("making a folder for a machine")?;
        let path = |name: &str| scratch.path().join(name);
        let Hardware { qemu, console, second, memory } = self.hardware;
        let [program, options @ ..] = qemu else { bail!("no emulator of machines is named") };
        let mut command = Command::new(program);
        command.args(options).args(["-smp", "2", "-m", memory, "-no-reboot", "-nodefaults", "-display", "none"]);
        command.arg("-kernel").arg(&self.files.kernel).arg("-initrd").arg(path("initramfs"));
        // Without a dot in its name, what the kernel does not know is in the environment of the init process.
        let parameters = format!("console={console} quiet panic=-1 said=/dev/{} {}", second.1, self.parameters);
        command.args(["-append", &parameters, "-serial", "stdio", "-chardev"]);
        let mut printed = OsString::from("file,id=said,path=");
        printed.push(path("said"));
        command.arg(printed).args(second.0);
        fs::write(path("initramfs"), self.initramfs()?).context("writing the machine's files")?;
        let output = File::create(path("console")).context("making a file for the console")?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let ended = Running(command.spawn().with_context(|| format!("starting {program}"))?).wait();
        let text = |name| {
            fs::read(path(name)).map(|bytes| String::from_utf8_lossy(&bytes).replace('\r', "")).unwrap_or_default()
        };
        let (printed, console) = (text("said"), text("console"));
        ended
            .and_then(|()| read(&printed))
            .with_context(|| format!("its steps have said:\n{printed}its console:\n{console}"))
    }

    fn initramfs(self) -> Result<Vec<u8>> {
        let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
        let busybox = read(&self.files.busybox)?;
        let (root, mut all) = (self.root, self.programs);
        if !root.is_empty() {
            all.program("init", SWITCH_ROOT.as_bytes());
            all.program("busybox", &busybox);
        }
        all.folder(&[root, "steps"].concat());
        let mut add = |path: &str, content: &[u8]| all.program(&[root, path].concat(), content);
        add("init", INIT.as_bytes());
        add("busybox", &busybox);
        let module = self.files.module.file_name().context("a module's name")?;
        add(&module.to_string_lossy(), &read(&self.files.module)?);
        add("prelude", [PRELUDE, self.scripts.prelude].concat().as_bytes());
        add("setup", self.scripts.setup.as_bytes());
        for (name, script) in self.steps {
            add(&format!("steps/{name}"), [". /prelude\n", script, "\n"].concat().as_bytes());
        }
        Ok(all.finish())
    }
}

/// What came over the second serial line, by step.
fn read(text: &str) -> Result<StepOutput> {
    let mut steps = StepOutput::new();
    let mut current: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.split_once(' ').unwrap_or((line, "")), &mut current) {
            (("begin", name), None) => current = Some((name.into(), String::new())),
            (("|", printed), Some((_, text))) => text.extend([printed, "\n"]),
            (("end", ""), Some(_)) => steps.extend(current.take()),
            (("done", ""), None) => return Ok(steps),
            _ => bail!("unexpected line: {line}"),
        }
    }
    bail!("it has stopped before its last step")
}

/// A process that does not outlive this value.
struct Running(Child);

impl Running {
    fn wait(mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            match self.0.try_wait().context("waiting for the machine")? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the emulated machine: {status}"),
                None if start.elapsed() > LIMIT => bail!("it has not ended after {} s", LIMIT.as_secs()),
                None => thread::sleep(INTERVAL),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
