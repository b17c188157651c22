use super::*;

fn invocation(line: &[&str]) -> Invocation {
    Invocation::of(line.iter().map(OsString::from))
}

fn commit(line: &[&str]) -> CommitArguments {
    match invocation(line) {
        Invocation::Commit(arguments) => *arguments,
        other => panic!("{line:?} is {other:?}"),
    }
}

fn passed_on(line: &[&str]) -> Vec<OsString> {
    match invocation(line) {
        Invocation::PassThrough(words) => words,
        other => panic!("{line:?} is {other:?}"),
    }
}

fn refusal(line: &[&str]) -> String {
    match invocation(line) {
        Invocation::Refused(refusal) => refusal.message,
        other => panic!("{line:?} is {other:?}"),
    }
}

#[test]
fn commits_are_understood_wherever_their_flags_stand() {
    let arguments = commit(&[
        "/usr/local/bin/nerdctl",
        "-n",
        "k8s.io",
        "--address=/sock",
        "--debug",
        "container",
        "commit",
        "box",
        "-p=false",
        "x:y",
        "-c",
        "CMD [\"a\"]",
        "--compression",
        "zstd",
        "--format=oci",
        "--report",
        "file",
    ]);
    assert_eq!(arguments.container, "box");
    assert_eq!(arguments.reference, "docker.io/library/x:y");
    assert_eq!(arguments.namespace.as_deref(), Some("k8s.io"));
    assert_eq!(arguments.address.as_deref(), Some("/sock"));
    let command = Some(CommandLine::Exec(vec!["a".to_owned()]));
    assert_eq!(arguments.changes.command, command);
    assert_eq!(arguments.compression, Compression::Zstd);
    assert_eq!(arguments.format, Format::Oci);
    assert_eq!(arguments.report, Some("file".into()));
    assert!(!arguments.pause && arguments.debug == Some(true));
    assert_eq!(
        arguments.globals,
        ["--namespace=k8s.io", "--address=/sock", "--debug=true"]
    );
}

#[test]
fn inside_a_commit_a_is_the_author() {
    let arguments = commit(&["nerdctl", "-a", "/sock", "commit", "-a", "me", "box", "x"]);
    assert_eq!(arguments.author.as_deref(), Some("me"));
    assert_eq!(arguments.address.as_deref(), Some("/sock"));
}

#[test]
fn the_report_is_never_passed_on() {
    for report in [&["--report", "f"][..], &["--report=f"]] {
        let line = [
            &["nerdctl", "-nfoo", "commit", "box"][..],
            report,
            &["x", "--estargz"],
        ]
        .concat();
        let arguments = commit(&line);
        assert_eq!(
            arguments.words,
            ["-nfoo", "commit", "box", "x", "--estargz"]
        );
        assert_eq!(arguments.foreign_layer, Some("--estargz"));
    }
}

#[test]
fn all_but_a_plain_commit_is_passed_on() {
    for line in [
        &["nerdctl"][..],
        &["nerdctl", "ps"],
        &["nerdctl", "image", "commit", "a", "b"],
        &["nerdctl", "--help", "commit", "a", "b"],
        &["nerdctl", "--", "commit", "a", "b"],
        &["nerdctl", "-n", "commit", "a", "b"],
        &["nerdctl", "container", "ls", "commit", "a", "b"],
        &["nerdctl", "compose", "--file", "commit", "up"],
        &["/usr/local/bin/docker", "ps"],
    ] {
        assert_eq!(passed_on(line), line[1..], "{line:?}");
    }
}

