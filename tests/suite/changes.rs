//! `--change` beyond what stock takes: the image says it, containers of it do it, what makes
//! no sense changes nothing, and what the real nerdctl would refuse is not handed to it.
//!
//! Both nerdctls give a container its image's command, environment, user, directory and stop
//! signal. The stand-in knows neither volumes nor health checks.

mod refused;

use crate::FREEZEFRAME;
use harness::{Container, Daemon, Outcome, Result, skipped};
use serde_json::{Value, json};

const IMAGE: &str = "docker.io/library/changed:latest";

/// A commit with these changes, made directly.
fn commit(container: &Container, changes: &[&str]) -> Result<Outcome> {
    let flags: Vec<_> = changes.iter().flat_map(|change| ["-c", *change]).collect();
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, IMAGE, &flags)?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    Ok(commit.outcome)
}

/// A daemon that has the image with these changes.
fn daemon_with(changes: &[&str]) -> Result<Daemon> {
    let daemon = Daemon::start()?;
    commit(&daemon.run(&["sleep", "1000"])?, changes)?;
    Ok(daemon)
}

fn settings(daemon: &Daemon) -> Result<Value> {
    Ok(daemon.ctr().config(IMAGE)?["config"].take())
}

/// What a container that runs what the image says prints.
fn printed(daemon: &Daemon, words: &[&str]) -> Result<String> {
    let run = ["run", "--rm", "--net", "none", IMAGE];
    let nerdctl = daemon.nerdctl()?;
    harness::printed(|| nerdctl.outcome(&[&run[..], words].concat()))
}

#[test]
fn every_instruction_is_in_the_images_configuration() -> Result {
    let daemon = daemon_with(&[
        "env NAME=$GREETING OTHER='$GREETING'",
        "ENV NAME ${NAME%there}you \\\n  and you",
        "EXPOSE 80 53/udp 8000-8001",
        "LABEL from=here \"with blanks\"=\"a \\\"b\\\"\"",
        "USER 1000:1001\nWORKDIR srv\nWORKDIR ./nested/../nested",
        "VOLUME /data [x]",
        "VOLUME [\"/a b\"]",
        "STOPSIGNAL SIGUSR1",
        "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1s --start-interval=2s --retries=4 CMD probe",
        "ONBUILD RUN make",
        "ENTRYPOINT exec top",
        "CMD [\"-b\"]",
    ])?;
    let expected = json!({
        "Env": [
            "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "GREETING=hello there",
            "NAME=hello you   and you", "OTHER=$GREETING",
        ],
        "Entrypoint": ["/bin/sh", "-c", "exec top"],
        "Cmd": ["-b"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}},
        "Labels": {"from": "here", "with blanks": "a \"b\""},
        "User": "1000:1001",
        "WorkingDir": "/srv/nested",
        "Volumes": {"/data": {}, "[x]": {}, "/a b": {}},
        "StopSignal": "SIGUSR1",
        "Healthcheck": {
            "Test": ["CMD-SHELL", "probe"],
            "Interval": 90_000_000_000_u64,
            "Timeout": 500_000_000,
            "StartPeriod": 1_000_000_000,
            "StartInterval": 2_000_000_000,
            "Retries": 4,
        },
        "OnBuild": ["RUN make"],
    });
    assert_eq!(settings(&daemon)?, expected);
    Ok(())
}

#[test]
fn a_command_for_the_shell_runs_in_one() -> Result {
    let daemon = daemon_with(&["CMD echo \"$GREETING\" && [ -d /srv ] && echo it is"])?;
    assert_eq!(printed(&daemon, &[])?, "hello there\nit is");
    Ok(())
}

#[test]
fn an_entry_point_for_the_shell_runs_without_the_bases_command() -> Result {
    let daemon = daemon_with(&["ENTRYPOINT echo $0 $GREETING"])?;
    assert_eq!(settings(&daemon)?["Cmd"], Value::Null);
    assert_eq!(printed(&daemon, &[])?, "/bin/sh hello there");
    Ok(())
}

#[test]
fn an_entry_point_of_words_keeps_the_bases_command() -> Result {
    let daemon = daemon_with(&["entrypoint [\"echo\", \"run\"]"])?;
    assert_eq!(printed(&daemon, &[])?, "run /bin/sh");
    Ok(())
}

