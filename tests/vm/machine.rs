//! A machine that boots a kernel, does some steps and switches itself off. What the steps are, others decide; what a
//! step does between two others is in `init.sh`.

use std::collections::BTreeMap;
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

/// Memory, in MiB: holds the emulators twice while they are unpacked.
const MEMORY: &str = "768";

const INIT: &str = include_str!("init.sh");
const PRELUDE: &str = include_str!("prelude.sh");

/// What each step has said, by its name.
pub(crate) type StepOutput = BTreeMap<String, String>;

/// Boots a kernel with additional parameters and does the steps, given as names and scripts; `programs` is what else
/// there is in the machine.
///
/// # Errors
/// If the machine does not boot, or stops before its last step; then with what it has said.
pub(crate) fn boot(
    files: &Files,
    parameters: &str,
    programs: cpio::Writer,
    steps: &[(&str, &str)],
) -> Result<StepOutput> {
    let scratch = tempfile::tempdir().context("making a folder for a machine")?;
    let path = |name: &str| scratch.path().join(name);
    fs::write(path("initramfs"), initramfs(files, programs, steps)?).context("writing the machine's files")?;
    let console = File::create(path("console")).context("making a file for the console")?;
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args(["-machine", "pc,accel=tcg", "-smp", "2", "-m", MEMORY, "-no-reboot", "-nodefaults", "-display", "none"]);
    qemu.arg("-kernel").arg(&files.kernel).arg("-initrd").arg(path("initramfs"));
    qemu.args(["-append", &format!("console=ttyS0 quiet panic=-1 {parameters}"), "-serial", "stdio", "-serial"]);
    let mut said = std::ffi::OsString::from("file:");
    said.push(path("said"));
    qemu.arg(said).stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
    let ended = Running(qemu.spawn().context("starting qemu-system-x86_64")?).wait();
    let text =
        |name| fs::read(path(name)).map(|bytes| String::from_utf8_lossy(&bytes).replace('\r', "")).unwrap_or_default();
    let (said, console) = (text("said"), text("console"));
    ended.and_then(|()| read(&said)).with_context(|| format!("its steps have said:\n{said}its console:\n{console}"))
}

fn initramfs(files: &Files, mut all: cpio::Writer, steps: &[(&str, &str)]) -> Result<Vec<u8>> {
    all.folder("steps");
    let read = |path: &Path| fs::read(path).with_context(|| format!("reading {}", path.display()));
    all.program("init", INIT.as_bytes());
    all.program("busybox", &read(&files.busybox)?);
    let module = files.module.file_name().context("a module's name")?;
    all.program(&module.to_string_lossy(), &read(&files.module)?);
    all.program("prelude", PRELUDE.as_bytes());
    for (name, script) in steps {
        all.program(&format!("steps/{name}"), [". /prelude\n", script, "\n"].concat().as_bytes());
    }
    Ok(all.finish())
}

/// What came over the second serial line, by step.
fn read(text: &str) -> Result<StepOutput> {
    let mut steps = StepOutput::new();
    let mut current: Option<(String, String)> = None;
    for line in text.lines() {
        match (line.split_once(' ').unwrap_or((line, "")), &mut current) {
            (("begin", name), None) => current = Some((name.into(), String::new())),
            (("|", said), Some((_, text))) => text.extend([said, "\n"]),
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
                Some(status) => bail!("qemu-system-x86_64: {status}"),
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
