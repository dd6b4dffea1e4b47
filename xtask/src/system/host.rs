//! The machines that an image is made for, and how `registrar` is compiled for each.

use std::env::consts::ARCH;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use codegen::elf::{self, Facts};
use codegen::targets::{self, Target};
use object::read::ReadCache;

use crate::system::Tool;

#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Name in RPM's and QEMU's terms: `x86_64`.
    pub name: &'static str,
    pub debian: &'static str,
    pub rust_target: &'static str,
    pub(crate) compiler: Tool,
}

const HOSTS: [Host; 4] = [
    host("aarch64", "arm64", "aarch64-unknown-linux-musl", Tool::GCC_AARCH64),
    host("ppc64le", "ppc64el", "powerpc64le-unknown-linux-gnu", Tool::GCC_PPC64LE),
    host("s390x", "s390x", "s390x-unknown-linux-gnu", Tool::GCC_S390X),
    host("x86_64", "amd64", "x86_64-unknown-linux-musl", Tool::GCC_X86_64),
];

const fn host(name: &'static str, debian: &'static str, rust_target: &'static str, compiler: Tool) -> Host {
    Host { name, debian, rust_target, compiler }
}

impl Host {
    /// The host that a user names, by any name of the architecture; the machine itself if none is named.
    pub fn named(name: Option<&str>) -> Result<Self> {
        let machine = match ARCH {
            "powerpc64" => "ppc64le",
            other => other,
        };
        let wanted = name.unwrap_or(machine);
        let target = targets::by_any_name(wanted).map_or(wanted, |target| target.qemu);
        match HOSTS.iter().find(|host| host.name == target) {
            Some(host) => Ok(*host),
            None => {
                let known: Vec<_> = HOSTS.iter().map(|host| host.name).collect();
                bail!("images are made for hosts {}, not for {wanted}", known.join(", "))
            }
        }
    }

    /// Where Rust's target for musl cannot be had: static glibc.
    pub(crate) fn fallback(&self) -> Option<String> {
        self.rust_target.strip_suffix("musl").map(|start| format!("{start}gnu"))
    }

    pub(crate) fn gcc(&self) -> String {
        let arch = self.rust_target.split('-').next().unwrap_or(self.name);
        format!("{arch}-linux-gnu-gcc")
    }

    pub(crate) fn target(&self) -> Option<&'static Target> {
        targets::by_qemu_name(self.name)
    }

    /// That a file is a static program of this host.
    pub(crate) fn check_program(&self, path: &Path) -> Result<Facts> {
        let facts = elf::facts(&ReadCache::new(File::open(path)?))?;
        facts.check_emulator(self.target().with_context(|| format!("nothing is known of {}", self.name))?)?;
        Ok(facts)
    }

    pub(crate) fn is_this_machine(&self) -> bool {
        Self::named(None).is_ok_and(|machine| machine.name == self.name)
    }
}
