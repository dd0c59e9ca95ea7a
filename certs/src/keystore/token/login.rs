//! This process's login with one token: the session that signs, and how it comes back when the token was away.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLockReadGuard};

use cryptoki::error::{Error as Answer, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::module::Module;
use super::uri::TokenUri;
use crate::keystore::{KeyStoreError, Passphrase, TokenAnswer};
use crate::private_file;

/// A user PIN, or none for a token that has a PIN pad. It is kept as long as the login, because a token that comes back wants
/// it again.
#[derive(Clone, PartialEq)]
pub(super) struct Pin(Option<Zeroizing<String>>);

/// The login of all keys of one token. A session is one operation at a time, so it stands behind a lock.
pub(super) struct Login {
    path: PathBuf,
    module: Module,
    token: String,
    pin: Pin,
    state: Mutex<State>,
}

enum State {
    Open(Session),
    /// The last attempt failed; the next operation tries once more.
    Lost,
    /// The token no longer accepts the PIN. It is not sent again: a few wrong ones lock the token for everybody.
    Shut,
}

/// Longest PIN file: CK_TOKEN_INFO knows no bound, tokens stop at 255 bytes.
const PIN_FILE_MAX: usize = 256;

impl Pin {
    /// The PIN from the file that the address names, otherwise the one given.
    pub(super) fn for_token(uri: &TokenUri, given: Option<&Passphrase>) -> Result<Self, KeyStoreError> {
        let Some(path) = uri.pin_source() else { return Ok(Self::new(given)) };
        let bytes = private_file::read(path, PIN_FILE_MAX)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| KeyStoreError::PinFile(path.to_owned()))?;
        let pin = Self::new(Some(&Passphrase::new(Zeroizing::new(text.to_owned()))));
        if pin.0.is_some() { Ok(pin) } else { Err(KeyStoreError::PinFile(path.to_owned())) }
    }

    /// Whether there is one, rather than a PIN pad.
    pub(super) fn is_typed_here(&self) -> bool {
        self.0.is_some()
    }

    fn new(given: Option<&Passphrase>) -> Self {
        Self(given.map(Passphrase::text).filter(|text| !text.is_empty()).map(|text| Zeroizing::new(text.to_owned())))
    }
}

impl Login {
    /// Logs in with a token that this process is not logged into.
    pub(super) fn new(path: PathBuf, module: Module, token: &str, pin: Pin) -> Result<Self, KeyStoreError> {
        let login = Self { path, module, token: token.to_owned(), pin, state: Mutex::new(State::Lost) };
        let session = login.log_in(true)?;
        *login.state.lock().unwrap_or_else(PoisonError::into_inner) = State::Open(session);
        Ok(login)
    }

