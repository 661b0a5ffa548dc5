//! Processes for tests: the executable of the tests runs itself, and becomes the program.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

/// Set for processes that are to be the program instead of its tests.
const BE_THE_PROGRAM: &str = "BE_THE_PROGRAM";

/// The command line that this process is to be, unless it is to test.
pub fn line_to_be() -> Option<String> {
    let line = std::env::var(BE_THE_PROGRAM).ok()?;
    println!();
    Some(line)
}

/// This executable with this command line, and no environment of the interop runner's.
pub fn program(line: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("it has a name"));
    command.args(["--exact", "tests::the_program", "--nocapture", "--quiet"]);
    command.env(BE_THE_PROGRAM, line);
    for variable in
        ["ROLE", "TESTCASE", "REQUESTS", "SSLKEYLOGFILE", "HOST", "PORT", "WWW", "DOWNLOADS", "CERTS"]
    {
        command.env_remove(variable);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A process that runs until it is dropped.
pub struct Process {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("it can be run");
        let out = child.stdout.take().expect("it is piped");
        Self { child, lines: BufReader::new(out).lines() }
    }

    /// The next line that begins like this, without its beginning.
    pub fn line(&mut self, beginning: &str) -> String {
        let lines = self.lines.by_ref().map_while(Result::ok);
        let mut such = lines.filter_map(|line| line.strip_prefix(beginning).map(str::to_owned));
        such.next().unwrap_or_else(|| panic!("the process never says {beginning}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
