//! Command lines, made from the tables of flags: every flag in every form and place, and what cobra and pflag have rules
//! for. None names a container that exists.

use super::flags::{FLAGS, Flag, Place, Takes};

pub type Words = Vec<String>;

/// Stands for an existing folder, which the real nerdctl may write to.
pub const FOLDER: &str = "FOLDER";

const ARGUMENTS: [&str; 2] = ["none", "image"];

pub fn all() -> Vec<Words> {
    let mut vectors: Vec<Words> = FIXED.iter().map(|words| owned(words)).collect();
    for flag in FLAGS.iter().filter(|flag| is_nerdctls(flag)) {
        for form in forms(flag) {
            vectors.extend(places(flag, &form));
        }
    }
    vectors
}

fn owned(words: &[&str]) -> Words {
    words.iter().map(ToString::to_string).collect()
}

/// `--report` and `--max-pause` are ours. `--help` and `--version` before the subcommand end in other programs' texts.
fn is_nerdctls(flag: &Flag) -> bool {
    !matches!(flag.long, "report" | "max-pause" | "help" | "version")
}

/// The ways to write a flag with good values and bad ones.
fn forms(flag: &Flag) -> Vec<Words> {
    let long = format!("--{}", flag.long);
    let mut forms = vec![];
    if flag.takes == Takes::Boolean {
        forms.push(vec![long.clone()]);
        forms.push(vec![long.clone(), "false".to_owned()]);
    } else {
        forms.push(vec![long.clone()]);
    }
    for value in values(flag) {
        forms.push(vec![format!("{long}={value}")]);
        if flag.takes != Takes::Boolean {
            forms.push(vec![long.clone(), (*value).to_owned()]);
        }
    }
    let good = values(flag)[0];
    if let Some(short) = flag.short {
        forms.push(vec![format!("-{short}")]);
        forms.push(vec![format!("-{short}{good}")]);
        forms.push(vec![format!("-{short}={good}")]);
        forms.push(vec![format!("-{short}=")]);
        forms.push(vec![format!("-p{short}"), good.to_owned()]);
        if flag.takes != Takes::Boolean {
            forms.push(vec![format!("-{short}"), good.to_owned()]);
            forms.push(vec![format!("-{short}"), "-dash".to_owned()]);
        }
    }
    forms
}

/// A global flag that means nothing to a commit.
fn is_not_ours(flag: &Flag) -> bool {
    flag.help == "for the real nerdctl"
}

/// A good value first.
fn values(flag: &Flag) -> &'static [&'static str] {
    match (flag.takes, flag.sets) {
        (Takes::Boolean, _) if is_not_ours(flag) => &["true", "yes"],
        (Takes::Boolean, _) => &["true", "0", "T", "yes", ""],
        (Takes::Number, _) => &["3", "0x1f", "-1", "1_0", "1.5", "", "9223372036854775808"],
        (_, "compression") => &["zstd", "gzip", "xz", "GZIP", ""],
        (_, "format") => &["oci", "docker", "OCI", ""],
        (_, "address") => &[
            "/nonexistent/a.sock",
            "unix:///nonexistent/b",
            "tcp://c",
            "-d",
        ],
        (_, "namespace") => &["elsewhere", "a/b", "a_", "..", "", "-n"],
        (_, "cgroup-manager") => &["cgroupfs", "none", "other", ""],
        (_, "data-root") => &[FOLDER],
        (_, "change") => &["CMD [\"a\"]", "ENTRYPOINT []", "NOPE x", "", "CMD [1]"],
        _ if is_not_ours(flag) => &["text", "commit"],
        _ => &["text", "", "-dash", "a=b", "--", "commit"],
    }
}

/// The places where a flag may stand, whether or not it may.
fn places(flag: &Flag, form: &[String]) -> Vec<Words> {
    let [container, reference] = ARGUMENTS.map(str::to_owned);
    let line = |parts: &[&[String]]| parts.concat();
    let commit = ["commit".to_owned()];
    let management = ["container".to_owned()];
    let mut lines = vec![line(&[
        &commit,
        form,
        std::slice::from_ref(&container),
        std::slice::from_ref(&reference),
    ])];
    if flag.place == Place::Commit {
        lines.push(line(&[
            &commit,
            std::slice::from_ref(&container),
            form,
            std::slice::from_ref(&reference),
        ]));
        lines.push(line(&[&management, &commit, &[container, reference], form]));
    } else {
        let arguments = [container, reference];
        lines.push(line(&[form, &commit, &arguments]));
        lines.push(line(&[&management, form, &commit, &arguments]));
    }
    lines
}

