//! Command lines, hundreds of them, are read as the real nerdctl reads them: passed on, refused in its words, or taken
//! for the commit that it would make.
//!
//! What nerdctl 2.3.5 says to each is recorded in `arguments/recorded.json`. With a real nerdctl the record is compared
//! with it; `UPDATE_RECORDED=1` writes it anew.

#[allow(dead_code)]
#[path = "../../src/arguments/flags.rs"]
mod flags;
mod meaning;
mod vectors;

use crate::FREEZEFRAME;
use anyhow::{Context, ensure};
use harness::{Daemon, Freezeframe, Outcome, Result, outcome, skipped};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use vectors::{FOLDER, Words};

/// What a shell says of a program that it does not find, and we of a nerdctl.
const NOT_FOUND: i32 = 127;

#[test]
fn without_a_nerdctl_every_answer_is_its_answer() -> Result {
    let scene = Scene::new()?;
    let recorded = recorded()?;
    let vectors = vectors::all();
    assert!(vectors.len() > 500, "only {} vectors", vectors.len());
    assert_eq!(recorded.len(), vectors.len(), "the record is out of date");
    for (words, answer) in vectors.iter().zip(&recorded) {
        assert_eq!(answer["words"], json!(words), "the record is out of date");
        let ours = scene.ours(words)?;
        let is_theirs = answer["passed on"] == true;
        assert_eq!(is_passed_on(&ours), is_theirs, "{}", ours.describe());
        if !is_theirs {
            let said = scene.answer(&ours);
            let expected = &answer["answer"];
            assert_eq!(said["code"], expected["code"], "{}", ours.describe());
            assert_eq!(said["error"], expected["error"], "{}", ours.describe());
            assert_starts(&ours, &expected["output"]);
        }
    }
    Ok(())
}

#[test]
fn beside_the_real_nerdctl_every_answer_is_its_own() -> Result {
    let scene = Scene::new()?;
    if !scene.daemon.nerdctl()?.is_real {
        skipped("no real nerdctl here: the recorded answers stand for it");
        return Ok(());
    }
    let recorded: Vec<Value> = vectors::all()
        .iter()
        .map(|words| scene.record(words))
        .collect::<Result<_>>()?;
    if std::env::var_os("UPDATE_RECORDED").is_some() {
        let lines: Vec<String> = recorded.iter().map(Value::to_string).collect();
        fs::write(record_path(), format!("[\n{}\n]\n", lines.join(",\n")))?;
    }
    assert_eq!(
        recorded,
        self::recorded()?,
        "nerdctl answers otherwise by now"
    );
    Ok(())
}

fn record_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/arguments/recorded.json")
}

fn recorded() -> Result<Vec<Value>> {
    serde_json::from_slice(&fs::read(record_path())?).context("reading the recorded answers")
}

fn is_passed_on(ours: &Outcome) -> bool {
    ours.status.code() == Some(NOT_FOUND)
}

/// Our help goes on after nerdctl's.
fn assert_starts(ours: &Outcome, expected: &Value) {
    let expected = expected.as_str().unwrap_or_default();
    assert!(ours.text().starts_with(expected), "{}", ours.describe());
}

struct Scene {
    daemon: Daemon,
    folder: PathBuf,
    empty: PathBuf,
}

impl Scene {
    fn new() -> Result<Self> {
        let daemon = Daemon::start()?;
        Ok(Self {
            folder: daemon.new_folder("data")?,
            empty: daemon.new_folder("empty")?,
            daemon,
        })
    }

    fn filled(&self, words: &Words) -> Words {
        let folder = self.folder.display().to_string();
        let fill = |word: &String| word.replace(FOLDER, &folder);
        words.iter().map(fill).collect()
    }

    fn alone(&self) -> Result<Freezeframe<'_>> {
        let freezeframe = self.daemon.freezeframe(FREEZEFRAME)?;
        Ok(freezeframe
            .with("FREEZEFRAME_NERDCTL", "")
            .with("PATH", &self.empty))
    }

    /// In a folder of its own, as some words have the real nerdctl make one where it stands.
    fn within(&self, command: &mut Command, words: &Words) -> Result<Outcome> {
        outcome(command.args(self.filled(words)).current_dir(&self.folder))
    }

    /// Our answer where there is no nerdctl.
    fn ours(&self, words: &Words) -> Result<Outcome> {
        self.within(&mut self.alone()?.command(), words)
    }

    /// The real nerdctl's answer, which has to be ours as well with that one beside us.
    fn record(&self, words: &Words) -> Result<Value> {
        let real = self.within(&mut self.daemon.nerdctl()?.command(), words)?;
        let beside = self.daemon.freezeframe(FREEZEFRAME)?;
        let beside = self.within(&mut beside.command(), words)?;
        let answer = self.answer(&real);
        let pair = format!("{}\n{}", real.describe(), beside.describe());
        ensure!(self.answer(&beside) == answer, "theirs and ours:\n{pair}");
        let ours = self.ours(words)?;
        Ok(json!({ "words": words, "passed on": is_passed_on(&ours), "answer": answer }))
    }

    /// Exit code, messages without their times and without what only `--debug` shows, and the first line of the output.
    fn answer(&self, outcome: &Outcome) -> Value {
        let folder = self.folder.display().to_string();
        let said = outcome.error_text().replace(&folder, FOLDER);
        let lines = said.lines().map(without_time);
        let lines: Vec<&str> = lines
            .filter(|line| !line.starts_with("level=debug"))
            .collect();
        json!({
            "code": outcome.status.code(),
            "error": lines,
            "output": outcome.text().lines().next().unwrap_or_default(),
        })
    }
}

/// A line of logrus's begins with `time="…" `.
fn without_time(line: &str) -> &str {
    match line.strip_prefix("time=\"") {
        Some(rest) => rest.split_once("\" ").map_or(line, |(_, rest)| rest),
        None => line,
    }
}
