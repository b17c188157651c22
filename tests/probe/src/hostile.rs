//! What somebody does inside who does not wish a commit well.

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

const BREATH: Duration = Duration::from_micros(200);

/// Everything in `directory` takes the name of another of its entries, again and again, for ever.
pub fn swap(directory: &Path) -> io::Result<()> {
    std::env::set_current_dir(directory)?;
    let entries = fs::read_dir(".")?;
    let names: Vec<_> = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<_>>()?;
    let aside = Path::new("aside");
    loop {
        for pair in names.windows(2) {
            fs::rename(&pair[0], aside)?;
            fs::rename(&pair[1], &pair[0])?;
            fs::rename(aside, &pair[1])?;
        }
        thread::sleep(BREATH);
    }
}

/// `levels` directories, each in the one before, whatever the length of their paths.
pub fn deep(directory: &Path, levels: u64) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    std::env::set_current_dir(directory)?;
    for _ in 0..levels {
        fs::create_dir("d")?;
        std::env::set_current_dir("d")?;
    }
    Ok(())
}

/// `count` empty files in one directory.
pub fn names(directory: &Path, count: u64) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    (0..count).try_for_each(|index| fs::write(directory.join(index.to_string()), ""))
}
