//! Ordinary care: room is left on the disk, others come first, a pipe hears nothing but the
//! digest, and names and labels end up as stock's would.

use crate::FREEZEFRAME;
use harness::{Commit, Daemon, Leftovers, Options, Result, Signal, View, wait_until};
use nix::libc;
use rustix::fs::{FallocateFlags, XattrFlags};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

const REFERENCE: &str = "docker.io/library/careful:latest";
const RESERVE: &str = "FREEZEFRAME_RESERVE";

#[test]
fn a_reserve_that_does_not_stay_free_is_refused_before_anything_is_done() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    for reserve in ["100%", "1T"] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(RESERVE, reserve);
        let commit = freezeframe.commit(&container, REFERENCE, &[])?;
        assert_eq!(commit.outcome.status.code(), Some(1), "{reserve}");
        let said = commit.outcome.error_text();
        assert!(said.contains("too little disk space"), "{said}");
        assert!(said.contains(RESERVE), "{said}");
    }
    before.assert_unchanged(&Leftovers::now(&container)?);
    for reserve in ["0", "1M", "1%"] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(RESERVE, reserve);
        freezeframe
            .commit(&container, REFERENCE, &[])?
            .succeeded()?;
    }
    Ok(())
}

#[test]
fn a_reserve_that_goes_while_the_container_is_copied_ends_the_commit() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("head -c 400000000 /dev/urandom >/srv/bulk")?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let filler = daemon.disk().join("filler");
    let fill = || {
        let taken = free(&daemon.disk())? - (300 << 20);
        let file = fs::File::create(&filler)?;
        Ok(rustix::fs::fallocate(
            &file,
            FallocateFlags::empty(),
            0,
            taken,
        )?)
    };
    let commit = freezeframe.commit_while(&container, REFERENCE, &[], "copy", fill)?;
    let Commit { outcome, report } = commit.failed()?;
    let said = outcome.error_text();
    assert!(
        said.contains("it went while the container was copied"),
        "{said}"
    );
    assert!(said.contains(RESERVE), "{said}");
    // Seen only after the copy, the disk would be full by then.
    let stages = &report["stages_ms"];
    assert!(stages["copy"].is_f64(), "{report:#}");
    assert!(stages["freeze"].is_null(), "{report:#}");
    fs::remove_file(&filler)?;
    before.assert_unchanged(&Leftovers::now(&container)?);
    Ok(())
}

/// An image that was replaced may still be there when the next commit begins.
#[test]
fn what_nobody_needs_any_more_is_collected_before_a_commit_is_refused() -> Result {
    const CONTENT: u64 = 100_000_000;
    let options = Options {
        lazy_collection: true,
        ..Options::default()
    };
    let daemon = options.start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell(&format!("head -c {CONTENT} /dev/urandom >/srv/bulk"))?;
    let commit = |reserve: u64| {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
        let freezeframe = freezeframe.with(RESERVE, reserve.to_string());
        freezeframe.commit(&container, REFERENCE, &[])
    };
    commit(0)?.succeeded()?;
    daemon.ctr().run(&["images", "rm", REFERENCE])?;
    // The copy and the layer that were removed take as much as those to come.
    let present = free(&daemon.disk())?;
    commit(present - CONTENT)?.succeeded()?;
    Ok(())
}

