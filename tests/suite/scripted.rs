//! A nerdctl that is a shell script of the test's, but for `inspect`, which goes to nerdctl.

use crate::FREEZEFRAME;
use harness::{Daemon, Freezeframe, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

pub struct Scripted {
    program: PathBuf,
    folder: PathBuf,
}

impl Scripted {
    /// In `script`, `$nerdctl` is nerdctl and `$folder` a folder of its own.
    pub fn new(daemon: &Daemon, script: &str) -> Result<Self> {
        let folder = daemon.new_folder("scripted")?;
        let program = folder.join("nerdctl");
        let text = format!(
            "#!/bin/sh\nnerdctl={}\nfolder={}\n\
             case \" $* \" in *' inspect '*) exec $nerdctl \"$@\";; esac\n{script}\n",
            daemon.nerdctl()?.program.display(),
            folder.display()
        );
        fs::write(&program, text)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(Self { program, folder })
    }

    /// freezeframe with this as the real nerdctl.
    pub fn before_us<'d>(&self, daemon: &'d Daemon) -> Result<Freezeframe<'d>> {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
        Ok(freezeframe.with("FREEZEFRAME_NERDCTL", &self.program))
    }

    /// The same that leaves every commit to this.
    pub fn delegated_to<'d>(&self, daemon: &'d Daemon) -> Result<Freezeframe<'d>> {
        let freezeframe = self.before_us(daemon)?;
        Ok(freezeframe.with("FREEZEFRAME_STRATEGY", "delegate"))
    }

    /// What the script has written to `$folder/NAME`, line by line.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}
