//! A delegated commit is tried again where the real nerdctl loses the race against the
//! container, and only there; what comes out is the last try's.

use crate::FREEZEFRAME;
use crate::report::on_terminal;
use crate::scripted::Scripted;
use harness::{BASE, Container, Daemon, FileSystem, Leftovers, Result, Tree, View, outcome, probe};
use nix::libc;
use rustix::fs::{major, minor};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

const REFERENCE: &str = "docker.io/library/delegated:latest";
/// As many tries as freezeframe makes.
const TRIES: usize = 5;
/// What the real nerdctl says when a file grows, shrinks or vanishes under its hands.
const LOST_RACES: [&str; 4] = [
    "failed to export layer: failed to write compressed diff: archive/tar: write too long",
    "failed to export layer: archive/tar: missed writing 4096 bytes",
    "failed to export layer: failed to copy: short write",
    "failed to export layer: lstat /x/var/log/a: no such file or directory",
];

/// A commit that fails with `error` until the `wins`th try.
fn loses_until(daemon: &Daemon, wins: usize, error: &str) -> Result<Scripted> {
    let script = format!(
        "echo try >>$folder/tries\n\
         [ $(wc -l <$folder/tries) -ge {wins} ] && exec $nerdctl \"$@\"\n\
         echo lost; echo '{error}' >&2; exit 3"
    );
    Scripted::new(daemon, &script)
}

#[test]
fn a_lost_race_is_run_again_and_nothing_is_heard_of_it() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    for error in LOST_RACES {
        let real = loses_until(&daemon, 3, error)?;
        let freezeframe = real.delegated_to(&daemon)?;
        let commit = freezeframe
            .commit(&container, REFERENCE, &[])?
            .succeeded()?;
        assert_eq!(real.lines("tries").len(), 3, "{error}");
        assert_eq!(commit.outcome.error_text(), "", "{error}");
        let digest = &daemon.ctr().manifest(REFERENCE)?["config"]["digest"];
        assert_eq!(*digest, commit.outcome.text(), "{error}");
    }
    Ok(())
}

#[test]
fn a_kernel_that_does_not_resolve_paths_beneath_a_directory_is_left_to_the_real_nerdctl() -> Result
{
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo something >/srv/new")?;
    let openat2 = libc::SYS_openat2.to_string();
    let probe = probe::installed(&daemon).display().to_string();
    let reason = delegated_behind(&container, &[&probe, "without", &openat2])?;
    assert_eq!(
        reason,
        "the kernel does not resolve paths beneath a directory (openat2)"
    );
    Ok(())
}

/// As in a unit that systemd has forbidden system calls, or bits of modes.
#[test]
fn what_we_are_forbidden_to_make_is_left_to_the_real_nerdctl() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let mknodat = libc::SYS_mknodat.to_string();
    let probe = probe::installed(&daemon).display().to_string();
    for (change, stage) in [
        (
            "rm -r /srv/many; mkdir /srv/many",
            "leaving out what did not change",
        ),
        ("mkfifo /srv/pipe", "cloning /srv/pipe"),
    ] {
        container.shell(&format!("echo something >/srv/new; {change}"))?;
        let reason = delegated_behind(&container, &[&probe, "without", &mknodat])?;
        let forbidden = "Function not implemented (os error 38)";
        assert_eq!(reason, format!("{stage}: {forbidden}"));
        daemon.ctr().run(&["images", "rm", "--sync", REFERENCE])?;
        before.assert_unchanged(&Leftovers::now(&container)?);
    }
    Ok(())
}

