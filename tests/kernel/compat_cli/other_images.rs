//! nalind's image, which this one re-makes, older images, and the names of architectures.

use super::{Line, ours, registered};
use crate::sandbox::Sandbox;
use crate::{Test, test};

pub(crate) const TESTS: &[Test] =
    &[test("compat_cli/nalind", nalind), test("compat_cli/names_of_one_architecture", names_of_one_architecture)];

/// Its two words are ours; where no word is given, it prints how to use it, and we what tonistiigi's image prints.
fn nalind(sandbox: &Sandbox) {
    let names = super::all(sandbox);
    sandbox.succeeds(&["register"]);
    assert_eq!(registered(sandbox), ours(&names, "POF"));
    sandbox.succeeds(&["unregister"]);
    assert!(sandbox.names().is_empty());
}

/// Those of the contract; every other name of the table has a test of its own.
fn names_of_one_architecture(sandbox: &Sandbox) {
    let cases: [(&[&str], &str); 5] = [
        (&["aarch64", "arm64", "linux/arm64", "linux/arm64/v8", "aarch64-linux-gnu", "linux/aarch64"], "aarch64"),
        (&["arm", "armhf", "armel", "armv6l", "armv7l", "linux/armhf", "linux/armel", "linux/arm/v7"], "arm"),
        (&["mips64el", "mips64le", "linux/mips64le"], "mips64el"),
        (&["ppc64el", "ppc64le", "linux/ppc64le"], "ppc64le"),
        (&["parisc"], "hppa"),
    ];
    for (names, target) in cases {
        let entry = format!("qemu-{target}");
        for name in names {
            sandbox.succeeds(&["register", name]);
            assert_eq!(sandbox.names(), [entry.as_str()], "{name}");
            let ran = Line::from(&["--uninstall", name][..]).run(sandbox);
            assert_eq!((ran.code, ran.err), (Some(0), format!("uninstalling: {entry} OK\n")), "{name}");
            assert!(sandbox.names().is_empty());
        }
    }
    let cases = [("loong64", "qemu-loongarch64"), ("powerpc", "qemu-ppc"), ("linux/loong64", "qemu-loongarch64")];
    for (name, entry) in cases {
        sandbox.succeeds(&["register", name]);
        assert_eq!(sandbox.names(), [entry]);
        sandbox.succeeds(&["unregister", name]);
    }
}
