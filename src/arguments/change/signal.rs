//! The signals that STOPSIGNAL may name: those of the kernel, by number or by name (signal(7); moby/sys, signal).

const NAMES: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];
const HIGHEST: i64 = 64;

pub fn exists(signal: &str) -> bool {
    if let Ok(number) = signal.parse::<i64>() {
        return (1..=HIGHEST).contains(&number);
    }
    let name = signal.to_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    NAMES.contains(&name) || is_real_time(name)
}

/// `RTMIN`, up to `RTMIN+15`, from `RTMAX-14` on, `RTMAX`.
fn is_real_time(name: &str) -> bool {
    matches!(name, "RTMIN" | "RTMAX")
        || (1..=15).any(|offset| name == format!("RTMIN+{offset}"))
        || (1..=14).any(|offset| name == format!("RTMAX-{offset}"))
}

#[cfg(test)]
mod tests {
    use super::exists;

    #[test]
    fn signals_have_numbers_and_names() {
        for signal in [
            "9",
            "64",
            "SIGTERM",
            "term",
            "sigusr1",
            "SIGRTMIN+3",
            "RTMAX-14",
            "RTMAX",
        ] {
            assert!(exists(signal), "{signal}");
        }
        for signal in [
            "",
            "0",
            "-1",
            "65",
            "SIGNOPE",
            "SIGRTMIN+16",
            "RTMIN+03",
            "SIG SIGTERM",
        ] {
            assert!(!exists(signal), "{signal}");
        }
    }
}