/// Of a disk, in bytes.
fn free(disk: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(disk)?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// What is no content of files takes room as well: directories in the clone, and links in the layer.
#[test]
fn a_reserve_is_kept_whatever_takes_the_room() -> Result {
    const ENTRIES: u64 = 20_000;
    // As ext4 has either.
    const BLOCK: u64 = 4096;
    let daemon = Daemon::start()?;
    let disk = daemon.disk();
    let scenes = [
        (ENTRIES * BLOCK / 2, "the container was copied"),
        (ENTRIES * BLOCK * 5 / 4, "the layer was written"),
    ];
    for (allowance, meanwhile) in scenes {
        let container = daemon.run(&["sleep", "1000"])?;
        let folder = container.upper()?.join("many");
        fs::create_dir(&folder)?;
        let mut noise = File::open("/dev/urandom")?;
        for number in 0..ENTRIES {
            let path = folder.join(number.to_string());
            if allowance < ENTRIES * BLOCK {
                fs::create_dir(path)?;
                continue;
            }
            let mut target = [0; 4000];
            noise.read_exact(&mut target)?;
            let target = target.map(|byte| b'a' + byte % 26);
            symlink(OsStr::from_bytes(&target), path)?;
        }
        daemon.ctr().collect_garbage()?;
        let before = Leftovers::now(&container)?;
        let reserve = free(&disk)? - allowance;
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
        let freezeframe = freezeframe.with(RESERVE, reserve.to_string());
        let commit = freezeframe.commit(&container, REFERENCE, &[])?.failed()?;
        let said = commit.outcome.error_text();
        assert!(said.contains(meanwhile), "{said}");
        before.assert_unchanged(&Leftovers::now(&container)?);
        container.remove()?;
    }
    Ok(())
}

#[test]
fn a_reserve_that_is_no_size_is_named() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(RESERVE, "much");
    let commit = freezeframe.commit(&container, REFERENCE, &[])?;
    assert_eq!(commit.outcome.status.code(), Some(1));
    let said = commit.outcome.error_text();
    assert!(said.contains(RESERVE) && said.contains("much"), "{said}");
    Ok(())
}

#[test]
fn heavy_work_is_nicer_than_we_were_started() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("head -c 200000000 /dev/urandom >/srv/bulk")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut committing = freezeframe.start_commit(&container, REFERENCE, &["--debug"])?;
    committing.wait_for_stage("layer")?;
    let process = committing.child.id();
    // Ours are those of this test, and ten more, as far as there are more.
    let own = niceness(std::process::id(), std::process::id())?;
    let nicer = (own + 10).min(19);
    let given = disk_priority(std::process::id());
    let class_is_given = given.0 != 0;
    let yielding = if class_is_given { given } else { (2, 7) };
    // It lowers the one after the other.
    let heavy = wait_until("a thread that yields", Duration::from_secs(10), || {
        Ok(threads(process)?.into_iter().find(|thread| {
            niceness(process, *thread).is_ok_and(|nice| nice == nicer)
                && disk_priority(*thread) == yielding
        }))
    })?;
    assert_ne!(heavy, process);
    committing.signal(Signal::TERM)?;
    committing.finish()?;
    Ok(())
}

#[test]
fn nothing_yields_in_the_freeze() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["probe", "big", "/big", "64"])?;
    container.wait_for("/big")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let committing = freezeframe.hold_commit_in_freeze(&container, REFERENCE)?;
    let process = committing.child.id();
    let own = std::process::id();
    for thread in threads(process)? {
        assert!(niceness(process, thread)? <= niceness(own, own)?);
        if disk_priority(own).0 == 0 {
            assert_eq!(disk_priority(thread).0, 0);
        }
    }
    committing.signal(Signal::CONT)?;
    committing.finish()?.succeeded()?;
    Ok(())
}

/// The container has not asked to come last.
#[test]
fn a_freeze_is_no_slower_where_the_commit_is_to_come_last() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["probe", "big", "/big", "64"])?;
    container.wait_for("/big")?;
    let script = format!(
        "#!/bin/sh\nexec nice -n 19 ionice -c 3 chrt --idle 0 '{FREEZEFRAME}' nerdctl \"$@\"\n"
    );
    let last = daemon.new_folder("last")?.join("last");
    fs::write(&last, script)?;
    fs::set_permissions(&last, fs::Permissions::from_mode(0o755))?;
    let freezeframe = daemon.freezeframe(&last.to_string_lossy())?;
    let mut committing = freezeframe.hold_commit_in_freeze(&container, REFERENCE)?;
    let process = committing.child.id();
    let first_thread = || -> Result<_> {
        Ok((
            niceness(process, process)?,
            disk_priority(process).0,
            policy(process),
        ))
    };
    assert_eq!(first_thread()?, (0, 0, libc::SCHED_OTHER));
    committing.signal(Signal::CONT)?;
    committing.wait_for_stage("layer")?;
    assert_eq!(first_thread()?, (19, 3, libc::SCHED_IDLE));
    committing.finish()?.succeeded()?;
    Ok(())
}

fn policy(thread: u32) -> i32 {
    // SAFETY: reads a number; no memory is passed.
    unsafe { libc::sched_getscheduler(thread.cast_signed()) }
}

fn threads(process: u32) -> Result<Vec<u32>> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"))?.flatten();
    let names = tasks.map(|task| task.file_name());
    Ok(names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect())
}

