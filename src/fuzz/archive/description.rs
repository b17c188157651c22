//! A tree as bytes of any kind describe it: every input is one.

use std::collections::BTreeMap;

const MOST_ENTRIES: usize = 64;
const LONGEST_NAME: usize = 255;
/// So that what is made beside a fuzzer's folder stays within the kernel's bound of 4,095.
const LONGEST_PATH: usize = 3000;
/// The latest that ext4 can say (2446).
const LATEST: u64 = 15_000_000_000;
/// Which no file can have for an owner.
const NOBODY: u32 = u32::MAX;
const MOST_MINOR: u32 = (1 << 20) - 1;

pub struct Description {
    /// Paths with the number of an inode; directories before what is in them.
    pub names: BTreeMap<Vec<u8>, usize>,
    pub inodes: Vec<Inode>,
}

pub struct Inode {
    pub kind: Kind,
    pub mode: u16,
    pub owner: u32,
    pub group: u32,
    pub modified: u64,
}

pub enum Kind {
    Directory,
    File {
        content: Vec<u8>,
        capability: Option<Vec<u8>>,
    },
    Symlink(Vec<u8>),
    Device {
        is_block: bool,
        node: (u32, u32),
    },
    Fifo,
    Socket,
    Whiteout,
}

impl Description {
    pub fn decode(bytes: &[u8]) -> Self {
        let mut input = Input(bytes);
        let mut description = Self {
            names: BTreeMap::new(),
            inodes: Vec::new(),
        };
        let mut directories = vec![Vec::new()];
        for _ in 0..MOST_ENTRIES {
            if input.0.is_empty() {
                break;
            }
            let parent = &directories[usize::from(input.byte()) % directories.len()];
            let path = joined(parent, &input.name());
            if path.len() > LONGEST_PATH || description.names.contains_key(&path) {
                continue;
            }
            let number = match input.byte() % 10 {
                9 => description.linkable(input.byte()),
                kind => Some(description.add(input.inode(kind))),
            };
            let Some(number) = number else { continue };
            if matches!(description.inodes[number].kind, Kind::Directory) {
                directories.push(path.clone());
            }
            description.names.insert(path, number);
        }
        description
    }

    fn add(&mut self, inode: Inode) -> usize {
        self.inodes.push(inode);
        self.inodes.len() - 1
    }

    /// An inode that may get one more name.
    fn linkable(&self, which: u8) -> Option<usize> {
        let is_linkable = |number: &usize| !matches!(self.inodes[*number].kind, Kind::Directory);
        let linkable: Vec<usize> = (0..self.inodes.len()).filter(is_linkable).collect();
        linkable
            .get(usize::from(which) % linkable.len().max(1))
            .copied()
    }
}

fn joined(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() {
        return name.to_vec();
    }
    [parent, b"/", name].concat()
}

struct Input<'a>(&'a [u8]);

impl Input<'_> {
    /// Zero at the end.
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> u32 {
        u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    fn short(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// At most `count` bytes, without those that no name has.
    fn text(&mut self, count: usize) -> Vec<u8> {
        let (text, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        text.iter()
            .map(|byte| if *byte == 0 { b'_' } else { *byte })
            .collect()
    }

    /// A name for a file; long ones come about by repeating.
    fn name(&mut self) -> Vec<u8> {
        let length = usize::from(self.byte());
        let mut name = self.text(length % 16);
        if length > 128 && !name.is_empty() {
            name = name.repeat(length / name.len() + 1);
            name.truncate(length.min(LONGEST_NAME));
        }
        name.iter_mut()
            .filter(|byte| **byte == b'/')
            .for_each(|byte| *byte = b'_');
        match name.as_slice() {
            b"" | b"." | b".." => b"n".to_vec(),
            _ => name,
        }
    }

    fn inode(&mut self, kind: u8) -> Inode {
        let kind = self.kind(kind);
        Inode {
            kind,
            mode: self.short() & 0o7777,
            owner: self.number() % NOBODY,
            group: self.number() % NOBODY,
            modified: u64::from(self.number()) * 4 % LATEST,
        }
    }

    fn kind(&mut self, kind: u8) -> Kind {
        match kind {
            0 | 1 => Kind::Directory,
            2 | 3 => self.file(),
            4 => {
                let count = usize::from(self.byte());
                let target = self.text(count);
                Kind::Symlink(if target.is_empty() {
                    b"t".to_vec()
                } else {
                    target
                })
            }
            5 => Kind::Device {
                is_block: self.byte() > 127,
                // Never 0:0, which is a whiteout.
                node: (
                    1 + u32::from(self.short()) % 511,
                    self.number() & MOST_MINOR,
                ),
            },
            6 => Kind::Fifo,
            7 => Kind::Socket,
            _ => Kind::Whiteout,
        }
    }

    /// Up to 64 KiB of one byte, with a few of others at its end.
    fn file(&mut self) -> Kind {
        let (length, byte) = (usize::from(self.short()), self.byte());
        let mut content = vec![byte; length];
        let count = usize::from(self.byte() % 32);
        content.extend(self.text(count));
        let has_capability = self.byte() > 127;
        Kind::File {
            content,
            capability: has_capability.then(|| self.capability()),
        }
    }

    /// `vfs_cap_data` of linux/capability.h, revision 2, with any permitted ones.
    fn capability(&mut self) -> Vec<u8> {
        let mut value = vec![0; 20];
        value[3] = 2;
        value[4..8].copy_from_slice(&self.number().to_le_bytes());
        value
    }
}
