//! Commands of `deploy/README.md` and `docs/`: each is tested, or says why not. The container tests type those that can be typed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tests::documents::{COMMANDS, Document, Tested, commands};
use xtask::workspace::workspace_root;

#[test]
fn each_command_is_tested_or_says_why_not() {
    let found = commands();
    let known: BTreeSet<_> = COMMANDS.iter().map(|(command, _)| *command).collect();
    assert_eq!(known.len(), COMMANDS.len(), "a command stands twice in the table");
    let unknown: Vec<_> = found.iter().filter(|(command, _)| !known.contains(command.as_str())).collect();
    assert!(unknown.is_empty(), "no test runs these, and no reason is given in tests/documents.rs: {unknown:#?}");
    let gone: Vec<_> = known.iter().filter(|command| !found.contains_key(**command)).collect();
    assert!(gone.is_empty(), "no document has these: {gone:#?}");
}

#[test]
fn the_tests_that_are_named_exist() {
    let mut sources = String::new();
    for folder in ["tests", "release"] {
        read(&workspace_root().join(folder), &mut sources);
    }
    for (command, tested) in COMMANDS {
        let Tested::By(test, _) = tested else { continue };
        // Of the compiler's own, the kernel tests, and those on other kernels.
        let names = [format!("fn {test}()"), format!("test(\"{test}\""), format!("name: \"{test}\"")];
        let is_there = names.iter().any(|name| sources.contains(name));
        assert!(is_there, "{command}: no test is called {test}");
    }
}

fn read(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            *text += &fs::read_to_string(&path).expect("a source file");
        }
    }
}

#[test]
fn commands_are_found_in_blocks_and_in_text() {
    let text = "Type `podman load -i a.tar`, or\n\n    cargo xtask image   # made\n    more text\n\n```sh\nls \\\n  -l  # here\n```\n\
                and not `podman … run`, ```yaml\na: b\n``` `words`.\n";
    let document = Document::of(text);
    assert_eq!(document.commands().collect::<Vec<_>>(), ["cargo xtask image", "ls -l", "podman load -i a.tar"]);
    assert_eq!(document.block("ls"), ["ls -l # here"]);
}
