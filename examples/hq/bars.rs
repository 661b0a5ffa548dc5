//! Progress on a terminal: how many files have come, how many bytes, and how fast. Silent elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// The line of one run; it vanishes when the run ends.
#[derive(Debug)]
pub struct Bars {
    files: ProgressBar,
    bytes: ProgressBar,
    all: indicatif::MultiProgress,
}

impl Bars {
    /// Lines for so many files, whose lengths nobody knows beforehand.
    pub fn new(files: usize) -> Self {
        let all = indicatif::MultiProgress::new();
        let line = |bar: ProgressBar, template| {
            let style = ProgressStyle::with_template(template).expect("the template is well-formed");
            all.add(bar.with_style(style))
        };
        let files = line(ProgressBar::new(files as u64), "{bar:40} {pos} of {len} files");
        let bytes = line(ProgressBar::no_length(), "{bytes} received, {binary_bytes_per_sec}");
        Self { files, bytes, all }
    }

    /// There are so many bytes more.
    pub fn advance(&self, bytes: u64) {
        self.bytes.inc(bytes);
    }

    /// Says something, above the line if there is one.
    pub fn say(&self, what: &str) {
        self.all.suspend(|| println!("{what}"));
    }

    /// A file has come to its end.
    pub fn end(&self) {
        self.files.inc(1);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // Nothing is lost if the terminal is gone: what matters is said elsewhere.
        let _ = self.all.clear();
    }
}