/// By the host, or by a container that has containerd's folders: what is mounted on the container's root lies elsewhere.
#[test]
fn a_mount_in_the_containers_layers_is_left_to_the_real_nerdctl() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("cd /srv; echo something | tee new plain >hidden; mkdir below")?;
    let upper = container.upper()?.join("srv");
    let lower = container.lower()?;
    let mut lower = lower.iter().map(|layer| layer.join("srv"));
    let lower = lower.find(|folder| folder.join("plain").exists());
    let lower = lower.expect("a layer with it");
    let (own, below) = (
        "reading directory /srv",
        "comparing /srv with the layers below",
    );
    for (folder, mount, stage) in [
        (&upper, "mount -t tmpfs none below", own),
        (&upper, "mount --bind new hidden", own),
        (&upper, "mount --bind /dev/null hidden", own),
        (&lower, "mount --bind /dev/null plain", below),
    ] {
        let script = format!("cd {}; {mount}; cd /; exec \"$@\"", folder.display());
        let words = ["unshare", "--mount", "sh", "-ec", &script, "sh"];
        let reason = delegated_behind(&container, &words)?;
        assert!(reason.starts_with(stage), "{reason}");
        assert!(reason.ends_with("something is mounted there"), "{reason}");
    }
    Ok(())
}

/// Commits a container that has made `/srv/new` by a command that begins with `words`; returns why it was delegated.
fn delegated_behind(container: &Container, words: &[&str]) -> Result<String> {
    let daemon = container.daemon();
    let report = daemon.run_folder().join("report.json");
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut command = freezeframe.command_behind(words);
    let commit = command.args(["commit", "--report"]).arg(&report);
    outcome(commit.args([&container.name, REFERENCE]))?.succeeded()?;
    let report: Value = serde_json::from_slice(&fs::read(report)?)?;
    assert_eq!(report["strategy"], "delegate");
    assert!(report["frozen_ms"].is_null(), "{report}");
    let view = View::snapshot(daemon, REFERENCE)?;
    assert!(view.tree()?.entries.contains_key(OsStr::new("srv/new")));
    Ok(report["reason"].as_str().unwrap_or_default().to_owned())
}

/// As after `unshare --pid` without `--mount-proc`.
#[test]
fn a_proc_of_another_pid_namespace_is_left_to_the_real_nerdctl() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo something >/srv/new")?;
    let unshared = ["unshare", "--pid", "--fork"];
    let reason = delegated_behind(&container, &unshared)?;
    assert_eq!(reason, "/proc is not that of this process's PID namespace");
    Ok(())
}

/// As in a container that has containerd's socket, and snapshots of another containerd where that has its own.
#[test]
fn a_containerd_whose_files_are_elsewhere_is_left_to_the_real_nerdctl() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo something >/srv/new")?;
    container.stop()?;
    let snapshots = daemon
        .disk()
        .join("containerd/io.containerd.snapshotter.v1.overlayfs/snapshots");
    let others = daemon.disk().join("others");
    outcome(Command::new("cp").arg("-a").args([&snapshots, &others]))?.succeeded()?;
    // Empty ones, whichever the next is.
    for number in 1..100 {
        fs::create_dir_all(others.join(number.to_string()).join("fs"))?;
    }
    let beside_others = format!(
        "mount --bind {} {} && exec \"$@\"",
        others.display(),
        snapshots.display()
    );
    let unshared = ["unshare", "--mount", "sh", "-ec", &beside_others, "sh"];
    let reason = delegated_behind(&container, &unshared)?;
    assert!(reason.ends_with("its files are elsewhere"), "{reason}");
    let written = Tree::read(&others)?.entries.into_keys();
    let written = written.filter(|path| path.as_encoded_bytes().ends_with(b"srv/new"));
    assert_eq!(written.count(), 1, "only the container's own");
    Ok(())
}

/// The real nerdctl writes to its own files alone, as the daemon does the rest.
#[test]
fn where_the_containers_files_are_mounted_read_only_the_real_nerdctl_commits() -> Result {
    let daemon = Daemon::start()?;
    let own = daemon.disk().join("nerdctl");
    let reason = delegated_where_writable(&daemon, &[&own, Path::new("/run")])?;
    assert!(
        reason.ends_with("/fs cannot be written to: Read-only file system"),
        "{reason}"
    );
    Ok(())
}

#[test]
fn where_no_mark_can_be_written_the_real_nerdctl_commits() -> Result {
    let daemon = Daemon::start()?;
    let reason = delegated_where_writable(&daemon, &[&daemon.disk()])?;
    assert_eq!(reason, "/run cannot be written to: Read-only file system");
    Ok(())
}

