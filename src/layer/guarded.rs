//! The layer's way into the store, given up where the disk's reserve is no longer free.

use std::io::{self, Write};

use crate::capture::space::Room;
use crate::containerd::BlobWriter;

/// In bytes, between two looks.
const LOOK: usize = 1 << 20;

pub struct Guarded<'a> {
    blob: BlobWriter,
    room: &'a Room,
    since_look: usize,
}

impl<'a> Guarded<'a> {
    pub fn new(blob: BlobWriter, room: &'a Room) -> Self {
        Self {
            blob,
            room,
            since_look: 0,
        }
    }

    pub fn into_inner(self) -> BlobWriter {
        self.blob
    }
}

impl Write for Guarded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.blob.write(bytes)?;
        self.since_look += written;
        if self.since_look >= LOOK {
            self.since_look = 0;
            let spare = self.blob.spare()?;
            self.room
                .check_beside_layer(spare)
                .map_err(io::Error::other)?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blob.flush()
    }
}
