//! The program's commands under its own name, for help, completions and the man page. nerdctl's arguments are not parsed
//! here: see `arguments`.

use clap::{Arg, ArgAction, Command, ValueHint};

use crate::arguments::{FLAGS, FOR_THE_REAL_ONE, Place, Takes};

/// All commands, with their help.
pub fn command() -> Command {
    Command::new("freezeframe")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Stands in front of nerdctl; its commit freezes a container for milliseconds")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(commit())
        .subcommand(
            Command::new("nerdctl")
                .about("Be nerdctl: commits are ours, everything else is the real one's")
                .disable_help_flag(true)
                .arg(
                    Arg::new("arguments")
                        .num_args(0..)
                        .allow_hyphen_values(true)
                        .trailing_var_arg(true)
                        .help("nerdctl's own arguments"),
                ),
        )
}

/// `commit`, with nerdctl's flags.
pub fn commit() -> Command {
    let flags = FLAGS
        .iter()
        .filter(|flag| {
            flag.place != Place::Root && flag.long != "help" && flag.help != FOR_THE_REAL_ONE
        })
        .map(|flag| {
            let arg = Arg::new(flag.long).long(flag.long).help(flag.help);
            let arg = match flag.takes {
                Takes::Boolean => arg.num_args(0..=1).require_equals(true).value_name("BOOL"),
                Takes::Text => arg.value_name("TEXT").action(ArgAction::Append),
                Takes::Number => arg.value_name("NUMBER"),
            };
            // For completions; the help names them already.
            let arg = match flag.long {
                "compression" => arg.value_parser(["gzip", "zstd"]),
                "format" => arg.value_parser(["docker", "oci"]),
                _ => arg,
            };
            let arg = arg.hide_possible_values(true).value_hint(hint(flag.long));
            match flag.short {
                Some(short) => arg.short(short),
                None => arg,
            }
        });
    Command::new("commit")
        .about("Create a new image from a container's changes")
        .override_usage("nerdctl commit [FLAGS] CONTAINER REPOSITORY[:TAG]")
        .args(flags)
        .arg(
            Arg::new("container")
                .value_name("CONTAINER")
                .required(true)
                .value_hint(ValueHint::Other)
                .help("name or ID"),
        )
        .arg(
            Arg::new("reference")
                .value_name("REPOSITORY[:TAG]")
                .required(true)
                .value_hint(ValueHint::Other)
                .help("the new image's name"),
        )
}

/// What completions offer for a flag's value: nothing, where it is no path.
fn hint(flag: &str) -> ValueHint {
    match flag {
        "address" | "host" | "report" => ValueHint::FilePath,
        _ => ValueHint::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use clap_complete::{Shell, generate};
    use clap_mangen::Man;

    use super::command;

    /// The files in `completions` and `man` are made from the commands above. With `UPDATE_GENERATED` set, this test makes
    /// them anew.
    #[test]
    fn completions_and_man_page_are_those_of_the_commands() {
        for (shell, path) in [
            (Shell::Bash, "completions/freezeframe.bash"),
            (Shell::Zsh, "completions/_freezeframe"),
            (Shell::Fish, "completions/freezeframe.fish"),
        ] {
            let mut text = Vec::new();
            generate(shell, &mut command(), "freezeframe", &mut text);
            expect_file(path, &text);
        }
        expect_file("man/freezeframe.1", &man_page());
    }

    /// A comment, for roff.
    const FLAGS_GO_HERE: &str = ".\\\" The flags of commit.\n";

    fn man_page() -> Vec<u8> {
        let mut text = Vec::new();
        let page = Man::new(command()).date("\"\"").manual("freezeframe");
        page.render_title(&mut text).unwrap();
        page.render_name_section(&mut text).unwrap();
        let mut commit = Vec::new();
        let flags = Man::new(super::commit().disable_help_flag(true));
        flags.render_options_section(&mut commit).unwrap();
        let flags = String::from_utf8(commit).unwrap();
        let flags = flags.replacen(".SH OPTIONS", ".SH FLAGS OF COMMIT", 1);
        let sections = include_str!("../man/sections.roff").replacen(FLAGS_GO_HERE, &flags, 1);
        text.extend(sections.into_bytes());
        text
    }

    fn expect_file(path: &str, text: &[u8]) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            fs::write(&path, text).unwrap();
        }
        let known = fs::read(&path).unwrap();
        assert!(
            known == text,
            "{} is out of date: see this test",
            path.display()
        );
    }
}
