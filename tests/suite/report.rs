//! The report says what containerd holds, appears whole or not at all, and is nobody's
//! business but the one who asked for it.

use crate::FREEZEFRAME;
use crate::scripted::Scripted;
use flate2::read::GzDecoder;
use harness::image::digest;
use harness::{BASE, Commit, Container, Ctr, Daemon, Result, outcome};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const REFERENCE: &str = "docker.io/library/reported:latest";
const FIELDS: [&str; 19] = [
    "version",
    "result",
    "error",
    "strategy",
    "reason",
    "container_id",
    "image",
    "config_digest",
    "manifest_digest",
    "layer_digest",
    "diff_id",
    "chain_id",
    "entries",
    "bytes_cloned",
    "bytes_copied_frozen",
    "bytes_compared_frozen",
    "frozen_ms",
    "stages_ms",
    "layer_bytes",
];

#[test]
fn on_success_it_says_what_containerd_holds() -> Result {
    let daemon = Daemon::start()?;
    let container = changed_container(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    let Commit { outcome, report } = commit;
    expect_exactly_the_fields(&report);
    assert_eq!(report["version"], 1);
    assert_eq!(report["result"], "ok");
    assert!(report["error"].is_null() && report["reason"].is_null());
    assert_eq!(report["strategy"], "direct");
    assert_eq!(report["container_id"], container.id);
    assert_eq!(report["image"], REFERENCE);
    expect_digests_of(daemon.ctr(), &report)?;
    assert_eq!(report["chain_id"], chain_of_two(&daemon, &report)?);
    let digest = report["config_digest"].as_str().unwrap_or_default();
    assert_eq!(outcome.stdout, format!("{digest}\n").into_bytes());
    assert_eq!(outcome.error_text(), "", "on a pipe it is quiet");
    expect_measures(&report);
    Ok(())
}

fn expect_digests_of(ctr: &Ctr, report: &Value) -> Result {
    assert_eq!(report["manifest_digest"], ctr.image_digest(REFERENCE)?);
    let manifest = ctr.manifest(REFERENCE)?;
    assert_eq!(report["config_digest"], manifest["config"]["digest"]);
    let layers = manifest["layers"].as_array().expect("layers");
    let layer = layers.last().expect("a layer");
    assert_eq!(report["layer_digest"], layer["digest"]);
    assert_eq!(report["layer_bytes"], layer["size"]);
    let blob = ctr.blob(layer["digest"].as_str().expect("a digest"))?;
    assert_eq!(report["layer_bytes"], blob.len());
    let mut tar = Vec::new();
    GzDecoder::new(&blob[..]).read_to_end(&mut tar)?;
    assert_eq!(report["diff_id"], digest(&tar));
    let entries = tar::Archive::new(&tar[..]).entries()?.count();
    assert_eq!(report["entries"], entries);
    Ok(())
}

/// The base's chain ID is that of the snapshot below the container's.
fn chain_of_two(daemon: &Daemon, report: &Value) -> Result<String> {
    let diff_ids = daemon.ctr().config(BASE)?["rootfs"]["diff_ids"].clone();
    let own = report["diff_id"].as_str().unwrap_or_default();
    let names = diff_ids.as_array().into_iter().flatten();
    let names = names.filter_map(Value::as_str).chain([own]);
    let chain = names.map(str::to_owned);
    let chain = chain.reduce(|chain, next| digest(format!("{chain} {next}").as_bytes()));
    Ok(chain.unwrap_or_default())
}

/// The container holds one new file of a million bytes, and one that is small.
fn expect_measures(report: &Value) {
    let cloned = report["bytes_cloned"].as_u64().expect("bytes_cloned");
    assert!((1_000_000..1_100_000).contains(&cloned), "{cloned}");
    assert!(report["bytes_copied_frozen"].is_u64());
    let frozen = report["frozen_ms"].as_f64().expect("frozen_ms");
    assert!(frozen > 0.0, "{frozen}");
    let stages = report["stages_ms"].as_object().expect("stages_ms");
    for stage in ["scan", "copy", "freeze", "layer", "image"] {
        assert!(stages[stage].is_f64(), "{stage} in {stages:?}");
    }
    let freeze = stages["freeze"].as_f64().unwrap_or_default();
    assert!(freeze >= frozen, "frozen {frozen} in a stage of {freeze}");
}

#[test]
fn on_failure_it_says_what_went_wrong_and_the_rest_is_null() -> Result {
    let daemon = Daemon::start()?;
    let container = changed_container(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let broken = freezeframe.with("FREEZEFRAME_STRATEGY", "nonsense");
    let Commit { report, .. } = broken.commit(&container, REFERENCE, &[])?.failed()?;
    expect_exactly_the_fields(&report);
    assert_eq!(report["result"], "error");
    assert!(
        report["error"]
            .as_str()
            .is_some_and(|e| e.contains("nonsense"))
    );
    let known = ["version", "result", "error", "stages_ms"];
    for field in FIELDS.iter().filter(|field| !known.contains(field)) {
        assert!(report[field].is_null(), "{field} in {report:#}");
    }
    Ok(())
}

#[test]
fn of_the_real_nerdctl_it_has_the_last_line() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let script = "echo 'warned of something' >&2; printf 'fatal: no luck\\n\\n' >&2; exit 3";
    let freezeframe = Scripted::new(&daemon, script)?.delegated_to(&daemon)?;
    let commit = freezeframe.commit(&container, REFERENCE, &[])?;
    assert_eq!(commit.outcome.status.code(), Some(3));
    let expected = "the real nerdctl ended with exit status: 3: fatal: no luck";
    assert_eq!(commit.report["error"], expected);
    Ok(())
}

#[test]
fn the_flag_counts_more_than_the_environment_and_replaces_what_was_there() -> Result {
    let daemon = Daemon::start()?;
    let container = changed_container(&daemon)?;
    let folder = daemon.new_folder("reports")?;
    let file = folder.join("by-flag.json");
    fs::write(&file, "an older report that is replaced")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let flag = file.display().to_string();
    let commit = freezeframe.commit(&container, REFERENCE, &["--report", &flag])?;
    let commit = commit.succeeded()?;
    assert!(commit.report.is_null(), "one by the environment as well");
    let report: Value = serde_json::from_slice(&fs::read(&file)?)?;
    assert_eq!(report["config_digest"], commit.outcome.text());
    let names: Vec<_> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<Result<_>>()?;
    assert_eq!(names, ["by-flag.json"], "nothing temporary is left");
    Ok(())
}

/// As in a script whose output goes to a log.
#[test]
fn who_writes_to_the_same_file_afterwards_does_so_behind_the_report() -> Result {
    let daemon = Daemon::start()?;
    let container = changed_container(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for path in ["/dev/stdout", "/dev/stderr", "-"] {
        let log = daemon.new_folder("log")?.join("log");
        let file = fs::File::create(&log)?;
        let mut command = freezeframe.command();
        command.args(["commit", &container.name, REFERENCE, "--report", path]);
        command.stdout(file.try_clone()?).stderr(file.try_clone()?);
        assert!(command.status()?.success());
        (&file).write_all(b"afterwards\n")?;
        let log = fs::read_to_string(&log)?;
        let lines: Vec<&str> = log.lines().collect();
        let [digest, report, "afterwards"] = lines[..] else {
            panic!("{path}: {log}");
        };
        let report: Value = serde_json::from_str(report)?;
        assert_eq!(report["config_digest"], digest, "{path}");
    }
    Ok(())
}

/// Where it cannot be opened, or is not even named.
#[test]
fn standard_output_is_what_we_were_given() -> Result {
    let daemon = Daemon::start()?;
    let container = changed_container(&daemon)?;
    let folder = daemon.new_folder("devices")?;
    let folder = folder.display();
    let without_names = format!(
        "mount -t tmpfs none {folder} && mkdir {folder}/shm && mount --rbind /dev/shm {folder}/shm &&
         mknod -m 666 {folder}/null c 1 3 && mount --rbind {folder} /dev && exec \"$@\""
    );
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut command =
        freezeframe.command_behind(&["unshare", "--mount", "sh", "-c", &without_names, "sh"]);
    let commit = command.args(["commit", &container.name, REFERENCE, "--report", "-"]);
    let printed = outcome(commit)?.succeeded()?.text();
    let (digest, report) = printed.split_once('\n').expect("two lines");
    let report: Value = serde_json::from_str(report)?;
    assert_eq!(report["config_digest"], digest);
    Ok(())
}

#[test]
fn on_a_terminal_one_line_says_the_essence() -> Result {
    let daemon = Daemon::start()?;
    let container = changed_container(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let digests = daemon.run_folder().join("digests");
    // Standard error is the terminal's, standard output is not.
    let line = format!(
        "exec {} commit {} {REFERENCE} >{}",
        freezeframe.alias().display(),
        container.name,
        digests.display()
    );
    let seen = outcome(&mut on_terminal(&freezeframe.command(), &line))?.succeeded()?;
    let text = seen.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.starts_with(&format!("committed {}", container.name)));
    assert!(text.contains("frozen ") && text.contains(" ms"), "{text}");
    let printed = fs::read_to_string(digests)?;
    let digest = &daemon.ctr().manifest(REFERENCE)?["config"]["digest"];
    assert_eq!(*digest, printed.trim_end());
    Ok(())
}

/// `line` on a terminal of its own, in the environment of `model`.
pub fn on_terminal(model: &Command, line: &str) -> Command {
    let mut command = Command::new("script");
    for (name, value) in model.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["--quiet", "--return", "--command", line, "/dev/null"]);
    command.stdin(Stdio::null());
    command
}

fn changed_container(daemon: &Daemon) -> Result<Container<'_>> {
    let container = daemon.run(&["sleep", "1000"])?;
    container
        .shell("head -c 1000000 /dev/urandom >/srv/million; echo new >/srv/new; rm /srv/plain")?;
    Ok(container)
}

fn expect_exactly_the_fields(report: &Value) {
    let found = report.as_object().expect("an object").keys();
    let found: BTreeSet<&str> = found.map(String::as_str).collect();
    assert_eq!(found, BTreeSet::from(FIELDS));
}
