//! What all pictures share: SVG that stands for itself, in light and in dark surroundings, and needs no font but the
//! reader's.

use anyhow::Context;
use harness::Result;
use std::fs;
use std::path::Path;

const FOLDER: &str = "target/bench";

const STYLE: &str = "\
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#57606a}\
.title{font-size:14px;font-weight:600;fill:#1f2328}";
const DARK: &str = "text{fill:#9198a1}.title{fill:#f0f6fc}";

pub struct Picture {
    pub file: &'static str,
    /// What it shows, for those who do not see it.
    pub label: &'static str,
    pub size: (f64, f64),
    /// CSS, and what of it is different in the dark.
    pub style: (&'static str, &'static str),
}

impl Picture {
    /// Puts `content` into the file, and says where that is.
    pub fn write(&self, content: &str) -> Result {
        let ((width, height), (style, dark)) = (self.size, self.style);
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-label=\"{}\">\n<style>{STYLE}{style}\
             @media(prefers-color-scheme:dark){{{DARK}{dark}}}</style>\n{content}</svg>\n",
            self.label
        );
        let file = Path::new(FOLDER).join(self.file);
        let describe = || format!("writing {}", file.display());
        fs::create_dir_all(FOLDER).with_context(describe)?;
        fs::write(&file, svg).with_context(describe)?;
        println!("  {} as a picture: {}", self.label, file.display());
        Ok(())
    }
}
