//! The one program inside the test images.
//!
//! It measures from within how long its container stood still (`heartbeat`),
//! writes files that keep a law at every instant (`write-law`, checked on any tree
//! by `check-law`), makes load (`churn`, `append-logs`, `big`, `spin`) and files and
//! processes to measure with (`files`, `crowd`), changes things one step after the
//! other (`overwrite`, `relink`), holds a file in a way that is hard to see (`hold`),
//! makes trees that nobody likes to walk (`swap`, `deep`, `names`), and runs a program
//! as on a kernel that is older (`without`).
//! Linked statically, as the image has no C library.

mod calls;
mod crowd;
mod files;
mod heartbeat;
mod hold;
mod hostile;
mod law;
mod load;
mod mapping;
mod random;
mod steps;

use std::io;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: probe heartbeat FILE
       probe spin FILE
       probe files DIR COUNT LENGTH
       probe write-law DIR
       probe check-law DIR
       probe churn DIR COUNT
       probe append-logs DIR COUNT
       probe big FILE MIB
       probe overwrite FILE MIB
       probe relink DIR COUNT
       probe hold FILE
       probe crowd COUNT DESCRIPTORS
       probe without CALL[,CALL…] PROGRAM [ARGUMENT…]
       probe swap DIR
       probe deep DIR LEVELS
       probe names DIR COUNT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("probe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> io::Result<()> {
    match *words {
        ["heartbeat", file] => heartbeat::beat(Path::new(file), heartbeat::rest),
        ["spin", file] => heartbeat::beat(Path::new(file), heartbeat::work),
        ["files", directory, count, length] => {
            files::make(Path::new(directory), number(count)?, number(length)?)
        }
        ["write-law", directory] => law::write(Path::new(directory)),
        ["check-law", directory] => law::check(Path::new(directory)),
        ["churn", directory, count] => load::churn(Path::new(directory), number(count)?),
        ["append-logs", directory, count] => {
            load::append_logs(Path::new(directory), number(count)?)
        }
        ["big", file, mib] => load::big(Path::new(file), number(mib)?),
        ["overwrite", file, mib] => steps::overwrite(Path::new(file), number(mib)?),
        ["relink", directory, count] => steps::relink(Path::new(directory), number(count)?),
        ["crowd", count, descriptors] => crowd::gather(number(count)?, number(descriptors)?),
        ["idle"] => crowd::idle(),
        ["hold", file] => hold::hold(Path::new(file)),
        ["without", calls, ref command @ ..] => {
            let calls: io::Result<Vec<_>> = calls.split(',').map(number).collect();
            calls::without(&calls?, command)
        }
        ["swap", directory] => hostile::swap(Path::new(directory)),
        ["deep", directory, levels] => hostile::deep(Path::new(directory), number(levels)?),
        ["names", directory, count] => hostile::names(Path::new(directory), number(count)?),
        _ => Err(io::Error::other(USAGE)),
    }
}

fn number(word: &str) -> io::Result<u64> {
    word.parse()
        .map_err(|error| io::Error::other(format!("{word} is no number: {error}")))
}
