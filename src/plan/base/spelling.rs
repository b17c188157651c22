//! The names in a configuration as the specifications spell them: whoever reads one in Go takes any case for the same (Go's
//! encoding/json, `Unmarshal`), so that images with others work, and `--change` must find what it replaces.

use serde_json::Value;

/// OCI image specification, `config.md`.
const TOP: [&str; 10] = [
    "architecture",
    "author",
    "config",
    "created",
    "history",
    "os",
    "os.features",
    "os.version",
    "rootfs",
    "variant",
];
const ROOT_FILE_SYSTEM: [&str; 2] = ["diff_ids", "type"];
/// And Docker's: Docker image specification, version 1.3.
const SETTINGS: [&str; 13] = [
    "ArgsEscaped",
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];
const STEP: [&str; 5] = ["author", "comment", "created", "created_by", "empty_layer"];

/// Renames what the specifications know. Of several spellings the last counts, as in Go, in the order in which we write them.
pub fn correct(config: &mut Value) {
    rename(config, &TOP);
    if let Some(root_file_system) = config.get_mut("rootfs") {
        rename(root_file_system, &ROOT_FILE_SYSTEM);
    }
    if let Some(settings) = config.get_mut("config") {
        rename(settings, &SETTINGS);
    }
    if let Some(Value::Array(steps)) = config.get_mut("history") {
        for step in steps {
            rename(step, &STEP);
        }
    }
}

fn rename(object: &mut Value, names: &[&str]) {
    let Value::Object(object) = object else {
        return;
    };
    for name in names {
        let is_same = |key: &&String| key.eq_ignore_ascii_case(name);
        let keys: Vec<String> = object.keys().filter(is_same).cloned().collect();
        let last = keys.iter().filter_map(|key| object.remove(key)).last();
        object.extend(last.map(|value| ((*name).to_owned(), value)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_spelt_as_specified() {
        let mut config = json!({
            "OS": "linux",
            "mine": {"cmd": 1},
            "Config": {"Cmd": ["new"], "cmd": ["a"], "env": ["A=1"], "ENTRYPOINT": ["b"], "Entrypoint": ["c"], "mine": 1},
            "RootFS": {"Diff_IDs": ["sha256:a"]},
            "history": [{"Empty_Layer": true}, 7],
        });
        correct(&mut config);
        let expected = json!({
            "os": "linux",
            "mine": {"cmd": 1},
            "config": {"Cmd": ["a"], "Env": ["A=1"], "Entrypoint": ["c"], "mine": 1},
            "rootfs": {"diff_ids": ["sha256:a"]},
            "history": [{"empty_layer": true}, 7],
        });
        assert_eq!(config, expected);
    }

    #[test]
    fn what_is_no_object_stays() {
        for text in ["null", "[]", "{\"config\":[],\"rootfs\":1,\"history\":{}}"] {
            let whole: Value = serde_json::from_str(text).unwrap();
            let mut config = whole.clone();
            correct(&mut config);
            assert_eq!(config, whole);
        }
    }
}
