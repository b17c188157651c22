//! Others read our layers without a complaint: tar, bsdtar, Python, umoci, gzip's and zstd's own checks, and skopeo.

use super::{OURS, changes, ground};
use crate::FREEZEFRAME;
use harness::{Commit, Container, Daemon, Outcome, Result, Tree, View, outcome};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A container that did everything to its tree, committed.
struct Committed<'d> {
    daemon: &'d Daemon,
    commit: Commit,
    /// On the disk.
    folder: PathBuf,
    /// The compressed layer.
    layer: PathBuf,
}

impl<'d> Committed<'d> {
    fn of(container: &Container<'d>, flags: &[&str]) -> Result<Self> {
        let daemon = container.daemon();
        let commit = daemon
            .freezeframe(FREEZEFRAME)?
            .commit(container, OURS, flags)?;
        let commit = commit.succeeded()?;
        let folder = daemon.disk().join(daemon.unique("readers"));
        fs::create_dir(&folder)?;
        let layer = folder.join("layer");
        let digest = commit.report["layer_digest"].as_str().unwrap_or_default();
        fs::write(&layer, daemon.ctr().blob(digest)?)?;
        Ok(Self {
            daemon,
            commit,
            folder,
            layer,
        })
    }

    fn new_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// The archive that containerd exports, as for `nerdctl save`.
    fn saved(&self) -> Result<PathBuf> {
        let path = self.folder.join("saved.tar");
        let words = ["images", "export", &path.display().to_string(), OURS];
        self.daemon.ctr().run(&words)?;
        Ok(path)
    }
}

/// It succeeds, and has nothing to say.
fn silent(command: &mut Command) -> Result<Outcome> {
    let outcome = outcome(command)?.succeeded()?;
    assert_eq!(outcome.error_text(), "", "{}", outcome.describe());
    Ok(outcome)
}

fn container(daemon: &Daemon) -> Result<Container<'_>> {
    let container = ground::container(daemon)?;
    changes::make_all(&container)?;
    Ok(container)
}

#[test]
fn tar_and_bsdtar_unpack_the_layer_as_containerd_does() -> Result {
    let daemon = Daemon::start()?;
    let committed = Committed::of(&container(&daemon)?, &[])?;
    let [tar, bsdtar] = ["tar", "bsdtar"].map(|name| committed.new_folder(name));
    let (tar, bsdtar) = (tar?, bsdtar?);
    let mut command = Command::new("tar");
    // It finds some of the times implausible, as they are.
    command.args([
        "--extract",
        "--gzip",
        "--numeric-owner",
        "--warning=no-timestamp",
    ]);
    command.args(["--xattrs", "--xattrs-include=security.*", "--file"]);
    silent(command.arg(&committed.layer).arg("--directory").arg(&tar))?;
    let mut command = Command::new("bsdtar");
    command.env("LC_ALL", "C.UTF-8");
    command.args(["-x", "-p", "--numeric-owner", "-f"]);
    silent(command.arg(&committed.layer).arg("-C").arg(&bsdtar))?;
    let image = View::unpacked(&daemon, OURS)?.tree()?;
    for folder in [tar, bsdtar] {
        let unpacked = Tree::read(&folder)?;
        assert_eq!(committed.commit.report["entries"], unpacked.entries.len());
        assert_holds(&image, &unpacked, &folder);
    }
    Ok(())
}

/// All entries of the layer but whiteouts, which only readers of layers understand, are in the image.
fn assert_holds(image: &Tree, layer: &Tree, folder: &Path) {
    let is_whiteout = |path: &OsStr| {
        let name = Path::new(path).file_name().unwrap_or_default();
        name.as_bytes().starts_with(b".wh.")
    };
    let kept = layer.entries.iter().filter(|(path, _)| !is_whiteout(path));
    let mut count = 0;
    for (path, entry) in kept {
        let (path, here) = (path.display(), image.entries.get(path));
        assert_eq!(here, Some(entry), "{}: {path}", folder.display());
        count += 1;
    }
    assert!(
        count > 300 && count < layer.entries.len(),
        "{count} entries"
    );
}

/// Reads every entry to its end, with every warning an error.
const PYTHON: &str = "
import sys, tarfile
count = 0
with tarfile.open(sys.argv[1], sys.argv[2], errorlevel=2) as archive:
    for entry in archive:
        content = archive.extractfile(entry) if entry.isreg() else None
        size = 0
        while content and (piece := content.read(1 << 20)):
            size += len(piece)
        assert size == (entry.size if entry.isreg() else 0), entry.name
        count += 1
print(count)";

#[test]
fn python_reads_the_layer() -> Result {
    let daemon = Daemon::start()?;
    let committed = Committed::of(&container(&daemon)?, &[])?;
    let mut command = Command::new("python3");
    command.args(["-W", "error", "-c", PYTHON]);
    let read = silent(command.arg(&committed.layer).arg("r|gz"))?;
    assert_eq!(committed.commit.report["entries"].to_string(), read.text());
    Ok(())
}

/// What it knows of PAX is how to pass over it.
#[test]
fn busybox_gets_to_the_end_of_the_layer() -> Result {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    let (folder, name) = ("f".repeat(120), "n".repeat(200));
    container.shell(&format!(
        "cd /tree; mkdir -p {folder}; touch {folder}/short {folder}/{name} caf\u{e9} capable; chown 3000000 pair-one; touch zz"
    ))?;
    let committed = Committed::of(&container, &[])?;
    let mut command = Command::new("busybox");
    let listed = silent(command.args(["tar", "-tzf"]).arg(&committed.layer))?;
    let listed = listed.text();
    let names: Vec<&str> = listed.lines().collect();
    assert_eq!(committed.commit.report["entries"], names.len());
    assert!(names.contains(&format!("tree/{folder}/short").as_str()));
    assert_eq!(names.last(), Some(&"tree/zz"));
    Ok(())
}

