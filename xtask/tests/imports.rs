//! No module of a crate imports a module that imports it, directly or through others.
//!
//! In `registrar` a module counts with all below it: what imports `cli` depends on `cli::args` too, and only a parent and
//! its children may import each other. In the other crates, folders may, their modules may not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use xtask::workspace::workspace_root;

/// Modules by their paths, `binfmt_misc::mount`, each with those that it names.
type Imports = BTreeMap<String, BTreeSet<String>>;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for file in fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()) {
        if file.is_dir() {
            sources(&file, found);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            found.push(file);
        }
    }
}

/// Crates, each with the fewest modules that it has.
const CRATES: [(&str, usize); 3] = [("codegen", 8), (BY_FOLDERS, 50), ("xtask", 50)];

/// The crate whose folders import each other no more than their modules do.
const BY_FOLDERS: &str = "registrar";

/// The text of each module of a crate without its tests and comments.
fn modules(name: &str) -> BTreeMap<String, String> {
    let root = workspace_root().join(name).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let module = |file: &PathBuf| {
        let name = file.strip_prefix(&root).ok()?.with_extension("").to_str()?.replace('/', "::");
        let is_left_out = ["lib", "main", "table::generated"].contains(&name.as_str())
            || name.split("::").any(|part| part == "tests");
        let text = fs::read_to_string(file).expect("text");
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: Vec<_> = text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        (!is_left_out).then(|| (name, code.join("\n")))
    };
    files.iter().filter_map(module).collect()
}

/// Paths that a `use` of a tree such as `a::{b, c::{self, d}}` names.
fn paths(prefix: &str, tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((head, rest)) = tree.split_once('{') else { return vec![[prefix, tree].concat()] };
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    let inside = rest.rsplit_once('}').map_or(rest, |(inside, _)| inside);
    let prefix = [prefix, head].concat();
    for (at, letter) in inside.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(paths(&prefix, &inside[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(paths(&prefix, &inside[start..]));
    found
}

/// All that a module names of this crate: `crate::…` and `super::…`, in a `use` or in the code.
fn named(module: &str, text: &str) -> Vec<String> {
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    let mut named = Vec::new();
    for (word, base) in [("crate::", ""), ("super::", parent)] {
        for (at, _) in text.match_indices(word) {
            let rest = &text[at + word.len()..];
            let is_use = text[..at].trim_end().ends_with("use");
            let end = if is_use {
                rest.find(';')
            } else {
                rest.find(|letter: char| !letter.is_alphanumeric() && !"_:".contains(letter))
            };
            let prefix = if base.is_empty() { String::new() } else { format!("{base}::") };
            named.extend(paths(&prefix, &rest[..end.unwrap_or(rest.len())]));
        }
    }
    named
}

/// What each module imports. A parent declares its children; that is no import.
fn imports(modules: &BTreeMap<String, String>) -> Imports {
    let longest = |path: &str| {
        let mut path = path.split(" as ").next()?.trim().trim_end_matches("::self");
        while !modules.contains_key(path) {
            path = path.rsplit_once("::")?.0;
        }
        Some(path.to_owned())
    };
    let import = |(module, text): (&String, &String)| {
        let found = named(module, text).iter().filter_map(|path| longest(path)).collect::<BTreeSet<_>>();
        let is_other = |other: &String| other != module && !other.starts_with(&format!("{module}::"));
        (module.clone(), found.into_iter().filter(is_other).collect())
    };
    modules.iter().map(import).collect()
}

/// Imports between the children of `parent`, each taken with all modules below it.
fn siblings(imports: &Imports, parent: &str) -> Imports {
    let child = |module: &str| {
        let below = if parent.is_empty() { module } else { module.strip_prefix(parent)?.strip_prefix("::")? };
        let name = below.split("::").next()?;
        Some(module[..module.len() - below.len() + name.len()].to_owned())
    };
    let mut siblings = Imports::new();
    for (module, imported) in imports {
        let Some(from) = child(module) else { continue };
        let others: Vec<_> = imported.iter().filter_map(|other| child(other)).filter(|other| *other != from).collect();
        siblings.entry(from).or_default().extend(others);
    }
    siblings
}

/// A circle in the imports of a crate, if there is one.
fn circle(name: &str, imports: &Imports) -> Option<Vec<String>> {
    let mut parents = std::iter::once("").chain(imports.keys().map(String::as_str));
    cycle(imports)
        .or_else(|| parents.find_map(|parent| cycle(&siblings(imports, parent))).filter(|_| name == BY_FOLDERS))
}

/// A path from a node back to itself.
fn cycle(imports: &Imports) -> Option<Vec<String>> {
    fn visit(imports: &Imports, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        let module = way.last()?.clone();
        for next in imports.get(&module).into_iter().flatten() {
            if let Some(start) = way.iter().position(|known| known == next) {
                return Some([&way[start..], std::slice::from_ref(next)].concat());
            }
            if !done.contains(next) {
                way.push(next.clone());
                if let Some(circle) = visit(imports, way, done) {
                    return Some(circle);
                }
                way.pop();
            }
        }
        done.insert(module);
        None
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| visit(imports, &mut vec![module.clone()], &mut done))
}

#[test]
fn no_module_imports_one_that_imports_it() {
    for (name, fewest) in CRATES {
        let modules = modules(name);
        assert!(modules.len() >= fewest, "{name}: {:?}", modules.keys());
        assert_eq!(circle(name, &imports(&modules)), None, "{name}");
    }
}

/// Whichever import is added the other way round.
#[test]
fn a_circle_is_found() {
    for (name, below, above) in [
        ("registrar", "sys", "commands::register"),
        ("registrar", "binfmt_misc::mount", "binfmt_misc::locate"),
        ("registrar", "request", "cli"),
        ("registrar", "plan", "verify"),
        ("xtask", "verify::digest", "pipeline"),
        ("xtask", "repo::repo_package", "repo::resolve"),
        ("codegen", "handler", "table"),
    ] {
        let mut imports = imports(&modules(name));
        imports.entry(below.into()).or_default().insert(above.into());
        let circle = circle(name, &imports).unwrap_or_default();
        assert!(circle.iter().any(|module| module == below), "{below} imports {above}: {circle:?}");
    }
    let text = "use crate::cli::{self, args::{parse, Error}};\nfn f() { crate::sys::errno() }\nuse super::mount::Rule;";
    let expected = ["cli::self", "cli::args::parse", "cli::args::Error", "sys::errno", "binfmt_misc::mount::Rule"];
    assert_eq!(named("binfmt_misc::locate", text), expected);
}
