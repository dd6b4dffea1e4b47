//! What man pages and completions say, held against the program and against the tools that read them.

use std::path::Path;
use std::process::Command;

use release::documents;
use release::interface::Interface;
use tempfile::TempDir;
use xtask::workspace::workspace_root;

fn documents() -> (Interface, TempDir) {
    let interface = Interface::read(workspace_root()).unwrap_or_else(|error| panic!("{error:#}"));
    let folder = tempfile::tempdir().expect("a folder");
    documents::write(&interface, "1.2.3", folder.path()).unwrap_or_else(|error| panic!("{error:#}"));
    (interface, folder)
}

fn run(program: &str, words: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(words).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "100").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Option by option, for each command: clap takes what the program takes, and neither takes more.
#[test]
fn the_program_takes_the_options_that_clap_has() {
    let (interface, _folder) = documents();
    let registrar =
        xtask::build::compile::registrar(xtask::system::host::Host::named(None).expect("this machine"), None, false);
    let registrar = registrar.unwrap_or_else(|error| panic!("{error:#}"));
    let clap = interface.command("1.2.3", true);
    for command in clap.get_subcommands() {
        let name = command.get_name();
        for option in &interface.options {
            let known = command.get_arguments().find(|argument| argument.get_long() == Some(&option.name));
            let long = format!("--{}", option.name);
            // Without its value, or with one that it cannot have: nothing is done, whatever the command.
            let has_value = interface.option_texts[&option.name].value.is_some();
            let words = if has_value { vec![name, &long] } else { vec![name, &long, "--no-such-option"] };
            let (_, said) = run(registrar.to_str().expect("text"), &words);
            let is_unknown = |option: &str| said.contains(&format!("'{option}'"));
            match has_value {
                true => assert!(said.contains("missing argument") && said.contains(&long), "{words:?}: {said}"),
                false => assert!(is_unknown("--no-such-option") && !is_unknown(&long), "{words:?}: {said}"),
            }
            assert_eq!(known.is_some(), option.commands.iter().any(|one| one == name), "{name} {long}");
            let Some(known) = known else {
                let value = if has_value { format!("{long}={}", value_of(&option.name)) } else { long.clone() };
                let (good, said) = run(registrar.to_str().expect("text"), &[name, &value]);
                assert!(!good && said.contains(&long) && said.contains(&option.commands[0]), "{name} {value}: {said}");
                continue;
            };
            assert_eq!(known.get_action().takes_values(), has_value, "{name} {long}");
        }
    }
    clap.debug_assert();
}

/// One that the option takes.
fn value_of(option: &str) -> &'static str {
    match option {
        "scope" => "userns",
        "format" => "systemd",
        "timeout" => "1",
        "flags" => "F",
        _ => "/none",
    }
}

#[test]
fn man_reads_the_pages_without_a_warning() {
    let (interface, folder) = documents();
    let page = |name: &str| folder.path().join("man1").join(name);
    let pages = std::fs::read_dir(folder.path().join("man1")).expect("pages").count();
    assert_eq!(pages, interface.commands.len() + 1);
    for command in interface.commands.iter().map(|command| format!("registrar-{command}.1")) {
        let (good, said) = read(&page(&command));
        assert!(good && !said.contains("warning"), "{said}");
    }
    let (good, said) = read(&page("registrar.1"));
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(good && !said.contains("warning") && words.contains("Exit status: 0"), "{said}");
    let (_, said) = read(&page("registrar-register.1"));
    for option in interface.options.iter().filter(|option| option.commands.iter().any(|one| one == "register")) {
        assert!(said.contains(&format!("--{}", option.name)), "no {} in {said}", option.name);
    }
    let broken = page("broken.1");
    std::fs::write(&broken, ".TH broken 1\n.SH NAME\n\\f[NOSUCH]x\n.nosuchmacro\n").expect("a page");
    assert!(read(&broken).1.contains("warning"), "man says nothing of a macro that it does not know");
}

fn read(page: &Path) -> (bool, String) {
    run("man", &["--warnings", "--local-file", page.to_str().expect("text")])
}

#[test]
fn shells_complete_commands_and_options() {
    let (_, folder) = documents();
    let file = |name: &str| folder.path().join("completions").join(name).to_str().expect("text").to_owned();
    let bash = "set -u; source \"$1\"; COMP_WORDS=($2); COMP_CWORD=$((${#COMP_WORDS[@]}-1)); \
                _registrar registrar \"${COMP_WORDS[-1]}\" \"${COMP_WORDS[-2]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
    for (line, expected) in [("registrar reg", "register"), ("registrar register --pres", "--preserve-argv0")] {
        let (good, said) = run("bash", &["-c", bash, "bash", &file("registrar.bash"), line]);
        assert!(good && said.lines().any(|word| word == expected), "{line}: {said}");
        let (good, said) = run("fish", &["-c", "source $argv[1]; complete -C $argv[2]", &file("registrar.fish"), line]);
        assert!(good && said.lines().any(|word| word.split('\t').next() == Some(expected)), "{line}: {said}");
    }
    let zsh = "autoload -U compinit; compinit -u -D; source \"$1\"; (( $+functions[_registrar] )) && print loaded";
    let (good, said) = run("zsh", &["-fc", zsh, "zsh", &file("_registrar")]);
    assert!(good && said.contains("loaded"), "{said}");
    // Of architectures, clap_complete makes completions for zsh alone.
    let zsh = std::fs::read_to_string(file("_registrar")).expect("a file");
    assert!(zsh.contains(":(386 aarch64 aarch64_be alpha "), "{zsh}");
}
