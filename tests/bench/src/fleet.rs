//! Measures a simulated fleet: many nodes on this machine, each a user namespace with a `binfmt_misc` of its own and a
//! resident that looks after all handlers. How long they take to be ready, what they need at rest, how long they are
//! without handlers that somebody has removed, and whether anything is left of them. Fails if a limit is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use nix::sys::utsname::uname;
use test_groups::tools;
use tests::binfmt_misc;
use tests::fleet::{self, Loss, Node};
use xtask::build::compile;
use xtask::system::host::Host;
use xtask::system::parallel;

use crate::curves;

/// In which a resident has promised to look.
const PROMISE: Duration = Duration::from_secs(5);
/// Beyond the promise: that a busy machine lets one process run.
const SLACK: Duration = Duration::from_secs(1);
/// The work of healing one node, twice what registering takes. On this machine those of a whole fleet wait for each other.
const WORK: Duration = Duration::from_millis(5);
/// Twelve wake-ups a minute are one more or less in a part of it.
const SHORTEST_REST: Duration = Duration::from_secs(60);
/// At rest, in a minute.
const WAKEUPS: f64 = 15.0;
/// Of a resident, in kB, with its share of what it shares.
const PROPORTIONAL: f64 = 1024.0;
/// What a node pays that has but one, in kB.
const RESIDENT: f64 = 2048.0;

/// Runs the measurement, watching the nodes at rest for so many seconds; draws it to a file, if one is named.
pub(super) fn run(count: usize, rest: u64, svg: Option<&Path>) -> Result<()> {
    let rest = Duration::from_secs(rest);
    ensure!(
        count > 0 && rest >= SHORTEST_REST,
        "too little to measure: --nodes must be at least 1, --rest at least {}",
        SHORTEST_REST.as_secs()
    );
    tools::require(&[tools::EMULATORS])?;
    let registrar = compile::registrar(Host::named(None)?, None, false)?;
    let processors = thread::available_parallelism()?.get();
    let host = host()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    println!(
        "{} nodes on {processors} processors, Linux {}; load average at the start {}",
        count,
        uname()?.release().display(),
        load.split(' ').next().unwrap_or_default()
    );

    let begin = Instant::now();
    // As many at a time as can run: each node of a real fleet has processors of its own.
    let mut nodes = parallel::each(&vec![(); count], processors, |()| Ok(Node::start(&registrar)?))?;
    let all_ready = begin.elapsed();
    check_apart(&nodes)?;
    let wanted = nodes[0].entries()?;
    let is_as_wanted = || all_as_wanted(&nodes, &wanted, &registrar);
    is_as_wanted()?;
    println!("{} handlers in each; all ready after {:.2} s", wanted.len(), all_ready.as_secs_f64());

    let rest = at_rest(&nodes, rest)?;

    let names: Vec<_> = wanted.keys().collect();
    let patience = 10 * limit(count, processors);
    let one = |index: usize| names[index % names.len()];
    let is_there = |index: usize, node: &Node| Ok(node.has(one(index)));
    // One after the other, as nodes lose them by themselves.
    let lose_one = Loss { spread: PROMISE, patience };
    let healed_one = lose_one.inflict(&nodes, |index, node| node.lose([one(index)]), is_there)?;
    is_as_wanted()?;
    // All at one moment, as when something is rolled out that empties the folder.
    let lose_all = Loss { spread: Duration::ZERO, patience };
    let are_there = |_, node: &Node| Ok(node.count()? == wanted.len());
    let healed_all = lose_all.inflict(&nodes, |_, node| node.lose(wanted.keys()), are_there)?;
    is_as_wanted()?;

    let memory = nodes.iter().map(Node::memory).collect::<std::io::Result<Vec<_>>>()?;
    let ended = end(&mut nodes)?;
    drop(nodes);
    if self::host()? != host {
        bail!("the fleet has changed what is mounted here");
    }

    if let Some(svg) = svg {
        let title = format!("{} nodes that have lost handlers: how many are still without, by time", count);
        let limit = limit(count, processors);
        let curves = [("one handler each, spread over 5 s", &healed_one), ("all handlers, at one moment", &healed_all)];
        fs::write(svg, curves::drawing(&title, &curves, PROMISE, limit))
            .with_context(|| format!("writing {}", svg.display()))?;
    }

    let limit = limit(count, processors).as_secs_f64();
    let in_seconds = |times: &[Duration]| numbers(times.iter().map(Duration::as_secs_f64));
    let in_milliseconds = |times: Vec<Duration>| numbers(times.iter().map(|time| time.as_secs_f64() * 1e3));
    let kilobytes = |of: fn(&fleet::Memory) -> u64| numbers(memory.iter().map(|memory| of(memory) as f64));
    let rows = [
        Row::new("node started, ms", in_milliseconds(rest.starts), None),
        Row::new("registered, ms", in_milliseconds(rest.registers), None),
        Row::new("wake-ups a minute", numbers(rest.wakeups), Some(WAKEUPS)),
        Row::new("processor, ms a minute", numbers(rest.milliseconds), None),
        Row::new("memory, PSS in kB", kilobytes(|memory| memory.proportional), Some(PROPORTIONAL)),
        Row::new("memory, RSS in kB", kilobytes(|memory| memory.resident), Some(RESIDENT)),
        Row::new("memory, its own in kB", kilobytes(|memory| memory.private), None),
        Row::new("one handler back, s", in_seconds(&healed_one), Some(limit)),
        Row::new("all handlers back, s", in_seconds(&healed_all), Some(limit)),
    ];
    println!("{:24}{:>10}{:>10}{:>10}{:>10}", "of each node", "median", "99 %", "highest", "limit");
    rows.iter().for_each(Row::print);
    println!("ended, with nothing left, after {:.2} s", ended.as_secs_f64());
    ensure!(rows.iter().all(Row::is_kept), "the fleet: a limit was missed, see above");
    Ok(())
}

