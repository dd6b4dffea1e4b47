//! What else registers such rules, each called as it is on a host: `systemd-binfmt`, Debian's `update-binfmts`, and a
//! script that writes one rule after the other, as images do that are made of shell.

use std::fs;
use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use tests::packages;

use crate::register::Program;

/// systemd's, on whatever distribution.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd-binfmt", "/lib/systemd/systemd-binfmt"];

/// Writes each file of a folder to `register`.
const SCRIPT: &str = "for rule in \"$0\"/*; do cat \"$rule\" >\"$1\" || exit; done";

/// Programs by their names, each registering the rules that `registrar export` prints. Files go to `scratch`.
pub(super) fn programs(registrar: &Program, scratch: &Path, register: &Path) -> Result<Vec<(&'static str, Program)>> {
    let rules = exported(registrar)?;
    let conf = scratch.join("rules.conf");
    fs::write(&conf, &rules)?;
    let folder = scratch.join("rules");
    fs::create_dir(&folder)?;
    for rule in rules.lines() {
        let name = rule.split(':').nth(1).context("a rule without a name")?;
        fs::write(folder.join(name), rule)?;
    }
    let systemd = SYSTEMD.iter().find(|path| Path::new(path).exists()).context("no systemd-binfmt; install systemd")?;
    let text = |path: &Path| path.display().to_string();
    Ok(vec![
        ("systemd-binfmt", Program::new(systemd, vec![text(&conf)])),
        ("update-binfmts", update_binfmts(registrar, scratch)?),
        ("sh and cat", Program::new("/bin/sh", vec!["-c".into(), SCRIPT.into(), text(&folder), text(register)])),
    ])
}

/// With a database of its own, which is filled here.
fn update_binfmts(registrar: &Program, scratch: &Path) -> Result<Program> {
    let package = packages::unpacked(&["binfmt-support", "libpipeline1"]).map_err(Error::msg)?;
    let database = scratch.join("binfmts");
    fs::create_dir(&database)?;
    let libraries = fs::read_dir(package.join("usr/lib"))?.map(|file| Ok(file?.path().display().to_string()));
    let libraries = libraries.collect::<std::io::Result<Vec<_>>>()?.join(":");
    let path = package.join("usr/sbin/update-binfmts");
    let program = format!("{} --admindir {}", path.display(), database.display());
    let commands: String = exported(registrar)?.lines().map(|rule| installing(&program, rule)).collect();
    let environment = vec![("LD_LIBRARY_PATH", libraries)];
    let arguments = vec!["-ec".into(), commands];
    let filled =
        Program { environment: environment.clone(), ..Program::new("/bin/sh", arguments) }.command().status()?;
    if !filled.success() {
        bail!("filling update-binfmts' database: {filled}");
    }
    let arguments = vec!["--admindir".into(), database.display().to_string(), "--enable".into()];
    Ok(Program { environment, ..Program::new(path, arguments) })
}

/// The command that fills the database with a rule: name, type, offset, magic, mask, interpreter, flags.
fn installing(program: &str, rule: &str) -> String {
    let fields: Vec<_> = rule.split(':').collect();
    let &[_, name, _, offset, magic, mask, interpreter, flags] = fields.as_slice() else { return String::new() };
    let offset = if offset.is_empty() { "0" } else { offset };
    let fixed = if flags.contains('F') { " --fix-binary yes" } else { "" };
    format!(
        "{program} --package registrar --install {name} '{interpreter}' --offset {offset} --magic '{magic}' \
         --mask '{mask}'{fixed}\n"
    )
}

fn exported(registrar: &Program) -> Result<String> {
    let mut command = Program::new(&registrar.path, vec!["export".into()]).command();
    Ok(String::from_utf8(command.stdout(std::process::Stdio::piped()).output()?.stdout)?)
}
