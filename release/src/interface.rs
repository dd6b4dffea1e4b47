//! The command line of `registrar` as clap describes one, made of what the program itself has: the list of options of its parser, and
//! the text of `--help`. So man pages and completions say what `--help` says. Nothing parses with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};
use codegen::targets::TARGETS;
use syn::{Expr, Item, Lit};

/// An option of the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownOption {
    /// Without the two hyphens.
    pub name: String,
    /// The commands that take it.
    pub commands: Vec<String>,
}

/// An option as `--help` has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HelpText {
    /// `q` of `-q`.
    pub short: Option<char>,
    /// `LETTERS` of `--flags LETTERS`.
    pub value: Option<String>,
    /// What it does.
    pub text: String,
}

/// The parser's lists and the text of `--help`, from the source.
#[derive(Debug)]
pub struct Interface {
    /// All commands.
    pub commands: Vec<String>,
    /// The options that some commands take.
    pub options: Vec<KnownOption>,
    /// The first line: what the program is.
    pub about: String,
    /// What each command does.
    pub command_texts: BTreeMap<String, String>,
    /// What each option does.
    pub option_texts: BTreeMap<String, HelpText>,
    /// The paragraphs after the options.
    pub notes: String,
}

impl Interface {
    /// Reads them below the workspace's root.
    ///
    /// # Errors
    /// If a list is not where it was, or help and lists disagree.
    pub fn read(root: &Path) -> Result<Self> {
        let args = parsed(&root.join("registrar/src/cli/args.rs"))?;
        let help = parsed(&root.join("registrar/src/cli/help.rs"))?;
        let help = text(constant(&help, "HELP")?)?;
        let mut interface = Self {
            commands: texts(constant(&args, "COMMANDS")?)?,
            options: elements(constant(&args, "OPTIONS")?)?.into_iter().map(option).collect::<Result<_>>()?,
            about: help.lines().next().unwrap_or_default().to_owned(),
            command_texts: BTreeMap::new(),
            option_texts: BTreeMap::new(),
            notes: String::new(),
        };
        interface.read_help(&help)?;
        interface.check()?;
        Ok(interface)
    }

    fn read_help(&mut self, help: &str) -> Result<()> {
        let (_, body) = help.split_once("\nCommands:\n").context("help: no commands")?;
        let mut of_commands = true;
        let mut last: Option<&mut String> = None;
        for line in body.lines() {
            let (indent, line) = (line.len() - line.trim_start().len(), line.trim());
            if line.is_empty() {
                last = None;
                if !self.notes.is_empty() {
                    self.notes.push('\n');
                }
            } else if indent == 0 && line.ends_with(':') {
                of_commands = false;
            } else if indent == 0 {
                self.notes += line;
                self.notes.push('\n');
            } else if line.starts_with('-') {
                let (words, text) = line.split_once("  ").with_context(|| format!("help: no text: {line}"))?;
                let mut help = HelpText { text: text.trim().to_owned(), ..HelpText::default() };
                let mut name = None;
                for word in words.split([' ', ',']).filter(|word| !word.is_empty()) {
                    match (word.strip_prefix("--"), word.strip_prefix('-')) {
                        (Some(long), _) => name = Some(long.to_owned()),
                        (None, Some(short)) => help.short = short.chars().next(),
                        (None, None) => help.value = Some(word.to_owned()),
                    }
                }
                let name = name.with_context(|| format!("help: no option: {line}"))?;
                last = Some(&mut self.option_texts.entry(name).or_insert(help).text);
            } else if of_commands && indent == 2 {
                let (name, text) = line.split_once("  ").with_context(|| format!("help: no text: {line}"))?;
                last = Some(self.command_texts.entry(name.into()).or_insert_with(|| text.trim().to_owned()));
            } else if let Some(text) = &mut last {
                text.push(' ');
                text.push_str(line);
            }
        }
        Ok(())
    }