#[test]
fn umoci_unpacks_the_image_as_containerd_does() -> Result {
    let daemon = Daemon::start()?;
    let committed = Committed::of(&container(&daemon)?, &["--format=oci"])?;
    let layout = committed.new_folder("layout")?;
    let mut command = Command::new("tar");
    command
        .arg("--extract")
        .arg("--file")
        .arg(committed.saved()?);
    silent(command.arg("--directory").arg(&layout))?;
    let bundle = committed.folder.join("bundle");
    let mut command = Command::new("umoci");
    command.args(["unpack", "--image", &format!("{}:latest", layout.display())]);
    silent(command.arg(&bundle))?;
    let image = View::unpacked(&daemon, OURS)?.tree()?;
    image.assert_same(
        &Tree::read(&bundle.join("rootfs"))?,
        "containerd's and umoci's",
    );
    Ok(())
}

#[test]
fn gzip_and_zstd_find_no_fault_up_to_the_last_byte() -> Result {
    let daemon = Daemon::start()?;
    let container = container(&daemon)?;
    let gzip = Committed::of(&container, &[])?;
    for program in ["gunzip", "pigz"] {
        let mut command = Command::new(program);
        silent(command.arg("-t").stdin(File::open(&gzip.layer)?))?;
    }
    let zstd = Committed::of(&container, &["--compression=zstd"])?;
    let mut command = Command::new("zstd");
    silent(command.args(["-q", "-t"]).stdin(File::open(&zstd.layer)?))?;
    // They do find faults.
    for (committed, programs) in [(gzip, &["gunzip", "pigz"][..]), (zstd, &["zstd"])] {
        let layer = File::options().write(true).open(&committed.layer)?;
        layer.set_len(layer.metadata()?.len() - 1)?;
        for program in programs {
            let mut command = Command::new(program);
            outcome(command.arg("-t").stdin(File::open(&committed.layer)?))?.failed()?;
        }
    }
    Ok(())
}

#[test]
fn skopeo_copies_the_image_out_of_a_saved_archive() -> Result {
    let daemon = Daemon::start()?;
    let container = container(&daemon)?;
    let committed = Committed::of(&container, &[])?;
    let copied = copied(&committed, "docker-archive")?;
    assert_eq!(
        copied["config"]["digest"],
        committed.commit.report["config_digest"]
    );
    for flags in [
        &["--format=oci"][..],
        &["--format=oci", "--compression=zstd"],
    ] {
        let committed = Committed::of(&container, flags)?;
        let copied = self::copied(&committed, "oci-archive")?;
        assert_eq!(copied, daemon.ctr().manifest(OURS)?, "{flags:?}");
    }
    Ok(())
}

/// The manifest of the copy, all of whose blobs are what they are named by.
fn copied(committed: &Committed, transport: &str) -> Result<serde_json::Value> {
    let source = format!("{transport}:{}", committed.saved()?.display());
    let target = committed.folder.join("copy");
    let mut command = Command::new("skopeo");
    command.args(["--insecure-policy", "copy", "--quiet", &source]);
    silent(command.arg(format!("dir:{}", target.display())))?;
    for entry in fs::read_dir(&target)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.len() == 64 {
            let digest = harness::image::digest(&fs::read(entry.path())?);
            assert_eq!(digest, format!("sha256:{name}"));
        }
    }
    Ok(serde_json::from_slice(&fs::read(
        target.join("manifest.json"),
    )?)?)
}

/// By its header alone, and unpacked to its end.
#[test]
#[ignore = "takes a minute: tests/long"]
fn a_file_of_more_than_8_gib_has_its_size_for_every_reader() -> Result {
    const SIZE: u64 = (8 << 30) + 5;
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let large = File::create(container.root()?.join("srv/large"))?;
    large.write_all_at(b"tail!", SIZE - 5)?;
    let committed = Committed::of(&container, &["--compression=zstd"])?;
    let view = View::snapshot(&daemon, OURS)?;
    let clone = File::open(view.path().join("srv/large"))?;
    let (metadata, mut tail) = (clone.metadata()?, [0; 5]);
    clone.read_exact_at(&mut tail, SIZE - 5)?;
    assert_eq!((metadata.len(), &tail), (SIZE, b"tail!"));
    assert!(metadata.blocks() < 1000, "its holes were filled");
    for line in ["tar -tvf -", "bsdtar -tvf -"] {
        let line = format!("zstd -dc {} | {line}", committed.layer.display());
        let listed = silent(Command::new("sh").args(["-ec", &line]))?.text();
        assert!(listed.contains(&SIZE.to_string()), "{listed}");
    }
    let script = "zstd -dc \"$1\" | python3 -W error -c \"$2\" /dev/stdin 'r|'";
    let mut command = Command::new("sh");
    command
        .args(["-ec", script, "sh"])
        .arg(&committed.layer)
        .arg(PYTHON);
    let entries = committed.commit.report["entries"].to_string();
    assert_eq!(silent(&mut command)?.text(), entries);
    Ok(())
}
