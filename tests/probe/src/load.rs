//! Load: what a busy container does to its tree while somebody commits it.
//!
//! None of it ever ends, and none of it grows without bound. Each breathes a little
//! between its steps, so that on two cores the heartbeat measures freezing and not
//! the queue for a processor.

use crate::random::Random;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const FOLDERS: u64 = 16;
const LOG_LIMIT: u64 = 8 << 20;
const BLOCK: u64 = 4096;
const MIB: u64 = 1 << 20;

/// Creates, rewrites and deletes among `count` small files.
pub fn churn(directory: &Path, count: u64) -> io::Result<()> {
    for folder in 0..FOLDERS {
        fs::create_dir_all(directory.join(format!("{folder:02}")))?;
    }
    let mut random = Random::new(count);
    for index in 0..count {
        fs::write(small_file(directory, index), random.bytes(200))?;
    }
    loop {
        for _ in 0..16 {
            churn_one(&small_file(directory, random.below(count)), &mut random)?;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn small_file(directory: &Path, index: u64) -> PathBuf {
    directory.join(format!("{:02}/{index:06}", index % FOLDERS))
}

fn churn_one(path: &Path, random: &mut Random) -> io::Result<()> {
    if random.below(3) == 0 && path.exists() {
        return fs::remove_file(path);
    }
    let length = usize::try_from(random.below(2_000)).unwrap_or(0);
    fs::write(path, random.bytes(length))
}

/// Loops that append to `count` logs; a log that has become large begins anew.
pub fn append_logs(directory: &Path, count: u64) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let loops: Vec<_> = (0..count)
        .map(|index| directory.join(format!("{index}.log")))
        .map(|path| thread::spawn(move || append_for_ever(&path)))
        .collect();
    loops.into_iter().try_for_each(|one| {
        one.join()
            .map_err(|_| io::Error::other("a log's loop panicked"))?
    })
}

fn append_for_ever(path: &Path) -> io::Result<()> {
    let mut log = File::options().create(true).append(true).open(path)?;
    for line in 0_u64.. {
        let text = format!("{line:010} one more line, as a log gets them\n");
        log.write_all(text.as_bytes())?;
        if line % 32 == 0 {
            restart_when_large(&log)?;
            thread::sleep(Duration::from_micros(500));
        }
    }
    Ok(())
}

fn restart_when_large(log: &File) -> io::Result<()> {
    if log.metadata()?.len() > LOG_LIMIT {
        log.set_len(0)?;
    }
    Ok(())
}

/// A file of `mib` MiB whose first and last block keep changing.
pub fn big(path: &Path, mib: u64) -> io::Result<()> {
    let length = (mib * MIB).max(BLOCK);
    let file = write_big(path, length)?;
    let mut random = Random::new(mib);
    loop {
        let block = random.bytes(BLOCK as usize);
        file.write_all_at(&block, 0)?;
        file.write_all_at(&block, length - BLOCK)?;
        thread::sleep(Duration::from_millis(2));
    }
}

fn write_big(path: &Path, length: u64) -> io::Result<File> {
    let mut file = File::create(path)?;
    let mut random = Random::new(length);
    let mut left = length;
    while left > 0 {
        let chunk = left.min(MIB);
        file.write_all(&random.bytes(chunk as usize))?;
        left -= chunk;
    }
    Ok(file)
}
