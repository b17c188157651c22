//! What was typed, and whether it is ours: no system call, no file, no clock.
//!
//! `Invocation::of` understands a command line to its last word or leaves it alone. Only a commit is ever ours; what we
//! would call a mistake in one goes to the real nerdctl first where it would find the same one, as it has its own words.

mod change;
mod flags;
mod pflag;
mod reference;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use change::Mistake;
pub use change::{Changes, CommandLine, Environment, Healthcheck, Property};
pub use flags::{FLAGS, Place, Takes};
use pflag::Setting;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// The real nerdctl's business, with these words.
    PassThrough(Vec<OsString>),
    Commit(Box<CommitArguments>),
    /// A commit that nerdctl would refuse. With these words it can; without one, `message` is what it would say. There
    /// are none where it would give another reason.
    RefusedCommit {
        words: Option<Vec<OsString>>,
        message: String,
        report: Option<PathBuf>,
    },
    /// A commit's `--help`, with the words that ask for it.
    CommitHelp(Vec<OsString>),
    /// A command of ours, under our own name.
    Own(Vec<OsString>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Gzip,
    Zstd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Docker,
    Oci,
}

/// A commit, understood and valid.
#[derive(Debug, PartialEq, Eq)]
pub struct CommitArguments {
    pub container: String,
    /// In its full form.
    pub reference: String,
    pub author: Option<String>,
    pub message: String,
    pub changes: Changes,
    pub pause: bool,
    pub compression: Compression,
    pub format: Format,
    /// The flag that asks for a layer which only the real nerdctl makes.
    pub foreign_layer: Option<&'static str>,
    pub report: Option<PathBuf>,
    pub debug: bool,
    pub address: Option<String>,
    pub namespace: Option<String>,
    pub snapshotter: Option<String>,
    /// The global flags as typed, for other commands of the real nerdctl.
    pub globals: Vec<OsString>,
    /// All words but the program's name and `--report`: what the real nerdctl would be given.
    pub words: Vec<OsString>,
}

impl Invocation {
    /// Reads a whole command line, the program's name first.
    pub fn of(mut line: impl Iterator<Item = OsString>) -> Self {
        let program = line.next().unwrap_or_default();
        let words: Vec<OsString> = line.collect();
        if is_named(&program, "nerdctl") {
            return Self::of_nerdctl(words);
        }
        match words.first().and_then(|word| word.to_str()) {
            Some("nerdctl") => Self::of_nerdctl(words[1..].to_vec()),
            Some("commit") => Self::of_nerdctl(words),
            _ => Self::Own(words),
        }
    }

    fn of_nerdctl(words: Vec<OsString>) -> Self {
        let text: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
        let Some(text) = text else {
            return Self::PassThrough(words);
        };
        let Some((start, name)) = find_commit(&text) else {
            return Self::PassThrough(words);
        };
        let (globals, own) = (&text[..start.globals], &text[start.flags..]);
        let invocation = read_commit(globals, &text[start.globals..start.flags], own, name);
        drop(text);
        invocation
    }
}

fn is_named(program: &OsStr, name: &str) -> bool {
    Path::new(program).file_name() == Some(OsStr::new(name))
}

/// Where the subcommand begins, and the flags after it.
struct CommitPosition {
    globals: usize,
    flags: usize,
}

/// Finds `commit` or `container commit` after global flags. Whatever cobra might read otherwise is left to it.
fn find_commit(words: &[&str]) -> Option<(CommitPosition, &'static str)> {
    let mut globals = 0;
    loop {
        match *words.get(globals)? {
            "commit" => {
                let flags = globals + 1;
                return Some((CommitPosition { globals, flags }, "commit"));
            }
            "container" if words.get(globals + 1) == Some(&"commit") => {
                let flags = globals + 2;
                return Some((CommitPosition { globals, flags }, "container commit"));
            }
            word => globals += global_flag_length(word, words.get(globals + 1))?,
        }
    }
}

/// How many words a global flag takes; `None` where this is no plain one.
fn global_flag_length(word: &str, next: Option<&&str>) -> Option<usize> {
    let places = [Place::Root, Place::Anywhere];
    let (flag, is_whole) = if let Some(long) = word.strip_prefix("--") {
        let name = long.split('=').next()?;
        (flags::by_long_name(name, &places)?, !long.contains('='))
    } else {
        let short = word.strip_prefix('-')?;
        (
            flags::by_short_name(short.chars().next()?, &places)?,
            short.len() == 1,
        )
    };
    if flag.takes == Takes::Boolean || !is_whole {
        return Some(1);
    }
    // cobra looks for the subcommand by rules of its own where a value looks like a flag.
    next.is_some_and(|value| !value.starts_with('-'))
        .then_some(2)
}