#[test]
fn environment_user_and_directory_hold_in_a_container() -> Result {
    let changes = [
        "ENV NAME=\"$GREETING you\"",
        "USER 1000:1001",
        "WORKDIR /srv",
        "WORKDIR nested",
    ];
    let daemon = daemon_with(&changes)?;
    let seen = printed(&daemon, &["sh", "-c", "echo $NAME; id -u; id -g; pwd"])?;
    assert_eq!(seen, "hello there you\n1000\n1001\n/srv/nested");
    Ok(())
}

#[test]
fn changes_add_up_over_commits() -> Result {
    let daemon = daemon_with(&[
        "ENV A=1",
        "LABEL l=1",
        "WORKDIR /srv",
        "HEALTHCHECK --retries=9 CMD a",
    ])?;
    let copy = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    commit(
        &copy,
        &[
            "ENV B=${A}2 A=3",
            "LABEL m=2",
            "WORKDIR nested",
            "HEALTHCHECK --timeout=1s CMD b",
        ],
    )?;
    let settings = settings(&daemon)?;
    assert_eq!(
        settings["Env"].as_array().map(|list| list[2..].to_vec()),
        Some(vec![json!("A=3"), json!("B=12")])
    );
    assert_eq!(
        settings["Labels"],
        json!({"from": "base", "l": "1", "m": "2"})
    );
    assert_eq!(settings["WorkingDir"], "/srv/nested");
    let expected = json!({"Test": ["CMD-SHELL", "b"], "Timeout": 1_000_000_000, "Retries": 9});
    assert_eq!(settings["Healthcheck"], expected);
    Ok(())
}

#[test]
fn a_stop_signal_is_the_one_a_container_is_stopped_by() -> Result {
    let daemon = daemon_with(&["STOPSIGNAL usr1"])?;
    let copy = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    let labels = &copy.info()?["Labels"];
    assert_eq!(
        labels["io.containerd.image.config.stop-signal"], "usr1",
        "{labels:#}"
    );
    Ok(())
}

#[test]
fn a_health_check_and_a_volume_are_the_containers_too() -> Result {
    let daemon = daemon_with(&["VOLUME /data", "HEALTHCHECK --interval=5s CMD [\"true\"]"])?;
    if !daemon.nerdctl()?.is_real {
        skipped("the stand-in knows neither health checks nor volumes");
        return Ok(());
    }
    let copy = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    let info = copy.info()?;
    let label = info["Labels"]["nerdctl/healthcheck"].as_str();
    let healthcheck: Value = serde_json::from_str(label.unwrap_or("null"))?;
    assert_eq!(healthcheck["Test"], json!(["CMD", "true"]), "{info:#}");
    assert_eq!(healthcheck["Interval"], 5_000_000_000_u64);
    let mounts = copy.output(&["cat", "/proc/mounts"])?;
    assert!(mounts.contains(" /data "), "{mounts}");
    Ok(())
}

#[test]
fn a_health_check_can_be_taken_away() -> Result {
    let daemon = daemon_with(&["HEALTHCHECK CMD false", "HEALTHCHECK NONE"])?;
    assert_eq!(settings(&daemon)?["Healthcheck"], json!({"Test": ["NONE"]}));
    if daemon.nerdctl()?.is_real {
        let copy = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
        let labels = copy.info()?["Labels"].take();
        assert_eq!(
            labels["nerdctl/healthcheck"], "{\"Test\":[\"NONE\"]}",
            "{labels:#}"
        );
    }
    Ok(())
}

#[test]
fn a_directive_given_twice_is_warned_of_as_stock_does() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let changes = [
        "CMD [\"a\"]",
        "ENTRYPOINT [\"b\"]",
        "CMD [\"c\"]",
        "ENTRYPOINT [\"d\"]",
    ];
    let said = commit(&container, &changes)?.error_text();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    for (line, directive) in lines.iter().zip(["CMD", "Entrypoint"]) {
        let warning = format!(
            "level=warning msg=\"multiple change flags supplied for the {directive} directive, overriding with last supplied\""
        );
        assert!(line.ends_with(&warning), "{said}");
    }
    let settings = settings(&daemon)?;
    assert_eq!(settings["Cmd"], json!(["c"]));
    assert_eq!(settings["Entrypoint"], json!(["d"]));
    Ok(())
}
