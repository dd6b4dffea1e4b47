//! The documents say what is so: links lead somewhere, names of tests and texts of messages are there, and nothing has
//! grown past what a reader takes in.

use std::fs;
use std::path::{Path, PathBuf};

use xtask::workspace::workspace_root;

fn read(path: impl AsRef<Path>) -> String {
    let path = workspace_root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Files below a folder whose names end so.
fn files(folder: &Path, end: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files(&path, end, found),
            false if path.to_string_lossy().ends_with(end) => found.push(path),
            false => {}
        }
    }
}

fn documents() -> Vec<PathBuf> {
    let root = workspace_root();
    let mut found: Vec<_> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    files(&root.join("docs"), ".md", &mut found);
    files(&root.join("deploy"), ".md", &mut found);
    found
}

/// How a forge names a heading in a link.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

/// Texts between two marks.
fn between<'a>(text: &'a str, open: &'a str, close: char) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

#[test]
fn links_lead_to_files_and_headings() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        for link in between(&text, "](", ')').filter(|link| !link.starts_with("http")) {
            let (path, heading) = link.split_once('#').map_or((link, None), |(path, heading)| (path, Some(heading)));
            let target = match path {
                "" => document.clone(),
                path => document.parent().expect("a folder").join(path),
            };
            assert!(target.exists(), "{}: {link} leads nowhere", document.display());
            if let Some(heading) = heading {
                let text = fs::read_to_string(&target).expect("a document");
                let is_there = text.lines().filter(|line| line.starts_with('#')).any(|line| anchor(line) == heading);
                assert!(is_there, "{}: {link}: no such heading", document.display());
            }
        }
    }
}

#[test]
fn readme_and_architecture_stay_short() {
    let words = read("README.md").split_whitespace().count();
    assert!(words <= 900, "README.md has {words} words, at most 900 are read in two minutes");
    let lines = read("ARCHITECTURE.md").lines().count();
    assert!(lines <= 150, "ARCHITECTURE.md has {lines} lines of at most 150; decisions go to docs/decisions");
}

#[test]
fn promises_name_tests_that_exist() {
    let architecture = read("ARCHITECTURE.md");
    let invariants = architecture.split("## Invariants").nth(1).and_then(|rest| rest.split("\n## ").next());
    let reliability = read("docs/reliability.md");
    let rows = invariants.expect("the invariants").lines().chain(reliability.lines());
    let mut sources = Vec::new();
    for folder in ["codegen", "registrar", "release", "tests", "xtask"] {
        files(&workspace_root().join(folder), ".rs", &mut sources);
    }
    let sources: Vec<_> = sources.iter().map(|path| fs::read_to_string(path).expect("a source file")).collect();
    let mut count = 0;
    for row in rows.filter(|row| row.starts_with("| ")) {
        let held_by = row.split(" | ").nth(1).expect("a column of tests");
        // A name with an ellipsis is of a group.
        let is_name = |name: &&str| !name.ends_with(".toml") && !name.contains('…');
        for name in between(held_by, "`", '`').step_by(2).filter(is_name) {
            let of_module = name.rsplit("::").next().unwrap_or(name);
            // A fact of other kernels, after the name of its machine.
            let fact = name.rsplit('/').next().unwrap_or(name);
            let spelled = [format!("fn {of_module}()"), format!("\"{name}\""), format!("name: \"{fact}\"")];
            let is_there = |text: &String| spelled.iter().any(|name| text.contains(name));
            assert!(sources.iter().any(is_there), "no test is called {name}");
            count += 1;
        }
    }
    assert!(count >= 100, "only {count} tests are named");
}

/// The first words of rows are what `registrar` says, and what people paste.
#[test]
fn messages_in_troubleshooting_are_the_programs_own() {
    let text = read("docs/troubleshooting.md");
    let table = text.split("## What `registrar` says").nth(1).and_then(|rest| rest.split("\n## ").next());
    let mut sources = Vec::new();
    files(&workspace_root().join("registrar/src"), ".rs", &mut sources);
    // A text may go on in the next line of the source.
    let unbroken = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a source file");
        let mut lines = text.split("\\\n");
        let first = lines.next().unwrap_or_default().to_owned();
        lines.fold(first, |text, line| text + line.trim_start())
    };
    let sources: Vec<_> = sources.iter().map(unbroken).collect();
    let rows: Vec<_> = table.expect("the table").lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() >= 10, "only {} messages", rows.len());
    for row in rows {
        let message = row.split(" | ").next().expect("a first column");
        for part in between(message, "`", '`').step_by(2) {
            assert!(sources.iter().any(|source| source.contains(part)), "registrar never says {part:?}");
        }
    }
}
