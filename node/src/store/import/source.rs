//! Reads a file of any size in bounded memory and tells, by content alone, whether it is one JSON document or one on each line.

use std::io::{self, BufRead, Read};

use careweave_protocol::limits::RECORD_MAX;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reason::Reason;

/// One JSON document (not NDJSON): bounds what is held in memory at once. Larger feeds come as NDJSON or several Bundles.
pub(in crate::store) const DOCUMENT_MAX: usize = 64 * 1024 * 1024;

/// A part of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The whole file is this one JSON document.
    Document {
        /// Its text.
        text: String,
    },
    /// One line that is not blank.
    Line {
        /// Which, from 1.
        line: u64,
        /// Its text.
        text: String,
    },
    /// Something that is neither; reading may go on.
    Bad {
        /// Which line.
        line: u64,
        /// Why.
        reason: Reason,
    },
}

/// A file being read.
pub(super) struct Source<R> {
    reader: R,
    line: u64,
    state: State,
}

enum State {
    Start,
    /// One document on each line; lines read ahead to find that out are given first.
    Lines(Vec<(u64, Vec<u8>)>),
    End,
}

enum Next {
    End,
    Line,
    TooLong,
}

impl<R: BufRead> Source<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, line: 0, state: State::Start }
    }

    /// The next part, `None` at the end. After an error of the reader one bad part is given and then the end.
    pub(super) fn next(&mut self) -> Option<Piece> {
        let piece = match std::mem::replace(&mut self.state, State::End) {
            State::Start => self.start(),
            State::Lines(ahead) => self.next_line(ahead),
            State::End => Ok(None),
        };
        piece.unwrap_or_else(|_| {
            self.state = State::End;
            Some(Piece::Bad { line: self.line, reason: Reason::Unreadable })
        })
    }

    fn start(&mut self) -> io::Result<Option<Piece>> {
        let mut text = Vec::new();
        let bom = self.reader.fill_buf()?.starts_with(&[0xef, 0xbb, 0xbf]);
        if bom {
            self.reader.consume(3);
        }
        let first = match self.filled_line(&mut text, DOCUMENT_MAX)? {
            Next::End => return Ok(Some(Piece::Bad { line: 1, reason: Reason::EmptyFile })),
            Next::TooLong => {
                self.state = State::Lines(Vec::new());
                return Ok(Some(Piece::Bad { line: self.line, reason: Reason::DocumentTooLong }));
            }
            Next::Line => self.line,
        };
        let end_of_first = text.len();
        let room = DOCUMENT_MAX.saturating_sub(end_of_first);
        match self.filled_line(&mut text, room)? {
            Next::End => return Ok(Some(document(text))),
            Next::TooLong => {
                return Ok(Some(Piece::Bad { line: self.line, reason: Reason::DocumentTooLong }));
            }
            Next::Line => {}
        }
        let (one, two) = text.split_at_checked(end_of_first).unwrap_or((&text, &[]));
        if is_whole(one) || is_resource(two) {
            // The first read ahead is given last-in-first-out.
            self.state = State::Lines(vec![(self.line, two.to_vec()), (first, one.to_vec())]);
            return Ok(self.next());
        }
        if !one.trim_ascii().starts_with(b"{") && !two.trim_ascii().starts_with(b"{") {
            return Ok(Some(Piece::Bad { line: first, reason: Reason::NotFhirJson }));
        }
        if !one.trim_ascii().starts_with(b"{") {
            self.state = State::Lines(vec![(self.line, two.to_vec()), (first, one.to_vec())]);
            return Ok(self.next());
        }
        let room = DOCUMENT_MAX.saturating_sub(text.len());
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        self.reader.by_ref().take(room + 1).read_to_end(&mut text)?;
        if text.len() > DOCUMENT_MAX {
            return Ok(Some(Piece::Bad { line: 1, reason: Reason::DocumentTooLong }));
        }
        Ok(Some(document(text)))
    }

    fn next_line(&mut self, mut ahead: Vec<(u64, Vec<u8>)>) -> io::Result<Option<Piece>> {
        let (line, text) = if let Some(read) = ahead.pop() {
            if read.1.len() > RECORD_MAX {
                self.state = State::Lines(ahead);
                return Ok(Some(Piece::Bad { line: read.0, reason: Reason::LineTooLong }));
            }
            read
        } else {
            let mut text = Vec::new();
            match self.filled_line(&mut text, RECORD_MAX)? {
                Next::End => return Ok(None),
                Next::TooLong => {
                    self.state = State::Lines(ahead);
                    return Ok(Some(Piece::Bad { line: self.line, reason: Reason::LineTooLong }));
                }
                Next::Line => (self.line, text),
            }
        };
        self.state = State::Lines(ahead);
        Ok(Some(match String::from_utf8(text) {
            Ok(text) => Piece::Line { line, text },
            Err(_) => Piece::Bad { line, reason: Reason::NotUtf8 },
        }))
    }

    /// Appends lines until one is not blank. A line over the limit is skipped to its end, and what was read of it dropped.
    fn filled_line(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<Next> {
        loop {
            let start = out.len();
            let next = self.line(out, limit)?;
            let blank = out.get(start..).is_none_or(|line| line.trim_ascii().is_empty());
            if !matches!(next, Next::Line) || !blank {
                return Ok(next);
            }
        }
    }

    fn line(&mut self, out: &mut Vec<u8>, limit: usize) -> io::Result<Next> {
        let start = out.len();
        let bound = u64::try_from(limit).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(bound + 1).read_until(b'\n', out)?;
        if read == 0 {
            return Ok(Next::End);
        }
        self.line += 1;
        if read > limit {
            out.truncate(start);
            self.skip_line()?;
            return Ok(Next::TooLong);
        }
        Ok(Next::Line)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|b| *b == b'\n');
            let used = end.map_or(buffer.len(), |place| place + 1);
            self.reader.consume(used);
            if end.is_some() || used == 0 {
                return Ok(());
            }
        }
    }
}

