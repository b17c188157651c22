//! What differs between two scans of one tree, path by path.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::scan::{ROOT, Scan};
use super::signature::Kind;

/// For every entry of a newer scan, what the older one has at the same path.
pub struct Comparison {
    counterparts: Vec<Option<usize>>,
    unchanged: Vec<bool>,
}

impl Comparison {
    /// Compares signatures. `settled` tells which entries of the older scan may be taken at their word.
    pub fn of(old: &Scan, new: &Scan, settled: &[bool]) -> Self {
        let counterparts = same_paths(old, new);
        let unchanged = counterparts
            .iter()
            .enumerate()
            .map(|(index, counterpart)| {
                counterpart.is_some_and(|counterpart| {
                    settled[counterpart]
                        && old
                            .node(counterpart)
                            .signature
                            .agrees_with(&new.node(index).signature)
                })
            })
            .collect();
        let mut comparison = Self {
            counterparts,
            unchanged,
        };
        comparison.change_below_new_directories(old, new, settled);
        comparison.change_whole_link_groups(new);
        comparison
    }

    /// The entries of the newer scan that must be read again.
    pub fn changed(&self) -> impl Iterator<Item = usize> + '_ {
        (ROOT + 1..self.unchanged.len()).filter(|index| !self.unchanged[*index])
    }

    /// Counts an entry as changed, whatever its signature says.
    pub fn distrust(&mut self, index: usize) {
        self.unchanged[index] = false;
    }

    /// What is in a directory that was not made before was not either: a directory that had vanished when it was to be
    /// read may be back, with entries that were read in between and had nowhere to go.
    fn change_below_new_directories(&mut self, old: &Scan, new: &Scan, settled: &[bool]) {
        let mut is_new = vec![false; new.nodes().len()];
        for index in new.entries() {
            let below_new = is_new[new.parent(index)];
            self.unchanged[index] &= !below_new;
            let existed = self.counterparts[index]
                .is_some_and(|found| settled[found] && old.node(found).kind == Kind::Directory);
            is_new[index] = below_new || !existed;
        }
    }

    /// The names of one inode are made together: where one must be made again, all are.
    pub fn change_whole_link_groups(&mut self, new: &Scan) {
        let inode = |index: usize| {
            let signature = &new.node(index).signature;
            (signature.device, signature.inode)
        };
        let linked: Vec<usize> = new
            .entries()
            .filter(|index| new.node(*index).has_other_links())
            .collect();
        let changed: HashSet<_> = linked
            .iter()
            .filter(|index| !self.unchanged[**index])
            .map(|index| inode(*index))
            .collect();
        for index in linked {
            if changed.contains(&inode(index)) {
                self.unchanged[index] = false;
            }
        }
    }

    /// The entries of the older scan whose paths must be empty before the newer one's are made; children first.
    pub fn removals(&self, old: &Scan, new: &Scan) -> Vec<usize> {
        let mut keeps = vec![false; old.nodes().len()];
        keeps[ROOT] = true;
        for index in new.entries() {
            let Some(counterpart) = self.counterparts[index] else {
                continue;
            };
            let directories = new.node(index).kind == Kind::Directory
                && old.node(counterpart).kind == Kind::Directory;
            keeps[counterpart] = directories || self.unchanged[index];
        }
        old.entries().rev().filter(|index| !keeps[*index]).collect()
    }
}

fn same_paths(old: &Scan, new: &Scan) -> Vec<Option<usize>> {
    let mut counterparts = vec![None; new.nodes().len()];
    let mut waiting = vec![(ROOT, ROOT)];
    counterparts[ROOT] = Some(ROOT);
    while let Some((old_directory, new_directory)) = waiting.pop() {
        let mut old_children = old.children(old_directory).peekable();
        for index in new.children(new_directory) {
            let name = &new.node(index).name;
            while old_children
                .next_if(|child| old.node(*child).name.cmp(name) == Ordering::Less)
                .is_some()
            {}
            let found = old_children.next_if(|child| old.node(*child).name == *name);
            counterparts[index] = found;
            if let Some(found) = found {
                waiting.push((found, index));
            }
        }
    }
    counterparts
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::system::process::unique_name;
    use crate::system::tree::Tree;

    /// A directory that is gone in the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let path = std::env::temp_dir().join(format!("freezeframe-{}", unique_name()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn write(&self, path: &str, text: &str) {
            fs::write(self.0.join(path), text).unwrap();
        }

        fn scan(&self) -> Scan {
            let tree = Tree::open(Path::new(&self.0)).unwrap();
            Scan::of(&tree, &|| Ok(())).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn all_settled(scan: &Scan) -> Vec<bool> {
        vec![true; scan.nodes().len()]
    }

    fn paths(scan: &Scan, entries: impl IntoIterator<Item = usize>) -> Vec<String> {
        let text = |index| String::from_utf8(scan.path(index)).unwrap();
        entries.into_iter().map(text).collect()
    }

    #[test]
    fn an_unchanged_tree_has_nothing_to_read_again() {
        let folder = Folder::new();
        fs::create_dir(folder.0.join("a")).unwrap();
        folder.write("a/b", "x");
        let (old, new) = (folder.scan(), folder.scan());
        let comparison = Comparison::of(&old, &new, &all_settled(&old));
        assert_eq!(comparison.changed().count(), 0);
        assert!(comparison.removals(&old, &new).is_empty());
    }

    #[test]
    fn a_file_that_became_a_directory_is_removed_and_made() {
        let folder = Folder::new();
        folder.write("a", "x");
        folder.write("b", "x");
        let old = folder.scan();
        fs::remove_file(folder.0.join("a")).unwrap();
        fs::create_dir(folder.0.join("a")).unwrap();
        folder.write("a/c", "y");
        let new = folder.scan();
        let comparison = Comparison::of(&old, &new, &all_settled(&old));
        assert_eq!(paths(&new, comparison.changed()), ["a", "a/c"]);
        assert_eq!(paths(&old, comparison.removals(&old, &new)), ["a"]);
    }

    #[test]
    fn all_names_of_an_inode_change_together() {
        let folder = Folder::new();
        folder.write("a", "x");
        fs::hard_link(folder.0.join("a"), folder.0.join("b")).unwrap();
        folder.write("c", "x");
        let scan = folder.scan();
        let mut comparison = Comparison::of(&scan, &scan, &all_settled(&scan));
        let b = scan
            .entries()
            .find(|index| &*scan.node(*index).name == b"b");
        comparison.distrust(b.unwrap());
        comparison.change_whole_link_groups(&scan);
        assert_eq!(paths(&scan, comparison.changed()), ["a", "b"]);
    }

    #[test]
    fn what_is_below_a_directory_that_was_never_made_is_made_with_it() {
        let folder = Folder::new();
        fs::create_dir_all(folder.0.join("a/b")).unwrap();
        folder.write("a/b/c", "x");
        folder.write("d", "x");
        let scan = folder.scan();
        let mut settled = all_settled(&scan);
        let a = scan
            .entries()
            .find(|index| &*scan.node(*index).name == b"a");
        settled[a.unwrap()] = false;
        let comparison = Comparison::of(&scan, &scan, &settled);
        assert_eq!(paths(&scan, comparison.changed()), ["a", "a/b", "a/b/c"]);
    }
}
