//! YAML, as the values that JSON has.

use std::fs;

use serde_json::Value;
use xtask::workspace::workspace_root;

/// The documents of a text.
///
/// # Panics
/// If it is no YAML.
pub fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{error}, in:\n{text}"))
}

/// The one document of a file, named from the workspace's root.
///
/// # Panics
/// If it cannot be read, or holds another number of them.
pub fn file(path: &str) -> Value {
    let text = fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let [document] = <[Value; 1]>::try_from(documents(&text)).unwrap_or_else(|all| panic!("{path}: {all:?}"));
    document
}

/// Texts of a list, none if there is no list.
///
/// # Panics
/// If it is something else.
pub fn texts(list: &Value) -> Vec<&str> {
    let text = |value| Value::as_str(value).unwrap_or_else(|| panic!("no text: {value}"));
    match list {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().map(text).collect(),
        other => panic!("no list: {other}"),
    }
}
