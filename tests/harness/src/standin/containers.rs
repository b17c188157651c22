//! The stand-in's commands for containers that exist.

use super::StandIn;
use super::options::Options;
use super::run::state_folder;
use crate::Result;
use crate::shell::wait_until;
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

impl StandIn {
    /// The ID for a name, an ID, or the beginning of one.
    pub fn resolve(&self, word: &str) -> Result<String> {
        let filter = format!("labels.\"nerdctl/name\"=={word}");
        let named = self.ctr.run(&["containers", "ls", "--quiet", &filter])?;
        if let Some(id) = named.lines().next() {
            return Ok(id.to_owned());
        }
        let all = self.ctr.run(&["containers", "ls", "--quiet"])?;
        match all
            .lines()
            .filter(|id| id.starts_with(word))
            .collect::<Vec<_>>()[..]
        {
            [id] => Ok(id.to_owned()),
            [] => bail!("no such container {word}"),
            _ => bail!("multiple IDs found with provided prefix: {word}"),
        }
    }

    /// Does one thing to each container and prints its name, as nerdctl does.
    pub fn each(&self, words: &[&str], one: impl Fn(&str) -> Result<String>) -> Result<i32> {
        for word in Options::parse(words, &["-t", "--time", "-s", "--signal"], false)?.words {
            one(&self.resolve(&word)?)?;
            println!("{word}");
        }
        Ok(0)
    }

    /// The native mode only: it is all that freezeframe asks for.
    pub fn inspect(&self, words: &[&str]) -> Result<i32> {
        let words = Options::parse(words, &["--mode", "--format", "-f"], false)?.words;
        let found = words.iter().map(|word| self.inspect_one(word));
        let found: Vec<_> = found.collect::<Result<_>>()?;
        println!("{}", serde_json::to_string_pretty(&found)?);
        Ok(0)
    }

    pub fn inspect_one(&self, word: &str) -> Result<Value> {
        let info = self
            .ctr
            .run(&["containers", "info", &self.resolve(word)?])?;
        let mut info: Value = serde_json::from_str(&info)?;
        let id = info["ID"].as_str().unwrap_or_default();
        if let Some((pid, status)) = self.ctr.task(id)? {
            info["Process"] = json!({"Pid": pid, "Status": {"Status": status}});
        }
        Ok(info)
    }

    pub fn stop(&self, words: &[&str]) -> Result<i32> {
        let patience = Options::parse(words, &["-t", "--time"], false)?;
        let patience = patience.either("--time", "-t").unwrap_or("10").parse()?;
        self.each(words, |id| {
            self.resume(id)?;
            let terminated = self.signal(id, "SIGTERM", Duration::from_secs(patience));
            terminated.or_else(|_| self.signal(id, "SIGKILL", Duration::from_secs(10)))?;
            Ok(String::new())
        })
    }

    fn signal(&self, id: &str, signal: &str, patience: Duration) -> Result {
        self.ctr.run(&["tasks", "kill", "--signal", signal, id])?;
        wait_until("the container stopping", patience, || {
            let running = self
                .ctr
                .task(id)?
                .is_some_and(|(_, status)| status != "stopped");
            Ok((!running).then_some(()))
        })
    }

    fn resume(&self, id: &str) -> Result {
        match self.ctr.task(id)? {
            Some((_, status)) if status == "paused" => {
                self.ctr.run(&["tasks", "resume", id]).map(drop)
            }
            _ => Ok(()),
        }
    }

    pub fn remove(&self, words: &[&str]) -> Result<i32> {
        let options = Options::parse(words, &[], false)?;
        let forced = options.has("-f") || options.has("--force");
        self.each(words, |id| {
            match self.ctr.task(id)? {
                Some((_, status)) if status != "stopped" && !forced => {
                    bail!("container {id} is {status}: stop it or use --force")
                }
                Some(_) => self.end_task(id)?,
                None => {}
            }
            self.ctr.run(&["containers", "rm", id])?;
            fs::remove_dir_all(state_folder(id)?)?;
            Ok(String::new())
        })
    }

    fn end_task(&self, id: &str) -> Result {
        self.resume(id)?;
        let stopped = self
            .ctr
            .task(id)?
            .is_some_and(|(_, status)| status == "stopped");
        if !stopped {
            self.signal(id, "SIGKILL", Duration::from_secs(10))?;
        }
        self.ctr.run(&["tasks", "delete", id]).map(drop)
    }

    pub fn logs(&self, words: &[&str]) -> Result<i32> {
        let word = words.last().context("logs wants a container")?;
        print!(
            "{}",
            fs::read_to_string(state_folder(&self.resolve(word)?)?.join("log"))?
        );
        Ok(0)
    }

    pub fn list_containers(&self, words: &[&str]) -> Result<i32> {
        let quiet: &[&str] = if words.contains(&"-q") {
            &["--quiet"]
        } else {
            &[]
        };
        println!(
            "{}",
            self.ctr.run(&[&["containers", "ls"], quiet].concat())?
        );
        Ok(0)
    }
}
