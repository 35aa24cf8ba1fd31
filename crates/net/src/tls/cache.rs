//! One configuration for each set of options, for as long as what their files say is the same.
//!
//! To build one takes milliseconds where many certificates are trusted. And sessions are resumed within one configuration
//! alone: a ticket that was given to whoever verified less must not be used by whoever verifies more.
//!
//! Files are read at each connect, which costs microseconds, and compared by what is in them: a time of modification can
//! stay the same over a change.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, TryLockError};

use rustls::ClientConfig;

use super::pem;
use crate::error::{Error, ErrorKind};
use crate::options::TlsOptions;

/// Configurations that are kept; of more, the one that was not used for longest is forgotten.
const KEPT: usize = 16;

/// The options that a configuration depends on, with their files' contents.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) ca_file: Option<Vec<u8>>,
    pub(super) ca_data: Option<Vec<u8>>,
    /// The client's chain and key, from wherever they are.
    pub(super) cert: Option<Vec<u8>>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) pins: Vec<[u8; 32]>,
    pub(super) only_tls_1_3: bool,
    /// Where the secrets are written to, for a tool that decrypts what was recorded.
    pub(super) key_log: Option<OsString>,
    pub(super) verify: bool,
}

impl Contents {
    /// # Errors
    /// A file cannot be read, or has to be together with another one.
    pub(super) fn read(options: &TlsOptions) -> Result<Self, Error> {
        for (file, data, name) in
            [(&options.cert_file, &options.cert_data, "cert"), (&options.key_file, &options.key_data, "key")]
        {
            if file.is_some() && data.is_some() {
                let text = format!("{name}_file and {name}_data say the same: give one of them");
                return Err(Error::new(ErrorKind::InvalidArgument, text));
            }
        }
        if options.has_client() != (options.key_file.is_some() || options.key_data.is_some()) {
            let text = "cert_file and key_file (or cert_data and key_data) go together: give both or neither";
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let read =
            |path: &Option<PathBuf>, option| path.as_ref().map(|path| pem::read(path, option)).transpose();
        // Whom to trust does not matter where nobody is verified.
        let ca_file = if options.verify { read(&options.ca_file, "ca_file")? } else { None };
        Ok(Self {
            ca_file,
            ca_data: options.ca_data.clone().filter(|_| options.verify),
            cert: read(&options.cert_file, "cert_file")?.or_else(|| options.cert_data.clone()),
            key: read(&options.key_file, "key_file")?.or_else(|| options.key_data.clone()),
            pins: options.pins.clone(),
            only_tls_1_3: options.only_tls_1_3,
            key_log: env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()),
            verify: options.verify,
        })
    }
}

type Entry = (Contents, Arc<ClientConfig>);

/// The one that was used last comes first.
pub(super) struct Cache(Mutex<Vec<Entry>>);

impl Cache {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// What was built for these contents, or what `build` makes of them now.
    ///
    /// # Errors
    /// What `build` fails with; that is not kept.
    pub(super) fn get_or_build(
        &self,
        contents: Contents,
        build: impl FnOnce(&Contents) -> Result<Arc<ClientConfig>, Error>,
    ) -> Result<Arc<ClientConfig>, Error> {
        if let Some(config) = self.with(|entries| find(entries, &contents)).flatten() {
            return Ok(config);
        }
        let config = build(&contents)?;
        let kept = self.with(|entries| {
            // Somebody else may have been faster.
            find(entries, &contents).unwrap_or_else(|| {
                entries.truncate(KEPT - 1);
                entries.insert(0, (contents, Arc::clone(&config)));
                Arc::clone(&config)
            })
        });
        Ok(kept.unwrap_or(config))
    }

    /// Does without it where another thread is at it: after a fork it would never be done.
    fn with<T>(&self, step: impl FnOnce(&mut Vec<Entry>) -> T) -> Option<T> {
        match self.0.try_lock() {
            Ok(mut entries) => Some(step(&mut entries)),
            Err(TryLockError::Poisoned(poisoned)) => Some(step(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

fn find(entries: &mut [Entry], contents: &Contents) -> Option<Arc<ClientConfig>> {
    let at = entries.iter().position(|(known, _)| known == contents)?;
    entries[..=at].rotate_right(1);
    Some(Arc::clone(&entries[0].1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(ca_data: &str) -> Contents {
        Contents {
            ca_file: None,
            ca_data: Some(ca_data.into()),
            cert: None,
            key: None,
            pins: Vec::new(),
            only_tls_1_3: false,
            key_log: None,
            verify: true,
        }
    }

    fn config() -> Arc<ClientConfig> {
        let options = TlsOptions { verify: false, ..TlsOptions::default() };
        super::super::build(&options, &Contents::read(&options).expect("no files"))
            .expect("nothing is needed")
    }

    #[test]
    fn the_same_contents_have_the_same_configuration() {
        let cache = Cache::new();
        let get = |name: &str| cache.get_or_build(contents(name), |_| Ok(config())).expect("built");
        let (one, two) = (get("1"), get("2"));
        assert!(!Arc::ptr_eq(&one, &two));
        assert!(Arc::ptr_eq(&one, &get("1")) && Arc::ptr_eq(&two, &get("2")));
    }

    #[test]
    fn the_one_that_is_not_used_is_forgotten() {
        let cache = Cache::new();
        let get = |name: &str| cache.get_or_build(contents(name), |_| Ok(config())).expect("built");
        let (used, unused) = (get("used"), get("unused"));
        for number in 0..KEPT - 1 {
            get(&number.to_string());
            assert!(Arc::ptr_eq(&used, &get("used")));
        }
        assert!(!Arc::ptr_eq(&unused, &get("unused")));
    }

    #[test]
    fn a_failure_is_not_kept() {
        let cache = Cache::new();
        let failure = Error::new(ErrorKind::Tls, "no");
        assert!(cache.get_or_build(contents("1"), |_| Err(failure)).is_err());
        assert!(cache.get_or_build(contents("1"), |_| Ok(config())).is_ok());
    }

    #[test]
    fn a_lock_that_is_held_keeps_nobody_waiting() {
        let cache = Cache::new();
        let _held = cache.0.lock().expect("not poisoned");
        assert!(cache.get_or_build(contents("1"), |_| Ok(config())).is_ok());
    }
}
