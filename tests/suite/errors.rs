//! A commit that cannot be done says what is wrong with what, exits with 1, and leaves
//! the daemon as it was and the container running.

use crate::FREEZEFRAME;
use harness::{Commit, Container, Daemon, Freezeframe, Leftovers, Options, Result};
use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};

const REFERENCE: &str = "docker.io/library/never:latest";

#[test]
fn a_container_that_does_not_exist_is_named() -> Result {
    refused(|scene| {
        let words = ["commit", "nosuch", REFERENCE];
        scene.expect_refusal_of(&words, "no such container nosuch")
    })
}

#[test]
fn a_container_is_not_found_in_another_namespace() -> Result {
    refused(|scene| {
        let name = &scene.container.name;
        let words = ["--namespace", "elsewhere", "commit", name, REFERENCE];
        scene.expect_refusal_of(&words, &format!("no such container {name}"))
    })
}

#[test]
fn the_beginning_of_two_ids_is_ambiguous() -> Result {
    let daemon = Daemon::start()?;
    let mut others = Vec::new();
    // With seventeen containers two IDs begin with the same digit.
    while others.len() < 17 && shared_digit(&others).is_none() {
        others.push(daemon.run(&["sleep", "1000"])?);
    }
    let digit = shared_digit(&others).expect("two IDs that begin alike");
    let container = others.pop().expect("a container");
    let scene = Scene::of(container)?;
    scene.expect_refusal_of(
        &["commit", &digit, REFERENCE],
        &format!("multiple IDs found with provided prefix: {digit}"),
    )?;
    scene.expect_nothing_done()
}

fn shared_digit(containers: &[Container]) -> Option<String> {
    let last = containers.last()?.id.get(..1)?;
    let earlier = &containers[..containers.len() - 1];
    let shared = earlier.iter().any(|one| one.id.starts_with(last));
    shared.then(|| last.to_owned())
}

#[test]
fn a_daemon_that_is_not_there_is_named() -> Result {
    refused(|scene| {
        let socket = scene.daemon().run_folder().join("no-such.sock");
        let socket = socket.display().to_string();
        let name = &scene.container.name;
        scene.expect_refusal_of(&["--address", &socket, "commit", name, REFERENCE], &socket)
    })
}

#[test]
fn a_socket_that_nobody_serves_any_more_is_named() -> Result {
    refused(|scene| {
        let path = scene.daemon().run_folder().join("dead.sock");
        drop(UnixListener::bind(&path)?);
        let socket = path.display().to_string();
        let name = &scene.container.name;
        scene.expect_refusal_of(&["--address", &socket, "commit", name, REFERENCE], &socket)
    })
}

/// Where more wait than it lets wait, a plain connect(2) would wait with them for good.
#[test]
fn a_socket_that_takes_nobody_any_more_is_named() -> Result {
    refused(|scene| {
        let path = scene.daemon().run_folder().join("full.sock");
        let listener = UnixListener::bind(&path)?;
        rustix::net::listen(&listener, 0)?;
        let _waiting = UnixStream::connect(&path)?;
        let socket = path.display().to_string();
        let name = &scene.container.name;
        scene.expect_refusal_of(&["--address", &socket, "commit", name, REFERENCE], &socket)
    })
}

#[test]
fn a_bad_reference_is_refused() -> Result {
    refused(|scene| {
        // The stand-in knows no references: without a real nerdctl we refuse ourselves.
        let is_real = scene.daemon().nerdctl()?.is_real;
        for freezeframe in [
            Some(scene.alone()?),
            is_real.then(|| scene.beside()).transpose()?,
        ] {
            let Some(freezeframe) = freezeframe else {
                continue;
            };
            let name = &scene.container.name;
            let format = ["commit", name, "a//b"];
            expect_refusal_by(&freezeframe, &format, "invalid reference format")?;
            expect_refusal_by(&freezeframe, &["commit", name, "BAD"], "must be lowercase")?;
        }
        Ok(())
    })
}

