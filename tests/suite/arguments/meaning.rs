//! What the flags of a commit mean, in every form: seen in the images that come out, and with a real nerdctl beside
//! that in its images.

use crate::FREEZEFRAME;
use harness::{Daemon, Result};
use serde_json::{Value, json};

const REFERENCE: &str = "docker.io/library/meaning:v1";

/// Words between `commit` and the container, and what they make of an image.
fn cases() -> Vec<(&'static [&'static str], Value)> {
    vec![
        (&["--author", "me"], json!({"author": "me"})),
        (&["--author=me"], json!({"author": "me"})),
        (&["-a", "me"], json!({"author": "me"})),
        (&["-ame"], json!({"author": "me"})),
        (&["-a=me"], json!({"author": "me"})),
        (&["-a="], json!({"author": "="})),
        (&["-a", "-dash"], json!({"author": "-dash"})),
        (&["-a", "one", "--author=two"], json!({"author": "two"})),
        (&["-m", "a  b"], json!({"comment": "a  b"})),
        (&["-pm", "hello"], json!({"comment": "hello"})),
        (&["-p=false", "-mp"], json!({"comment": "p"})),
        (&["--message=a=b"], json!({"comment": "a=b"})),
        (
            &["-c", "CMD [\"a\", \"b c\"]"],
            json!({"cmd": ["a", "b c"]}),
        ),
        (&["-cCMD [\"a\"]"], json!({"cmd": ["a"]})),
        (&["--change=CMD []"], json!({"cmd": null})),
        (
            &["-c", "ENTRYPOINT [\"e\"]", "-c", "CMD [\"a\"]"],
            json!({"entrypoint": ["e"], "cmd": ["a"]}),
        ),
        (
            &["-c", "CMD [\"a\"]", "-c", "CMD\t[\"b\"]"],
            json!({"cmd": ["b"]}),
        ),
        (&["--format", "oci"], json!({"type": "oci"})),
        (&["--format=docker"], json!({"type": "docker"})),
    ]
}

#[test]
fn flags_mean_the_same_in_every_form() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let nerdctl = daemon.nerdctl()?;
    for (flags, expected) in cases() {
        let line = [&["commit"], flags, &[&container.name, REFERENCE]].concat();
        freezeframe.outcome(&line)?.succeeded()?;
        let ours = facts(&daemon)?;
        for (fact, value) in expected.as_object().expect("facts") {
            assert_eq!(ours[fact], *value, "{flags:?}");
        }
        if nerdctl.is_real {
            nerdctl.run(&line)?;
            assert_eq!(ours, facts(&daemon)?, "{flags:?}");
        }
    }
    Ok(())
}

/// What flags can change of an image.
fn facts(daemon: &Daemon) -> Result<Value> {
    let ctr = daemon.ctr();
    let manifest = ctr.manifest(REFERENCE)?;
    let config = ctr.config(REFERENCE)?;
    let layers = manifest["layers"].as_array().expect("layers");
    let kind = manifest["mediaType"].as_str().unwrap_or_default();
    let history = config["history"].as_array().expect("a history");
    Ok(json!({
        "author": config["author"],
        "comment": history.last().map(|step| step["comment"].clone()),
        "cmd": config["config"]["Cmd"],
        "entrypoint": config["config"]["Entrypoint"],
        "type": if kind.contains("docker") { "docker" } else { "oci" },
        "layers": layers.len(),
        "layer type": layers.last().map(|layer| layer["mediaType"].clone()),
    }))
}
