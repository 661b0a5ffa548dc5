//! Bytes on their way to be lines, of which none is longer than it may be.

use std::mem::take;

/// The longest line, in bytes without its end.
pub const LONGEST: usize = 64 << 10;

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// All of it, without its end.
    Whole(Vec<u8>),
    /// It was too long, and is thrown away up to its end.
    TooLong,
}

/// Cuts a stream into lines. Holds at most [`LONGEST`] bytes and what was pushed last.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    /// How many of them were given out.
    given: usize,
    /// How many of the others hold no line's end.
    searched: usize,
    /// The line that comes next was complained of already.
    is_skipping: bool,
}

impl Lines {
    /// Takes in what came.
    pub fn push(&mut self, bytes: &[u8]) {
        drop(self.bytes.drain(..take(&mut self.given)));
        self.bytes.extend_from_slice(bytes);
    }

    /// The next line, if it is complete, or too long whether or not it is.
    pub fn next(&mut self) -> Option<Line> {
        loop {
            let rest = &self.bytes[self.given..];
            let end = rest[self.searched..].iter().position(|byte| *byte == b'\n');
            let Some(end) = end.map(|end| self.searched + end) else {
                self.searched = rest.len();
                if self.is_skipping {
                    self.forget();
                } else if self.searched > LONGEST {
                    self.forget();
                    self.is_skipping = true;
                    return Some(Line::TooLong);
                }
                return None;
            };
            let line = &rest[..end];
            let line = if end > LONGEST { Line::TooLong } else { Line::Whole(line.to_vec()) };
            self.given += end + 1;
            self.searched = 0;
            if !take(&mut self.is_skipping) {
                return Some(line);
            }
        }
    }

    /// What is left once nothing more comes: a line without an end.
    pub fn last(&mut self) -> Option<Line> {
        let rest = self.bytes[self.given..].to_vec();
        self.forget();
        (!rest.is_empty() && !take(&mut self.is_skipping)).then_some(Line::Whole(rest))
    }

    fn forget(&mut self) {
        self.bytes = Vec::new();
        (self.given, self.searched) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(line: &str) -> Line {
        Line::Whole(line.as_bytes().to_vec())
    }

    fn all(lines: &mut Lines) -> Vec<Line> {
        std::iter::from_fn(|| lines.next()).collect()
    }

    #[test]
    fn lines_come_whole_however_they_were_cut() {
        let mut lines = Lines::default();
        for byte in b"one\n\ntw" {
            lines.push(&[*byte]);
        }
        assert_eq!(all(&mut lines), [whole("one"), whole("")]);
        lines.push(b"o\nthree\nfo");
        assert_eq!(all(&mut lines), [whole("two"), whole("three")]);
        assert_eq!((lines.last(), lines.last()), (Some(whole("fo")), None));
    }

    #[test]
    fn a_line_of_64_kib_is_no_byte_too_long() {
        let mut lines = Lines::default();
        lines.push(&[&[b'a'; LONGEST][..], b"\n"].concat());
        assert_eq!(all(&mut lines), [Line::Whole(vec![b'a'; LONGEST])]);
        lines.push(&[&[b'a'; LONGEST + 1][..], b"\nnext\n"].concat());
        assert_eq!(all(&mut lines), [Line::TooLong, whole("next")]);
    }

    #[test]
    fn an_endless_line_is_complained_of_once_and_held_nowhere() {
        let mut lines = Lines::default();
        let mut complaints = Vec::new();
        for _ in 0..1000 {
            lines.push(&[b'a'; 16 << 10]);
            complaints.extend(all(&mut lines));
            assert!(lines.bytes.len() <= LONGEST + (16 << 10));
        }
        assert_eq!(complaints, [Line::TooLong]);
        lines.push(b"its end\nnext\nla");
        assert_eq!(all(&mut lines), [whole("next")]);
        assert_eq!(lines.last(), Some(whole("la")));
    }

    #[test]
    fn what_is_left_of_an_endless_line_is_none() {
        let mut lines = Lines::default();
        lines.push(&vec![b'a'; LONGEST + 1]);
        assert_eq!(all(&mut lines), [Line::TooLong]);
        lines.push(b"more");
        assert_eq!((all(&mut lines), lines.last()), (vec![], None));
    }
}
