//! What an upper directory holds that did not change is in no layer of the differ's, nor in ours.

use super::scene::{after, after_script};
use harness::Result;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;

/// A time in the past that no file of the image has.
const THEN: &str = "@1234567890";

#[test]
fn a_directory_that_was_touched_keeps_the_time_of_the_image() -> Result {
    let agreed = after_script(&format!(
        "touch -d {THEN} untouched emptied/nested
         touch recreated/passing && rm recreated/passing
         mkdir -p to-file/nested/passing/deeper && rm -r to-file/nested/passing
         touch -d {THEN} renamed-directory && chmod 700 renamed-directory"
    ))?;
    for name in ["untouched", "emptied/nested", "recreated", "to-file/nested"] {
        assert_eq!(agreed.entry(name).mtime, 1_600_000_000, "{name}");
    }
    assert_eq!(agreed.entry("renamed-directory").mtime, 1_234_567_890);
    Ok(())
}

#[test]
fn a_file_that_was_opened_for_writing_keeps_its_hard_links() -> Result {
    let agreed = after(|tree| {
        for name in ["pair-one", "trio-two", "modified"] {
            File::options().append(true).open(tree.join(name))?;
        }
        // Its content read and written back would have another time.
        Ok(File::options()
            .write(true)
            .custom_flags(0)
            .open(tree.join("deleted"))
            .map(drop)?)
    })?;
    assert!(agreed.entry("pair-one").linked_to.is_some());
    assert_eq!(
        agreed.entry("pair-two").linked_to,
        agreed.entry("pair-one").linked_to
    );
    assert_eq!(
        agreed.entry("trio-two").linked_to,
        agreed.entry("trio-three").linked_to
    );
    // Nothing of /tree: what runc itself makes in the container is all there is.
    let entries = agreed.commit.report["entries"].as_u64();
    assert!(entries.is_some_and(|count| count < 20), "{entries:?}");
    Ok(())
}

#[test]
fn what_was_changed_and_changed_back_is_no_change() -> Result {
    let agreed = after_script(
        "chmod 600 modified && chmod 644 modified && chown 1 linked && chown 0 linked
         mv touched elsewhere && mv elsewhere touched
         cp -p replaced /copy && rm replaced && cp -p /copy replaced && rm /copy
         touch passing && rm passing",
    )?;
    assert_eq!(agreed.root().mtime, 1_600_000_000);
    Ok(())
}

/// Time and size alone tell nothing: the differ reads both.
#[test]
fn a_file_with_the_time_and_size_of_the_images_is_told_by_its_content() -> Result {
    let agreed = after(|tree| {
        let path = tree.join("same-size");
        let modified = fs::metadata(&path)?.modified()?;
        fs::write(&path, "BASE same-size\n")?;
        Ok(File::options()
            .write(true)
            .open(&path)?
            .set_modified(modified)?)
    })?;
    let harness::Kind::File { sha256, .. } = agreed.kind("same-size") else {
        panic!("no file")
    };
    assert_eq!(*sha256, harness::image::digest(b"BASE same-size\n"));
    Ok(())
}

#[test]
fn directories_recreated_as_they_were() -> Result {
    let agreed = after_script(
        "cp -a untouched /copy && rm -r untouched && cp -a /copy untouched && rm -r /copy
         touch untouched untouched/nested
         rm -r emptied && mkdir emptied && mkdir -m 2750 emptied/nested",
    )?;
    assert_eq!(agreed.entry("untouched").mtime, 1_600_000_000);
    assert_eq!(agreed.entry("untouched/nested").mtime, 1_600_000_000);
    Ok(())
}