#[test]
fn words_that_are_not_text_may_be_quoted_and_name_nothing() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(b"caf\xe9".to_vec());
    let of = |words: &[&OsString]| {
        let program = OsString::from("nerdctl");
        Invocation::of(std::iter::once(program).chain(words.iter().copied().cloned()))
    };
    let [commit, message, author] = ["commit", "-m", "--author"].map(OsString::from);
    let [name, image] = ["box", "image"].map(OsString::from);
    let words = [&commit, &message, &odd, &name, &author, &odd, &image];
    let Invocation::Commit(arguments) = of(&words) else {
        panic!("no commit");
    };
    assert_eq!(arguments.message, "caf\u{fffd}");
    assert_eq!(arguments.author.as_deref(), Some("caf\u{fffd}"));
    assert!(
        arguments.words.iter().eq(words),
        "the real one gets them as they are"
    );
    let Invocation::Refused(refusal) = of(&[&commit, &odd, &image]) else {
        panic!("not refused");
    };
    assert!(refusal.message.contains("is no UTF-8"));
    assert!(refusal.is_stocks, "the real one may know what it means");
    let report = OsString::from("--report");
    let Invocation::Refused(refusal) = of(&[&commit, &report, &odd, &name, &image]) else {
        panic!("not refused");
    };
    assert!(!refusal.is_stocks);
    assert_eq!(refusal.report, None, "it would be another file");
    let other = [&OsString::from("ps"), &odd];
    assert_eq!(
        of(&other),
        Invocation::PassThrough(other.map(Clone::clone).to_vec())
    );
}

#[test]
fn mistakes_read_as_nerdctls() {
    assert!(
        refusal(&["nerdctl", "commit", "box"])
            .starts_with("\"nerdctl commit\" requires exactly 2 argument(s).")
    );
    assert!(
        refusal(&["nerdctl", "container", "commit", "a", "b", "c"])
            .contains("See 'nerdctl container commit --help'.")
    );
    for line in [
        &["nerdctl", "commit", "--nope", "a", "b"][..],
        &["nerdctl", "--nope", "commit", "a", "b"],
        &["nerdctl", "container", "--nope", "x", "commit", "a", "b"],
    ] {
        assert_eq!(refusal(line), "unknown flag: --nope", "{line:?}");
    }
    assert_eq!(
        refusal(&["nerdctl", "commit", "--compression=xz", "a", "b"]),
        "--compression param only supports zstd or gzip"
    );
    assert_eq!(
        refusal(&["nerdctl", "commit", "--format=x", "a", "b"]),
        "--format param only supports docker or oci"
    );
    assert_eq!(
        refusal(&["nerdctl", "commit", "a", "a:b:c"]),
        "invalid reference format"
    );
}

#[test]
fn a_mistake_with_our_own_flags_is_said_by_us() {
    for flag in ["--report", "--max-pause"] {
        let line = ["nerdctl", "commit", "a", "b", flag];
        let Invocation::Refused(refusal) = invocation(&line) else {
            panic!("{flag} needs a value");
        };
        assert_eq!(refusal.message, format!("flag needs an argument: {flag}"));
        assert!(!refusal.is_stocks);
    }
}

#[test]
fn our_own_name_has_our_own_commands() {
    assert_eq!(commit(&["freezeframe", "commit", "a", "b"]).container, "a");
    assert_eq!(
        commit(&["freezeframe", "nerdctl", "commit", "a", "b"]).container,
        "a"
    );
    for line in [
        &["freezeframe", "-n", "k8s.io", "commit", "a", "b"][..],
        &[
            "freezeframe",
            "container",
            "commit",
            "--namespace=k8s.io",
            "a",
            "b",
        ],
    ] {
        assert_eq!(commit(line).namespace.as_deref(), Some("k8s.io"));
    }
    assert_eq!(
        passed_on(&["freezeframe", "nerdctl", "ps", "-a"]),
        ["ps", "-a"]
    );
    assert_eq!(
        invocation(&["freezeframe", "--version"]),
        Invocation::Own(vec!["--version".into()])
    );
    assert!(matches!(
        invocation(&["nerdctl", "commit", "-h"]),
        Invocation::CommitHelp { name: "commit", .. }
    ));
}
