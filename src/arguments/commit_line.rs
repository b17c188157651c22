//! The words of a commit as they were typed: which of them the real nerdctl gets, and which have to be text.

use std::ffi::OsString;

use super::mistake::Mistake;
use super::pflag::Setting;
use crate::system::text::quoted;

/// Flags that no nerdctl knows.
pub const OURS: [&str; 2] = ["report", "max-pause"];

/// The words of a commit, of which those behind `commit` gave the settings.
pub struct CommitLine<'a> {
    pub all: &'a [OsString],
    pub first_own: usize,
}

impl CommitLine<'_> {
    /// Whether the word at `position` belongs to one of the flags that `names` has.
    fn is_of(&self, position: usize, settings: &[Setting], names: &[&str]) -> bool {
        let Some(own) = position.checked_sub(self.first_own) else {
            return false;
        };
        let mut of_them = settings.iter().filter(|set| names.contains(&set.name));
        of_them.any(|set| set.words.contains(&own))
    }

    /// All words but those of our own flags.
    pub fn for_the_real_one(&self, settings: &[Setting]) -> Vec<OsString> {
        let words = self.all.iter().enumerate();
        let kept = words.filter(|(position, _)| !self.is_of(*position, settings, &OURS));
        kept.map(|(_, word)| word.clone()).collect()
    }

    /// What is no UTF-8 is as good as text where an image quotes it, but names nothing.
    pub fn check_text(&self, settings: &[Setting]) -> Result<(), Mistake> {
        let is_odd = |(position, word): &(usize, &OsString)| {
            let quotes = ["author", "message", "change"];
            word.to_str().is_none() && !self.is_of(*position, settings, &quotes)
        };
        let Some((_, word)) = self.all.iter().enumerate().find(is_odd) else {
            return Ok(());
        };
        Err(Mistake {
            message: format!(
                "{} is no UTF-8, which in a commit only --author, --message and --change may be",
                quoted(&word.to_string_lossy())
            ),
            is_stocks: !settings.iter().any(|setting| OURS.contains(&setting.name)),
        })
    }

    /// Whether what sets `name` is UTF-8; a path that is not would be another one.
    pub fn is_text(&self, settings: &[Setting], name: &str) -> bool {
        let set = settings.iter().rfind(|setting| setting.name == name);
        let own = &self.all[self.first_own..];
        let mut words = set.into_iter().flat_map(|set| &own[set.words.clone()]);
        words.all(|word| word.to_str().is_some())
    }
}
