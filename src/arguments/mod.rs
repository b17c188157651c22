//! What was typed, and whether it is ours: no system call, no file, no clock.
//!
//! `Invocation::of` understands a command line to its last word or leaves it alone. Only a commit is ever ours; what we
//! would call a mistake in one goes to the real nerdctl first where it would find the same one, as it has its own words.

mod change;
mod commit_line;
pub mod duration;
mod flags;
mod integer;
mod mistake;
mod pflag;
pub mod reference;
mod subcommand;

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use change::{Changes, CommandLine, Environment, Healthcheck, Property};
use commit_line::{CommitLine, OURS};
pub use flags::{FLAGS, FOR_THE_REAL_ONE, Place, Takes};
use mistake::Mistake;
use pflag::Setting;
pub use reference::by_digest;
use subcommand::{CommitWords, Found};

use crate::system::text::quoted;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// The real nerdctl's business, with these words.
    PassThrough(Vec<OsString>),
    Commit(Box<CommitArguments>),
    Refused(Refusal),
    /// A commit's `--help`, or `help` of it, with the words that ask for that.
    CommitHelp {
        name: &'static str,
        words: Vec<OsString>,
    },
    /// A command of ours, under our own name.
    Own(Vec<OsString>),
}

/// What is refused: by nerdctl itself, with these words, where it would say the same; else, and without one, by `message`.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub words: Vec<OsString>,
    pub message: String,
    pub report: Option<PathBuf>,
    /// Whether nerdctl would say the same; else it would do so for another reason, or for none.
    pub is_stocks: bool,
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
    /// How long the container may be frozen.
    pub max_pause: Option<Duration>,
    /// Whether to say what is done, if that was typed.
    pub debug: Option<bool>,
    pub address: Option<String>,
    pub namespace: Option<String>,
    pub cgroup_manager: Option<String>,
    /// The global flags as typed, for other commands of the real nerdctl.
    pub globals: Vec<OsString>,
    /// All words but the program's name and our own flags: what the real nerdctl would be given.
    pub words: Vec<OsString>,
}

impl Invocation {
    /// Reads a whole command line, the program's name first.
    pub fn of(mut line: impl Iterator<Item = OsString>) -> Self {
        let program = line.next().unwrap_or_default();
        let mut words: Vec<OsString> = line.collect();
        let mut is_nerdctl = !is_our_name(&program);
        if !is_nerdctl && words.first().is_some_and(|first| first == "nerdctl") {
            words.remove(0);
            is_nerdctl = true;
        }
        // What is no UTF-8 as JSON has it, in Go as well: with a replacement character.
        let text: Vec<Cow<str>> = words.iter().map(|word| word.to_string_lossy()).collect();
        let text: Vec<&str> = text.iter().map(|word| &**word).collect();
        match subcommand::find(&text) {
            Found::Commit(commit) => read_commit(commit, &words),
            Found::Help(name) => Self::CommitHelp { name, words },
            _ if !is_nerdctl => Self::Own(words),
            Found::Other => Self::PassThrough(words),
            Found::Mistake(message) => Self::Refused(Refusal {
                words,
                message,
                report: None,
                is_stocks: true,
            }),
        }
    }
}

/// By any other it is nerdctl, as that is itself by any name: docker's, for one.
fn is_our_name(program: &OsStr) -> bool {
    let name = Path::new(program).file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b"freezeframe")
}

