//! The image configuration (OCI image specification, config.md): the base image's, with one layer and one step of history
//! more.
//!
//! It is edited as JSON, so that what we do not know of the `config` object (Healthcheck, `OnBuild`, Shell) is kept.

use std::time::SystemTime;

use prost_types::Timestamp;
use serde_json::{Map, Value, json};

use super::{Parts, changes};
use crate::plan::base::platform::host_architecture;

/// What is taken over from the base image; the rest describes how that one was built.
const KEPT: [&str; 6] = [
    "architecture",
    "config",
    "os",
    "os.features",
    "os.version",
    "variant",
];

/// The configuration of the image that `parts` make.
pub fn make(parts: &Parts) -> Value {
    let base = &parts.plan.base.config;
    let created = Timestamp::from(SystemTime::now()).to_string();
    let author = parts
        .arguments
        .author
        .as_deref()
        .or_else(|| base.get("author")?.as_str());
    let mut config: Map<String, Value> = KEPT
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), base.get(*name)?.clone())))
        .collect();
    for (name, host) in [("architecture", host_architecture()), ("os", "linux")] {
        if config
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .is_empty()
        {
            config.insert(name.into(), host.into());
        }
    }
    config.insert("created".into(), created.clone().into());
    insert_unless_empty(&mut config, "author", author.unwrap_or_default());
    config.insert(
        "rootfs".into(),
        json!({
            "type": "layers",
            "diff_ids": appended(base.pointer("/rootfs/diff_ids"), parts.layer.diff_id.as_str().into()),
        }),
    );
    let step = history_step(parts, &created, author.unwrap_or_default());
    config.insert("history".into(), appended(base.get("history"), step));
    apply_changes(parts, &mut config);
    Value::Object(config)
}

fn history_step(parts: &Parts, created: &str, author: &str) -> Value {
    let mut step = Map::new();
    step.insert("created".into(), created.into());
    insert_unless_empty(&mut step, "created_by", &parts.subject.command_line());
    insert_unless_empty(&mut step, "author", author);
    insert_unless_empty(&mut step, "comment", &parts.arguments.message);
    Value::Object(step)
}

fn apply_changes(parts: &Parts, config: &mut Map<String, Value>) {
    let settings = config.entry("config").or_insert_with(|| json!({}));
    if !settings.is_object() {
        *settings = json!({});
    }
    if let Some(settings) = settings.as_object_mut() {
        changes::apply(settings, &parts.arguments.changes, &parts.plan.properties);
    }
}

fn appended(list: Option<&Value>, element: Value) -> Value {
    let known = list
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .cloned();
    known.chain([element]).collect()
}

fn insert_unless_empty(object: &mut Map<String, Value>, name: &str, value: &str) {
    if !value.is_empty() {
        object.insert(name.into(), value.into());
    }
}
