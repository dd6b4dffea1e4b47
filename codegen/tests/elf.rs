//! Facts of real binaries: static, dynamic, foreign, damaged.

use std::fs::{self, File};

use codegen::elf::{ElfError, facts};
use codegen::probe;
use codegen::targets::{Target, by_qemu_name};
use object::ReadCache;

#[path = "support/emulators.rs"]
mod emulators;

fn host() -> &'static Target {
    by_qemu_name(std::env::consts::ARCH).expect("the host's architecture")
}

#[test]
fn a_packaged_emulator_will_do() {
    let emulator = emulators::find("s390x").expect("no static qemu-s390x; cargo xtask test installs it");
    let file = File::open(emulator).expect("the emulator");
    let facts = facts(&ReadCache::new(file)).expect("an ELF file");
    facts.check_emulator(host()).expect("a static executable of the host");
    assert_eq!(facts.build_id.map(|id| id.len()), Some(20));
}

#[test]
fn a_dynamic_program_will_not() {
    let own = fs::read(std::env::current_exe().expect("this test's path")).expect("this test's bytes");
    let facts = facts(own.as_slice()).expect("an ELF file");
    let error = facts.check_emulator(host()).expect_err("a dynamic program");
    assert!(matches!(&error, ElfError::Dynamic(what) if what.contains("ld-linux")), "{error}");
}

#[test]
fn another_machines_program_will_not() {
    let target = by_qemu_name("m68k").expect("m68k");
    let bytes = probe::executable(target, target.machines[0]).expect("a test program");
    let facts = facts(bytes.as_slice()).expect("an ELF file");
    let error = facts.check_emulator(host()).expect_err("a foreign program");
    assert_eq!(error, ElfError::WrongMachine { host: host().qemu, machine: 4 });
}

#[test]
fn what_is_no_executable_is_named() {
    let target = by_qemu_name("s390x").expect("s390x");
    let good = probe::executable(target, target.machines[0]).expect("a test program");
    let mut object = good.clone();
    object[17] = 1;
    assert_eq!(facts(object.as_slice()), Err(ElfError::NotExecutable));
    for bad in [&b"#!/bin/sh\n"[..], &good[..20], &good[..70], b""] {
        assert!(matches!(facts(bad), Err(ElfError::Unreadable(_))), "{} bytes", bad.len());
    }
}
