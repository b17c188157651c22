//! Image references, made whole as Docker does (github.com/distribution/reference, `normalize.go` and `regexp.go`).

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PATH: &str = "library/";
const INVALID: &str = "invalid reference format";
const LONGEST_PATH: usize = 255;
const SHORTEST_DIGEST: usize = 32;
const LONGEST_TAG: usize = 128;

/// The full form of `reference`: `x` becomes `docker.io/library/x:latest`. What would be an image's ID, or a digest alone,
/// is a name of its own (nerdctl's pkg/referenceutil).
///
/// # Errors
/// A message worded as nerdctl words it.
pub fn normalise(reference: &str) -> Result<String, String> {
    if reference.starts_with("oci-archive://") {
        return Err("image must be loaded from archive before parsing image reference".to_owned());
    }
    let mut ipfs = ["ipfs://", "ipns://"].into_iter();
    let reference = ipfs
        .find_map(|scheme| reference.strip_prefix(scheme))
        .unwrap_or(reference);
    if check_digest(reference).is_ok() {
        return Ok(reference.to_owned());
    }
    let identifier = format!("sha256:{reference}");
    if check_digest(&identifier).is_ok() {
        return Ok(identifier);
    }
    normalise_name(reference)
}

/// The image of that `digest` in the repository that `name`, a full one, leads to; none where it leads to no repository.
pub fn by_digest(name: &str, digest: &str) -> Option<String> {
    let (tagged, _) = split_at(name, '@');
    let (place, last) = tagged.rsplit_once('/')?;
    let (last, _) = split_at(last, ':');
    normalise(&format!("{place}/{last}@{digest}")).ok()
}

fn normalise_name(reference: &str) -> Result<String, String> {
    let (domain, remainder) = split_domain(reference);
    let name = remainder.split(':').next().unwrap_or_default();
    if name.to_lowercase() != name {
        return Err(format!(
            "{INVALID}: repository name ({name}) must be lowercase"
        ));
    }
    let (tagged, digest) = split_at(&remainder, '@');
    let (path, tag) = split_at(tagged, ':');
    let is_valid = is_domain(&domain)
        && path.split('/').all(is_path_component)
        && tag.is_none_or(is_tag)
        && digest.is_none_or(is_digest_like);
    if !is_valid {
        return Err(INVALID.to_owned());
    }
    if path.len() > LONGEST_PATH {
        return Err(format!(
            "repository name must not be more than {LONGEST_PATH} characters"
        ));
    }
    digest.map_or(Ok(()), check_digest)?;
    Ok(match (tag, digest) {
        (None, None) => format!("{domain}/{path}:latest"),
        _ => format!("{domain}/{remainder}"),
    })
}

fn split_at(text: &str, separator: char) -> (&str, Option<&str>) {
    match text.split_once(separator) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
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

/// What may follow an `@`: a word, a colon and many hexadecimal digits.
fn is_digest_like(digest: &str) -> bool {
    let is_word = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    digest.split_once(':').is_some_and(|(algorithm, encoded)| {
        algorithm.split(['-', '_', '+', '.']).all(is_word)
            && encoded.len() >= SHORTEST_DIGEST
            && encoded.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Go's digest.Parse (github.com/opencontainers/go-digest) on what looks like one.
fn check_digest(digest: &str) -> Result<(), String> {
    let (algorithm, encoded) = digest.split_once(':').unwrap_or_default();
    let length = match algorithm {
        "sha256" => 64,
        "sha384" => 96,
        "sha512" => 128,
        _ => return Err("unsupported digest algorithm".to_owned()),
    };
    if encoded.len() != length {
        return Err("invalid checksum digest length".to_owned());
    }
    if !is_lower_hexadecimal(encoded) {
        return Err("invalid checksum digest format".to_owned());
    }
    Ok(())
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
            (&digest, digest.clone()),
            (&"a".repeat(64), digest.clone()),
            ("ipfs://x", "docker.io/library/x:latest".to_owned()),
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
        let hash = "a".repeat(64);
        for (bad, message) in [
            (
                "b".repeat(300),
                "repository name must not be more than 255 characters",
            ),
            (format!("x@md5:{hash}"), "unsupported digest algorithm"),
            (
                format!("x@sha256:{hash}0"),
                "invalid checksum digest length",
            ),
            (
                format!("x@sha256:{}", "A".repeat(64)),
                "invalid checksum digest format",
            ),
        ] {
            assert_eq!(normalise(&bad), Err(message.to_owned()), "{bad}");
        }
    }

    #[test]
    fn an_image_has_a_name_by_its_digest_where_its_name_leads_to_a_repository() {
        let digest = format!("sha256:{}", "0123456789abcdef".repeat(4));
        let other = digest.replace('0', "f");
        let named = |name: &str| by_digest(name, &digest);
        let some = |repository: &str| Some(format!("{repository}@{digest}"));
        assert_eq!(named("docker.io/library/x:1"), some("docker.io/library/x"));
        assert_eq!(named("localhost:5000/x"), some("localhost:5000/x"));
        assert_eq!(named("[::1]:80/a/x:latest"), some("[::1]:80/a/x"));
        assert_eq!(
            named(&format!("quay.io/a/x:1@{other}")),
            some("quay.io/a/x")
        );
        for nowhere in [&*other, "x:1", "", "quay.io/"] {
            assert_eq!(named(nowhere), None, "{nowhere}");
        }
    }
}
