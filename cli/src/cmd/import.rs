//! `careweave import`: files to the own node, a report for each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use careweave_protocol::desk::{DeskReply, DeskRequest, FileReport, ImportFrame, ImportReport};
use indicatif::{ProgressBar, ProgressStyle};
use serde_bytes::ByteBuf;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::args::Output;
use crate::args::operate::ImportArgs;
use crate::context::Context;
use crate::desk::{Desk, DeskError, Exchange, REPLY_WAIT};
use crate::error::{CliError, exit};

/// Sends every file and prints what came of it.
///
/// # Errors
/// When a file cannot be read or the node cannot take it; what was imported before stays.
pub async fn run(args: &ImportArgs, ctx: &mut Context) -> Result<u8, CliError> {
    let files = files(&args.paths)?;
    let desk = Desk::open(ctx).await?;
    let mut exchange = desk.ask(&DeskRequest::Import).await?;
    let DeskReply::Ready = exchange.next(REPLY_WAIT).await? else { return Err(DeskError::Unexpected.into()) };
    let bar = bar(ctx.progress, files.iter().map(|file| file.bytes).sum());
    let mut bad_in_files = false;
    for file in &files {
        send(&mut exchange, file, &bar).await?;
        let DeskReply::FileImported(report) = exchange.next(FILE_WAIT).await? else {
            return Err(DeskError::Unexpected.into());
        };
        bad_in_files |= !report.bad.is_empty();
        if ctx.output == Output::Table {
            bar.suspend(|| show(ctx, &report))?;
        }
    }
    exchange.send(&ImportFrame::End).await?;
    let DeskReply::Imported(report) = exchange.next(FILE_WAIT).await? else {
        return Err(DeskError::Unexpected.into());
    };
    bar.finish_and_clear();
    desk.close().await;
    match ctx.output {
        Output::Json => ctx.printer.json(&report)?,
        Output::Table => ctx.printer.line(&total(&report))?,
    }
    Ok(if report.bad > 0 || bad_in_files { exit::PARTIAL } else { exit::DONE })
}

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Input {
    path: PathBuf,
    bytes: u64,
}

async fn send(exchange: &mut Exchange, input: &Input, bar: &ProgressBar) -> Result<(), CliError> {
    let name = input.path.to_string_lossy().into_owned();
    let mut file = File::open(&input.path).await.map_err(|error| unreadable(&input.path, &error))?;
    bar.set_message(name.clone());
    exchange.send(&ImportFrame::File(name)).await?;
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece).await.map_err(|error| unreadable(&input.path, &error))?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        let frame = ImportFrame::Data(ByteBuf::from(bytes));
        // A node that stops reading holds us up through flow control; one that is stopped does so for good.
        match tokio::time::timeout(REPLY_WAIT, exchange.send(&frame)).await {
            Ok(sent) => sent?,
            Err(_) => return Err(DeskError::NoReply(REPLY_WAIT).into()),
        }
        bar.inc(u64::try_from(read).unwrap_or(u64::MAX));
    }
    exchange.send(&ImportFrame::EndFile).await
}

fn show(ctx: &mut Context, report: &FileReport) -> Result<(), CliError> {
    let FileReport { file, imported, unchanged, superseded, parked, bad } = report;
    ctx.printer.line(&format!(
        "{file}: {imported} imported, {unchanged} unchanged, {superseded} superseded, {parked} parked, {} bad",
        bad.len()
    ))?;
    for entry in bad {
        let place = match (entry.line, entry.entry) {
            (Some(line), _) => format!("line {line}"),
            (None, 0) => "file".to_owned(),
            (None, number) => format!("entry {number}"),
        };
        ctx.printer.line(&format!("  {place}: {}", entry.reason))?;
    }
    Ok(())
}

fn total(report: &ImportReport) -> String {
    let ImportReport { files, imported, parked, bad } = report;
    let waiting = if *parked > 0 { " (waiting for their patient)" } else { "" };
    let plural = if files.len() == 1 { "file" } else { "files" };
    format!("{} {plural}: {imported} imported, {parked} parked{waiting}, {bad} bad", files.len())
}

/// Every file in the order in which it is sent: as given, and a directory's in the order of their names.
fn files(paths: &[PathBuf]) -> Result<Vec<Input>, CliError> {
    let mut inputs = Vec::new();
    for path in paths {
        let metadata = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            walk(path, 0, &mut inputs)?;
        } else {
            inputs.push(Input { path: path.clone(), bytes: metadata.len() });
        }
    }
    if inputs.is_empty() {
        return Err(CliError::failed("no-files", "there is no .json or .ndjson file to import")
            .hint("name the files, or a directory that holds some"));
    }
    Ok(inputs)
}

fn walk(directory: &Path, depth: usize, inputs: &mut Vec<Input>) -> Result<(), CliError> {
    if depth > DEPTH_MAX {
        return Err(CliError::failed("file", format!("{} is nested too deeply", directory.display()))
            .hint("a link may lead back to a directory above it"));
    }
    let unreadable_here = |error: std::io::Error| unreadable(directory, &error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable_here)? {
        entries.push(entry.map_err(unreadable_here)?.path());
    }
    entries.sort();
    for path in entries {
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        if metadata.is_dir() {
            walk(&path, depth + 1, inputs)?;
        } else if path.extension().is_some_and(|extension| extension == "json" || extension == "ndjson") {
            inputs.push(Input { path, bytes: metadata.len() });
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::failed("file", format!("{} cannot be read: {error}", path.display()))
        .hint("what was imported before it stays; mend it and import again, the same file twice changes nothing")
}

fn bar(shown: bool, bytes: u64) -> ProgressBar {
    if !shown {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    // The template is a constant; were it wrong, the default style would do.
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {eta} {wide_msg}") {
        bar.set_style(style);
    }
    bar
}

/// Bytes of a file in one frame.
const PIECE: usize = careweave_protocol::limits::CHUNK_MAX;
/// How long the node may take to make one file durable: a month of a large hospital is about a gigabyte.
const FILE_WAIT: Duration = Duration::from_secs(600);
/// Directories within directories; more is a loop of links.
const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gives_its_json_files_in_the_order_of_their_names_and_a_named_file_is_always_taken() {
        let root = std::env::temp_dir().join(format!("careweave-import-{}", std::process::id()));
        std::fs::create_dir_all(root.join("b")).unwrap();
        for name in ["c.json", "a.ndjson", "b/x.json", "notes.txt"] {
            std::fs::write(root.join(name), "{}").unwrap();
        }
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let inputs = files(paths).unwrap();
            inputs.iter().map(|input| input.path.strip_prefix(&root).unwrap().display().to_string()).collect()
        };
        assert_eq!(names(std::slice::from_ref(&root)), ["a.ndjson", "b/x.json", "c.json"]);
        assert_eq!(names(&[root.join("notes.txt"), root.join("b")]), ["notes.txt", "b/x.json"]);
        let missing = files(&[root.join("missing.json")]).unwrap_err();
        assert_eq!((missing.exit, missing.code), (exit::FAILED, "file"));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_directory_without_json_is_said_to_have_none() {
        let root = std::env::temp_dir().join(format!("careweave-import-empty-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        assert_eq!(files(std::slice::from_ref(&root)).unwrap_err().code, "no-files");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