fn read_commit(globals: &[&str], subcommand: &[&str], own: &[&str], name: &str) -> Invocation {
    let outcome = pflag::parse(globals, &[Place::Root, Place::Anywhere]).and_then(|parsed| {
        let commit = pflag::parse(own, &[Place::Anywhere, Place::Commit])?;
        Ok((parsed, commit))
    });
    let words = |settings: &[Setting]| {
        let mut words = owned(globals);
        words.extend(owned(subcommand));
        words.extend(without_report(own, settings));
        words
    };
    match outcome {
        Err((parsed, message)) => Invocation::RefusedCommit {
            words: Some(words(&parsed.settings)),
            message,
            report: report(&parsed.settings),
        },
        Ok((_, commit)) if is_set(&commit.settings, "help") => {
            Invocation::CommitHelp(words(&commit.settings))
        }
        Ok((global, commit)) => {
            let words = words(&commit.settings);
            let report = report(&commit.settings);
            match CommitArguments::new(&global.settings, commit, name, words.clone()) {
                Ok(arguments) => Invocation::Commit(Box::new(arguments)),
                Err(Mistake { message, is_stocks }) => Invocation::RefusedCommit {
                    words: is_stocks.then_some(words),
                    message,
                    report,
                },
            }
        }
    }
}

fn owned(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn without_report(words: &[&str], settings: &[Setting]) -> Vec<OsString> {
    let is_report = |position: &usize| {
        settings
            .iter()
            .any(|setting| setting.name == "report" && setting.words.contains(position))
    };
    let kept = (0..words.len()).filter(|position| !is_report(position));
    kept.map(|position| words[position].into()).collect()
}

fn last<'a>(settings: &'a [Setting], name: &str) -> Option<&'a str> {
    let set = settings.iter().rfind(|setting| setting.name == name);
    set.map(|setting| setting.value.as_str())
}

fn report(settings: &[Setting]) -> Option<PathBuf> {
    last(settings, "report").map(PathBuf::from)
}

fn is_set(settings: &[Setting], name: &str) -> bool {
    last(settings, name).and_then(pflag::parse_boolean) == Some(true)
}

impl CommitArguments {
    fn new(
        global: &[Setting],
        commit: pflag::Parsed,
        name: &str,
        words: Vec<OsString>,
    ) -> Result<Self, Mistake> {
        let own = &commit.settings;
        let anywhere = |name: &str| last(own, name).or_else(|| last(global, name));
        let [container, reference] =
            <[String; 2]>::try_from(commit.arguments).map_err(|_| wrong_count(name))?;
        let changes: Vec<String> = own
            .iter()
            .filter(|setting| setting.name == "change")
            .map(|setting| setting.value.clone())
            .collect();
        Ok(Self {
            compression: compression(last(own, "compression"))?,
            format: format(last(own, "format"))?,
            foreign_layer: foreign_layer(own)?,
            reference: reference::normalise(&reference)?,
            changes: Changes::parse(&changes)?,
            container,
            author: last(own, "author")
                .filter(|author| !author.is_empty())
                .map(str::to_owned),
            message: last(own, "message").unwrap_or_default().to_owned(),
            pause: last(own, "pause").and_then(pflag::parse_boolean) != Some(false),
            report: report(own),
            debug: ["debug", "debug-full"]
                .into_iter()
                .any(|name| anywhere(name).and_then(pflag::parse_boolean) == Some(true)),
            address: anywhere("address").map(str::to_owned),
            namespace: anywhere("namespace").map(str::to_owned),
            snapshotter: anywhere("snapshotter").map(str::to_owned),
            globals: globals(global, own),
            words,
        })
    }
}

/// The global settings in the form `--name=value`, in their order.
fn globals(global: &[Setting], own: &[Setting]) -> Vec<OsString> {
    let is_global =
        |setting: &&Setting| flags::by_long_name(setting.name, &[Place::Anywhere]).is_some();
    let all = global.iter().chain(own.iter().filter(is_global));
    all.map(|setting| format!("--{}={}", setting.name, setting.value).into())
        .collect()
}

fn wrong_count(name: &str) -> String {
    format!(
        "\"nerdctl {name}\" requires exactly 2 argument(s).\nSee 'nerdctl {name} --help'.\n\nUsage:  nerdctl {name} [flags] \
         CONTAINER REPOSITORY[:TAG]\n\nCreate a new image from a container's changes"
    )
}

fn compression(value: Option<&str>) -> Result<Compression, String> {
    match value {
        None | Some("gzip") => Ok(Compression::Gzip),
        Some("zstd") => Ok(Compression::Zstd),
        Some(_) => Err("--compression param only supports zstd or gzip".to_owned()),
    }
}

fn format(value: Option<&str>) -> Result<Format, String> {
    match value {
        None | Some("docker") => Ok(Format::Docker),
        Some("oci") => Ok(Format::Oci),
        Some(_) => Err("--format param only supports docker or oci".to_owned()),
    }
}

fn foreign_layer(settings: &[Setting]) -> Result<Option<&'static str>, String> {
    match (is_set(settings, "estargz"), is_set(settings, "zstdchunked")) {
        (true, true) => Err(
            "options --estargz and --zstdchunked lead to conflict, only one of them can be used"
                .to_owned(),
        ),
        (true, false) => Ok(Some("--estargz")),
        (false, true) => Ok(Some("--zstdchunked")),
        (false, false) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
