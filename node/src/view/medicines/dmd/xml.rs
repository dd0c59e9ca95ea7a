//! The XML of a release, as a stream: one entry at a time, whatever the size of the file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use quick_xml::events::Event;
use quick_xml::reader::Reader;

use super::DmdError;

/// The one file of a folder whose name begins so.
pub(super) fn find(folder: &Path, prefix: &'static str) -> Result<PathBuf, DmdError> {
    let unreadable = |source| DmdError::Folder { path: folder.to_owned(), source };
    let mut found = None;
    for item in std::fs::read_dir(folder).map_err(unreadable)? {
        let item = item.map_err(unreadable)?;
        let name = item.file_name().to_string_lossy().to_lowercase();
        let is_xml = Path::new(&name).extension().is_some_and(|extension| extension == "xml");
        if name.starts_with(prefix) && is_xml && found.replace(item.path()).is_some() {
            return Err(DmdError::Several { folder: folder.to_owned(), prefix });
        }
    }
    found.ok_or_else(|| DmdError::Missing { folder: folder.to_owned(), prefix })
}

/// Calls `take` with each `element` of the file.
pub(super) fn each(
    file: &Path,
    root: &'static str,
    element: &'static str,
    mut take: impl FnMut(&Fields<'_>) -> Result<(), DmdError>,
) -> Result<(), DmdError> {
    let unreadable = |source| DmdError::Read { file: file.to_owned(), source };
    let too_large = |what| DmdError::TooLarge { file: file.to_owned(), what };
    let opened = File::open(file).map_err(unreadable)?;
    if opened.metadata().map_err(unreadable)?.len() > FILE_MAX {
        return Err(too_large("bytes"));
    }
    let mut reader = Reader::from_reader(BufReader::with_capacity(BUFFER, opened.take(FILE_MAX)));
    reader.config_mut().expand_empty_elements = true;
    let mut state = State { file, root, element, number: 0, depth: 0, inside: None, values: Vec::new() };
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| DmdError::Xml {
            file: file.to_owned(),
            position: reader.error_position(),
            reason: error.to_string(),
        })?;
        match event {
            Event::Start(tag) => state.start(tag.local_name().as_ref())?,
            Event::End(_) if state.end() => {
                state.number += 1;
                if state.number > ENTRIES_MAX {
                    return Err(too_large("entries"));
                }
                take(&Fields { state: &state })?;
            }
            Event::Text(text) => state.text(&text.xml10_content()),
            Event::CData(text) => state.text(&text.xml10_content()),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => state.text(character.encode_utf8(&mut [0; 4])),
                _ => state.text(entity(reference.as_ref())),
            },
            Event::Eof => break,
            _ => {}
        }
        if buffer.len() > TEXT_MAX || state.values.iter().any(|(_, value)| value.len() > TEXT_MAX) {
            return Err(too_large("text of one element"));
        }
    }
    if state.number == 0 || state.depth != 0 {
        return Err(DmdError::Empty { file: file.to_owned(), element });
    }
    Ok(())
}

/// The fields of one entry.
pub(super) struct Fields<'a> {
    state: &'a State<'a>,
}

impl Fields<'_> {
    /// A field that every entry has.
    pub(super) fn text(&self, field: &'static str) -> Result<&str, DmdError> {
        self.get(field).ok_or_else(|| DmdError::Field {
            file: self.state.file.to_owned(),
            element: self.state.element,
            number: self.state.number,
            field,
        })
    }

    /// A SNOMED CT identifier that every entry has.
    pub(super) fn id(&self, field: &'static str) -> Result<u64, DmdError> {
        self.number(field, self.text(field)?)
    }

    /// A SNOMED CT identifier that an entry can have.
    pub(super) fn optional_id(&self, field: &'static str) -> Result<Option<u64>, DmdError> {
        self.get(field).map(|value| self.number(field, value)).transpose()
    }

    /// Whether a flag is set.
    pub(super) fn flag(&self, field: &str) -> bool {
        self.get(field) == Some("1")
    }

    fn get(&self, field: &str) -> Option<&str> {
        let value = self.state.values.iter().find(|(name, _)| name == field).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    fn number(&self, field: &'static str, value: &str) -> Result<u64, DmdError> {
        let plain = value.len() <= IDENTIFIER_DIGITS && value.bytes().all(|b| b.is_ascii_digit());
        value.parse().ok().filter(|_| plain).ok_or_else(|| DmdError::Identifier {
            file: self.state.file.to_owned(),
            element: self.state.element,
            number: self.state.number,
            field,
            value: value.chars().take(IDENTIFIER_DIGITS).collect(),
        })
    }
}

/// Where in the file.
struct State<'a> {
    file: &'a Path,
    root: &'static str,
    element: &'static str,
    /// Entries so far.
    number: usize,
    depth: usize,
    /// Depth of the entry that is being read.
    inside: Option<usize>,
    values: Vec<(String, String)>,
}

impl State<'_> {
    fn start(&mut self, name: &str) -> Result<(), DmdError> {
        self.depth += 1;
        if self.depth == 1 && name != self.root {
            let found = name.chars().take(IDENTIFIER_DIGITS).collect();
            return Err(DmdError::Root { file: self.file.to_owned(), expected: self.root, found });
        }
        match self.inside {
            Some(entry) if self.depth == entry + 1 => self.values.push((name.to_owned(), String::new())),
            Some(_) => {}
            None if name == self.element => {
                self.inside = Some(self.depth);
                self.values.clear();
            }
            None => {}
        }
        Ok(())
    }

    /// Whether an entry is complete.
    fn end(&mut self) -> bool {
        let complete = self.inside == Some(self.depth);
        if complete {
            self.inside = None;
        }
        self.depth = self.depth.saturating_sub(1);
        complete
    }

    fn text(&mut self, text: &str) {
        if let (Some(entry), Some((_, value))) = (self.inside, self.values.last_mut())
            && self.depth == entry + 1
        {
            value.push_str(text);
        }
    }
}

/// The five entities that XML itself has; a release declares no others.
fn entity(name: &str) -> &'static str {
    match name {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "quot" => "\"",
        "apos" => "'",
        _ => "",
    }
}

/// Largest file: four times the largest of a release of 2026.
const FILE_MAX: u64 = 1 << 30;
/// Most entries of one kind: ten times the products of a release of 2026.
const ENTRIES_MAX: usize = 2_000_000;
/// Longest text of one element: names have at most 255 characters, descriptions 700.
const TEXT_MAX: usize = 64 * 1024;
/// A SNOMED CT identifier has at most 18 digits.
const IDENTIFIER_DIGITS: usize = 18;
/// Bytes read at once.
const BUFFER: usize = 64 * 1024;