    pub(super) fn is_for(&self, path: &Path, token: &str) -> bool {
        self.path == path && self.token == token
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Open(_))
    }

    /// Whether the token accepted this PIN once and does not any more.
    pub(super) fn is_shut_to(&self, pin: &Pin) -> bool {
        self.pin == *pin && matches!(*self.state.lock().unwrap_or_else(PoisonError::into_inner), State::Shut)
    }

    /// Holds a second comer to the PIN that the token accepted.
    pub(super) fn admit(&self, pin: &Pin) -> Result<(), KeyStoreError> {
        match (&self.pin.0, &pin.0) {
            (Some(accepted), Some(given)) if accepted == given => Ok(()),
            // At a PIN pad whoever stands there has typed it.
            (None, _) => Ok(()),
            (Some(_), None) => Err(KeyStoreError::PinNeeded { token: self.token.clone() }),
            (Some(_), Some(_)) => Err(KeyStoreError::WrongPin { token: self.token.clone() }),
        }
    }

    /// Does something in the session. When that fails the session is opened anew, once, and it is done again: a token that was
    /// pulled and put back, or a session closed under us, shows in any of a dozen answers, and on no two makes in the same.
    pub(super) fn with_session<T>(
        &self,
        work: impl Fn(&Session) -> Result<T, KeyStoreError>,
    ) -> Result<T, KeyStoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let _calling = self.calling();
            if let State::Open(session) = &*state
                && let Ok(done) = work(session)
            {
                return Ok(done);
            }
            if matches!(*state, State::Shut) {
                return Err(KeyStoreError::WrongPin { token: self.token.clone() });
            }
            // The old session first: a token may allow only one.
            *state = State::Lost;
        }
        match self.log_in(false) {
            Ok(session) => {
                let _calling = self.calling();
                let done = work(&session);
                *state = State::Open(session);
                done
            }
            Err(error) => {
                if matches!(error, KeyStoreError::WrongPin { .. } | KeyStoreError::PinLocked { .. }) {
                    *state = State::Shut;
                }
                Err(error)
            }
        }
    }

    /// To be held over everything that is done in a session of [`Login::writing`], its end included.
    pub(super) fn calling(&self) -> RwLockReadGuard<'_, ()> {
        self.module.calling()
    }

    /// A session that may write to the token; it is logged in, because the process is.
    pub(super) fn writing(&self) -> Result<Session, KeyStoreError> {
        self.module.library().open_rw_session(self.slot()?.0).map_err(|answer| self.refused(answer))
    }

    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn refused(&self, answer: Answer) -> KeyStoreError {
        KeyStoreError::TokenRefused { token: self.token.clone(), answer: TokenAnswer(answer) }
    }

    /// A session, logged in. Where the library misses the token, it is started anew and asked again, once.
    fn log_in(&self, first: bool) -> Result<Session, KeyStoreError> {
        let answer = self.log_in_once(first);
        match answer {
            Err(KeyStoreError::NoSuchToken { .. }) => {}
            Err(KeyStoreError::TokenRefused { answer: TokenAnswer(answer), .. }) if is_not_started(&answer) => {}
            answer => return answer,
        }
        let failed = |answer| KeyStoreError::Module { module: self.path.clone(), answer: TokenAnswer(answer) };
        self.module.restart().map_err(failed)?;
        self.log_in_once(first)
    }

    fn log_in_once(&self, first: bool) -> Result<Session, KeyStoreError> {
        let _calling = self.calling();
        let (slot, pin_pad) = self.slot()?;
        if self.pin.0.is_none() && !pin_pad {
            return Err(KeyStoreError::PinNeeded { token: self.token.clone() });
        }
        let session = self.module.library().open_ro_session(slot).map_err(|answer| self.refused(answer))?;
        let pin = self.pin.0.as_ref().map(|pin| AuthPin::from(pin.as_str()));
        let send = || session.login(UserType::User, pin.as_ref());
        match send() {
            // A session that is just closing keeps the process logged in; that says nothing about this PIN, so the token is asked.
            Err(Answer::Pkcs11(RvError::UserAlreadyLoggedIn, _)) if first => session.logout().and_then(|()| send()),
            // After the first time the PIN is known to be right, and another session of ours may have come back earlier.
            Err(Answer::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            answer => answer,
        }
        .map_err(|answer| self.blame(answer))?;
        Ok(session)
    }

    fn blame(&self, answer: Answer) -> KeyStoreError {
        let token = self.token.clone();
        match answer {
            Answer::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
                KeyStoreError::WrongPin { token }
            }
            Answer::Pkcs11(RvError::PinLocked, _) => KeyStoreError::PinLocked { token },
            answer => self.refused(answer),
        }
    }

    /// The slot that holds the token now, and whether the token takes its PIN by itself.
    fn slot(&self) -> Result<(Slot, bool), KeyStoreError> {
        let slots = self.module.library().get_slots_with_token().map_err(|answer| self.refused(answer))?;
        // A slot that says nothing about its token has none any more, or none that is ready.
        let labelled = |slot: &Slot| {
            let info = self.module.library().get_token_info(*slot).ok()?;
            (info.label() == self.token).then(|| (*slot, info.protected_authentication_path()))
        };
        let found: Vec<(Slot, bool)> = slots.iter().filter_map(labelled).collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(KeyStoreError::NoSuchToken { token: self.token.clone() }),
            several => Err(KeyStoreError::SeveralTokens { token: self.token.clone(), found: several.len() }),
        }
    }
}

impl Drop for Login {
    /// Closes the session, which is a call as any other.
    fn drop(&mut self) {
        let _calling = self.module.calling();
        *self.state.get_mut().unwrap_or_else(PoisonError::into_inner) = State::Lost;
    }
}

/// The library was stopped, and could not be started again while the token was away.
fn is_not_started(answer: &Answer) -> bool {
    matches!(answer, Answer::Pkcs11(RvError::CryptokiNotInitialized, _))
}
