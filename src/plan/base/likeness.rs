//! How much a configuration is like what a container was started with, to choose among images of the same layers.

use std::collections::HashSet;

use serde_json::Value;

/// In how many things they differ: variables of `config` (OCI image specification, `config.md`) that the process of `spec`
/// (OCI runtime specification, `config.md`) has not and the other way round, the command line, and the working directory.
pub fn differences(config: &Value, spec: &Value) -> usize {
    let ours = words(config, "/config/Env");
    let variables: HashSet<&str> = ours.into_iter().collect();
    let started = words(spec, "/process/env").into_iter().collect();
    variables.symmetric_difference(&started).count()
        + differing_words(config, spec)
        + usize::from(directory(config, "/config/WorkingDir") != directory(spec, "/process/cwd"))
}

/// Whoever starts a container may say another command, less often another entry point.
fn differing_words(config: &Value, spec: &Value) -> usize {
    let started = words(spec, "/process/args");
    let Some(arguments) = started.strip_prefix(&*words(config, "/config/Entrypoint")) else {
        return 2;
    };
    usize::from(arguments != words(config, "/config/Cmd"))
}

fn directory<'a>(document: &'a Value, pointer: &str) -> &'a str {
    let said = document.pointer(pointer).and_then(Value::as_str);
    said.filter(|path| !path.is_empty()).unwrap_or("/")
}

fn words<'a>(document: &'a Value, pointer: &str) -> Vec<&'a str> {
    let list = document.pointer(pointer).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
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
        assert_eq!(differences(&mine, &usual), 1);
        assert_eq!(differences(&base, &usual), 4);
        let changed = started(&["PATH=/bin", "VERSION=17", "MINE=1"], &["sh"], "/");
        assert_eq!(differences(&mine, &changed), 5);
        assert_eq!(differences(&base, &changed), 5);
        assert_eq!(differences(&json!({}), &json!({})), 0);
    }
}
