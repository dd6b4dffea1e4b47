//! What this group says on a kernel that it cannot run on.

use std::env;
use std::fs;
use std::process::Command;

use crate::sandbox::{Sandbox, ran};
use crate::{Test, test};

pub(crate) const TESTS: &[Test] = &[test("prerequisites/no_user_namespaces", no_user_namespaces)];

/// By the kernel's own limit, which each user namespace has for those below it.
fn no_user_namespaces(_: &Sandbox) {
    fs::write("/proc/sys/user/max_user_namespaces", "0").expect("a limit of this namespace");
    let ran = ran(Command::new(env::current_exe().expect("this program")).arg("names/unknown"));
    assert_eq!((ran.code, ran.out.as_str(), ran.err.lines().count()), (Some(1), "", 1), "{}", ran.err);
    let start = "the kernel tests cannot run: no user namespace can be made here; ";
    assert!(ran.err.starts_with(start) && ran.err.contains("No space left on device"), "{}", ran.err);
}
