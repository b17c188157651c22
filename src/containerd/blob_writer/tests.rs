//! Blobs on a real containerd, by each of the ways that they can take.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use harness::{Daemon, Options, TempDir};

use super::*;
use crate::containerd::{Lease, client};

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn blobs(daemon: &Daemon) -> PathBuf {
    daemon.content_store().join("blobs/sha256")
}

fn ingests(daemon: &Daemon) -> Vec<String> {
    names(&daemon.content_store().join("ingest"))
}

/// Longer than what is sent.
fn content() -> Vec<u8> {
    (0_u8..251).cycle().take(3 * CHUNK + 7).collect()
}

fn label() -> HashMap<String, String> {
    HashMap::from([("a".to_owned(), "label".to_owned())])
}

/// In two parts, neither of which ends where a chunk does.
fn pushed(mut writer: BlobWriter, bytes: &[u8]) -> BlobWriter {
    let (one, other) = bytes.split_at(bytes.len() / 2 + 1);
    writer.push(one).unwrap();
    writer.push(other).unwrap();
    writer
}

fn is_placed(writer: &BlobWriter) -> bool {
    matches!(writer.way, Way::Placed(_))
}

/// The blob is there, whole and labelled, and the lease's alone.
fn assert_is_there(daemon: &Daemon, client: &Containerd, blob: &WrittenBlob, bytes: &[u8]) {
    assert_eq!(blob.digest, Sha256Digest::of(bytes).to_string());
    assert_eq!(blob.size, bytes.len() as u64);
    daemon.ctr().collect_garbage().unwrap();
    assert!(daemon.ctr().blob(&blob.digest).unwrap() == bytes);
    let info = client.blob_info(&blob.digest).unwrap().unwrap();
    assert_eq!(info.labels, label());
    assert_eq!(info.size, i64::try_from(bytes.len()).unwrap());
    let file = blobs(daemon).join(Sha256Digest::of(bytes).hexadecimal());
    let mode = fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o444);
    assert_eq!(ingests(daemon), [""; 0]);
}

/// Nothing is left once the lease is gone.
fn assert_goes_with(lease: Lease, daemon: &Daemon, blob: &WrittenBlob) {
    drop(lease);
    let (_, name) = blob.digest.split_once(':').unwrap();
    assert!(!names(&blobs(daemon)).iter().any(|found| found == name));
}

/// A store that has been used, so that its directories are there. What it has stays: containerd collects garbage soon
/// after its start, and would look for files that are nobody's if there was any.
fn used_daemon(options: &Options) -> Daemon {
    let daemon = options.start().unwrap();
    let root = HashMap::from([("containerd.io/gc.root".to_owned(), "it".to_owned())]);
    client(&daemon).put_blob(b"the first", root).unwrap();
    // The one that follows each start could come just when a test looks.
    daemon.ctr().collect_garbage().unwrap();
    daemon
}

#[test]
fn a_long_blob_is_placed_and_a_short_one_is_sent() {
    let daemon = used_daemon(&Options::default());
    let client = client(&daemon);
    for (bytes, in_place) in [(content(), true), (content()[..CHUNK - 1].to_vec(), false)] {
        let lease = Lease::acquire(&client).unwrap();
        let writer = pushed(client.blob_writer(), &bytes);
        assert_eq!(is_placed(&writer), in_place);
        let blob = writer.complete(label()).unwrap();
        assert_is_there(&daemon, &client, &blob, &bytes);
        assert_goes_with(lease, &daemon, &blob);
    }
}

#[test]
fn a_directory_that_the_daemon_does_not_see_is_left_and_the_blob_sent() {
    let daemon = used_daemon(&Options::default());
    let client = client(&daemon);
    let elsewhere = TempDir::new().unwrap();
    let lease = Lease::acquire(&client).unwrap();
    let file = UnnamedFile::create(elsewhere.path(), BLOB_MODE).unwrap();
    let writer = BlobWriter {
        way: Way::Placed(file),
        ..client.blob_writer()
    };
    let blob = pushed(writer, &content()).complete(label()).unwrap();
    assert_eq!(names(elsewhere.path()), [""; 0]);
    assert_is_there(&daemon, &client, &blob, &content());
    assert_goes_with(lease, &daemon, &blob);
}

