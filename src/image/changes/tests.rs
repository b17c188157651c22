use std::collections::HashMap;

use super::*;

/// What dockerd 28.5.2 makes of `commit --change`. The first line is the base image's settings; each other line has the
/// values, and what they set (null: removed) or Docker's error.
const DOCKER: &str = include_str!("docker.jsonl");

fn changed(base: &Value, values: &[String]) -> Result<Value, String> {
    let changes = Changes::parse(values).map_err(|mistake| mistake.message)?;
    let variables = base["Env"].as_array().into_iter().flatten();
    let variables = variables.filter_map(|variable| variable.as_str()?.split_once('='));
    let environment: HashMap<_, _> = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let properties = changes.expand(environment)?;
    let mut settings = base.as_object().unwrap().clone();
    apply(&mut settings, &changes, &properties);
    Ok(settings.into())
}

fn dockers(base: &Value, outcome: &Value) -> Option<Value> {
    let mut settings = base.as_object().unwrap().clone();
    settings.extend(outcome["sets"].as_object()?.clone());
    settings.retain(|_, value| !value.is_null());
    Some(settings.into())
}

#[test]
fn changes_make_what_docker_makes_of_them() {
    let mut lines = DOCKER
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let base = lines.next().unwrap();
    for outcome in lines {
        let values: Vec<String> = serde_json::from_value(outcome["changes"].clone()).unwrap();
        assert_eq!(
            changed(&base, &values).ok(),
            dockers(&base, &outcome),
            "{values:?}"
        );
    }
}

fn set(base: &Value, values: &[&str]) -> Value {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    changed(base, &values).unwrap()
}

#[test]
fn an_array_of_words_keeps_stocks_meaning() {
    let base = || json!({"Cmd": ["a"], "Entrypoint": ["b"]});
    assert_eq!(
        set(&base(), &["ENTRYPOINT [\"c\"]"]),
        json!({"Cmd": ["a"], "Entrypoint": ["c"]})
    );
    assert_eq!(set(&base(), &["CMD []"]), json!({"Entrypoint": ["b"]}));
    assert_eq!(set(&base(), &["CMD [\"x\"]", "CMD null"]), base());
    let overridden = set(&base(), &["ENTRYPOINT c", "ENTRYPOINT [\"d\"]"]);
    assert_eq!(overridden, json!({"Cmd": ["a"], "Entrypoint": ["d"]}));
}

#[test]
fn the_shell_is_the_images() {
    let base = json!({"Shell": ["/bin/bash", "-ec"]});
    assert_eq!(
        set(&base, &["CMD x"])["Cmd"],
        json!(["/bin/bash", "-ec", "x"])
    );
}

#[test]
fn a_health_check_that_stock_has_put_into_a_label_is_replaced() {
    let base = json!({"Labels": {HEALTHCHECK_LABEL: "{}", "a": "b"}});
    let expected = json!({"Labels": {"a": "b"}, "Healthcheck": {"Test": ["NONE"]}});
    assert_eq!(set(&base, &["HEALTHCHECK NONE"]), expected);
}

#[test]
fn what_a_health_check_does_not_say_stays_that_of_the_label() {
    let label = r#"{"Test": ["CMD", "old"], "Interval": 5, "Retries": 2}"#;
    let base = json!({"Labels": {HEALTHCHECK_LABEL: label}});
    let expected = json!({"Test": ["CMD", "new"], "Interval": 5, "Retries": 4});
    let changed = set(&base, &["HEALTHCHECK --retries=4 CMD [\"new\"]"]);
    assert_eq!(changed["Healthcheck"], expected);
}

#[test]
fn settings_of_another_kind_than_they_should_be_are_replaced() {
    let base = json!({"Env": "x", "Labels": null, "ExposedPorts": [], "OnBuild": {}, "Shell": 1, "WorkingDir": 2});
    let changes = [
        "ENV a=b",
        "LABEL c=d",
        "EXPOSE 1",
        "ONBUILD RUN e",
        "CMD f",
        "WORKDIR g",
    ];
    let expected = json!({
        "Env": ["a=b"],
        "Labels": {"c": "d"},
        "ExposedPorts": {"1/tcp": {}},
        "OnBuild": ["RUN e"],
        "Cmd": ["/bin/sh", "-c", "f"],
        "Shell": 1,
        "WorkingDir": "/g",
    });
    assert_eq!(set(&base, &changes), expected);
}