    /// That what one has, the other has.
    fn check(&self) -> Result<()> {
        let everywhere = ["help", "quiet", "verbose", "version"].map(str::to_owned);
        let names = |names: &mut dyn Iterator<Item = &String>| {
            let mut names: Vec<_> = names.cloned().collect();
            names.sort();
            names
        };
        let parsed = names(&mut self.options.iter().map(|option| &option.name).chain(&everywhere));
        let described = names(&mut self.option_texts.keys());
        ensure!(parsed == described, "the parser has the options {parsed:?}, --help has {described:?}");
        let (parsed, described) = (names(&mut self.commands.iter()), names(&mut self.command_texts.keys()));
        ensure!(parsed == described, "the parser has the commands {parsed:?}, --help has {described:?}");
        Ok(())
    }

    /// As clap has it. A completion lists all architectures, a page would be long with them.
    pub fn command(&self, version: &str, lists_architectures: bool) -> Command {
        let mut program = Command::new("registrar")
            .about(self.about.clone())
            .version(version.to_owned())
            .after_help(self.notes.clone())
            .disable_help_subcommand(true)
            .args(["quiet", "verbose"].map(|name| self.argument(name).global(true)));
        for name in &self.commands {
            let options = self.options.iter().filter(|option| option.commands.contains(name));
            let mut command = Command::new(name.clone()).about(self.command_texts[name].clone());
            command = command.args(options.map(|option| self.argument(&option.name)));
            program = program.subcommand(match name.as_str() {
                "run" => command.arg(
                    Arg::new("PROGRAM")
                        .num_args(1..)
                        .trailing_var_arg(true)
                        .value_hint(ValueHint::CommandWithArguments),
                ),
                "unpersist" => command,
                _ => command.arg(
                    Arg::new("ARCH")
                        .num_args(0..)
                        .help("Any usual name of an architecture; several may stand in one word")
                        .value_parser(PossibleValuesParser::new(architectures()))
                        .hide_possible_values(!lists_architectures),
                ),
            });
        }
        program
    }

    fn argument(&self, name: &str) -> Arg {
        let help = &self.option_texts[name];
        let argument = Arg::new(name.to_owned()).long(name.to_owned()).help(help.text.clone());
        let argument = help.short.map_or(argument.clone(), |short| argument.short(short));
        match &help.value {
            None => argument.action(ArgAction::SetTrue),
            Some(value) => {
                let hint = if value == "DIR" { ValueHint::DirPath } else { ValueHint::Unknown };
                argument.value_name(value.clone()).value_hint(hint)
            }
        }
    }
}

/// QEMU's names, and those that container engines have.
fn architectures() -> Vec<String> {
    let platforms = TARGETS.iter().map(|target| target.platform().trim_start_matches("linux/").to_owned());
    let mut names: Vec<_> = TARGETS.iter().map(|target| target.qemu.to_owned()).chain(platforms).collect();
    names.sort();
    names.dedup();
    names
}

fn parsed(path: &Path) -> Result<syn::File> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    syn::parse_file(&text).with_context(|| format!("parsing {}", path.display()))
}

fn constant<'a>(file: &'a syn::File, name: &str) -> Result<&'a Expr> {
    let found = file.items.iter().find_map(|item| match item {
        Item::Const(constant) if constant.ident == name => Some(&*constant.expr),
        _ => None,
    });
    found.with_context(|| format!("no constant {name}"))
}

fn elements(list: &Expr) -> Result<Vec<&Expr>> {
    match list {
        Expr::Reference(reference) => elements(&reference.expr),
        Expr::Array(array) => Ok(array.elems.iter().collect()),
        Expr::Tuple(tuple) => Ok(tuple.elems.iter().collect()),
        _ => bail!("not a list"),
    }
}

fn text(literal: &Expr) -> Result<String> {
    match literal {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Str(text) => Ok(text.value()),
            _ => bail!("not a text"),
        },
        _ => bail!("not a text"),
    }
}

fn texts(list: &Expr) -> Result<Vec<String>> {
    elements(list)?.into_iter().map(text).collect()
}

/// `("name", …, &["command", …])`.
fn option(tuple: &Expr) -> Result<KnownOption> {
    let parts = elements(tuple)?;
    let (Some(name), Some(commands)) = (parts.first(), parts.last()) else { bail!("an empty option") };
    Ok(KnownOption { name: text(name)?, commands: texts(commands)? })
}
