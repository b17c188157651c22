//! Ports of EXPOSE: one or a range, with a protocol. An address and a port of the host before it are checked and left
//! out, as Docker does (moby, `dispatchers.go`, `parsePortSpec`).

use std::net::IpAddr;

/// Each port with its protocol, as the image's configuration names it.
///
/// # Errors
/// What is wrong with `text`.
pub fn read(text: &str) -> Result<Vec<String>, String> {
    let (address, host, container) = split(text);
    let (ports, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = match protocol.to_lowercase().as_str() {
        "" => "tcp".to_owned(),
        protocol @ ("tcp" | "udp" | "sctp") => protocol.to_owned(),
        _ => {
            return Err(format!(
                "the protocol of {text} is none of tcp, udp and sctp"
            ));
        }
    };
    let (first, last) = range(ports)?;
    if !address.is_empty() {
        let bare = address
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        bare.unwrap_or(address)
            .parse::<IpAddr>()
            .map_err(|_| format!("{address} is no IP address"))?;
    }
    if !host.is_empty() {
        let (first_of_host, last_of_host) = range(host)?;
        if first != last && last - first != last_of_host - first_of_host {
            return Err(format!("the ranges {host} and {ports} differ in length"));
        }
    }
    Ok((first..=last)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

/// `[[ADDRESS:]HOST:]CONTAINER`
fn split(text: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = text.rsplit_once(':') else {
        return ("", "", text);
    };
    let (address, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    (address, host, container)
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if last < first {
        return Err(format!("the range {text} ends before it begins"));
    }
    Ok((first, last))
}

fn port(text: &str) -> Result<u16, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| is_number);
    port.ok_or_else(|| format!("{text:?} is no port from 0 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_single_or_ranges_of_a_protocol() {
        for (text, ports) in [
            ("80", &["80/tcp"][..]),
            ("80/", &["80/tcp"]),
            ("80-82/UDP", &["80/udp", "81/udp", "82/udp"]),
            ("0", &["0/tcp"]),
            ("65535/sctp", &["65535/sctp"]),
            ("8080:80", &["80/tcp"]),
            ("127.0.0.1:8080-8081:80", &["80/tcp"]),
            ("[::1]:80:81", &["81/tcp"]),
            (":80", &["80/tcp"]),
        ] {
            assert_eq!(read(text).unwrap(), ports, "{text}");
        }
        assert_eq!(read("0-65535").unwrap().len(), 65536);
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in [
            "",
            "/tcp",
            "http",
            "+80",
            "-1",
            "80-",
            "65536",
            "82-80",
            "80/icmp",
            "80/tcp/udp",
            "a:80",
            "x:1:80",
            "1-2:3-5",
            "[::1:80:81",
            "80 81",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
