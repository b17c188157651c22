//! A source, a clone and a staging directory, and the stages over them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Disk, FileSystem, Kind, wait_until};

use crate::capture::clone::{Cloning, Processes, Terms, content_size, probe_grain};
use crate::capture::directory::WHITEOUT_PREFIX;
use crate::capture::overlay_attributes::OPAQUE_ATTRIBUTE;
use crate::capture::scan::Scan;
use crate::capture::space;
use crate::capture::writers::Writers;
use crate::freeze::HOLD_BOUND;
use crate::settings::Reserve;
use crate::system::attributes::CAPABILITY_ATTRIBUTE;
use crate::system::clock::{Grain, Moment};
use crate::system::identity::unique_name;
use crate::system::tree::Tree;

const BOUND: Duration = Duration::from_secs(20);

/// How many bytes of the source the delta read.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub copied: u64,
    pub compared: u64,
}

impl Read {
    pub fn any(self) -> u64 {
        self.copied + self.compared
    }
}

pub struct Place {
    folder: PathBuf,
    grain: Grain,
}

impl Place {
    pub fn on(disk: &Disk) -> Self {
        let folder = disk.path().join(unique_name());
        for name in ["source", "clone", "staging"] {
            fs::create_dir_all(folder.join(name)).unwrap();
        }
        let grain = probe_grain(&folder).unwrap();
        Self { folder, grain }
    }

    pub fn source(&self) -> PathBuf {
        self.folder.join("source")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.source().join(name)
    }

    pub fn replica(&self) -> PathBuf {
        self.folder.join("clone")
    }