/// Words, `NAME` standing for the container's, and what nerdctl says to them.
const MISTAKES: &[(&[&str], &str)] = &[
    (
        &["commit", "NAME"],
        r#"\"nerdctl commit\" requires exactly 2 argument(s)."#,
    ),
    (
        &["container", "commit", "NAME", "x", "y"],
        r#"\"nerdctl container commit\" requires exactly 2 argument(s)."#,
    ),
    (
        &["commit", "--pause", "false", "NAME", "x"],
        "requires exactly 2 argument(s).",
    ),
    (&["commit", "--nope", "NAME", "x"], "unknown flag: --nope"),
    (
        &["commit", "-pz", "NAME", "x"],
        "unknown shorthand flag: 'z' in -z",
    ),
    (
        &["commit", "NAME", "x", "-m"],
        "flag needs an argument: 'm' in -m",
    ),
    (
        &["commit", "--pause=maybe", "NAME", "x"],
        r#"strconv.ParseBool: parsing \"maybe\": invalid syntax"#,
    ),
    (
        &["commit", "--compression=lzma", "NAME", "x"],
        "--compression param only supports zstd or gzip",
    ),
    (
        &["commit", "--format=tar", "NAME", "x"],
        "--format param only supports docker or oci",
    ),
    (
        &["commit", "--estargz", "--zstdchunked", "NAME", "x"],
        "options --estargz and --zstdchunked lead to conflict",
    ),
    (
        &["commit", "-c", "RUN true", "NAME", "x"],
        r#"unknown change directive \"RUN\""#,
    ),
    (
        &["commit", "-c", "CMD [a]", "NAME", "x"],
        r#"malformed json in change flag value \"CMD [a]\""#,
    ),
    (&["commit", "NAME", "a//b"], "invalid reference format"),
    (
        &["commit", "NAME", "BAD"],
        "invalid reference format: repository name (library/BAD) must be lowercase",
    ),
    (
        &["--namespace", "a/b", "commit", "NAME", "x"],
        "forbidden characters in path component",
    ),
    (
        &["--cgroup-manager", "none such", "commit", "NAME", "x"],
        "invalid cgroup-manager",
    ),
    (
        &["--address", "tcp://x", "commit", "NAME", "x"],
        r#"invalid address \"tcp://x\""#,
    ),
];

#[test]
fn a_mistake_in_the_words_is_said_in_nerdctls_and_nothing_is_done() -> Result {
    refused(|scene| {
        let alone = scene.alone()?;
        let beside = scene.beside()?;
        let is_real = scene.daemon().nerdctl()?.is_real;
        for (words, message) in MISTAKES {
            let name = |word: &&str| match *word {
                "NAME" => scene.container.name.clone(),
                word => word.to_owned(),
            };
            let words: Vec<String> = words.iter().map(name).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            expect_refusal_by(&alone, &words, message)?;
            // The stand-in has words of its own.
            if is_real {
                expect_refusal_by(&beside, &words, message)?;
            }
        }
        Ok(())
    })
}

#[test]
fn a_bad_configuration_file_is_named() -> Result {
    refused(|scene| {
        for (name, text) in [("syntax", "[broken"), ("key", "adress = \"x\"")] {
            let path = scene.daemon().run_folder().join(name);
            fs::write(&path, text)?;
            let path = path.display().to_string();
            let alone = scene.alone()?.with("NERDCTL_TOML", &path);
            expect_error(&alone.commit(&scene.container, REFERENCE, &[])?, &path);
            // The stand-in reads no such file: only a real one refuses it.
            if scene.daemon().nerdctl()?.is_real {
                let beside = scene.beside()?.with("NERDCTL_TOML", &path);
                let refused = beside.commit(&scene.container, REFERENCE, &[])?;
                assert_eq!(refused.outcome.status.code(), Some(1));
                assert!(refused.outcome.error_text().contains(&path));
            }
        }
        Ok(())
    })
}

#[test]
fn an_unknown_strategy_is_named() -> Result {
    refused(|scene| scene.expect_refusal_with("FREEZEFRAME_STRATEGY", "fast", "\\\"fast\\\""))
}

