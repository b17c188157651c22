//! Names and paths, case by case.

use super::scene::after;
use super::{ORACLE, OURS, changes, ground};
use crate::FREEZEFRAME;
use harness::{Daemon, Kind, Result, View, commit_by_oracle};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

#[test]
fn names_that_are_no_text_hold_controls_or_backslashes() -> Result {
    let agreed = after(changes::names)?;
    for name in [
        &b"caf\xe9, not UTF-8"[..],
        b"with\nnewline",
        b"\x01\x7f\x1b[31m",
        b"back\\slash",
    ] {
        let link = Kind::Symlink(OsStr::from_bytes(name).to_owned());
        assert_eq!(*agreed.kind([name, b"/link"].concat()), link);
    }
    Ok(())
}

#[test]
fn names_of_255_bytes_and_paths_far_over_256() -> Result {
    let agreed = after(changes::long_paths)?;
    let [long, longer, longest] = [("l", 200), ("m", 255), ("n", 255)].map(|(c, n)| c.repeat(n));
    assert!(agreed.has(format!("{long}/{longer}/{longest}")));
    Ok(())
}

#[test]
fn paths_of_thousands_of_bytes() -> Result {
    let path = ["p".repeat(240), "\u{e9}".repeat(120)]
        .join("/")
        .repeat(7)
        .replace("\u{e9}p", "\u{e9}/p");
    let agreed = after(|tree| {
        fs::create_dir_all(tree.join(&path))?;
        fs::write(tree.join(&path).join("bottom"), "the bottom")?;
        fs::hard_link(
            tree.join(&path).join("bottom"),
            tree.join(&path).join("link"),
        )?;
        Ok(fs::write(tree.join("a"), "first of all")?)
    })?;
    assert!(path.len() > 3000 && agreed.has(format!("{path}/link")));
    Ok(())
}

/// Every reader takes them for whiteouts; where those would hide nothing, stock's image has not got them either.
#[test]
fn names_with_a_leading_wh_are_left_out() -> Result {
    let agreed = after(|tree| {
        fs::write(tree.join(".wh.nothing"), "content")?;
        fs::create_dir(tree.join(".wh.nothing-either"))?;
        Ok(fs::write(tree.join(".wh"), "an ordinary name")?)
    })?;
    assert!(agreed.has(".wh") && !agreed.has(".wh.nothing") && !agreed.has(".wh.nothing-either"));
    let said = agreed.commit.outcome.error_text();
    assert!(said.contains("2 entries are left out"), "{said:?}");
    Ok(())
}

/// The differ writes its name as it is, and so deletes what it names. We do not.
#[test]
fn a_name_with_a_leading_wh_deletes_nothing() -> Result {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    container.shell("touch /tree/.wh.modified")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe.commit(&container, OURS, &[])?.succeeded()?;
    let ours = View::unpacked(&daemon, OURS)?;
    assert_eq!(ours.read("/tree/modified")?, "base modified\n");
    commit_by_oracle(&container, ORACLE)?;
    let stock = View::snapshot(&daemon, ORACLE)?;
    assert!(
        !stock.path().join("tree/modified").exists(),
        "the differ has changed its ways"
    );
    Ok(())
}
