//! What this process has needed.

use anyhow::{Context, Result};

pub(crate) fn peak() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM in /proc/self/status")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().context("reading VmHWM")?;
    Ok(kilobytes * 1024)
}