/// How long a node of so many may be without a handler. On a real fleet each has processors of its own, and the last term is
/// that of one.
fn limit(nodes: usize, processors: usize) -> Duration {
    PROMISE + SLACK + WORK.mul_f64(nodes as f64 / processors as f64)
}

/// What the measurement must leave as it is: where `binfmt_misc` is mounted, and the entries there.
fn host() -> Result<Vec<(String, BTreeMap<String, String>)>> {
    let entries = |at: String| Ok((at.clone(), binfmt_misc::entries(Path::new(&at))?));
    binfmt_misc::mounts()?.into_iter().map(entries).collect()
}

/// That no two nodes share an instance, or a namespace.
fn check_apart(nodes: &[Node]) -> Result<()> {
    let instances = nodes.iter().map(Node::instance).collect::<std::io::Result<BTreeSet<_>>>()?;
    let namespaces = nodes.iter().map(Node::namespace).collect::<std::io::Result<BTreeSet<_>>>()?;
    if [instances.len(), namespaces.len()] != [nodes.len(); 2] {
        bail!("nodes share a binfmt_misc or a namespace");
    }
    Ok(())
}

/// That each node has the wanted entries, and would be found ready.
fn all_as_wanted(nodes: &[Node], wanted: &BTreeMap<String, String>, registrar: &Path) -> Result<()> {
    for node in nodes {
        let entries = node.entries()?;
        if entries != *wanted || wanted.is_empty() {
            bail!("a node has {} entries, another {}, or others", entries.len(), wanted.len());
        }
        if !node.is_ready(registrar)? {
            bail!("a node is not ready although its entries are there");
        }
    }
    Ok(())
}

/// What starting took, and what the residents use while nothing happens.
struct Rest {
    starts: Vec<Duration>,
    registers: Vec<Duration>,
    /// In a minute.
    wakeups: Vec<f64>,
    /// On a processor, in a minute.
    milliseconds: Vec<f64>,
}

fn at_rest(nodes: &[Node], time: Duration) -> Result<Rest> {
    let all = || nodes.iter().map(|node| Ok((Instant::now(), node.used()?))).collect::<std::io::Result<Vec<_>>>();
    let before = all()?;
    thread::sleep(time);
    let (mut wakeups, mut milliseconds) = (Vec::new(), Vec::new());
    for ((begin, before), (end, after)) in before.into_iter().zip(all()?) {
        let minutes = (end - begin).as_secs_f64() / 60.0;
        wakeups.push((after.wakeups - before.wakeups) as f64 / minutes);
        milliseconds.push((after.time - before.time).as_secs_f64() * 1e3 / minutes);
    }
    let [starts, registers] =
        [|node: &Node| node.start, |node: &Node| node.register].map(|of| nodes.iter().map(of).collect());
    Ok(Rest { starts, registers, wakeups, milliseconds })
}

/// Ends all nodes; gives how long that took. Nothing may be left: no entry, no process.
fn end(nodes: &mut [Node]) -> Result<Duration> {
    let namespaces = nodes.iter().map(Node::namespace).collect::<std::io::Result<Vec<_>>>()?;
    let begin = Instant::now();
    nodes.iter().try_for_each(Node::terminate)?;
    for node in &mut *nodes {
        let status = node.wait()?;
        let entries = node.entries()?;
        if !status.success() || !entries.is_empty() {
            bail!("a node has ended with {status}, and {} entries are left", entries.len());
        }
    }
    let took = begin.elapsed();
    let left = fleet::processes_in(&namespaces)?;
    if left.is_empty() { Ok(took) } else { Err(anyhow!("processes of nodes are left: {}", left.join(", "))) }
}

/// Median, 99th percentile and highest of some numbers.
type Numbers = [f64; 3];

fn numbers(values: impl IntoIterator<Item = f64>) -> Numbers {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    [50, 99, 100].map(|percent| values[(values.len() * percent / 100).min(values.len() - 1)])
}

/// A line of the table.
struct Row {
    name: &'static str,
    numbers: Numbers,
    /// Of the highest.
    limit: Option<f64>,
}

impl Row {
    fn new(name: &'static str, numbers: Numbers, limit: Option<f64>) -> Self {
        Self { name, numbers, limit }
    }

    fn is_kept(&self) -> bool {
        self.limit.is_none_or(|limit| self.numbers[2] <= limit)
    }

    fn print(&self) {
        let Self { name, numbers: [median, most, highest], limit } = self;
        let limit = limit.map(|limit| format!("{limit:.2}")).unwrap_or_default();
        let missed = if self.is_kept() { "" } else { "  MISSED" };
        println!("{name:24}{median:>10.2}{most:>10.2}{highest:>10.2}{limit:>10}{missed}");
    }
}
