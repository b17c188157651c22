//! The last that the real nerdctl said, which is the reason where it failed.

/// The letters of a level that logrus shows on a terminal.
const LEVEL: usize = 4;

/// The last line of `errors`, without what logrus (`TextFormatter`) puts around a message: `FATA[0000] ` and colours on a
/// terminal, else `time=… level=… msg=…`.
pub fn last_words(errors: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(errors);
    let line = said.lines().rfind(|line| !line.trim().is_empty())?;
    let line = without_colours(line.trim());
    let message = of_a_log(&line).or_else(|| of_a_terminal(&line));
    Some(message.unwrap_or(line))
}

/// Without the sequences that set colours (ECMA-48, 8.3.117).
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default();
    let others = parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text));
    std::iter::once(first).chain(others).collect()
}

/// A message with a blank or the like in it is in quotes, as Go's `%q` makes them, which JSON reads but for rare escapes.
fn of_a_log(line: &str) -> Option<String> {
    let (_, message) = line.strip_prefix("time=")?.split_once(" msg=")?;
    if !message.starts_with('"') {
        return message.split(' ').next().map(str::to_owned);
    }
    let mut words = serde_json::Deserializer::from_str(message).into_iter();
    words.next()?.ok()
}

fn of_a_terminal(line: &str) -> Option<String> {
    let (level, rest) = line
        .split_once('[')
        .filter(|(level, _)| level.len() == LEVEL)?;
    let (seconds, message) = rest.split_once(']')?;
    let is_time = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    let is_level = level.bytes().all(|byte| byte.is_ascii_uppercase());
    (is_time && is_level).then(|| message.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_last_words_are_the_message_alone() {
        let last_words = |errors: &str| super::last_words(errors.as_bytes());
        let some = |text: &str| Some(text.to_owned());
        let plain = "time=\"2026-11-27T13:00:00Z\" level=fatal msg=\"no \\\"x\\\" here\"\n";
        assert_eq!(last_words(plain), some("no \"x\" here"));
        let more = "time=\"now\" level=fatal msg=\"a msg=b\" error=\"c\"\n";
        assert_eq!(last_words(more), some("a msg=b"));
        let short = "time=\"2026-11-27T13:00:00Z\" level=fatal msg=denied\n";
        assert_eq!(last_words(short), some("denied"));
        let terminal = "warning\r\n\x1b[31mFATA\x1b[0m[1012] no msg=luck [0]        \r\n\r\n";
        assert_eq!(last_words(terminal), some("no msg=luck [0]"));
        assert_eq!(
            last_words("a script's own [0] word\n"),
            some("a script's own [0] word")
        );
        assert_eq!(last_words("\n"), None);
    }
}