fn document(text: Vec<u8>) -> Piece {
    match String::from_utf8(text) {
        Ok(text) => Piece::Document { text },
        Err(_) => Piece::Bad { line: 1, reason: Reason::NotUtf8 },
    }
}

/// Whether a line is a whole JSON value.
fn is_whole(line: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(line).is_ok()
}

/// Whether a line is a whole resource: the second line of a document never is.
fn is_resource(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        #[serde(rename = "resourceType")]
        _kind: String,
    }
    serde_json::from_slice::<Typed>(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &[u8]) -> Vec<Piece> {
        let mut source = Source::new(text);
        std::iter::from_fn(|| source.next()).collect()
    }

    #[test]
    fn the_content_tells_a_document_from_lines() {
        let line = |line, text: &str| Piece::Line { line, text: text.to_owned() };
        let pretty = "\u{feff}{\r\n  \"resourceType\": \"Patient\"\r\n}\r\n";
        assert_eq!(
            pieces(pretty.as_bytes()),
            [Piece::Document { text: pretty.trim_start_matches('\u{feff}').to_owned() }]
        );
        assert_eq!(pieces(b"\n{}\n\n"), [Piece::Document { text: "\n{}\n\n".to_owned() }]);
        assert_eq!(pieces(b"{}\n\n{}"), [line(1, "{}\n"), line(3, "\n{}")]);
        let cut = "{\"resourceType\":\"Pat\n{\"resourceType\":\"Patient\"}\n";
        assert_eq!(
            pieces(cut.as_bytes()),
            [line(1, "{\"resourceType\":\"Pat\n"), line(2, "{\"resourceType\":\"Patient\"}\n")]
        );
        let parts = "{\"resourceType\":\"Bundle\",\"entry\":[\n{\"resource\":{}}\n]}";
        assert_eq!(pieces(parts.as_bytes()), [Piece::Document { text: parts.to_owned() }]);
        assert_eq!(pieces(b"oops\n{}\n"), [line(1, "oops\n"), line(2, "{}\n")]);
        let bad = |line, reason| Piece::Bad { line, reason };
        assert_eq!(pieces(b""), [bad(1, Reason::EmptyFile)]);
        assert_eq!(pieces(b"<Patient>\n</Patient>\n<a>"), [bad(1, Reason::NotFhirJson)]);
        assert_eq!(pieces(b"{}\n\xff\n{}"), [line(1, "{}\n"), bad(2, Reason::NotUtf8), line(3, "{}")]);
    }

    #[test]
    fn a_line_over_the_limit_is_named_and_reading_goes_on() {
        let mut text = b"{}\n{\"a\":\"".to_vec();
        text.resize(RECORD_MAX + 10, b' ');
        text.extend_from_slice(b"\"}\n{}\n");
        let found = pieces(&text);
        assert!(matches!(found[1], Piece::Bad { line: 2, reason: Reason::LineTooLong }), "{:?}", found.len());
        assert!(matches!(found[2], Piece::Line { line: 3, .. }));
    }
}