/// Field 19 of `proc_pid_stat(5)`.
fn niceness(process: u32, thread: u32) -> Result<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/task/{thread}/stat"))?;
    let rest = stat.rsplit(") ").next().unwrap_or_default();
    Ok(rest.split(' ').nth(16).unwrap_or_default().parse()?)
}

/// Class and level, as ionice(1) has them.
fn disk_priority(thread: u32) -> (i64, i64) {
    // SAFETY: reads a number; no memory is passed.
    let value = unsafe { libc::syscall(libc::SYS_ioprio_get, 1, thread) };
    (value >> 13, value & 7)
}

#[test]
fn a_pipe_hears_the_digest_and_nothing_else() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    let digest = &daemon.ctr().manifest(REFERENCE)?["config"]["digest"];
    let line = format!("{}\n", digest.as_str().unwrap_or_default());
    assert_eq!(commit.outcome.stdout, line.as_bytes());
    assert_eq!(commit.outcome.error_text(), "");
    Ok(())
}

#[test]
fn names_are_those_that_nerdctl_gives() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let nerdctl = daemon.nerdctl()?;
    let hash = "a".repeat(64);
    for (word, name) in [
        ("x".to_owned(), "docker.io/library/x:latest".to_owned()),
        ("a/b:c".to_owned(), "docker.io/a/b:c".to_owned()),
        (
            "localhost:5000/a".to_owned(),
            "localhost:5000/a:latest".to_owned(),
        ),
        (
            format!("x@sha256:{hash}"),
            format!("docker.io/library/x@sha256:{hash}"),
        ),
        (
            format!("x:t@sha256:{hash}"),
            format!("docker.io/library/x:t@sha256:{hash}"),
        ),
        (hash.clone(), format!("sha256:{hash}")),
    ] {
        let before = names(&daemon)?;
        let line = ["commit", &container.name, &word];
        freezeframe.outcome(&line)?.succeeded()?;
        let mut expected = [before.clone(), vec![name.clone()]].concat();
        expected.sort();
        assert_eq!(names(&daemon)?, expected, "{word}");
        if nerdctl.is_real {
            // It replaces ours, under the same name.
            nerdctl.run(&line)?;
            assert_eq!(names(&daemon)?, expected, "{word}");
        }
    }
    Ok(())
}

fn names(daemon: &Daemon) -> Result<Vec<String>> {
    let listed = daemon.ctr().run(&["images", "ls", "--quiet"])?;
    let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

#[test]
fn a_tag_that_exists_is_moved_and_what_nobody_names_any_more_goes() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    container.shell("echo first >/srv/plain")?;
    let first = freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    daemon
        .ctr()
        .run(&["images", "label", REFERENCE, "of=the first"])?;
    container.shell("echo second >/srv/plain")?;
    let second = freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    assert_ne!(first.outcome.text(), second.outcome.text());
    let plain = View::snapshot(&daemon, REFERENCE)?.read("/srv/plain")?;
    assert_eq!(plain, "second\n");
    let listed = daemon
        .ctr()
        .run(&["images", "ls", &format!("name=={REFERENCE}")])?;
    assert!(!listed.contains("of=the first"), "{listed}");
    daemon.ctr().collect_garbage()?;
    let kept = daemon.ctr().run(&["content", "ls", "--quiet"])?;
    let has = |commit: &Commit| {
        let digest = commit.report["layer_digest"].as_str();
        digest.is_some_and(|digest| kept.contains(digest))
    };
    assert!(has(&second) && !has(&first), "{kept}");
    Ok(())
}

#[test]
fn labels_of_security_modules_are_not_in_the_image() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo labelled >/srv/labelled")?;
    let file = container.root()?.join("srv/labelled");
    let names = ["security.selinux", "security.apparmor", "user.note"];
    for name in names {
        rustix::fs::setxattr(&file, name, b"system_u:object_r:x:s0", XattrFlags::empty())?;
    }
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    let image = View::snapshot(&daemon, REFERENCE)?;
    for name in names {
        let mut value = [0; 64];
        let labelled = image.path().join("srv/labelled");
        let read = rustix::fs::getxattr(labelled, name, &mut value);
        assert_eq!(read, Err(rustix::io::Errno::NODATA), "{name}");
    }
    Ok(())
}
