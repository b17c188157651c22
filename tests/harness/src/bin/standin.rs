//! The stand-in for nerdctl, as a program: installed for tests under the name `nerdctl`.
//!
//! Its errors look like nerdctl's, so that whoever reads those reads these.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let code = harness::standin::call(&arguments).unwrap_or_else(|error| {
        eprintln!("time=\"now\" level=fatal msg={:?}", format!("{error:#}"));
        1
    });
    std::process::exit(code);
}
