//! The machines that an image is made for, and how `registrar` is compiled for each.

use std::env::consts::ARCH;

use anyhow::{Result, bail};
use codegen::targets::{self, Target};

use crate::system::Tool;

/// A host architecture.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Name in RPM's and QEMU's terms: `x86_64`.
    pub name: &'static str,
    /// Name in Debian's terms.
    pub debian: &'static str,
    /// Rust's target, which makes a static executable.
    pub rust_target: &'static str,
    /// What serves where the first cannot be had: static glibc.
    pub(crate) fallback: Option<&'static str>,
    /// Prefix of a cross compiler's name.
    pub(crate) gnu: &'static str,
    /// That compiler, which links elsewhere.
    pub(crate) compiler: Tool,
}

const HOSTS: &[Host] = &[
    Host {
        name: "aarch64",
        debian: "arm64",
        rust_target: "aarch64-unknown-linux-musl",
        fallback: Some("aarch64-unknown-linux-gnu"),
        gnu: "aarch64-linux-gnu",
        compiler: Tool::GCC_AARCH64,
    },
    Host {
        name: "ppc64le",
        debian: "ppc64el",
        rust_target: "powerpc64le-unknown-linux-gnu",
        fallback: None,
        gnu: "powerpc64le-linux-gnu",
        compiler: Tool::GCC_PPC64LE,
    },
    Host {
        name: "s390x",
        debian: "s390x",
        rust_target: "s390x-unknown-linux-gnu",
        fallback: None,
        gnu: "s390x-linux-gnu",
        compiler: Tool::GCC_S390X,
    },
    Host {
        name: "x86_64",
        debian: "amd64",
        rust_target: "x86_64-unknown-linux-musl",
        fallback: Some("x86_64-unknown-linux-gnu"),
        gnu: "x86_64-linux-gnu",
        compiler: Tool::GCC_X86_64,
    },
];

impl Host {
    /// The host that a user names, by any name of the architecture; the machine itself if none is named.
    ///
    /// # Errors
    /// If images are not made for it.
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

    pub(crate) fn target(&self) -> Option<&'static Target> {
        targets::by_qemu_name(self.name)
    }

    pub(crate) fn is_this_machine(&self) -> bool {
        Self::named(None).is_ok_and(|machine| machine.name == self.name)
    }
}
