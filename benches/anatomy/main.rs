//! Where the nanoseconds of a packet go: a picture of the profiles of several libraries.
//!
//! A profile is what `perf report` prints of one bulk transfer ([`profile`]); each symbol belongs to a part of the work
//! ([`part`]). The commands that make one stand in `docs/performance.md`.
//!
//! ```text
//! cargo bench --bench anatomy -- --profile Peregrine=ours.txt=960 --profile quinn-proto=theirs.txt=1750 --out packet.svg
//! ```

mod part;
mod picture;
mod profile;

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Parser;

use self::profile::Profile;

/// Draws where the nanoseconds of a packet go.
#[derive(Debug, Parser)]
#[command(name = "anatomy")]
struct Args {
    /// NAME=FILE=NANOSECONDS: who, what `perf report --stdio --no-children -g none -F overhead,sym` printed, and what a
    /// packet costs. Once a library, in the order of the picture.
    #[arg(long, required = true)]
    profile: Vec<Source>,
    /// The SVG file to write.
    #[arg(long, default_value = "packet.svg")]
    out: PathBuf,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A profile before it is read.
#[derive(Debug, Clone)]
struct Source {
    name: String,
    file: PathBuf,
    nanoseconds: f64,
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text}: write NAME=FILE=NANOSECONDS");
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (file, nanoseconds) = rest.rsplit_once('=').ok_or_else(wrong)?;
        let nanoseconds = nanoseconds.parse().ok().filter(|n| (1.0..1e9).contains(n)).ok_or_else(wrong)?;
        Ok(Self { name: name.to_owned(), file: file.into(), nanoseconds })
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            eprintln!("anatomy: {refusal}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    let mut profiles = Vec::new();
    for Source { name, file, nanoseconds } in &args.profile {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let profile = Profile::read(name, *nanoseconds, &text)
            .ok_or_else(|| format!("{}: no line of it is a share and a symbol", file.display()))?;
        println!("{profile}");
        profiles.push(profile);
    }
    picture::draw(&args.out, &profiles).map_err(|error| format!("{}: {error}", args.out.display()))?;
    println!("drawn: {}", args.out.display());
    Ok(())
}