    /// A folder beside the source.
    pub fn make_folder(&self, name: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// Waits until an entry is so old that its copy settles it: else it counts as changed, whatever happens to it.
    pub fn let_it_grow_old(&self, name: &str) {
        let changed = self.changed(name);
        wait_until("the next tick of the clock", BOUND, || {
            let is_old = self.grain.separates(changed, Moment::stamped_now());
            Ok(is_old.then_some(()))
        })
        .unwrap();
    }

    /// The same for everything that there is.
    pub fn let_all_grow_old(&self) {
        fs::write(self.path("last"), "").unwrap();
        self.let_it_grow_old("last");
    }

    /// The change time of an entry.
    fn changed(&self, name: &str) -> Moment {
        let metadata = fs::symlink_metadata(self.path(name)).unwrap();
        let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap();
        Moment::new(metadata.ctime(), nanoseconds)
    }

    pub fn tree(&self) -> Tree {
        Tree::open(&self.source()).unwrap()
    }

    /// Until the first scan. `processes` are those of the container.
    pub fn begin<'tree>(&self, source: &'tree Tree, processes: &[u32]) -> Cloning<'tree> {
        self.begin_trusting(true, source, processes)
    }

    /// The same where equal signatures tell nothing.
    pub fn begin_distrusting<'tree>(&self, source: &'tree Tree) -> Cloning<'tree> {
        self.begin_trusting(false, source, &[])
    }

    fn begin_trusting<'tree>(
        &self,
        trusts_signatures: bool,
        source: &'tree Tree,
        processes: &[u32],
    ) -> Cloning<'tree> {
        let mut writers = Writers::default();
        writers.look(processes).unwrap();
        let scan = Scan::of_changing(source, Some(self.grain)).unwrap();
        let (upper, staging) = (self.replica(), self.folder.join("staging"));
        let content = content_size(&scan);
        let terms = Terms {
            grain: self.grain,
            trusts_signatures,
            content,
            // Random trees have small files.
            least_to_compare: 16 << 10,
            hold: HOLD_BOUND,
            room: space::check(&upper, &scan, content, Reserve::Bytes(0)).unwrap(),
        };
        Cloning::new(source, &upper, &staging, writers, scan, terms).unwrap()
    }

    /// Until the first copy.
    pub fn begin_copied<'tree>(&self, source: &'tree Tree) -> Cloning<'tree> {
        let mut clone = self.begin(source, &[]);
        clone.copy_scanned(NOBODY).unwrap();
        clone
    }

    /// From the delta on, and compares.
    pub fn finish(&self, mut clone: Cloning) -> Read {
        let delta = clone.read_delta(&|| Ok(())).unwrap();
        assert_eq!(delta.unstable, 0);
        let read = Read {
            copied: delta.bytes,
            compared: delta.compared,
        };
        clone.apply(delta).unwrap();
        self.complete(clone);
        read
    }

    /// As without a pause: passes until nothing changes any more, and compares.
    pub fn finish_unpaused(&self, mut clone: Cloning) {
        wait_until("a pass without a change", BOUND, || {
            Ok((clone.pass(NOBODY)?.changed == 0).then_some(()))
        })
        .unwrap();
        self.complete(clone);
    }

    /// Compares what the clone is with what the source is.
    pub fn complete(&self, clone: Cloning) {
        clone.complete().unwrap();
        self.assert_same();
    }

    /// All stages, with a change after the first scan and one after the copy.
    pub fn capture(&self, scanned: impl FnOnce(&Path), copied: impl FnOnce(&Path)) -> Read {
        let source = self.tree();
        let mut clone = self.begin(&source, &[]);
        scanned(&self.source());
        clone.copy_scanned(NOBODY).unwrap();
        copied(&self.source());
        self.finish(clone)
    }

    /// Bytes on disk.
    pub fn allocated_in_clone(&self, name: &str) -> u64 {
        let metadata = fs::symlink_metadata(self.folder.join("clone").join(name)).unwrap();
        metadata.blocks() * 512
    }

    fn assert_same(&self) {
        let clone = self.replica();
        let (wanted, found) = (layer_tree(&self.source()), layer_tree(&clone));
        wanted.assert_same(&found, "the source (first) and its clone");
        assert_eq!(opaque(&self.source()), opaque(&clone), "opaque directories");
        self.assert_nothing_staged();
    }

    pub fn assert_nothing_staged(&self) {
        let staging = fs::read_dir(self.folder.join("staging")).unwrap();
        assert_eq!(staging.count(), 0, "files left in the staging directory");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The disk goes as a whole soon.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The processes of a container that has none.
pub const NOBODY: &Processes = &|| Ok(Vec::new());

pub fn disk(file_system: FileSystem) -> Disk {
    println!("on {file_system:?}");
    Disk::new(file_system).unwrap()
}

/// What a layer can say of a tree.
fn layer_tree(root: &Path) -> harness::Tree {
    let mut tree = harness::Tree::read(root).unwrap();
    tree.entries
        .retain(|path, entry| entry.kind != Kind::Socket && !is_unrepresentable(path));
    for entry in tree.entries.values_mut() {
        entry.xattrs.retain(|name, _| name == CAPABILITY_ATTRIBUTE);
        if entry.kind == Kind::CharacterDevice(0, 0) {
            (entry.mode, entry.owner, entry.mtime, entry.linked_to) = (0, (0, 0), 0, None);
        }
    }
    name_links_by_what_is_left(&mut tree);
    tree
}

/// A group of links may be called by a name that no layer can carry.
fn name_links_by_what_is_left(tree: &mut harness::Tree) {
    let mut groups: BTreeMap<OsString, Vec<OsString>> = BTreeMap::new();
    for (path, entry) in &mut tree.entries {
        if let Some(first) = entry.linked_to.take() {
            groups.entry(first).or_default().push(path.clone());
        }
    }
    for group in groups.values().filter(|group| group.len() > 1) {
        for path in group {
            let entry = tree.entries.get_mut(path).unwrap();
            entry.linked_to = Some(group[0].clone());
        }
    }
}

fn is_unrepresentable(path: &OsString) -> bool {
    let names = Path::new(path).iter();
    names
        .map(OsStr::as_encoded_bytes)
        .any(|name| name.starts_with(WHITEOUT_PREFIX))
}

fn opaque(root: &Path) -> BTreeSet<OsString> {
    let tree = harness::Tree::read(root).unwrap();
    let directories = tree.entries.into_iter();
    directories
        .filter(|(path, entry)| entry.kind == Kind::Directory && !is_unrepresentable(path))
        .map(|(path, _)| path)
        .filter(|path| {
            let mut value = [0; 1];
            let length = rustix::fs::lgetxattr(root.join(path), OPAQUE_ATTRIBUTE, &mut value);
            length == Ok(1) && value == *b"y"
        })
        .collect()
}