const FIXED: &[&[&str]] = &[
    &["commit"],
    &["commit", "none"],
    &["commit", "none", "image", "more"],
    &["container", "commit"],
    &["container", "commit", "none", "image", "--", "more"],
    &["commit", "--", "none", "image"],
    &["commit", "none", "--", "image"],
    &["commit", "--", "-p", "image"],
    &["commit", "none", "--pause", "false", "image"],
    &["commit", "-pm", "hello", "none", "image"],
    &["commit", "-pmhello", "none", "image"],
    &["commit", "-mp", "none", "image"],
    &["commit", "-ppp=false", "none", "image"],
    &["commit", "-pz", "none", "image"],
    &["commit", "-m"],
    &["commit", "-"],
    &["commit", "-", "image"],
    &["commit", "", "image"],
    &["commit", "none", ""],
    &["commit", "---x", "none", "image"],
    &["commit", "--=x", "none", "image"],
    &["commit", "--nope", "none", "image"],
    &["commit", "--nope=1", "none", "image"],
    &["commit", "-é", "none", "image"],
    &["commit", "--paus", "none", "image"],
    &["commit", "--estargz", "--zstdchunked", "none", "image"],
    &[
        "commit",
        "--estargz",
        "--zstdchunked=false",
        "none",
        "image",
    ],
    &["commit", "-c", "", "-c", "CMD [\"b\"]", "none", "image"],
    &["commit", "--help"],
    &["commit", "none", "-h"],
    &["commit", "--help=false", "none", "image"],
    &["commit", "--help=x", "none", "image"],
    &["container", "commit", "-ph", "x"],
    &["commit", "--version"],
    &["commit", "none", "BAD"],
    &["commit", "none", "a//b"],
    &["commit", "none", "a:b:c"],
    &["commit", "none", "localhost:5000/a/b"],
    &["commit", "none", "x@sha256:00"],
    &["commit", "none", "x@md5:d41d8cd98f00b204e9800998ecf8427e"],
    &["commit", "none", "oci-archive://x"],
    &["commit", "none", "ipfs://x"],
    &["commit", "k8s://x", "image"],
    &["commit", "a,b", "image"],
    &["commit", "a b", "image"],
    &["commit", ".*", "image"],
    &["--nope", "commit", "none", "image"],
    &["--nope", "x", "commit", "none", "image"],
    &["-z", "commit", "none", "image"],
    &["-p", "commit", "none", "image"],
    &["--", "commit", "none", "image"],
    &["--", "x", "commit", "none", "image"],
    &["-", "commit", "none", "image"],
    &["", "commit", "none", "image"],
    &["-n", "commit", "commit", "none", "image"],
    &["-n", "-x", "commit", "none", "image"],
    &["--namespace", "--debug", "commit", "none", "image"],
    &["--namespace", "--host", "commit", "none", "image"],
    &["--namespace"],
    &["-n"],
    &["--debug", "--debug=false", "commit", "none", "image"],
    &["--debug", "false", "commit", "none", "image"],
    &[
        "-a",
        "/nonexistent/a",
        "commit",
        "-a",
        "me",
        "none",
        "image",
    ],
    &[
        "--address=/nonexistent/a",
        "commit",
        "--host=/nonexistent/b",
        "none",
        "image",
    ],
    &[
        "commit",
        "--host=/nonexistent/b",
        "--address",
        "/nonexistent/a",
        "none",
        "image",
    ],
    &["container", "commit", "none", "image", "--namespace", "a/b"],
    &["container", "-n", "commit", "none", "image"],
    &["container", "nope", "commit", "none", "image"],
    &["nope", "commit", "none", "image"],
    &["Commit", "none", "image"],
    &["--namespace", "x", "nope"],
];
