//! `--change`: what a commit changes in the configuration of the image.

/// CMD and ENTRYPOINT of the new image, `None` where the base image's stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
}

impl Changes {
    /// Reads directives such as `CMD ["a", "b"]`; of the same one twice, the last counts.
    ///
    /// # Errors
    /// A message worded as nerdctl words it.
    pub fn parse(values: &[String]) -> Result<Self, String> {
        let mut changes = Self::default();
        // pflag reads a single empty value as no value at all.
        if matches!(values, [only] if only.is_empty()) {
            return Ok(changes);
        }
        for value in values {
            changes.apply(value)?;
        }
        Ok(changes)
    }

    fn apply(&mut self, value: &str) -> Result<(), String> {
        let Some(directive) = value.split_whitespace().next() else {
            return Err("received an empty value in change flag".to_owned());
        };
        let target = match directive {
            "CMD" => &mut self.command,
            "ENTRYPOINT" => &mut self.entrypoint,
            _ => return Err(format!("unknown change directive {directive:?}")),
        };
        let malformed = || format!("malformed json in change flag value {value:?}");
        let words = value.strip_prefix(directive).ok_or_else(malformed)?;
        let words: Option<Vec<Option<String>>> =
            serde_json::from_str(words).map_err(|_| malformed())?;
        // As Go decodes them: null is no change, and an empty string within an array.
        if let Some(words) = words {
            *target = Some(words.into_iter().map(Option::unwrap_or_default).collect());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Result<Changes, String> {
        Changes::parse(&values.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn the_last_of_each_directive_counts() {
        let changes = parse(&[
            "CMD [\"a\"]",
            "ENTRYPOINT\t[\"b\", null]",
            "CMD [\"c\",\"d\"]",
            "CMD null",
        ]);
        assert_eq!(
            changes,
            Ok(Changes {
                command: Some(vec!["c".into(), "d".into()]),
                entrypoint: Some(vec!["b".into(), String::new()]),
            })
        );
        assert_eq!(parse(&[""]), Ok(Changes::default()));
    }

    #[test]
    fn bad_directives_are_refused_in_nerdctls_words() {
        assert_eq!(
            parse(&["ENV a=b"]),
            Err("unknown change directive \"ENV\"".into())
        );
        assert_eq!(
            parse(&["CMD foo"]),
            Err("malformed json in change flag value \"CMD foo\"".into())
        );
        assert!(parse(&["CMD [1]"]).is_err());
        assert!(parse(&["   "]).is_err());
        assert!(parse(&["CMD []", ""]).is_err());
    }
}
