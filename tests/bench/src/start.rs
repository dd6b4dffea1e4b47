//! Holds the run of a container that registers all handlers against that of one whose program does nothing, of the same
//! image with the same options. Fails if registering costs more than its limit.
//!
//! Both run by turns; handlers are removed between runs, untimed. A second series finds them in place.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::ValueEnum;
use test_groups::tools;
use tests::binfmt_misc::DEFAULT_MOUNT_POINT;
use tests::docker::Docker;
use tests::host::{self, Host};
use tests::podman::Podman;
use xtask::system;
use xtask::workspace::target_dir;

/// How much longer a container may take that registers into an empty `binfmt_misc`.
const LIMIT: Duration = Duration::from_millis(5);

/// The programs: one that is bound into the container, and the image's own.
const NOTHING: &str = "/nothing";
const REGISTRAR: &str = "/registrar";

/// Engines that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum EngineName {
    Podman,
    Docker,
}

/// Runs the comparison with an image of the emulators in `dist`.
pub(super) fn run(dist: &Path, engine: EngineName, runs: usize) -> Result<()> {
    ensure!(runs > 0, "no runs, no median: --runs must be at least 1");
    let (tool, format) = match engine {
        EngineName::Podman => (tools::PODMAN, "oci"),
        EngineName::Docker => (tools::DOCKER, "docker"),
    };
    tools::require(&[tool, tools::RUNC, tools::MUSL_GCC])?;
    let scratch = tempfile::tempdir_in(target_dir()).context("making a folder for the image")?;
    let image = scratch.path().join("image.tar");
    let mut make = crate::xtask()?;
    make.args(["image", "--name", "localhost/bench-start", "--format", format, "--dist"]).arg(dist);
    system::run(make.arg("--out").arg(&image))?;
    let nothing = scratch.path().join("nothing");
    compile(&nothing)?;
    let host = Host::mounted();
    let engine = Engine::new(engine, scratch.path());
    let containers = Containers::new(&engine, &image, &nothing)?;
    // Once each, so that no series begins with what is not in memory yet.
    containers.time(NOTHING)?;
    containers.time(REGISTRAR)?;
    let count = registered(&host).len();

    println!("{count} handlers, medians of {runs} pairs by turns, in ms");
    println!("{:24}{:>10}{:>10}{:>12}{:>18}", "", "nothing", "register", "difference", "half of them");
    let absent = series(&containers, &host, runs, count, State::Absent)?;
    containers.time(REGISTRAR)?;
    let present = series(&containers, &host, runs, count, State::Present)?;
    let is_kept = absent.difference() <= LIMIT.as_secs_f64();
    absent.print(
        "none registered before",
        &format!("of {:.3}{}", LIMIT.as_secs_f64() * 1e3, if is_kept { "" } else { "  MISSED" }),
    );
    present.print("all registered before", "no limit");
    ensure!(is_kept, "starting containers: a limit was missed, see above");
    Ok(())
}

fn compile(program: &Path) -> Result<()> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("nothing.c");
    let status = Command::new("musl-gcc").args(["-static", "-Os", "-s", "-o"]).arg(program).arg(source).status();
    let status = status.context("starting musl-gcc; install musl-tools")?;
    if status.success() { Ok(()) } else { Err(anyhow!("musl-gcc: {status}")) }
}

/// One with a storage of its own.
enum Engine {
    Podman(Podman),
    Docker(Docker),
}

impl Engine {
    fn new(name: EngineName, folder: &Path) -> Self {
        match name {
            EngineName::Podman => Self::Podman(Podman::new(folder)),
            EngineName::Docker => Self::Docker(Docker::new(&folder.join("docker"))),
        }
    }

    fn command(&self) -> Command {
        match self {
            Self::Podman(podman) => podman.command(),
            Self::Docker(docker) => docker.command(),
        }
    }

    fn run(&self, arguments: &[&str]) -> String {
        match self {
            Self::Podman(podman) => podman.run(arguments),
            Self::Docker(docker) => docker.run(arguments),
        }
    }
}

/// Containers of one image that differ in nothing but their program.
struct Containers<'a> {
    engine: &'a Engine,
    image: String,
    /// Brings the program that does nothing.
    volume: String,
}

impl<'a> Containers<'a> {
    fn new(engine: &'a Engine, archive: &Path, nothing: &Path) -> Result<Self> {
        let printed = engine.run(&["load", "--input", archive.to_str().context("a path that is no text")?]);
        let image = printed.split_whitespace().next_back().context("the engine names no image")?.into();
        Ok(Self { engine, image, volume: format!("--volume={}:{NOTHING}:ro", nothing.display()) })
    }

    /// How long one takes, from the engine's start to its end.
    fn time(&self, program: &str) -> Result<Duration> {
        let mut command = self.engine.command();
        command.args(["run", "--rm", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"]);
        command.args(["--read-only", "--volume=/proc/sys/fs/binfmt_misc:/binfmt_misc", &self.volume]);
        command.arg(format!("--entrypoint={program}")).args([&self.image, "register"]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let start = Instant::now();
        let status = command.status()?;
        let time = start.elapsed();
        if status.success() { Ok(time) } else { Err(anyhow!("a container with {program}: {status}")) }
    }
}

impl Drop for Containers<'_> {
    fn drop(&mut self) {
        self.engine.run(&["rmi", "--force", &self.image]);
    }
}

/// What a run finds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Absent,
    Present,
}

/// In seconds, of each pair.
struct Series {
    nothing: Vec<f64>,
    register: Vec<f64>,
    differences: Vec<f64>,
}

fn series(containers: &Containers<'_>, host: &Host, runs: usize, count: usize, state: State) -> Result<Series> {
    let mut times = [Vec::new(), Vec::new()];
    for run in 0..runs {
        // By turns in both orders, so that neither always follows the other.
        for turn in [run % 2, 1 - run % 2] {
            if state == State::Absent {
                clear(host)?;
            }
            times[turn].push(containers.time([NOTHING, REGISTRAR][turn])?.as_secs_f64());
            let found = registered(host).len();
            if turn == 1 && found != count {
                bail!("{found} of {count} handlers are registered");
            }
        }
    }
    let [nothing, register] = times;
    let differences = register.iter().zip(&nothing).map(|(register, nothing)| register - nothing).collect();
    let sorted = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times
    };
    Ok(Series { nothing: sorted(nothing), register: sorted(register), differences: sorted(differences) })
}

impl Series {
    /// The median of what registering costs in each pair.
    fn difference(&self) -> f64 {
        quarter(&self.differences, 2)
    }

    fn print(&self, name: &str, limit: &str) {
        let [nothing, register] = [&self.nothing, &self.register].map(|times| quarter(times, 2) * 1e3);
        let [lower, upper] = [1, 3].map(|quarters| quarter(&self.differences, quarters) * 1e3);
        let half = format!("{lower:.3} to {upper:.3}");
        println!("{name:24}{nothing:>10.3}{register:>10.3}{:>12.3}{half:>18}   {limit}", self.difference() * 1e3);
    }
}

/// What so many quarters of all are not above.
fn quarter(sorted: &[f64], quarters: usize) -> f64 {
    sorted[(sorted.len() * quarters / 4).min(sorted.len() - 1)]
}

/// Names of the entries that were not there before.
fn registered(host: &Host) -> Vec<String> {
    host::entries().into_keys().filter(|name| !host.before.contains_key(name)).collect()
}

fn clear(host: &Host) -> Result<()> {
    for name in registered(host) {
        fs::write(Path::new(DEFAULT_MOUNT_POINT).join(name), "-1")?;
    }
    Ok(())
}
