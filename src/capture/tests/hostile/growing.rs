//! Files that are never done, and files that say they are larger than they are.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use harness::wait_until;

use super::super::PROVEN;
use super::super::place::{NOBODY, Place, disk};
use crate::capture::tests::random::SetOnDrop;

const BOUND: Duration = Duration::from_secs(60);
const PIECE: usize = 1 << 20;
/// So much of it is there before anybody looks.
const FIRST: usize = 20 << 20;
/// Where it ends after all, so that the disk does not.
const MOST: u64 = 60 << 20;
/// The last is more than all disks hold; ext4 ends at 16 TiB.
const APPARENT: [u64; 2] = [(16 << 40) - 8192, i64::MAX as u64 - 4096];
/// In bytes: what a few blocks and their maps take.
const SMALL: u64 = 1 << 20;

#[test]
fn a_file_that_grows_for_ever_is_read_to_where_it_was_scanned() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        fs::write(place.path("grows"), vec![b'x'; FIRST]).unwrap();
        let source = place.tree();
        let is_over = AtomicBool::new(false);
        let clone = std::thread::scope(|scope| {
            scope.spawn(|| append_until(&is_over, &place));
            let _over = SetOnDrop(&is_over);
            let begun = fs::metadata(place.path("grows")).unwrap().len();
            wait_until("growth", BOUND, || {
                Ok((fs::metadata(place.path("grows"))?.len() > begun).then_some(()))
            })
            .unwrap();
            let mut clone = place.begin(&source, &[]);
            let scanned: u64 = clone
                .scan
                .nodes()
                .iter()
                .skip(1)
                .map(|node| node.signature.size())
                .sum();
            clone.copy_scanned(NOBODY).unwrap();
            assert!(clone.bytes <= scanned, "{} of {scanned}", clone.bytes);
            let delta = clone.read_delta(&|| Ok(())).unwrap();
            // Whole or not, the next one is.
            clone.apply(delta).unwrap();
            clone
        });
        place.finish(clone);
    }
}

fn append_until(is_over: &AtomicBool, place: &Place) {
    let piece = vec![b'x'; PIECE];
    let mut file = File::options()
        .append(true)
        .open(place.path("grows"))
        .unwrap();
    while !is_over.load(Ordering::Relaxed) {
        if file.metadata().unwrap().len() < MOST {
            file.write_all(&piece).unwrap();
        }
    }
}

#[test]
fn a_sparse_file_of_huge_apparent_size_takes_what_its_data_take() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let file = File::create(place.path("sparse")).unwrap();
        let size = APPARENT
            .into_iter()
            .rev()
            .find(|size| file.set_len(*size).is_ok());
        let size = size.unwrap();
        for offset in [0, size / 2, size - 4] {
            file.write_all_at(b"data", offset).unwrap();
        }
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        file.write_all_at(b"more", size / 4).unwrap();
        let delta = clone.read_delta(&|| Ok(())).unwrap();
        assert!(
            clone.bytes + delta.bytes < SMALL,
            "{} {}",
            clone.bytes,
            delta.bytes
        );
        clone.apply(delta).unwrap();
        clone.complete().unwrap();
        let cloned = File::open(place.replica().join("sparse")).unwrap();
        let metadata = cloned.metadata().unwrap();
        assert_eq!(metadata.len(), size);
        assert!(metadata.blocks() * 512 < SMALL);
        for (offset, wanted) in [
            (0, b"data"),
            (size / 4, b"more"),
            (size / 2, b"data"),
            (size - 4, b"data"),
        ] {
            let mut found = [0; 4];
            cloned.read_exact_at(&mut found, offset).unwrap();
            assert_eq!(&found, wanted, "at {offset}");
        }
    }
}
