//! `--change`, applied to the `config` object of an image (OCI image specification, config.md; Docker image
//! specification, `Healthcheck`, `OnBuild`, `Shell`).

use serde_json::{Map, Value, json};

use crate::arguments::{Changes, CommandLine, Healthcheck, Property};

type Object = Map<String, Value>;

/// Where images that stock commits keep their health check. Of the two, nerdctl prefers the configuration's own.
const HEALTHCHECK_LABEL: &str = "nerdctl/healthcheck";

/// `properties` are those of the changes, their variables replaced.
pub fn apply(settings: &mut Object, changes: &Changes, properties: &[Property<String>]) {
    let base_healthcheck = healthcheck(settings);
    for property in properties {
        apply_property(settings, property, &base_healthcheck);
    }
    set_command(settings, "Entrypoint", changes.entrypoint.as_ref());
    // A command of the base is meant for the base's entry point; stock keeps it below an array of words.
    if matches!(changes.entrypoint, Some(CommandLine::Shell(_))) {
        settings.remove("Cmd");
    }
    set_command(settings, "Cmd", changes.command.as_ref());
}

fn set_command(settings: &mut Object, name: &str, command: Option<&CommandLine>) {
    let words = match command {
        None => return,
        Some(CommandLine::Exec(words)) => words.clone(),
        Some(CommandLine::Shell(line)) => in_shell(settings, line),
    };
    settings.remove(name);
    if !words.is_empty() {
        settings.insert(name.into(), words.into());
    }
}

fn in_shell(settings: &Object, line: &str) -> Vec<String> {
    let shell = settings.get("Shell").and_then(Value::as_array);
    let words = shell.into_iter().flatten().filter_map(Value::as_str);
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    if words.is_empty() {
        words = vec!["/bin/sh".to_owned(), "-c".to_owned()];
    }
    words.push(line.to_owned());
    words
}

fn apply_property(settings: &mut Object, property: &Property<String>, base_healthcheck: &Object) {
    match property {
        Property::Environment(pairs) => set_variables(settings, pairs),
        Property::ExposedPorts(ports) => add_keys(settings, "ExposedPorts", ports),
        Property::Healthcheck(healthcheck) => {
            set_healthcheck(settings, healthcheck, base_healthcheck.clone());
        }
        Property::Labels(pairs) => set_labels(settings, pairs),
        Property::OnBuild(instruction) => {
            let mut instructions = array(settings, "OnBuild");
            instructions.push(instruction.as_str().into());
            settings.insert("OnBuild".into(), instructions.into());
        }
        Property::StopSignal(signal) => set(settings, "StopSignal", signal),
        Property::User(user) if user.is_empty() => {}
        Property::User(user) => set(settings, "User", user),
        Property::Volumes(volumes) => add_keys(settings, "Volumes", volumes),
        Property::WorkingDirectory(directory) => {
            let former = settings.get("WorkingDir").and_then(Value::as_str);
            let directory = joined(former.unwrap_or_default(), directory);
            set(settings, "WorkingDir", &directory);
        }
    }
}

fn set(settings: &mut Object, name: &str, value: &str) {
    settings.insert(name.into(), value.into());
}

/// A copy of an object among the settings, empty where there is none.
fn object(settings: &Object, name: &str) -> Object {
    let known = settings.get(name).and_then(Value::as_object);
    known.cloned().unwrap_or_default()
}

/// The health check in force, as far as there is one; in the label it has the same fields (nerdctl, pkg/healthcheck).
fn healthcheck(settings: &Object) -> Object {
    let own = object(settings, "Healthcheck");
    if !own.is_empty() {
        return own;
    }
    let label = object(settings, "Labels").remove(HEALTHCHECK_LABEL);
    let text = label.as_ref().and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

fn array(settings: &Object, name: &str) -> Vec<Value> {
    let known = settings.get(name).and_then(Value::as_array);
    known.cloned().unwrap_or_default()
}

/// A variable keeps its place.
fn set_variables(settings: &mut Object, pairs: &[(String, String)]) {
    let mut variables = array(settings, "Env");
    for (name, value) in pairs {
        let new = Value::from(format!("{name}={value}"));
        let is_named = |known: &&mut Value| {
            let known = known.as_str().unwrap_or_default();
            known.split('=').next() == Some(name)
        };
        match variables.iter_mut().find(is_named) {
            Some(known) => *known = new,
            None => variables.push(new),
        }
    }
    settings.insert("Env".into(), variables.into());
}

fn set_labels(settings: &mut Object, pairs: &[(String, String)]) {
    let mut labels = object(settings, "Labels");
    for (name, value) in pairs {
        set(&mut labels, name, value);
    }
    settings.insert("Labels".into(), labels.into());
}

/// The specification's way to write a set.
fn add_keys(settings: &mut Object, name: &str, keys: &[String]) {
    if keys.is_empty() {
        return;
    }
    let mut set = object(settings, name);
    set.extend(keys.iter().map(|key| (key.clone(), json!({}))));
    settings.insert(name.into(), set.into());
}

/// What the new health check does not say stays the base's, as in Docker's commit.
fn set_healthcheck(settings: &mut Object, new: &Healthcheck, mut healthcheck: Object) {
    healthcheck.insert("Test".into(), new.test.as_slice().into());
    for (name, value) in [
        ("Interval", new.interval),
        ("Timeout", new.timeout),
        ("StartPeriod", new.start_period),
        ("StartInterval", new.start_interval),
        ("Retries", new.retries),
    ] {
        if value != 0 {
            healthcheck.insert(name.into(), value.into());
        }
    }
    settings.insert("Healthcheck".into(), healthcheck.into());
    if let Some(Value::Object(labels)) = settings.get_mut("Labels") {
        labels.remove(HEALTHCHECK_LABEL);
    }
}

/// `directory` as seen from `former`, without detours.
fn joined(former: &str, directory: &str) -> String {
    let start = if directory.starts_with('/') {
        ""
    } else {
        former
    };
    let mut names = Vec::new();
    for name in start.split('/').chain(directory.split('/')) {
        match name {
            "" | "." => {}
            ".." => drop(names.pop()),
            _ => names.push(name),
        }
    }
    format!("/{}", names.join("/"))
}

#[cfg(test)]
mod tests;