/// As Rancher Desktop has one in front of its nerdctl.
#[test]
fn a_script_that_knows_daemon_and_namespace_better_than_we_commits() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let ctr = daemon.ctr();
    let script = format!(
        "export CONTAINERD_ADDRESS={} CONTAINERD_NAMESPACE={}; exec $nerdctl \"$@\"",
        ctr.address, ctr.namespace
    );
    let real = Scripted::new(&daemon, &script)?;
    let elsewhere = [
        ("CONTAINERD_ADDRESS", "/run/there-is-none.sock"),
        ("CONTAINERD_NAMESPACE", "another"),
    ];
    for (name, value) in elsewhere {
        let freezeframe = real.before_us(&daemon)?.with(name, value);
        let commit = freezeframe
            .commit(&container, REFERENCE, &[])?
            .succeeded()?;
        assert_eq!(commit.report["strategy"], "delegate", "{name}");
        daemon.ctr().run(&["images", "rm", "--sync", REFERENCE])?;
    }
    Ok(())
}

/// As in a container with containerd's socket, or under systemd's `CapabilityBoundingSet=`.
#[test]
fn whoever_lacks_a_capability_leaves_it_to_the_real_nerdctl() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("rm -r /srv; mkdir /srv; echo something >/srv/new")?;
    for capability in ["fsetid", "sys_admin"] {
        let without = format!("--bounding-set=-{capability}");
        let reason = delegated_behind(&container, &["setpriv", &without])?;
        let name = capability.to_uppercase();
        assert_eq!(reason, format!("this process lacks CAP_{name}"));
    }
    Ok(())
}

/// Under systemd's `ProtectSystem=strict` with these folders, and the daemon's own, as `ReadWritePaths=` (systemd.exec(5)).
fn delegated_where_writable(daemon: &Daemon, folders: &[&Path]) -> Result<String> {
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo something >/srv/new")?;
    let folders = folders.iter().map(|folder| folder.display().to_string());
    let own = daemon.run_folder().display().to_string();
    let folders: Vec<_> = folders.chain([own]).collect();
    let protect = format!(
        r#"for folder in {}; do mkdir -p "$folder"; mount --bind "$folder" "$folder"; done
        # The daemon's disk may itself lie below /dev.
        awk '$2 !~ "^({})(/|$)" && ($2 ~ "^{}/" || $2 !~ "^/(dev|proc|sys)(/|$)") {{print $2}}' /proc/mounts |
        while read -r point; do
            # Those of other tests come and go.
            mount -o remount,bind,ro "$point" || ! mountpoint -q "$point"
        done
        exec "$@""#,
        folders.join(" "),
        folders.join("|"),
        daemon.folder().display()
    );
    delegated_behind(
        &container,
        &["unshare", "--mount", "sh", "-ec", &protect, "sh"],
    )
}

/// So that the sync of the real nerdctl, which has every disk of the machine wait, finds less to do in its pause.
#[test]
fn what_a_container_has_written_is_on_disk_when_the_real_nerdctl_begins() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let device = fs::metadata(daemon.disk())?.dev();
    let statistics = format!("/sys/dev/block/{}:{}/stat", major(device), minor(device));
    let script = format!("cat {statistics} >$folder/statistics; exec $nerdctl \"$@\"");
    let real = Scripted::new(&daemon, &script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let before = bytes_written(&fs::read_to_string(statistics)?);
    container.shell("head -c 30000000 /dev/urandom >/new")?;
    freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    let written = bytes_written(&real.lines("statistics").concat()) - before;
    assert!(written >= 30_000_000, "{written}");
    Ok(())
}

/// The seventh number, in sectors of 512 bytes (block/stat.rst of the kernel's documentation).
fn bytes_written(statistics: &str) -> u64 {
    let sectors = statistics.split_whitespace().nth(6);
    sectors.and_then(|word| word.parse().ok()).unwrap_or(0) * 512
}

