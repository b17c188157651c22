//! How much a configuration is like what a container was started with, to choose among images of the same layers.

use std::collections::HashMap;

use serde_json::Value;

use crate::arguments::Environment;
use crate::plan::document::{texts, variables, words};

/// A variable that one side lacks says more than another command and another working directory together.
const MISSING: usize = 4;
/// containerd's, on a container (client/container.go).
const STOP_SIGNAL_LABEL: &str = "io.containerd.image.config.stop-signal";
/// That of an image which names none.
const USUAL_STOP_SIGNAL: &str = "SIGTERM";

/// How far the configuration (OCI image specification, `config.md`) is from the process of `spec` (OCI runtime
/// specification, `config.md`) and the container's `labels`, among which are those of its image: variables, labels, command
/// line, working directory, user, stop signal. Who starts a container may say other ones.
pub fn distance(config: &Value, spec: &Value, labels: &HashMap<String, String>) -> usize {
    let moved = directory(config, "/config/WorkingDir") != directory(spec, "/process/cwd");
    of_variables(
        &variables(config, "/config/Env"),
        &variables(spec, "/process/env"),
    ) + of_labels(&texts(config, "/config/Labels"), labels)
        + of_command_lines(config, spec)
        + usize::from(moved)
        + usize::from(!may_be_user(config, spec))
        + usize::from(!may_have_stop_signal(config, labels))
}

fn of_variables(ours: &Environment, started: &Environment) -> usize {
    let common = ours.keys().filter(|name| started.contains_key(*name));
    let same = ours
        .iter()
        .filter(|(name, value)| started.get(*name) == Some(value));
    let (common, same) = (common.count(), same.count());
    MISSING * (ours.len() + started.len() - 2 * common) + common - same
}

/// The container's that are not the image's, among which those of the runtime are whatever the image is, and the image's that
/// the container lacks, unless it has none of them: not every nerdctl hands them on.
fn of_labels(ours: &HashMap<String, String>, started: &HashMap<String, String>) -> usize {
    let same = started
        .iter()
        .filter(|(name, value)| ours.get(*name) == Some(value));
    let common = ours
        .keys()
        .filter(|name| started.contains_key(*name))
        .count();
    let lacking = if common == 0 { 0 } else { ours.len() - common };
    started.len() - same.count() + lacking
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

fn may_have_stop_signal(config: &Value, labels: &HashMap<String, String>) -> bool {
    let said = config
        .pointer("/config/StopSignal")
        .and_then(Value::as_str)
        .filter(|signal| !signal.is_empty());
    let started = labels.get(STOP_SIGNAL_LABEL);
    started.is_none_or(|started| started == said.unwrap_or(USUAL_STOP_SIGNAL))
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
        let no_labels = HashMap::new();
        let distance = |config: &Value, spec: &Value| distance(config, spec, &no_labels);
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
                &HashMap::new(),
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
    }

    #[test]
    fn no_entry_point_is_no_likeness() {
        let with = json!({"config": {"Entrypoint": ["entry"], "Cmd": ["server"]}});
        let without = json!({"config": {"Cmd": ["server"]}});
        let started = |words: &[&str]| json!({"process": {"args": words}});
        let distance = |config: &Value, spec: &Value| distance(config, spec, &HashMap::new());
        assert_eq!(
            distance(&with, &started(&["sh"])),
            distance(&without, &started(&["sh"]))
        );
        assert_eq!(distance(&with, &started(&["entry", "other"])), 1);
        assert_eq!(distance(&without, &started(&["server"])), 0);
    }

    #[test]
    fn labels_and_the_stop_signal_of_the_image_are_among_the_containers_labels() {
        let image = |label: &str, signal: Option<&str>| json!({"config": {"Labels": {"version": label}, "StopSignal": signal}});
        let started = |label: &str, signal: &str| {
            let all = [
                ("nerdctl/name", "a"),
                ("version", label),
                (STOP_SIGNAL_LABEL, signal),
            ];
            all.map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into()
        };
        let distance =
            |image: Value, labels: &HashMap<String, String>| distance(&image, &json!({}), labels);
        let container = started("1", "SIGTERM");
        let nearest = distance(image("1", None), &container);
        assert_eq!(distance(image("1", Some("SIGTERM")), &container), nearest);
        for other in [image("2", None), image("1", Some("SIGINT"))] {
            assert_eq!(distance(other, &container), nearest + 1);
        }
        assert!(distance(json!({}), &container) > nearest);
        // As of an old nerdctl, which hands no labels on.
        let plain = HashMap::from([("nerdctl/name".to_owned(), "a".to_owned())]);
        assert_eq!(
            distance(image("1", None), &plain),
            distance(json!({}), &plain)
        );
        let interrupted = started("1", "SIGINT");
        assert_eq!(distance(image("1", Some("SIGINT")), &interrupted), nearest);
        assert_eq!(distance(image("1", None), &interrupted), nearest + 1);
    }
}
