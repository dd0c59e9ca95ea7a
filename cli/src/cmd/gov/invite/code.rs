//! A one-time code: 160 random bits, written as people copy them.
//!
//! Eight groups of four characters of Crockford's Base32 and his check symbol (the number modulo 37), so that a mistyped character is noticed
//! before anything is sent. Small letters, `O` for `0`, `I` and `L` for `1` are read as they are meant.

use std::fmt;
use std::str::FromStr;

use careweave_protocol::id::Digest;
use ring::error::Unspecified;
use ring::hmac;
use ring::rand::SecureRandom;
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A one-time code. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct OneTimeCode([u8; CODE_LEN]);

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum CodeError {
    /// Too short or too long.
    #[error("a code has 32 characters and a check character, in groups of four")]
    Length,
    /// Not of the alphabet.
    #[error("a code has digits and letters without I, L, O and U")]
    Character,
    /// The check character says that something was mistyped.
    #[error("the code's last character does not fit: something was mistyped")]
    Check,
}

impl OneTimeCode {
    /// Makes a code.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(crate) fn random(random: &dyn SecureRandom) -> Result<Self, Unspecified> {
        let mut code = Self([0; CODE_LEN]);
        random.fill(&mut code.0)?;
        Ok(code)
    }

    /// As it is shown, once.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(TEXT_LEN));
        for five in self.0.chunks(5) {
            let bits = five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for (index, shift) in (0..8).rev().enumerate() {
                text.push(symbol((bits >> (5 * shift)) & 31));
                if index % 4 == 3 {
                    text.push('-');
                }
            }
        }
        text.push(symbol(self.check()));
        text
    }

    /// SHA-256 of the code: what an invitation holds, and the key of the proof.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&[&self.0])
    }

    /// Proof of knowing the code, over the bytes of a request: HMAC-SHA-256 (RFC 2104) under the code's digest.
    pub(crate) fn prove(&self, request: &[u8]) -> Digest {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.digest().as_bytes()), request);
        let mut proof = [0; Digest::LEN];
        for (slot, byte) in proof.iter_mut().zip(tag.as_ref()) {
            *slot = *byte;
        }
        Digest(proof)
    }

    /// The code as a number, modulo 37.
    fn check(&self) -> u64 {
        self.0.iter().fold(0, |rest, byte| (rest * 256 + u64::from(*byte)) % 37)
    }
}

impl FromStr for OneTimeCode {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let read = text.chars().filter(|c| *c != '-' && !c.is_whitespace()).map(value);
        // At most one more than a code has, whatever was typed.
        let values = Zeroizing::new(read.take(SYMBOLS + 2).collect::<Option<Vec<u64>>>().ok_or(CodeError::Character)?);
        let (check, values) = values.split_last().ok_or(CodeError::Length)?;
        if values.len() != SYMBOLS {
            return Err(CodeError::Length);
        }
        if values.iter().any(|value| *value > 31) {
            return Err(CodeError::Character);
        }
        let mut code = Self([0; CODE_LEN]);
        for (bytes, eight) in code.0.chunks_mut(5).zip(values.chunks(8)) {
            let bits = eight.iter().fold(0_u64, |bits, value| bits << 5 | value);
            for (byte, shift) in bytes.iter_mut().rev().zip(0..) {
                *byte = u8::try_from((bits >> (8 * shift)) & 0xff).unwrap_or_default();
            }
        }
        if code.check() == *check { Ok(code) } else { Err(CodeError::Check) }
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(hidden)")
    }
}

fn symbol(value: u64) -> char {
    usize::try_from(value).ok().and_then(|index| SYMBOL.get(index)).map_or('?', |byte| char::from(*byte))
}

fn value(symbol: char) -> Option<u64> {
    let meant = match symbol.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    SYMBOL.iter().position(|byte| char::from(*byte) == meant).and_then(|index| u64::try_from(index).ok())
}

/// Crockford's Base32, and after it the five symbols that only a check has.
const SYMBOL: &[u8; 37] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U";
/// Bytes of a code: 160 bits, so that nobody guesses one however long they try.
const CODE_LEN: usize = 20;
/// Characters of a code without its check: five bits each.
const SYMBOLS: usize = CODE_LEN * 8 / 5;
/// With a hyphen after each group, and the check.
const TEXT_LEN: usize = SYMBOLS + SYMBOLS / 4 + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;

    #[test]
    fn a_code_is_read_as_it_was_shown_and_as_people_type_it() {
        for _ in 0..200 {
            let code = OneTimeCode::random(&SystemRandom::new()).unwrap();
            let text = code.to_text();
            let groups: Vec<&str> = text.split('-').collect();
            assert_eq!(groups.len(), 9);
            assert!(groups.iter().take(8).all(|group| group.len() == 4) && groups[8].len() == 1, "{groups:?}");
            assert_eq!(text.parse::<OneTimeCode>().unwrap(), code);
            let typed = text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            assert_eq!(typed.parse::<OneTimeCode>().unwrap(), code);
        }
    }

    #[test]
    fn one_wrong_character_is_noticed_wherever_it_is() {
        let code = OneTimeCode([0xa5; CODE_LEN]);
        let text = code.to_text();
        for (index, right) in text.char_indices().filter(|(_, c)| *c != '-') {
            for wrong in "0123456789ABCDEFGHJKMNPQRSTVWXYZ".chars().filter(|wrong| *wrong != right) {
                let mut mistyped: Vec<char> = text.chars().collect();
                mistyped[index] = wrong;
                let mistyped: String = mistyped.into_iter().collect();
                assert_eq!(mistyped.parse::<OneTimeCode>(), Err(CodeError::Check), "{mistyped}");
            }
        }
    }

    #[test]
    fn what_is_no_code_is_named() {
        for (text, error) in [
            ("", CodeError::Length),
            ("ABCD-EFGH", CodeError::Length),
            (&"0".repeat(34), CodeError::Length),
            (&"0".repeat(100_000), CodeError::Length),
            ("ABC!", CodeError::Character),
            (&format!("*{}", "0".repeat(32)), CodeError::Character),
        ] {
            assert_eq!(text.parse::<OneTimeCode>(), Err(error), "{text:.40}");
        }
        assert_eq!("0".repeat(33).parse::<OneTimeCode>().unwrap(), OneTimeCode([0; CODE_LEN]));
    }

    #[test]
    fn a_code_is_not_printed_and_its_proof_is_of_these_bytes_alone() {
        let code = OneTimeCode([7; CODE_LEN]);
        assert_eq!(format!("{code:?}"), "OneTimeCode(hidden)");
        assert_eq!(code.prove(b"request"), code.clone().prove(b"request"));
        assert_ne!(code.prove(b"request"), code.prove(b"requesu"));
        assert_ne!(code.prove(b"request"), OneTimeCode([8; CODE_LEN]).prove(b"request"));
    }
}
