//! Import over the desk: the person's files stream in, a thread of its own reads them, and what came of each goes back.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use careweave_protocol::cbor;
use careweave_protocol::desk::{DeskReply, FileReport, ImportFrame, ImportReport};
use careweave_protocol::identity::StaffCredential;
use careweave_protocol::limits::{IDLE_TIMEOUT, REQUEST_MAX};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{DeskError, finish, send};
use crate::net::{ExchangeStream, FramedStream};
use crate::services::Services;
use crate::store::import::Importer;

/// Pieces of a file on their way to the reading thread: 1 MiB at 64 KiB each.
const PIECES: usize = 16;
/// A frame of 64 KiB of data and its name.
const FRAME: usize = REQUEST_MAX + 1024;
/// What the reading thread reads at once.
const BUFFER: usize = 64 * 1024;

/// What the reading thread reports.
enum Progress {
    File(FileReport),
    Done(ImportReport),
    Failed(String),
}

/// Serves one import.
pub(super) async fn serve(
    services: &Arc<Services>,
    person: &StaffCredential,
    mut stream: FramedStream<ExchangeStream>,
) -> Result<(), DeskError> {
    // Said first, so that nobody sends a large file to a desk that will not take it.
    send(&mut stream, &DeskReply::Ready).await?;
    let (pieces, incoming) = mpsc::channel(PIECES);
    let (outgoing, mut progress) = mpsc::channel(PIECES);
    let reading = {
        let services = Arc::clone(services);
        tokio::task::spawn_blocking(move || read_files(&services, incoming, &outgoing))
    };
    let received = receive(&mut stream, pieces, &mut progress).await;
    // Whatever became of the connection: what was read of it is in the store, and somebody put it there.
    reading.await?;
    let report = match &received {
        Ok(Some(report)) => report.clone(),
        _ => DeskReply::Failed("the import ended before its last file".to_owned()),
    };
    let detail = match &report {
        DeskReply::Imported(done) => {
            let files = done.files.len();
            format!("{files} files, {} new, {} parked, {} bad", done.imported, done.parked, done.bad)
        }
        _ => "ended early".to_owned(),
    };
    services.relationships.changed();
    services.admin("import", Some(person), detail).await;
    received?;
    finish(stream, report).await
}

/// Hands the person's frames to the reading thread and its reports back; gives the last one, when it came so far.
async fn receive(
    stream: &mut FramedStream<ExchangeStream>,
    pieces: mpsc::Sender<ImportFrame>,
    progress: &mut mpsc::Receiver<Progress>,
) -> Result<Option<DeskReply>, DeskError> {
    loop {
        let frame = timeout(IDLE_TIMEOUT, stream.read_frame(FRAME)).await.map_err(|_| DeskError::Idle)??;
        let Some(frame) = frame else { return Ok(None) };
        let frame: ImportFrame = cbor::from_slice(&frame, FRAME).map_err(|_| DeskError::Protocol)?;
        let answers = matches!(frame, ImportFrame::EndFile | ImportFrame::End);
        // An error means that the thread has failed and says why below.
        drop(pieces.send(frame).await);
        if !answers {
            continue;
        }
        match progress.recv().await {
            Some(Progress::File(file)) => send(stream, &DeskReply::FileImported(file)).await?,
            Some(Progress::Done(done)) => return Ok(Some(DeskReply::Imported(done))),
            Some(Progress::Failed(why)) => return Ok(Some(DeskReply::Failed(why))),
            None => return Ok(None),
        }
    }
}

fn read_files(services: &Services, incoming: mpsc::Receiver<ImportFrame>, outgoing: &mpsc::Sender<Progress>) {
    let last = match read_all(services, incoming, outgoing) {
        Ok(report) => Progress::Done(report),
        Err(error) => Progress::Failed(error.to_string()),
    };
    // An error means that the person hung up; what is imported is durable all the same.
    drop(outgoing.blocking_send(last));
}

fn read_all(
    services: &Services,
    mut incoming: mpsc::Receiver<ImportFrame>,
    outgoing: &mpsc::Sender<Progress>,
) -> Result<ImportReport, crate::store::import::ImportError> {
    let mut importer = Importer::new(&services.database, &services.config.ods, services.clock.now());
    while let Some(frame) = incoming.blocking_recv() {
        match frame {
            ImportFrame::File(name) => {
                let mut reader = BufReader::with_capacity(BUFFER, Pieces::new(&mut incoming));
                let report = importer.file(&name, &mut reader)?;
                // Whatever the importer did not want of the file is still part of it.
                if io::copy(&mut reader, &mut io::sink()).is_err() {
                    break;
                }
                drop(outgoing.blocking_send(Progress::File(report)));
            }
            // Bytes or an end without a file: whoever sends that waits for a report, so there must be one.
            ImportFrame::End | ImportFrame::Data(_) | ImportFrame::EndFile => break,
        }
    }
    importer.finish()
}

/// One file as a reader.
struct Pieces<'a> {
    incoming: &'a mut mpsc::Receiver<ImportFrame>,
    piece: Vec<u8>,
    taken: usize,
    ended: bool,
}

impl<'a> Pieces<'a> {
    fn new(incoming: &'a mut mpsc::Receiver<ImportFrame>) -> Self {
        Self { incoming, piece: Vec::new(), taken: 0, ended: false }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let rest = self.piece.get(self.taken..).unwrap_or_default();
            if !rest.is_empty() {
                let count = rest.len().min(buffer.len());
                for (slot, byte) in buffer.iter_mut().zip(rest) {
                    *slot = *byte;
                }
                self.taken = self.taken.saturating_add(count);
                return Ok(count);
            }
            if self.ended {
                return Ok(0);
            }
            match self.incoming.blocking_recv() {
                Some(ImportFrame::Data(piece)) => {
                    self.piece = piece.into_vec();
                    self.taken = 0;
                }
                Some(ImportFrame::EndFile) => self.ended = true,
                _ => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
    }
}
