//! What can be checked before anything is sent.

use std::sync::Arc;

use super::redirect::Route;
use crate::error::{Error, ErrorKind};
use crate::options::ConnectOptions;
use crate::tls::Tls;

/// What could be checked before anything is sent.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) tls: Option<Tls>,
}

impl ConnectOptions {
    /// Whether everything can be used that can be checked before anything is sent; connecting asks this too.
    ///
    /// # Errors
    /// `InvalidArgument`, or `Tls` for a certificate or key that cannot be used.
    pub fn check(&self) -> Result<(), Error> {
        prepare(&Arc::new(self.clone())).map(drop)
    }
}

/// Checks headers, names and files.
///
/// # Errors
/// `InvalidArgument`, or `Tls` for a certificate or key that cannot be read.
pub(crate) fn prepare(options: &Arc<ConnectOptions>) -> Result<Prepared, Error> {
    for (name, option, is_given) in [
        ("Authorization", "auth", options.auth.is_some()),
        ("Cookie", "cookies", !options.cookies.is_empty()),
        ("Origin", "origin", options.origin.is_some()),
    ] {
        if is_given && options.has_header(name) {
            let text = format!("the option {option} and a header {name} say the same: give one of them");
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
    }
    Route::new(Arc::clone(options)).request([0; 16])?;
    let tls = options.url.is_secure().then(|| Tls::new(&options.tls, options.url.host())).transpose()?;
    Ok(Prepared { tls })
}
