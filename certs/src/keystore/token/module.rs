//! PKCS#11 libraries in this process: each is loaded and initialised once, and each token is logged into once.
//!
//! Both are rules of PKCS#11, not choices. `C_Initialize` is called once in a process (OASIS PKCS#11 2.40 §5.4), so a library
//! stays loaded to the end of it. And a login is the process's with a token, not the session's (§5.6): a second `C_Login` with
//! any PIN at all would only hear that somebody is in already. So all keys of one token share one [`Login`], whoever comes second
//! is held to the PIN that the token accepted from the first, and when the last key goes, its session closes and the token logs
//! out.
//!
//! Some libraries look for tokens when they are initialised and never again: SoftHSM does, and so do drivers of modules in a network. So a
//! library that misses a token is started anew before the token is reported missing; every login of it then opens a new session.
//!
//! A PIN that a token has refused is not sent to it again by this process: a few wrong ones lock the token for everybody, and a
//! daemon looks at its keys again and again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, Weak};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as Answer, RvError};

use super::login::{Login, Pin};
use super::uri::TokenUri;
use crate::keystore::{KeyStoreError, TokenAnswer};

/// Libraries in one process: one make of token, and a second while keys move to another make.
const MODULES_MAX: usize = 4;
/// Refused PINs that are remembered: more than any token takes before it locks.
const REFUSED_MAX: usize = 32;

/// An initialised library. Calls and a new start exclude each other: what C_Finalize does to calls under way is undefined (§5.4).
#[derive(Clone)]
pub(super) struct Module {
    library: Pkcs11,
    calls: Arc<RwLock<()>>,
}

struct Registry {
    modules: Vec<(PathBuf, Module)>,
    logins: Vec<Weak<Login>>,
    refused: Vec<Refused>,
}

/// A PIN that a token has refused since it last accepted one.
struct Refused {
    module: PathBuf,
    token: String,
    pin: Pin,
}

static REGISTRY: Mutex<Registry> =
    Mutex::new(Registry { modules: Vec::new(), logins: Vec::new(), refused: Vec::new() });

/// The login with the token of the address: the one there is, or a new one.
pub(super) fn login(uri: &TokenUri, pin: &Pin) -> Result<Arc<Login>, KeyStoreError> {
    let mut registry = lock();
    let (path, module) = registry.module(uri.module())?;
    registry.logins.retain(|login| login.strong_count() > 0);
    let usable = |login: &Arc<Login>| login.is_for(&path, uri.token()) && login.is_open();
    if let Some(login) = registry.logins.iter().filter_map(Weak::upgrade).find(usable) {
        login.admit(pin)?;
        return Ok(login);
    }
    if registry.has_refused(&path, uri.token(), pin) {
        return Err(KeyStoreError::WrongPin { token: uri.token().to_owned() });
    }
    // Under the lock, so that two that come at once do not log each other out.
    match Login::new(path.clone(), module, uri.token(), pin.clone()) {
        Ok(login) => {
            let login = Arc::new(login);
            registry.refused.retain(|refused| !refused.is_of(&path, uri.token()));
            registry.logins.push(Arc::downgrade(&login));
            Ok(login)
        }
        Err(error) => {
            if matches!(error, KeyStoreError::WrongPin { .. }) {
                registry.refuse(Refused { module: path, token: uri.token().to_owned(), pin: pin.clone() });
            }
            Err(error)
        }
    }
}

/// The initialised library at a path.
#[cfg(test)]
pub(super) fn loaded(path: &Path) -> Pkcs11 {
    lock().module(path).unwrap().1.library
}

fn lock() -> MutexGuard<'static, Registry> {
    // Whatever panicked under the lock left whole entries: they are pushed last.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Module {
    pub(super) fn library(&self) -> &Pkcs11 {
        &self.library
    }

    /// Held over every call, and once only in a thread.
    pub(super) fn calling(&self) -> RwLockReadGuard<'_, ()> {
        self.calls.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the library anew, which ends every session of this process.
    pub(super) fn restart(&self) -> Result<(), Answer> {
        let _alone = self.calls.write().unwrap_or_else(PoisonError::into_inner);
        // One that the last attempt left not initialised refuses, and that is as good.
        drop(self.library.clone().finalize());
        initialise(&self.library)
    }
}

fn initialise(library: &Pkcs11) -> Result<(), Answer> {
    match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Err(Answer::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        answer => answer,
    }
}

impl Registry {
    /// Whether the token has refused this PIN: from whoever came, or from a login that it accepted once.
    fn has_refused(&self, module: &Path, token: &str, pin: &Pin) -> bool {
        let logins = || self.logins.iter().filter_map(Weak::upgrade);
        self.refused.iter().any(|refused| refused.is_of(module, token) && refused.pin == *pin)
            || logins().any(|login| login.is_for(module, token) && login.is_shut_to(pin))
    }

    fn refuse(&mut self, refused: Refused) {
        // A PIN pad takes what is typed there, which is not known here.
        if refused.pin.is_typed_here() {
            self.refused.truncate(REFUSED_MAX.saturating_sub(1));
            self.refused.insert(0, refused);
        }
    }

    fn module(&mut self, asked: &Path) -> Result<(PathBuf, Module), KeyStoreError> {
        // Two names of one library are one library: the loader would hand out the same one, initialised already.
        let path = fs::canonicalize(asked).unwrap_or_else(|_| asked.to_owned());
        if let Some((_, module)) = self.modules.iter().find(|(known, _)| *known == path) {
            return Ok((path, module.clone()));
        }
        if self.modules.len() >= MODULES_MAX {
            return Err(KeyStoreError::TooManyModules(MODULES_MAX));
        }
        let failed = |answer| KeyStoreError::Module { module: asked.to_owned(), answer: TokenAnswer(answer) };
        let library = Pkcs11::new(&path).map_err(failed)?;
        initialise(&library).map_err(failed)?;
        let module = Module { library, calls: Arc::default() };
        self.modules.push((path.clone(), module.clone()));
        Ok((path, module))
    }
}

impl Refused {
    fn is_of(&self, module: &Path, token: &str) -> bool {
        self.module == module && self.token == token
    }
}
