//! Finding `commit`, or the help of it, among the words, as cobra finds a subcommand (github.com/spf13/cobra, `Command.Traverse`).
//!
//! cobra looks for it before it parses any flag, by rules of its own: after an unknown flag, as after one that takes a
//! value, it skips a word, unless that looks like a flag itself.

use super::flags::{Flag, Place, Takes, by_long_name, by_short_name};
use super::pflag;

/// Where flags of each command may come from.
pub const ROOT: &[Place] = &[Place::Root, Place::Anywhere];
pub const CONTAINER: &[Place] = &[Place::Anywhere];
pub const COMMIT: &[Place] = &[Place::Anywhere, Place::Commit];

/// What the words lead to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'words> {
    Commit(CommitWords<'words>),
    /// The help of `commit` or `container commit`, asked for as cobra's `help` gives it.
    Help(&'static str),
    /// Something else, which is not ours to know.
    Other,
    /// No subcommand would be reached: a flag before it is wrong.
    Mistake(String),
}

/// The words of a commit, each command's flags for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitWords<'words> {
    /// `commit` or `container commit`.
    pub name: &'static str,
    /// Before the first subcommand.
    pub root: &'words [&'words str],
    /// Between `container` and `commit`.
    pub container: &'words [&'words str],
    /// After `commit`.
    pub own: &'words [&'words str],
}

pub fn find<'words>(words: &'words [&'words str]) -> Found<'words> {
    let (root, rest) = words.split_at(length_of_flags(words, ROOT));
    match rest {
        ["help", "commit"] if root.is_empty() => Found::Help("commit"),
        ["help", "container", "commit"] if root.is_empty() => Found::Help("container commit"),
        ["commit", own @ ..] => Found::Commit(CommitWords {
            name: "commit",
            root,
            container: &[],
            own,
        }),
        ["container", after @ ..] => {
            let (container, rest) = after.split_at(length_of_flags(after, CONTAINER));
            match rest {
                ["commit", own @ ..] => Found::Commit(CommitWords {
                    name: "container commit",
                    root,
                    container,
                    own,
                }),
                _ => mistake(root, ROOT).unwrap_or_else(|| other(container, CONTAINER)),
            }
        }
        _ => other(root, ROOT),
    }
}

fn other<'words>(flags: &[&str], places: &[Place]) -> Found<'words> {
    mistake(flags, places).unwrap_or(Found::Other)
}

fn mistake<'words>(flags: &[&str], places: &[Place]) -> Option<Found<'words>> {
    let (_, message) = pflag::parse(flags, places).err()?;
    Some(Found::Mistake(message))
}

/// How many words stand before what cobra takes for a subcommand.
fn length_of_flags(words: &[&str], places: &[Place]) -> usize {
    let mut takes_next = false;
    let is_subcommand = |word: &&str| {
        if let Some(name) = word.strip_prefix("--").filter(|name| !name.contains('=')) {
            takes_next = wants_a_word(by_long_name(name, places));
            return false;
        }
        if let Some(name) = short_name(word)
            && wants_a_word(by_short_name(name, places))
        {
            takes_next = true;
            return false;
        }
        let is_value = std::mem::take(&mut takes_next);
        !is_value && (!word.starts_with('-') || *word == "-")
    };
    words.iter().position(is_subcommand).unwrap_or(words.len())
}

/// The name of a short flag that stands alone.
fn short_name(word: &str) -> Option<char> {
    let name = word.strip_prefix('-').filter(|_| word.len() == 2)?;
    name.chars().next().filter(|name| *name != '=')
}

/// cobra adds its own two flags only once it has found the subcommand.
fn wants_a_word(flag: Option<&Flag>) -> bool {
    flag.is_none_or(|flag| flag.takes != Takes::Boolean || matches!(flag.long, "help" | "version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own<'words>(words: &'words [&'words str]) -> Option<&'words [&'words str]> {
        match find(words) {
            Found::Commit(commit) => Some(commit.own),
            _ => None,
        }
    }

    #[test]
    fn global_flags_may_stand_before_each_subcommand() {
        let words = ["-n", "x", "--debug", "container", "--host=y", "commit", "a"];
        assert_eq!(
            find(&words),
            Found::Commit(CommitWords {
                name: "container commit",
                root: &["-n", "x", "--debug"],
                container: &["--host=y"],
                own: &["a"],
            })
        );
    }

    #[test]
    fn the_help_of_commit_is_found_by_both_names() {
        assert_eq!(find(&["help", "commit"]), Found::Help("commit"));
        let of_container = ["help", "container", "commit"];
        assert_eq!(find(&of_container), Found::Help("container commit"));
        assert_eq!(find(&["help", "container"]), Found::Other);
        assert_eq!(find(&["help", "commit", "x"]), Found::Other);
    }

    #[test]
    fn a_word_after_a_flag_that_takes_one_is_no_subcommand() {
        assert_eq!(own(&["-n", "commit", "commit", "a"]), Some(&["a"][..]));
        assert_eq!(own(&["--namespace", "--debug", "commit"]), Some(&[][..]));
        assert_eq!(own(&["-n", "-x", "commit", "a"]), None);
        assert_eq!(own(&["--", "x", "commit", "a"]), Some(&["a"][..]));
        assert_eq!(own(&["--", "commit", "a"]), None);
        assert_eq!(own(&["--help", "commit", "a"]), None);
        assert_eq!(own(&["-", "commit", "a"]), None);
    }

    #[test]
    fn a_wrong_flag_before_the_subcommand_is_a_mistake() {
        let mistake = |text: &str| Found::Mistake(text.to_owned());
        assert_eq!(
            find(&["--nope", "commit", "a", "b"]),
            mistake("unknown flag: --nope")
        );
        assert_eq!(
            find(&["container", "-n", "commit", "a"]),
            mistake("unknown shorthand flag: 'n' in -n")
        );
        assert_eq!(find(&["ps", "--nope"]), Found::Other);
    }
}
