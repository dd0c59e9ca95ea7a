//! The proof that somebody knows a one-time code.

use careweave_protocol::id::Digest;
use ring::hmac;

/// Whether `proof` is the HMAC-SHA-256 (RFC 2104) of the request under the code's digest; in constant time.
///
/// Without an invitation the same is computed under a key that nobody holds, and is `false`.
pub(super) fn holds(code: Option<&Digest>, request: &[u8], proof: &Digest) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, code.unwrap_or(&NOBODY).as_bytes());
    let right = hmac::verify(&key, request, proof.as_bytes()).is_ok();
    right & code.is_some()
}

/// Stands for the code of whoever was not invited, so that they take as long to refuse.
const NOBODY: Digest = Digest([0; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(code: &Digest, request: &[u8]) -> Digest {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, code.as_bytes()), request);
        Digest(tag.as_ref().try_into().unwrap())
    }

    #[test]
    fn the_right_code_over_the_same_bytes_and_nothing_else_holds() {
        let (code, other) = (Digest::of(&[b"a code"]), Digest::of(&[b"another"]));
        let right = proof(&code, b"request");
        assert!(holds(Some(&code), b"request", &right));
        assert!(!holds(Some(&code), b"request of another key", &right));
        assert!(!holds(Some(&other), b"request", &right));
        assert!(!holds(None, b"request", &right));
        assert!(!holds(Some(&code), b"request", &Digest([0; 32])));
    }

    #[test]
    fn nobody_who_was_not_invited_passes_by_knowing_what_stands_for_them() {
        assert!(!holds(None, b"request", &proof(&NOBODY, b"request")));
    }
}
