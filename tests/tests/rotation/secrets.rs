//! Private keys as they could be found on a disk: raw, and as their files write them.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The private half of one key, as patterns of bytes.
pub(super) struct Secret {
    name: String,
    patterns: Vec<Vec<u8>>,
}

impl Secret {
    /// Reads a key file in PEM: what is private in it lies at a fixed place in PKCS#8, of Ed25519 (RFC 8410 §7) or of P-256 (RFC 5915).
    pub(super) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let lines: Vec<&[u8]> = text.lines().filter(|line| !line.starts_with("-----")).map(str::as_bytes).collect();
        let der = decode(&lines.concat());
        // The piece of the text lies within one line of it, and within what is private.
        let (raw, piece) = match der.len() {
            48.. if der[7..16].starts_with(&ED25519) => (&der[16..48], &lines[0][24..64]),
            _ => (&der[36..68], &lines[1][..24]),
        };
        let patterns = vec![raw.to_vec(), piece.to_vec()];
        Self { name: path.display().to_string(), patterns }
    }

    /// Every file under a directory that holds it.
    pub(super) fn found_under(&self, directory: &Path) -> Vec<String> {
        let pattern = self.patterns.iter().map(|bytes| bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect());
        let pattern = pattern.collect::<Vec<String>>().join("|");
        let found = Command::new("grep")
            .env("LC_ALL", "C")
            .args(["--recursive", "--text", "--files-with-matches", "--perl-regexp", &pattern])
            .arg(directory)
            .output()
            .unwrap();
        // 1 is none; a file that a running store has just removed makes it 2.
        assert!(matches!(found.status.code(), Some(0..=2)), "{found:?}");
        String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Nothing under this directory holds it any more.
    pub(super) fn assert_gone(&self, directory: &Path) {
        let found = self.found_under(directory);
        assert!(found.is_empty(), "what was {} is still in {found:?}", self.name);
    }
}

/// RFC 4648 §4, of what a key file holds.
fn decode(text: &[u8]) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut bytes) = (0u32, 0, Vec::new());
    for character in text.iter().filter(|c| **c != b'=') {
        bits = bits << 6 | u32::try_from(digits.iter().position(|d| d == character).unwrap()).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    bytes
}

/// The algorithm in PKCS#8 of an Ed25519 key: OID 1.3.101.112.
const ED25519: [u8; 5] = [0x06, 0x03, 0x2b, 0x65, 0x70];
