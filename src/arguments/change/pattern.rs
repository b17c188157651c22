//! Patterns of substitutions: `*` and `?`, and escapes of what would mean something (buildkit, `shell/lex.go`).

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Front,
    Back,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    AnyText,
    AnyCharacter,
    Character(char),
}

pub struct Pattern {
    tokens: Vec<Token>,
}

impl Pattern {
    /// # Errors
    /// A character is escaped that means nothing.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            tokens.push(match character {
                '*' => Token::AnyText,
                '?' => Token::AnyCharacter,
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '/' | '}')) => Token::Character(escaped),
                    _ => {
                        return Err(format!(
                            "the pattern {text:?} escapes what means nothing in it"
                        ));
                    }
                },
                _ => Token::Character(character),
            });
        }
        Ok(Self { tokens })
    }

    /// `value` without what matches at one side of it.
    pub fn trim(&self, value: &str, side: Side, is_longest: bool) -> String {
        let mut text: Vec<char> = value.chars().collect();
        let mut tokens = self.tokens.clone();
        if side == Side::Back {
            text.reverse();
            tokens.reverse();
        }
        let matched = match_length(&tokens, &text, is_longest).unwrap_or_default();
        text.drain(..matched);
        if side == Side::Back {
            text.reverse();
        }
        text.into_iter().collect()
    }

    /// `value` with the first, or every, longest match replaced.
    pub fn replace(&self, value: &str, replacement: &str, is_everywhere: bool) -> String {
        let text: Vec<char> = value.chars().collect();
        let mut replaced = String::new();
        let mut position = 0;
        // Nothing right behind a match is no match of its own.
        let mut follows_match = false;
        while position <= text.len() {
            let matched = match_length(&self.tokens, &text[position..], true);
            let matched = matched.filter(|length| *length > 0 || !follows_match);
            if matched.is_some() {
                replaced.push_str(replacement);
            }
            let length = matched.unwrap_or_default();
            follows_match = length > 0;
            position += length;
            if matched.is_some() && !is_everywhere {
                break;
            }
            if length == 0 {
                replaced.extend(text.get(position));
                position += 1;
            }
        }
        replaced.extend(text.get(position..).unwrap_or_default());
        replaced
    }
}

/// How much of the front of `text` the pattern takes: a set of places in the pattern, moved on by each character.
fn match_length(tokens: &[Token], text: &[char], is_longest: bool) -> Option<usize> {
    let mut places = vec![false; tokens.len() + 1];
    places[0] = true;
    let mut length = None;
    for position in 0..=text.len() {
        for (place, token) in tokens.iter().enumerate() {
            places[place + 1] |= places[place] && *token == Token::AnyText;
        }
        if places[tokens.len()] {
            length = Some(position);
            if !is_longest {
                break;
            }
        }
        if !places.contains(&true) {
            break;
        }
        if let Some(character) = text.get(position) {
            places = moved_on(tokens, &places, *character);
        }
    }
    length
}

fn moved_on(tokens: &[Token], places: &[bool], character: char) -> Vec<bool> {
    let mut next = vec![false; places.len()];
    for (place, token) in tokens.iter().enumerate() {
        match token {
            Token::AnyText if character != '\n' => next[place] |= places[place],
            Token::AnyCharacter if character != '\n' => next[place + 1] |= places[place],
            Token::Character(expected) if character == *expected => {
                next[place + 1] |= places[place];
            }
            _ => {}
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::read(text).unwrap()
    }

    #[test]
    fn a_side_is_trimmed_by_the_shortest_or_the_longest_match() {
        let trim = |text, side, is_longest| pattern(text).trim("abcabc", side, is_longest);
        assert_eq!(trim("*b", Side::Front, false), "cabc");
        assert_eq!(trim("*b", Side::Front, true), "c");
        assert_eq!(trim("b*", Side::Back, false), "abca");
        assert_eq!(trim("b*", Side::Back, true), "a");
        assert_eq!(trim("?b", Side::Front, false), "cabc");
        assert_eq!(trim("x", Side::Front, true), "abcabc");
        assert_eq!(trim("*", Side::Back, true), "");
    }

    #[test]
    fn one_match_or_every_match_is_replaced() {
        let replace = |text, all| pattern(text).replace("a.b.c", "-", all);
        assert_eq!(replace(".", false), "a-b.c");
        assert_eq!(replace(".", true), "a-b-c");
        assert_eq!(replace("*", true), "-");
        assert_eq!(replace("", true), "-a-.-b-.-c-");
        assert_eq!(replace("", false), "-a.b.c");
        assert_eq!(replace("x", true), "a.b.c");
    }

    #[test]
    fn stars_are_literal_when_escaped() {
        assert_eq!(pattern(r"\*?").trim("*ab", Side::Front, false), "b");
        assert!(Pattern::read(r"\a").is_err());
        assert!(Pattern::read("a\\").is_err());
    }
}