#[test]
fn where_namespaces_share_nothing_a_long_blob_is_sent() {
    let daemon = used_daemon(&Options {
        isolated_content: true,
        ..Options::default()
    });
    let client = client(&daemon);
    let lease = Lease::acquire(&client).unwrap();
    let writer = pushed(client.blob_writer(), &content());
    assert!(!is_placed(&writer));
    let blob = writer.complete(label()).unwrap();
    assert_is_there(&daemon, &client, &blob, &content());
    assert_goes_with(lease, &daemon, &blob);
}

/// What `first` has written already is labelled for another commit, and stays when the lease of the first one goes.
fn assert_is_taken_over_from(first: &Containerd, daemon: &Daemon) {
    let lease_of_first = Lease::acquire(first).unwrap();
    pushed(first.blob_writer(), &content())
        .complete(HashMap::new())
        .unwrap();
    let client = client(daemon);
    let lease = Lease::acquire(&client).unwrap();
    let blob = pushed(client.blob_writer(), &content())
        .complete(label())
        .unwrap();
    drop(lease_of_first);
    assert_is_there(daemon, &client, &blob, &content());
    assert_goes_with(lease, daemon, &blob);
}

#[test]
fn a_long_blob_that_is_there_is_leased_and_gets_its_labels() {
    let daemon = used_daemon(&Options::default());
    assert_is_taken_over_from(&client(&daemon), &daemon);
}

#[test]
fn a_long_blob_of_another_namespace_is_taken_over() {
    let daemon = used_daemon(&Options::default());
    let address = Path::new(&daemon.ctr().address);
    let neighbour = Containerd::connect(address, "neighbour").unwrap();
    assert_is_taken_over_from(&neighbour, &daemon);
}

#[test]
fn a_long_blob_that_is_given_up_leaves_nothing() {
    let daemon = used_daemon(&Options::default());
    let client = client(&daemon);
    let lease = Lease::acquire(&client).unwrap();
    drop(pushed(client.blob_writer(), &content()));
    let name = Sha256Digest::of(&content()).hexadecimal();
    assert!(!names(&blobs(&daemon)).contains(&name));
    assert_eq!(ingests(&daemon), [""; 0]);
    drop(lease);
}

/// An error after the file has its name, when containerd may have taken it over or not.
#[test]
fn a_long_blob_that_cannot_be_committed_goes_with_the_lease() {
    let daemon = used_daemon(&Options::default());
    let client = client(&daemon);
    let lease = Lease::acquire(&client).unwrap();
    let writer = pushed(client.blob_writer(), &content());
    let too_long = HashMap::from([("a".to_owned(), "label".repeat(1000))]);
    let error = writer.complete(too_long).unwrap_err();
    assert!(format!("{error:#}").contains("label"), "{error:#}");
    let name = Sha256Digest::of(&content()).hexadecimal();
    assert!(names(&blobs(&daemon)).contains(&name));
    drop(lease);
    assert!(!names(&blobs(&daemon)).contains(&name));
    assert_eq!(ingests(&daemon), [""; 0]);
}

/// As a SIGKILL leaves it in the worst of moments.
#[test]
fn a_file_that_has_its_name_already_goes_with_the_lease() {
    let daemon = used_daemon(&Options::default());
    let client = client(&daemon);
    let lease = Lease::acquire(&client).unwrap();
    let mut writer = pushed(client.blob_writer(), &content());
    let Way::Placed(file) = mem::replace(&mut writer.way, Way::Sent) else {
        panic!("it was not placed");
    };
    let name = writer.hash.hexadecimal();
    assert!(file.name(&name).unwrap());
    mem::forget(writer);
    assert!(names(&blobs(&daemon)).contains(&name));
    drop(lease);
    assert!(!names(&blobs(&daemon)).contains(&name));
    assert_eq!(ingests(&daemon), [""; 0]);
}