#[test]
fn who_debugs_hears_of_every_lost_race() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let real = loses_until(&daemon, 3, LOST_RACES[0])?;
    let freezeframe = real.delegated_to(&daemon)?;
    let commit = freezeframe.commit(&container, REFERENCE, &["--debug"])?;
    let heard = commit.succeeded()?.outcome.error_text();
    assert_eq!(heard.matches(LOST_RACES[0]).count(), 2, "{heard}");
    Ok(())
}

#[test]
fn who_debugs_by_the_configuration_file_hears_why() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let file = daemon.run_folder().join("nerdctl.toml");
    let debugging = fs::read_to_string(&file)? + "debug = true\n";
    fs::write(&file, debugging)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let freezeframe = freezeframe.with("FREEZEFRAME_STRATEGY", "delegate");
    let commit = freezeframe.commit(&container, REFERENCE, &[])?;
    let heard = commit.succeeded()?.outcome.error_text();
    assert!(heard.contains("delegated to the real nerdctl: "), "{heard}");
    Ok(())
}

#[test]
fn a_race_that_is_always_lost_ends_with_the_last_try() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let real = loses_until(&daemon, 100, LOST_RACES[0])?;
    let freezeframe = real.delegated_to(&daemon)?;
    let commit = freezeframe.commit(&container, REFERENCE, &[])?;
    assert_eq!(commit.outcome.status.code(), Some(3));
    assert_eq!(commit.outcome.text(), "lost");
    assert_eq!(commit.outcome.error_text(), LOST_RACES[0]);
    assert_eq!(real.lines("tries").len(), TRIES);
    assert_eq!(commit.report["result"], "error");
    Ok(())
}

#[test]
fn any_other_failure_is_the_first_tries() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    for error in [
        "no space left on device",
        "open /etc/nerdctl: no such file or directory",
    ] {
        let real = loses_until(&daemon, 2, error)?;
        let freezeframe = real.delegated_to(&daemon)?;
        let commit = freezeframe.commit(&container, REFERENCE, &[])?;
        assert_eq!(commit.outcome.status.code(), Some(3), "{error}");
        assert_eq!(commit.outcome.error_text(), error);
        assert_eq!(real.lines("tries"), ["try"], "{error}");
    }
    Ok(())
}

#[test]
fn its_errors_go_to_a_terminal_where_ours_do() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let script = "if [ -t 2 ]; then echo terminal >&2; else echo none >&2; fi; echo digest";
    let real = Scripted::new(&daemon, script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let piped = freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    assert_eq!(piped.outcome.error_text(), "none");
    let alias = freezeframe.alias().display();
    let line = format!("exec {alias} commit {} {REFERENCE}", container.name);
    let seen = outcome(&mut on_terminal(&freezeframe.command(), &line))?.succeeded()?;
    let text = seen.text();
    assert_eq!(text.lines().collect::<Vec<_>>(), ["terminal", "digest"]);
    Ok(())
}

#[test]
fn containers_of_the_native_snapshotter_are_committed() -> Result {
    commits_on(&Daemon::start()?, "native")
}

#[test]
fn containers_of_the_btrfs_snapshotter_are_committed() -> Result {
    commits_on(&Daemon::start_on(FileSystem::Btrfs)?, "btrfs")
}

fn commits_on(daemon: &Daemon, snapshotter: &str) -> Result {
    let flags = ["--snapshotter", snapshotter];
    let container = Container::run_with(daemon, BASE, &flags, &["sleep", "1000"])?;
    container.shell("echo new >/srv/new; rm /srv/plain")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    assert_eq!(commit.report["strategy"], "delegate");
    let reason = commit.report["reason"].as_str().unwrap_or_default();
    assert!(reason.contains(snapshotter), "{:#}", commit.report);
    let copy = Container::run_with(daemon, REFERENCE, &flags, &["sleep", "1000"])?;
    assert_eq!(copy.output(&["cat", "/srv/new"])?, "new");
    copy.exec(&["cat", "/srv/plain"])?.failed()?;
    assert_eq!(container.status()?.as_deref(), Some("running"));
    Ok(())
}
