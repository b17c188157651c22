//! What is typed, or stands in the environment.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use serde_json::{Map, json};

use super::{split, texts};
use crate::arguments::{Changes, Environment, Invocation, reference as references};
use crate::freeze::Freezer;
use crate::image;
use crate::report;
use crate::settings::{self, Reserve};
use crate::system::text::{printable, quoted};

/// A whole command line, the program's name first.
pub fn command_line(bytes: &[u8]) {
    let words: Vec<OsString> = split(bytes)
        .into_iter()
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    match Invocation::of(words.iter().cloned()) {
        Invocation::PassThrough(kept) | Invocation::Own(kept) => assert!(words.ends_with(&kept)),
        Invocation::Commit(arguments) => {
            assert!(is_part_of(&arguments.words, &words));
            assert_is_whole(&arguments.reference);
        }
        Invocation::Refused(refusal) => {
            assert!(is_part_of(&refusal.words, &words));
            assert!(!refusal.message.is_empty());
        }
        Invocation::CommitHelp { words: kept, .. } => assert!(is_part_of(&kept, &words)),
    }
}

/// Whether `part` is left of `whole` when some words are taken out.
fn is_part_of(part: &[OsString], whole: &[OsString]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|word| rest.any(|other| other == word))
}

pub fn reference(bytes: &[u8]) {
    if let Ok(whole) = references::normalise(&String::from_utf8_lossy(bytes)) {
        assert_is_whole(&whole);
    }
}

/// What is whole is made no more so.
fn assert_is_whole(reference: &str) {
    assert_eq!(references::normalise(reference).as_deref(), Ok(reference));
}

/// Values of `--change`, read, expanded and put into a configuration.
pub fn change(bytes: &[u8]) {
    let values: Vec<String> = texts(bytes).into_iter().map(Into::into).collect();
    let Ok(changes) = Changes::parse(&values) else {
        return;
    };
    let variables = [("PATH", "/bin"), ("EMPTY", ""), ("BLANKS", " a  b ")];
    let environment = Environment::from(variables.map(|(name, value)| (name.into(), value.into())));
    let Ok(properties) = changes.expand(environment) else {
        return;
    };
    let mut settings = Map::new();
    settings.insert("Env".into(), json!(["PATH=/bin", "EMPTY="]));
    image::changes::apply(&mut settings, &changes, &properties);
    assert!(settings["Env"].is_array());
}

/// `FREEZEFRAME_RESERVE`.
pub fn reserve(bytes: &[u8]) {
    if let Some(Reserve::Percent(share)) = Reserve::parse(&String::from_utf8_lossy(bytes)) {
        assert!(share <= 100);
    }
}

/// `--report`, as far as it can be read without being written.
pub fn report_path(bytes: &[u8]) {
    let path = Path::new(OsStr::from_bytes(bytes));
    let directory = report::destination::directory_of(path);
    assert!(!directory.as_os_str().is_empty());
    if report::check(path).is_ok() {
        assert!(!path.is_dir());
    }
}

/// Names for a terminal, and those of sockets and namespaces.
pub fn text(bytes: &[u8]) {
    let shown = printable(bytes);
    assert!(!shown.chars().any(char::is_control));
    let text = String::from_utf8_lossy(bytes);
    assert!(!quoted(&text).chars().any(char::is_control));
    if settings::check_namespace(&text).is_ok() {
        assert_eq!(shown, text);
    }
    if let Ok(path) = settings::socket_path(&text) {
        assert!(!path.to_string_lossy().contains("://"));
    }
}

/// What a watchdog is told to watch over. A task's description would be acted on by connecting.
pub fn watchdog(bytes: &[u8]) {
    let words: Vec<OsString> = split(bytes)
        .into_iter()
        .map(|word| OsString::from_vec(word.to_vec()))
        .collect();
    if words.first().is_some_and(|kind| kind == "task") {
        return;
    }
    if let Ok(freezer) = Freezer::from_description(&words) {
        assert_eq!(freezer.description(), words);
    }
}
