//! Figures of a running process, from `/proc/PID/status`.

use std::fs;
use std::io;

/// The number after `key` (`VmHWM:`) in `/proc/PID/status`, in the kernel's unit.
///
/// # Errors
/// If the process has ended, or its status has no such line.
pub fn status_number(process: u32, key: &str) -> io::Result<u64> {
    number_after(&fs::read_to_string(format!("/proc/{process}/status"))?, key)
}

/// Peak resident memory of a process, in bytes.
///
/// # Errors
/// If the process has ended.
pub fn peak_rss(process: u32) -> io::Result<u64> {
    Ok(status_number(process, "VmHWM:")? << 10)
}

/// Whether a process has no capability, cannot gain one by `execve`, and runs under a seccomp filter.
///
/// # Errors
/// If the process has ended.
pub fn is_confined(process: u32) -> io::Result<bool> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let sets = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"];
    let is_empty = |set: &&str| status.lines().any(|line| line.strip_prefix(*set).is_some_and(is_zero));
    let is_filtered = number_after(&status, "Seccomp:")? == 2;
    Ok(sets.iter().all(is_empty) && number_after(&status, "NoNewPrivs:")? == 1 && is_filtered)
}

fn is_zero(mask: &str) -> bool {
    !mask.trim().is_empty() && mask.trim().bytes().all(|digit| digit == b'0')
}

/// The first number of the line that begins with `key`.
pub(crate) fn number_after(text: &str, key: &str) -> io::Result<u64> {
    let words = text.lines().find_map(|line| line.strip_prefix(key));
    let number = words.and_then(|words| words.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("/proc shows no {key} of a process")))
}
