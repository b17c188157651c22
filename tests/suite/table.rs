//! The table in the README of what is done directly and what is delegated: every row is
//! seen to hold, and every case seen here is a row.

mod scenes;

use harness::Result;
use scenes::{CASES, Case, Verdict};
use std::fs;
use std::path::Path;

/// A row of the table, cell by cell.
#[derive(Debug)]
struct Row {
    container: String,
    state: String,
    snapshotter: String,
    verdict: String,
    why: String,
}

#[test]
fn every_row_of_the_table_is_a_case_and_every_case_a_row() -> Result {
    let rows = rows()?;
    for row in &rows {
        assert!(CASES.iter().any(|case| is_about(row, case)), "{row:?}");
    }
    for case in CASES {
        assert_eq!(
            rows.iter().filter(|row| is_about(row, case)).count(),
            1,
            "{} {} {}",
            case.container,
            case.state,
            case.snapshotter
        );
    }
    Ok(())
}

#[test]
fn rows_about_running_containers_hold() -> Result {
    check_rows(|case| case.state == "running")
}

#[test]
fn rows_about_containers_that_do_not_run_hold() -> Result {
    check_rows(|case| case.state != "running")
}

fn check_rows(is_meant: impl Fn(&Case) -> bool) -> Result {
    let rows = rows()?;
    for case in CASES.iter().filter(|case| is_meant(case)) {
        let row = rows.iter().find(|row| is_about(row, case));
        let row = row.expect("a row, as another test sees to");
        let seen = (case.see)()?;
        let verdict = match &seen {
            Verdict::Direct => "direct",
            Verdict::Delegated(_) => "delegated",
        };
        assert_eq!(row.verdict, verdict, "{row:?} {seen:?}");
        if let Verdict::Delegated(reason) = seen {
            assert_eq!(row.why, reason, "{row:?}");
        }
    }
    Ok(())
}

fn is_about(row: &Row, case: &Case) -> bool {
    row.container == case.container
        && row.state == case.state
        && row.snapshotter == case.snapshotter
}

/// The table's rows: the first of the README's tables whose heading begins with `container`.
fn rows() -> Result<Vec<Row>> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(readme)?;
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("| container |"));
    let rows = lines.skip(2).take_while(|line| line.starts_with('|'));
    Ok(rows.map(row).collect())
}

fn row(line: &str) -> Row {
    let cells = line.trim_matches('|').split('|');
    let mut cells = cells.map(|cell| cell.trim().replace('`', ""));
    let mut cell = || cells.next().expect("a row has five cells");
    Row {
        container: cell(),
        state: cell(),
        snapshotter: cell(),
        verdict: cell(),
        why: cell(),
    }
}
