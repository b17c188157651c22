//! Image references, made whole as Docker does (github.com/distribution/reference, `normalize.go` and `regexp.go`).

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PATH: &str = "library/";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// The full form of `reference`: `x` becomes `docker.io/library/x:latest`.
///
/// # Errors
/// A message worded as Docker words it.
pub fn normalise(reference: &str) -> Result<String, String> {
    let invalid = || "invalid reference format".to_owned();
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    let (domain, remainder) = split_domain(rest);
    let (path, tag) = match remainder.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (remainder.as_str(), None),
    };
    if path.chars().any(char::is_uppercase) {
        return Err(format!(
            "{}: repository name ({path}) must be lowercase",
            invalid()
        ));
    }
    let is_valid = is_domain(&domain)
        && path.split('/').all(is_path_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest)
        && !is_identifier(reference);
    if !is_valid {
        return Err(invalid());
    }
    if domain.len() + 1 + path.len() > LONGEST_NAME {
        return Err(format!(
            "repository name must not be more than {LONGEST_NAME} characters"
        ));
    }
    let tag = match (tag, digest) {
        (Some(tag), _) => format!(":{tag}"),
        (None, None) => ":latest".to_owned(),
        (None, Some(_)) => String::new(),
    };
    let digest = digest
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    Ok(format!("{domain}/{path}{tag}{digest}"))
}

/// The first component is a domain where it cannot be anything else.
fn split_domain(name: &str) -> (String, String) {
    let (domain, remainder) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(char::is_uppercase) =>
        {
            (first, rest)
        }
        _ => (DEFAULT_DOMAIN, name),
    };
    let domain = if domain == LEGACY_DEFAULT_DOMAIN {
        DEFAULT_DOMAIN
    } else {
        domain
    };
    let is_official = domain == DEFAULT_DOMAIN && !remainder.contains('/');
    let prefix = if is_official { OFFICIAL_PATH } else { "" };
    (domain.to_owned(), format!("{prefix}{remainder}"))
}

fn is_domain(domain: &str) -> bool {
    if let Some(address) = domain.strip_prefix('[') {
        let Some((address, port)) = address.split_once(']') else {
            return false;
        };
        let is_address = !address.is_empty()
            && address
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b':');
        return is_address && (port.is_empty() || port.strip_prefix(':').is_some_and(is_digits));
    }
    let (host, port) = match domain.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (domain, None),
    };
    port.is_none_or(is_digits) && host.split('.').all(is_domain_component)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_domain_component(component: &str) -> bool {
    let bytes = component.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter()
        .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// Lower-case letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_path_component(component: &str) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(is_plain))
        && component
            .split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
            .all(|joint| {
                matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|byte| byte == b'-')
            })
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(is_word)
        && tag
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hash| hash.len() == 64 && is_lower_hexadecimal(hash))
}

/// 64 hexadecimal digits would be taken for an image's ID.
fn is_identifier(reference: &str) -> bool {
    reference.len() == 64 && is_lower_hexadecimal(reference)
}

fn is_lower_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_made_whole() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (given, whole) in [
            ("x", "docker.io/library/x:latest".to_owned()),
            ("a/b:c", "docker.io/a/b:c".to_owned()),
            ("index.docker.io/x", "docker.io/library/x:latest".to_owned()),
            ("localhost:5000/a/b", "localhost:5000/a/b:latest".to_owned()),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned()),
            (
                "a__b.c--d:v1.0_x-y",
                "docker.io/library/a__b.c--d:v1.0_x-y".to_owned(),
            ),
            (
                &format!("x@{digest}"),
                format!("docker.io/library/x@{digest}"),
            ),
            (
                &format!("x:v1@{digest}"),
                format!("docker.io/library/x:v1@{digest}"),
            ),
        ] {
            assert_eq!(normalise(given), Ok(whole));
        }
    }

    #[test]
    fn bad_references_are_refused_in_dockers_words() {
        for bad in [
            "",
            ":",
            "a:",
            "a:b:c",
            "a//b",
            "-a",
            "a_",
            "a___b",
            "a b",
            "x@sha256:1",
            "/a",
            "a/",
        ] {
            assert_eq!(
                normalise(bad),
                Err("invalid reference format".to_owned()),
                "{bad}"
            );
        }
        assert_eq!(
            normalise("BAD"),
            Err(
                "invalid reference format: repository name (library/BAD) must be lowercase"
                    .to_owned()
            )
        );
        assert!(normalise(&"a".repeat(64)).is_err());
        assert_eq!(
            normalise(&"b".repeat(300)),
            Err("repository name must not be more than 255 characters".to_owned())
        );
    }
}
