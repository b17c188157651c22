//! A commit that cannot be understood is the real nerdctl's to refuse; where there is
//! none, we refuse it in its words.

use super::{SHOW_WORDS, Setting, split};
use harness::{Result, outcome};

const REFUSED: [(&[&str], &str); 8] = [
    (
        &["commit"],
        "\"nerdctl commit\" requires exactly 2 argument(s).",
    ),
    (
        &["commit", "one", "two", "three"],
        "\"nerdctl commit\" requires exactly 2 argument(s).",
    ),
    (&["commit", "--nope", "a", "b"], "unknown flag: --nope"),
    (
        &["commit", "-c", "RUN true", "a", "b"],
        "unknown change directive \"RUN\"",
    ),
    (
        &["commit", "-c", "CMD [true]", "a", "b"],
        "malformed json in change flag value \"CMD [true]\"",
    ),
    (
        &["commit", "--compression=lzma", "a", "b"],
        "--compression param only supports zstd or gzip",
    ),
    (
        &["commit", "--format", "tar", "a", "b"],
        "--format param only supports docker or oci",
    ),
    (
        &["commit", "a", "BAD"],
        "repository name (library/BAD) must be lowercase",
    ),
];

#[test]
fn a_malformed_commit_reaches_the_real_nerdctl_without_our_flag_alone() -> Result {
    let setting = Setting::new()?;
    let real = setting.script("real", SHOW_WORDS.as_bytes())?;
    for (words, _) in REFUSED {
        let expected: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let seen = outcome(setting.nerdctl(&real).args(words))?.succeeded()?;
        assert_eq!(split(&seen.stdout), expected);
        let (first, rest) = words.split_at(1);
        let mut command = setting.nerdctl(&real);
        command
            .args(first)
            .args(["--report", "/nowhere"])
            .args(rest);
        let seen = outcome(&mut command)?.succeeded()?;
        assert_eq!(split(&seen.stdout), expected, "with --report");
    }
    Ok(())
}

#[test]
fn without_a_real_nerdctl_a_malformed_commit_is_refused_in_its_words() -> Result {
    let setting = Setting::new()?;
    let empty = setting.path_folder("empty")?;
    for (words, message) in REFUSED {
        let seen = outcome(setting.without_real().args(words).env("PATH", &empty))?;
        assert_eq!(seen.status.code(), Some(1), "{}", seen.describe());
        let logged = message.replace('"', "\\\"");
        assert!(seen.error_text().contains(&logged), "{}", seen.describe());
        assert!(seen.stdout.is_empty(), "{}", seen.describe());
    }
    Ok(())
}
