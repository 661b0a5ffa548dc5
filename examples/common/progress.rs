//! Progress on a terminal: a bar for each download and a line that says what goes on. Silent elsewhere.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Beyond this many downloads they share one bar, or the terminal would scroll.
const MOST_BARS: usize = 8;

/// The bars of one run; they vanish when it ends.
#[derive(Debug)]
pub struct Progress {
    all: MultiProgress,
    stage: ProgressBar,
    bars: Vec<ProgressBar>,
}

impl Progress {
    /// Bars for `downloads` downloads of `len` bytes each, under a `title`.
    pub fn new(title: &str, downloads: usize, len: u64) -> Self {
        let (all, stage) = (MultiProgress::new(), ProgressBar::new_spinner());
        let template = "{prefix:9} {bar:40} {bytes:>11} of {total_bytes} {binary_bytes_per_sec:>12}";
        let stage = all.add(stage.with_prefix(title.to_owned()).with_style(style("{prefix}: {msg}")));
        let shared = downloads > MOST_BARS;
        let bars = (1..=if shared { 1 } else { downloads }).map(|number| {
            let bar = ProgressBar::new(if shared { len.saturating_mul(downloads as u64) } else { len });
            let name = if shared { "clients".to_owned() } else { format!("client {number}") };
            all.add(bar.with_prefix(name).with_style(style(template)))
        });
        Self { bars: bars.collect(), all, stage }
    }

    /// Says what goes on.
    pub fn stage(&self, what: String) {
        self.stage.set_message(what);
    }

    /// A download has `bytes` more.
    pub fn advance(&self, download: usize, bytes: u64) {
        if let Some(bar) = self.bars.get(download).or(self.bars.first()) {
            bar.inc(bytes);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Nothing is lost if the terminal is gone: the results come later, and elsewhere.
        let _ = self.all.clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well-formed")
}
