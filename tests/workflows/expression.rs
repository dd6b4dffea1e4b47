//! GitHub's expressions, as far as our workflows have them: contexts, texts in quotes, `||`, `&&`, `==`, `!=`, `format`, `contains`.
//! All values are texts; the empty one is false, as GitHub has it.

use std::collections::BTreeMap;

/// A text, with the value of each `${{ … }}` in its place.
pub(super) fn fill_in(text: &str, contexts: &BTreeMap<String, String>) -> String {
    let mut parts = text.split("${{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (expression, rest) = part.split_once("}}").unwrap_or_else(|| panic!("no end: {text}"));
        filled += &evaluate(expression, contexts);
        filled += rest;
    }
    filled
}

/// Whether the expression of an `if:` is true.
pub(super) fn is_true(expression: &str, contexts: &BTreeMap<String, String>) -> bool {
    !evaluate(expression, contexts).is_empty()
}

fn evaluate(text: &str, contexts: &BTreeMap<String, String>) -> String {
    let mut parser = Parser { rest: text, contexts };
    let value = parser.either();
    assert!(parser.rest.trim().is_empty(), "{:?} is left of {text:?}", parser.rest);
    value
}

struct Parser<'a> {
    rest: &'a str,
    contexts: &'a BTreeMap<String, String>,
}

impl Parser<'_> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn either(&mut self) -> String {
        let mut value = self.both();
        while self.take("||") {
            let other = self.both();
            value = if value.is_empty() { other } else { value };
        }
        value
    }

    fn both(&mut self) -> String {
        let mut value = self.comparison();
        while self.take("&&") {
            let other = self.comparison();
            value = if value.is_empty() { value } else { other };
        }
        value
    }

    fn comparison(&mut self) -> String {
        let value = self.operand();
        if self.take("==") {
            truth(value == self.operand())
        } else if self.take("!=") {
            truth(value != self.operand())
        } else {
            value
        }
    }

    fn operand(&mut self) -> String {
        if self.take("'") {
            let (text, rest) = self.rest.split_once('\'').unwrap_or_else(|| panic!("no end: {}", self.rest));
            self.rest = rest;
            return text.to_owned();
        }
        let start = self.rest.trim_start();
        let end = start.find(|character: char| !(character.is_alphanumeric() || "._-".contains(character)));
        let (name, rest) = start.split_at(end.unwrap_or(start.len()));
        assert!(!name.is_empty(), "no operand: {:?}", self.rest);
        self.rest = rest;
        if !self.take("(") {
            return self.contexts.get(name).cloned().unwrap_or_default();
        }
        let mut arguments = vec![self.either()];
        while self.take(",") {
            arguments.push(self.either());
        }
        assert!(self.take(")"), "no end of {name}");
        match (name, arguments.as_slice()) {
            ("contains", [text, part]) => truth(text.contains(part)),
            ("format", [template, values @ ..]) => {
                let mut text = template.clone();
                for (index, value) in values.iter().enumerate() {
                    text = text.replace(&format!("{{{index}}}"), value);
                }
                text
            }
            _ => panic!("no function {name} of {} arguments", arguments.len()),
        }
    }
}

fn truth(is_true: bool) -> String {
    if is_true { "true".into() } else { String::new() }
}
