//! How much a configuration is like what a container was started with, to choose among images of the same layers.

use serde_json::Value;

use crate::arguments::Environment;
use crate::plan::document::{variables, words};

/// A variable that one side lacks says more than another command and another working directory together.
const MISSING: usize = 4;

/// How far the configuration (OCI image specification, `config.md`) is from the process of `spec` (OCI runtime
/// specification, `config.md`): variables, command line, working directory, user. Who starts a container may say other ones.
pub fn distance(config: &Value, spec: &Value) -> usize {
    let moved = directory(config, "/config/WorkingDir") != directory(spec, "/process/cwd");
    of_variables(
        &variables(config, "/config/Env"),
        &variables(spec, "/process/env"),
    ) + of_command_lines(config, spec)
        + usize::from(moved)
        + usize::from(!may_be_user(config, spec))
}

fn of_variables(ours: &Environment, started: &Environment) -> usize {
    let common = ours.keys().filter(|name| started.contains_key(*name));
    let same = ours
        .iter()
        .filter(|(name, value)| started.get(*name) == Some(value));
    let (common, same) = (common.count(), same.count());
    MISSING * (ours.len() + started.len() - 2 * common) + common - same
}

fn of_command_lines(config: &Value, spec: &Value) -> usize {
    let entry_point = words(config, "/config/Entrypoint");
    let started = words(spec, "/process/args");
    match started.strip_prefix(&*entry_point) {
        Some(arguments) if arguments == words(config, "/config/Cmd") => 0,
        Some(_) if !entry_point.is_empty() => 1,
        _ => 2,
    }
}

/// Of a name, no more is known than that it is not root's.
fn may_be_user(config: &Value, spec: &Value) -> bool {
    let said = config.pointer("/config/User").and_then(Value::as_str);
    let name = said.unwrap_or_default().split(':').next();
    let name = name.filter(|name| !name.is_empty() && *name != "root");
    let started = spec.pointer("/process/user/uid").and_then(Value::as_u64);
    let started = started.unwrap_or(0);
    match name.map(str::parse::<u64>) {
        None => started == 0,
        Some(Ok(number)) => started == number,
        Some(Err(_)) => started != 0,
    }
}

fn directory<'a>(document: &'a Value, pointer: &str) -> &'a str {
    let said = document.pointer(pointer).and_then(Value::as_str);
    said.filter(|path| !path.is_empty()).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_image_that_a_container_was_started_from_is_most_like_it() {
        let base = json!({"config": {
            "Env": ["PATH=/bin", "VERSION=16"],
            "Entrypoint": ["entry"],
            "Cmd": ["server"],
        }});
        let mine = json!({"config": {
            "Env": ["PATH=/bin", "VERSION=16", "MINE=1"],
            "Entrypoint": ["entry"],
            "Cmd": ["mine"],
            "WorkingDir": "/srv",
        }});
        let started = |variables: &[&str], words: &[&str], directory: &str| json!({"process": {"env": variables, "args": words, "cwd": directory}});
        let usual = started(
            &["PATH=/bin", "VERSION=16", "MINE=1", "HOSTNAME=a"],
            &["entry", "mine"],
            "/srv",
        );
        assert_eq!(distance(&mine, &usual), MISSING);
        let overridden = started(&["PATH=/bin", "VERSION=17", "MINE=2"], &["sh"], "/");
        for spec in [usual, overridden] {
            assert!(distance(&mine, &spec) < distance(&base, &spec), "{spec}");
        }
        assert_eq!(distance(&json!({}), &json!({})), 0);
    }

    #[test]
    fn users_are_compared_as_far_as_they_are_known() {
        let distance = |name: &str, uid: u64| {
            distance(
                &json!({"config": {"User": name}}),
                &json!({"process": {"user": {"uid": uid, "gid": 7}}}),
            )
        };
        for (name, uid) in [
            ("", 0),
            ("root", 0),
            ("0:7", 0),
            ("1000:7", 1000),
            ("app", 5),
        ] {
            assert_eq!(distance(name, uid), 0, "{name} {uid}");
        }
        for (name, uid) in [("", 5), ("root", 5), ("1000", 0), ("1000", 5), ("app:7", 0)] {
            assert_eq!(distance(name, uid), 1, "{name} {uid}");
        }
        assert_eq!(super::distance(&json!({}), &json!({})), 0);
    }

    #[test]
    fn no_entry_point_is_no_likeness() {
        let with = json!({"config": {"Entrypoint": ["entry"], "Cmd": ["server"]}});
        let without = json!({"config": {"Cmd": ["server"]}});
        let started = |words: &[&str]| json!({"process": {"args": words}});
        assert_eq!(
            distance(&with, &started(&["sh"])),
            distance(&without, &started(&["sh"]))
        );
        assert_eq!(distance(&with, &started(&["entry", "other"])), 1);
        assert_eq!(distance(&without, &started(&["server"])), 0);
    }
}