fn read_commit(words: CommitWords, all: &[OsString]) -> Invocation {
    let line = CommitLine {
        all,
        first_own: all.len() - words.own.len(),
    };
    let refuse = |settings: &[Setting], mistake: Mistake| {
        Invocation::Refused(Refusal {
            words: line.for_the_real_one(settings),
            message: mistake.message,
            report: report(settings).filter(|_| line.is_text(settings, "report")),
            is_stocks: mistake.is_stocks,
        })
    };
    let before = match settings_before(words) {
        Ok(settings) => settings,
        Err(message) => return refuse(&[], message.into()),
    };
    if is_set(&before, "help") || is_set(&before, "version") {
        return Invocation::PassThrough(all.to_vec());
    }
    let commit = match pflag::parse(words.own, subcommand::COMMIT) {
        Ok(commit) => commit,
        Err((parsed, message)) => {
            let is_stocks = !OURS
                .iter()
                .any(|name| message == pflag::lacks_argument(name));
            return refuse(&parsed.settings, Mistake { message, is_stocks });
        }
    };
    let kept = line.for_the_real_one(&commit.settings);
    if is_set(&commit.settings, "help") {
        return Invocation::CommitHelp {
            name: words.name,
            words: kept,
        };
    }
    let arguments = line
        .check_text(&commit.settings)
        .and_then(|()| CommitArguments::new(&before, &commit, words.name, kept));
    match arguments {
        Ok(arguments) => Invocation::Commit(Box::new(arguments)),
        Err(mistake) => refuse(&commit.settings, mistake),
    }
}

/// What was set before `commit`.
fn settings_before(words: CommitWords) -> Result<Vec<Setting>, String> {
    let parse = |words, places| {
        let parsed = pflag::parse(words, places).map_err(|(_, message)| message)?;
        Ok::<_, String>(parsed.settings)
    };
    let mut settings = parse(words.root, subcommand::ROOT)?;
    settings.extend(parse(words.container, subcommand::CONTAINER)?);
    Ok(settings)
}

fn last<'a>(settings: &'a [Setting], name: &str) -> Option<&'a str> {
    let set = settings.iter().rfind(|setting| setting.name == name);
    set.map(|setting| setting.value.as_str())
}

fn report(settings: &[Setting]) -> Option<PathBuf> {
    last(settings, "report").map(PathBuf::from)
}

fn max_pause(value: &str) -> Result<Duration, Mistake> {
    duration::positive(value).ok_or_else(|| Mistake {
        message: format!(
            "--max-pause is {}, which is no time such as 200ms or 2s",
            quoted(value)
        ),
        is_stocks: false,
    })
}

fn is_set(settings: &[Setting], name: &str) -> bool {
    last(settings, name).and_then(pflag::parse_boolean) == Some(true)
}

impl CommitArguments {
    fn new(
        global: &[Setting],
        commit: &pflag::Parsed,
        name: &str,
        words: Vec<OsString>,
    ) -> Result<Self, Mistake> {
        let own = &commit.settings;
        let anywhere = |name: &str| last(own, name).or_else(|| last(global, name));
        let [container, reference] =
            <[String; 2]>::try_from(commit.arguments.clone()).map_err(|_| wrong_count(name))?;
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
            max_pause: last(own, "max-pause").map(max_pause).transpose()?,
            debug: ["debug", "debug-full"]
                .into_iter()
                .filter_map(|name| pflag::parse_boolean(anywhere(name)?))
                .reduce(|one, other| one || other),
            address: anywhere("address").map(str::to_owned),
            namespace: anywhere("namespace").map(str::to_owned),
            cgroup_manager: anywhere("cgroup-manager").map(str::to_owned),
            globals: globals(global, own),
            words,
        })
    }
}

impl CommitArguments {
    /// Why the real nerdctl, which has to make the commit for `reason`, cannot. The pause is bounded by `max_pause`.
    pub fn refuse_delegation(&self, reason: &str, max_pause: Option<Duration>) -> Option<String> {
        if let Some(refusal) = self.changes.refuse_delegation(reason) {
            return Some(refusal);
        }
        max_pause.filter(|_| self.pause).map(|_| {
            format!(
                "--max-pause (or FREEZEFRAME_MAX_PAUSE) cannot be delegated: the real nerdctl has to make this commit \
                 ({reason}), and pauses the container for as long as that takes. Leave it out, or use --pause=false"
            )
        })
    }
}

/// The global settings in the form `--name=value`, in their order.
fn globals(global: &[Setting], own: &[Setting]) -> Vec<OsString> {
    let is_global =
        |setting: &&Setting| flags::by_long_name(setting.name, subcommand::CONTAINER).is_some();
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
