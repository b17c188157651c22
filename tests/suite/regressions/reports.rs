//! A report never takes the place of what is no regular file: devices, pipes and links
//! stay what they are, and get the text.
//!
//! No test names a device of the machine: whoever breaks this would replace /dev/null.

use super::IMAGE;
use crate::FREEZEFRAME;
use harness::{Commit, Container, Daemon, Result, Signal, outcome};
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[test]
fn a_device_stays_one() -> Result {
    with_folder(|container, folder| {
        let device = folder.join("null");
        mknod(&device, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 3))?;
        commit(container, &device)?;
        let kind = fs::symlink_metadata(&device)?.file_type();
        assert!(kind.is_char_device(), "{kind:?}");
        expect_alone(folder, &["null"])
    })
}

#[test]
fn a_pipe_gets_the_report_and_stays_one() -> Result {
    with_folder(|container, folder| {
        let pipe = folder.join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU)?;
        let nonblocking = OFlag::O_NONBLOCK.bits();
        let mut reader = File::options()
            .read(true)
            .custom_flags(nonblocking)
            .open(&pipe)?;
        commit(container, &pipe)?;
        let mut text = Vec::new();
        reader.read_to_end(&mut text)?;
        expect_report(&text)?;
        assert!(fs::symlink_metadata(&pipe)?.file_type().is_fifo());
        expect_alone(folder, &["pipe"])
    })
}

/// Somebody may read it later, but nobody has to wait for that.
#[test]
fn a_pipe_that_nobody_reads_is_waited_for_until_a_signal_comes() -> Result {
    with_folder(|container, folder| {
        let pipe = folder.join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU)?;
        let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
        let start = || {
            let flags = ["--debug", "--report", &pipe.display().to_string()];
            let mut committing = freezeframe.start_commit(container, IMAGE, &flags)?;
            committing.wait_for_stage("release")?;
            // So that it is there, or about to be.
            std::thread::sleep(Duration::from_millis(300));
            Ok::<_, anyhow::Error>(committing)
        };
        let committing = start()?;
        expect_report(&fs::read(&pipe)?)?;
        committing.finish()?.succeeded()?;
        let committing = start()?;
        committing.signal(Signal::TERM)?;
        let outcome = committing.finish_within(Duration::from_secs(10))?.outcome;
        assert_eq!(outcome.status.signal(), Some(Signal::TERM.as_raw()));
        assert!(outcome.error_text().contains("writing the report"));
        Ok(())
    })
}

/// Neither can be opened, for whatever reason, though its permissions allow it; nobody waits for a reader of theirs.
#[test]
fn a_socket_and_the_terminal_of_who_has_none_are_refused_first() -> Result {
    with_folder(|container, folder| {
        let [socket, terminal] = ["socket", "tty"].map(|name| folder.join(name));
        let _listener = UnixListener::bind(&socket)?;
        mknod(&terminal, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(5, 0))?;
        for report in [socket, terminal] {
            let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
            let mut command = freezeframe.command_behind(&["setsid", "--wait"]);
            command.args(["commit", "--report"]).arg(&report);
            let refused = outcome(command.args([&container.name, IMAGE]))?;
            assert_eq!(refused.status.code(), Some(1));
            let said = refused.error_text();
            let expected = format!("the report {} cannot be written", report.display());
            assert!(said.contains(&expected), "{said}");
            assert!(said.contains("No such device or address"), "{said}");
        }
        let images = container.daemon().ctr().list(&["images", "list", "-q"])?;
        assert!(!images.iter().any(|image| image == IMAGE), "{images:?}");
        expect_alone(folder, &["socket", "tty"])
    })
}

#[test]
fn a_link_to_a_file_stays_one_and_the_file_gets_the_report() -> Result {
    with_folder(|container, folder| {
        let (link, file) = (folder.join("link"), folder.join("elsewhere/file"));
        fs::create_dir(folder.join("elsewhere"))?;
        fs::write(&file, "older and longer than nothing")?;
        symlink("elsewhere/file", &link)?;
        commit(container, &link)?;
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        assert!(fs::symlink_metadata(&file)?.is_file());
        expect_report(&fs::read(&file)?)?;
        expect_alone(folder, &["elsewhere", "link"])
    })
}

#[test]
fn a_link_to_nothing_yet_stays_one_and_leads_to_the_report() -> Result {
    with_folder(|container, folder| {
        let [link, further] = ["link", "further"].map(|name| folder.join(name));
        symlink("further", &link)?;
        symlink("elsewhere/file", &further)?;
        let refused = try_to_commit(container, &link)?.failed()?;
        let said = refused.outcome.error_text();
        assert!(
            said.contains("the report") && said.contains("cannot be written"),
            "{said}"
        );
        fs::create_dir(folder.join("elsewhere"))?;
        commit(container, &link)?;
        expect_report(&fs::read(folder.join("elsewhere/file"))?)?;
        for link in [link, further] {
            assert!(fs::symlink_metadata(&link)?.is_symlink());
        }
        expect_alone(folder, &["elsewhere", "further", "link"])
    })
}

/// As `/dev/stdout` is one.
#[test]
fn standard_output_gets_the_report_and_the_digest_when_it_is_a_pipe() -> Result {
    with_folder(|container, folder| {
        let link = standard_output(folder)?;
        let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
        let words = ["commit", "--report", &link.display().to_string()];
        let words = [&words[..], &[&container.name, IMAGE]].concat();
        let seen = freezeframe.outcome(&words)?.succeeded()?;
        expect_report_and_digest(&seen.stdout)?;
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        Ok(())
    })
}

#[test]
fn standard_output_gets_the_report_and_the_digest_when_it_is_a_file() -> Result {
    with_folder(|container, folder| {
        let (link, file) = (standard_output(folder)?, folder.join("file"));
        let mut command = container.daemon().freezeframe(FREEZEFRAME)?.command();
        command.args(["commit", "--report"]).arg(&link);
        command.args([&container.name, IMAGE]);
        let status = command.stdout(File::create(&file)?).status()?;
        assert!(status.success(), "{status}");
        expect_report_and_digest(&fs::read(&file)?)
    })
}

fn standard_output(folder: &Path) -> Result<PathBuf> {
    let link = folder.join("stdout");
    symlink("/proc/self/fd/1", &link)?;
    Ok(link)
}

fn with_folder(check: impl FnOnce(&Container, &Path) -> Result) -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    check(&container, &daemon.new_folder("reports")?)
}

fn commit(container: &Container, report: &Path) -> Result {
    try_to_commit(container, report)?.succeeded().map(drop)
}

fn try_to_commit(container: &Container, report: &Path) -> Result<Commit> {
    let flags = ["--report", &report.display().to_string()];
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    freezeframe.commit(container, IMAGE, &flags)
}

fn expect_report(text: &[u8]) -> Result<Value> {
    let report: Value = serde_json::from_slice(text)?;
    assert_eq!(report["result"], "ok", "{report:#}");
    Ok(report)
}

fn expect_report_and_digest(text: &[u8]) -> Result {
    let text = String::from_utf8_lossy(text);
    let (digests, reports): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("sha256:"));
    let report = expect_report(reports.join("\n").as_bytes())?;
    assert_eq!(
        digests,
        [report["config_digest"].as_str().unwrap_or_default()]
    );
    Ok(())
}

/// Nothing temporary is left either.
fn expect_alone(folder: &Path, expected: &[&str]) -> Result {
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
    let mut names: Vec<_> = names.collect::<Result<_>>()?;
    names.sort();
    assert_eq!(names, expected);
    Ok(())
}
