//! Many processes that do nothing but be there, each with many descriptors.

use std::io;
use std::process::Command;
use std::thread;

/// Starts `count` of them, each of which holds `descriptors` of what is our standard input, and stays until they end.
pub fn gather(count: u64, descriptors: u64) -> io::Result<()> {
    for _ in 0..descriptors {
        // SAFETY: the new descriptor is nobody's, and left open for those that inherit it.
        if unsafe { libc::dup(0) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let own = std::env::current_exe()?;
    let start = |_| Command::new(&own).arg("idle").spawn();
    let members: Vec<_> = (0..count).map(start).collect::<io::Result<_>>()?;
    for mut member in members {
        member.wait()?;
    }
    Ok(())
}

pub fn idle() -> ! {
    loop {
        thread::park();
    }
}
