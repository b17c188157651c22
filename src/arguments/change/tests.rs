use super::*;

fn owned(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn parse(values: &[&str]) -> Result<Changes, Mistake> {
    Changes::parse(&owned(values))
}

fn environment() -> Environment {
    let pairs = [("HOME", "/root"), ("PORTS", "80 443/udp"), ("empty", "")];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// The properties that one value sets.
fn properties(value: &str) -> Vec<Property<String>> {
    parse(&[value]).unwrap().expand(environment()).unwrap()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn exec(words: &[&str]) -> CommandLine {
    CommandLine::Exec(owned(words))
}

fn shell(line: &str) -> CommandLine {
    CommandLine::Shell(line.to_owned())
}

#[test]
fn what_stock_takes_means_what_it_means_there() {
    let changes = parse(&[
        "CMD [\"a\"]",
        "ENTRYPOINT\t[\"b\", null]",
        "CMD\n[\"c\",\n\"d\"]",
    ])
    .unwrap();
    assert_eq!(changes.command, Some(exec(&["c", "d"])));
    assert_eq!(changes.entrypoint, Some(exec(&["b", ""])));
    assert_eq!(changes.warnings, [stock::SECOND_COMMAND]);
    assert_eq!(changes.beyond_stock, None);
    assert_eq!(parse(&[""]), Ok(Changes::default()));
    assert_eq!(parse(&["CMD null"]), Ok(Changes::default()));
    // The last one counts, and takes the earlier one back.
    let changes = parse(&["ENTRYPOINT []", "ENTRYPOINT null"]).unwrap();
    assert_eq!(changes.entrypoint, None);
    assert_eq!(changes.warnings, [stock::SECOND_ENTRYPOINT]);
}

#[test]
fn what_is_no_json_is_for_the_shell() {
    for (value, line) in [
        ("CMD echo $HOME  \"x\"", "echo $HOME  \"x\""),
        ("cmd   echo hi  ", "echo hi"),
        ("CMD [ -f /x ] && y", "[ -f /x ] && y"),
        ("CMD \"a\"", "\"a\""),
        ("CMD -- --x", "--x"),
        ("CMD a \\\n  b", "a   b"),
    ] {
        let changes = parse(&[value]).unwrap();
        assert_eq!(changes.command, Some(shell(line)), "{value}");
        assert!(changes.beyond_stock.is_some(), "{value}");
    }
    assert_eq!(
        parse(&["entrypoint a b"]).unwrap().entrypoint,
        Some(shell("a b"))
    );
    assert_eq!(
        parse(&["entrypoint [\"a\"]"]).unwrap().entrypoint,
        Some(exec(&["a"]))
    );
}

#[test]
fn what_stock_refuses_too_is_refused_in_its_words() {
    for (values, message) in [
        (&["FOO a"][..], "unknown change directive \"FOO\""),
        (&["run x"], "unknown change directive \"run\""),
        (
            &["CMD[\"a\"]"],
            "unknown change directive \"CMD[\\\"a\\\"]\"",
        ),
        (
            &["CMD [a]"],
            "malformed json in change flag value \"CMD [a]\"",
        ),
        (
            &["CMD [\"a\""],
            "malformed json in change flag value \"CMD [\\\"a\\\"\"",
        ),
        (
            &["ENTRYPOINT [1]"],
            "malformed json in change flag value \"ENTRYPOINT [1]\"",
        ),
        (&["CMD"], "malformed json in change flag value \"CMD\""),
        (&["CMD []", ""], "received an empty value in change flag"),
    ] {
        let mistake = parse(values).unwrap_err();
        assert_eq!(mistake.message, message);
        assert!(mistake.is_stocks, "{message}");
    }
}

#[test]
fn what_stock_would_call_something_else_is_ours_to_refuse() {
    for (values, message) in [
        (
            &["ENV a=b", "FOO x"][..],
            "unknown change directive \"FOO\"",
        ),
        (
            &["cmd [a]"],
            "malformed json in change flag value \"cmd [a]\"",
        ),
        (
            &["EXPOSE http"],
            "--change \"EXPOSE http\": \"http\" is no port from 0 to 65535",
        ),
        (&["CMD --x"], "--change \"CMD --x\": CMD knows no flag --x"),
        // Stock panics.
        (&["   "], "received an empty value in change flag"),
        (&["USER me", ""], "received an empty value in change flag"),
    ] {
        let mistake = parse(values).unwrap_err();
        assert_eq!(mistake.message, message);
        assert!(!mistake.is_stocks, "{message}");
    }
}

#[test]
fn the_first_directive_beyond_stock_is_known() {
    let beyond = |values: &[&str]| parse(values).unwrap().beyond_stock;
    assert_eq!(
        beyond(&["CMD [\"a\"]", "env a=b", "USER c"]).as_deref(),
        Some("env")
    );
    assert_eq!(beyond(&["CMD a"]).as_deref(), Some("CMD"));
}

#[test]
fn variables_of_the_image_are_replaced() {
    assert_eq!(
        properties("ENV a=$HOME/x b='$HOME' c=\"two words\" d=e\\ f"),
        [Property::Environment(pairs(&[
            ("a", "/root/x"),
            ("b", "$HOME"),
            ("c", "two words"),
            ("d", "e f")
        ]))]
    );
}

#[test]
fn names_and_values_have_an_old_form_and_a_new_one() {
    assert_eq!(
        properties("ENV name  some \"quoted\" value=x"),
        [Property::Environment(pairs(&[(
            "name",
            "some quoted value=x"
        )]))]
    );
    assert_eq!(
        properties("LABEL \"a b\"=c d= e='f'"),
        [Property::Labels(pairs(&[
            ("a b", "c"),
            ("d", ""),
            ("e", "f")
        ]))]
    );
}

#[test]
fn a_variable_is_known_from_the_next_instruction_on() {
    assert_eq!(
        properties("ENV a=1 b=$a\nUSER $a$b"),
        [
            Property::Environment(pairs(&[("a", "1"), ("b", "")])),
            Property::User("1".into())
        ]
    );
}

#[test]
fn ports_are_words_of_variables_too() {
    let ports = |list: &[&str]| [Property::ExposedPorts(owned(list))];
    assert_eq!(
        properties("EXPOSE $PORTS 8000-8001"),
        ports(&["80/tcp", "443/udp", "8000/tcp", "8001/tcp"])
    );
    assert_eq!(properties("EXPOSE $empty"), ports(&[]));
}

#[test]
fn the_other_instructions_are_dockers() {
    for (value, property) in [
        ("STOPSIGNAL SIGUSR1", Property::StopSignal("SIGUSR1".into())),
        ("user  \"a b\":c", Property::User("a b:c".into())),
        (
            "VOLUME /a $HOME/b",
            Property::Volumes(owned(&["/a", "/root/b"])),
        ),
        (
            "VOLUME [\"/a b\", \" /c \"]",
            Property::Volumes(owned(&["/a b", "/c"])),
        ),
        (
            "WORKDIR a/../$HOME",
            Property::WorkingDirectory("a/..//root".into()),
        ),
        (
            "ONBUILD run echo $HOME",
            Property::OnBuild("run echo $HOME".into()),
        ),
        ("ONBUILD ENV a=$b", Property::OnBuild("ENV a=$b".into())),
    ] {
        assert_eq!(properties(value), [property], "{value}");
    }
}

#[test]
fn health_checks_have_times_and_a_command_or_none() {
    let healthcheck = |value| match properties(value).remove(0) {
        Property::Healthcheck(healthcheck) => healthcheck,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        healthcheck(
            "HEALTHCHECK --interval=1m --timeout=2s --start-period=0 --start-interval=5ms --retries=3 cmd a $b"
        ),
        Healthcheck {
            test: owned(&["CMD-SHELL", "a $b"]),
            interval: 60_000_000_000,
            timeout: 2_000_000_000,
            start_period: 0,
            start_interval: 5_000_000,
            retries: 3,
        }
    );
    assert_eq!(
        healthcheck("HEALTHCHECK CMD [\"a\", \"b\"]").test,
        ["CMD", "a", "b"]
    );
    assert_eq!(healthcheck("healthcheck none").test, ["NONE"]);
}

#[test]
fn nonsense_is_refused_before_there_is_an_environment() {
    for value in [
        "ENV",
        "ENV a",
        "ENV a=b c",
        "ENV =b",
        "ENV ''=b",
        "ENV a='b",
        "ENV a=${b",
        "ENV --x a=b",
        "LABEL a",
        "LABEL =b",
        "EXPOSE",
        "EXPOSE 80/icmp",
        "EXPOSE 65536",
        "STOPSIGNAL",
        "STOPSIGNAL SIGNOPE",
        "STOPSIGNAL 0",
        "STOPSIGNAL TERM KILL",
        "USER",
        "VOLUME",
        "VOLUME []",
        "VOLUME [\"\"]",
        "VOLUME [1]",
        "WORKDIR",
        "WORKDIR ''",
        "HEALTHCHECK",
        "HEALTHCHECK CMD",
        "HEALTHCHECK CMD []",
        "HEALTHCHECK CMD [1]",
        "HEALTHCHECK NONE x",
        "HEALTHCHECK RUN x",
        "HEALTHCHECK --interval CMD x",
        "HEALTHCHECK --interval=5 CMD x",
        "HEALTHCHECK --interval=1us CMD x",
        "HEALTHCHECK --timeout=-1s CMD x",
        "HEALTHCHECK --retries=-1 CMD x",
        "HEALTHCHECK --retries=1 --retries=2 CMD x",
        "HEALTHCHECK --nope=1 CMD x",
        "ONBUILD",
        "ONBUILD ONBUILD RUN x",
        "ONBUILD from x",
        "ONBUILD MAINTAINER x",
        "ONBUILD NOPE x",
        "ONBUILD ENV a",
        "ONBUILD RUN [1]",
        "ONBUILD RUN <<EOF\nENV a=b\nEOF",
        "# escape=x\nUSER me",
        "USER me\nNOPE x",
    ] {
        let mistake = parse(&[value]).expect_err(value);
        assert!(!mistake.is_stocks, "{value}");
    }
}

#[test]
fn nonsense_of_variables_is_refused_when_they_are_known() {
    for value in [
        "ENV $empty=x",
        "LABEL $none=x",
        "EXPOSE $HOME",
        "STOPSIGNAL $none",
        "VOLUME /a $none",
        "WORKDIR $empty",
        "USER ${none:?}",
    ] {
        let message = parse(&[value])
            .unwrap()
            .expand(environment())
            .expect_err(value);
        assert!(
            message.starts_with(&format!("--change {value:?}: ")),
            "{message}"
        );
    }
}

#[test]
fn values_are_one_dockerfile() {
    let changes = parse(&["ENV a=1 \\", "b=2", "# a comment", "USER me"]).unwrap();
    assert_eq!(
        changes.expand(environment()),
        Ok(vec![
            Property::Environment(pairs(&[("a", "1"), ("b", "2")])),
            Property::User("me".into())
        ])
    );
}

/// A small generator of numbers (Marsaglia, "Xorshift RNGs"), the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

#[test]
fn no_value_makes_us_panic() {
    const PARTS: [&str; 56] = [
        "CMD",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "HEALTHCHECK",
        "LABEL",
        "ONBUILD",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
        "RUN",
        "NONE",
        "# escape=`",
        "--interval=",
        "--retries=",
        "--",
        "5s",
        ".",
        "1h",
        "9",
        "80",
        "-",
        "/tcp",
        "[",
        "]",
        "\"",
        "'",
        "`",
        "\\",
        "\\\n",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\u{a0}",
        "\u{b}",
        "$",
        "${",
        "}",
        ":",
        "?",
        "+",
        "#",
        "##",
        "%",
        "/",
        "//",
        "*",
        "=",
        "a",
        "HOME",
        "\u{e4}",
        "\u{1f600}",
        "\0",
        "<<EOF",
    ];
    let mut numbers = Numbers(0x5eed);
    for _ in 0..20_000 {
        let length = 1 + numbers.below(12);
        let parts = (0..length).map(|_| PARTS[numbers.below(PARTS.len())]);
        let value: String = parts.collect();
        let keyword = property::KEYWORDS[numbers.below(property::KEYWORDS.len())];
        for value in [value.clone(), format!("{keyword} {value}")] {
            if let Ok(changes) = parse(&[&value]) {
                let _ = changes.expand(environment());
            }
        }
    }
    for _ in 0..5_000 {
        let bytes: Vec<u8> = (0..numbers.below(60))
            .map(|_| numbers.below(256).to_le_bytes()[0])
            .collect();
        let _ = parse(&[&String::from_utf8_lossy(&bytes)]);
    }
}