#[test]
fn a_report_that_cannot_be_written_is_named_before_anything_is_done() -> Result {
    refused(|scene| {
        for path in ["/nowhere/report.json", "report/"] {
            let words = ["commit", "--report", path, &scene.container.name, REFERENCE];
            let said = scene.freezeframe.outcome(&words)?.failed()?.error_text();
            assert!(
                said.contains("cannot be written") && said.contains(path),
                "{said}"
            );
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        Ok(())
    })
}

#[test]
fn too_little_disk_is_said_before_it_is_full() -> Result {
    let daemon = Options {
        disk_mib: 300,
        ..Options::default()
    }
    .start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.output(&["dd", "if=/dev/zero", "of=/bulk", "bs=1M", "count=130"])?;
    let scene = Scene::of(container)?;
    let commit = scene.commit()?;
    expect_error(&commit, "too little disk space: the commit needs");
    let disk = daemon.disk().display().to_string();
    assert!(error_of(&commit).contains(&disk), "{}", error_of(&commit));
    scene.expect_nothing_done()
}

#[test]
fn too_few_inodes_are_said_before_any_is_taken() -> Result {
    let daemon = Options {
        inodes: Some(6_000),
        ..Options::default()
    }
    .start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("mkdir /many && cd /many && seq 3000 | xargs touch")?;
    let scene = Scene::of(container)?;
    let commit = scene.commit()?;
    expect_error(&commit, "too few inodes");
    scene.expect_nothing_done()
}

/// A running container, and what its daemon held before.
struct Scene<'d> {
    container: Container<'d>,
    freezeframe: Freezeframe<'d>,
    before: Leftovers,
}

fn refused(check: impl FnOnce(&Scene) -> Result) -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::of(daemon.run(&["sleep", "1000"])?)?;
    check(&scene)?;
    scene.expect_nothing_done()
}

impl<'d> Scene<'d> {
    fn of(container: Container<'d>) -> Result<Self> {
        container.daemon().ctr().collect_garbage()?;
        Ok(Self {
            freezeframe: container.daemon().freezeframe(FREEZEFRAME)?,
            before: Leftovers::now(&container)?,
            container,
        })
    }

    fn daemon(&self) -> &'d Daemon {
        self.container.daemon()
    }

    fn commit(&self) -> Result<Commit> {
        self.freezeframe.commit(&self.container, REFERENCE, &[])
    }

    /// Where there is no nerdctl.
    fn alone(&self) -> Result<Freezeframe<'d>> {
        let empty = self.daemon().new_folder("empty")?;
        Ok(self
            .beside()?
            .with("FREEZEFRAME_NERDCTL", "")
            .with("PATH", empty))
    }

    fn beside(&self) -> Result<Freezeframe<'d>> {
        self.daemon().freezeframe(FREEZEFRAME)
    }

    fn expect_refusal_of(&self, words: &[&str], message: &str) -> Result {
        expect_refusal_by(&self.freezeframe, words, message)
    }

    /// The commit fails with one more variable in its environment, and its report says
    /// the same as its message.
    fn expect_refusal_with(&self, variable: &str, value: &str, message: &str) -> Result {
        let freezeframe = self.beside()?.with(variable, value);
        expect_error(
            &freezeframe.commit(&self.container, REFERENCE, &[])?,
            message,
        );
        Ok(())
    }

    fn expect_nothing_done(&self) -> Result {
        self.before
            .assert_unchanged(&Leftovers::now(&self.container)?);
        assert_eq!(self.container.output(&["echo", "alive"])?, "alive");
        Ok(())
    }
}

fn expect_refusal_by(freezeframe: &Freezeframe, words: &[&str], message: &str) -> Result {
    let seen = freezeframe.outcome(words)?;
    assert_eq!(seen.status.code(), Some(1), "{}", seen.describe());
    assert!(seen.error_text().contains(message), "{}", seen.describe());
    assert!(seen.stdout.is_empty(), "{}", seen.describe());
    Ok(())
}

fn error_of(commit: &Commit) -> String {
    commit.report["error"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn expect_error(commit: &Commit, message: &str) {
    let Commit { outcome, report } = commit;
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
    assert!(outcome.stdout.is_empty(), "{}", outcome.describe());
    let said = outcome.error_text();
    assert!(said.contains(message), "{}", outcome.describe());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(report["result"], "error", "{report:#}");
    let reported = format!("{:?}", error_of(commit));
    assert!(said.contains(&reported), "{report:#}\n{said}");
}
