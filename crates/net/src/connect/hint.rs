//! What to try next when a server answers the opening handshake with something else than a WebSocket.

use sunsocket_wire::{Challenge, Headers, Request, Response, Url, shorten};

/// Begins with a semicolon where there is one: it ends the sentence that names the status.
pub(super) fn hint(url: &Url, request: &Request, response: &Response) -> String {
    match response.status {
        301 | 302 | 303 | 307 | 308 => {
            let location = response.headers.get_all_references("Location").next();
            match location.map(|location| url.join(&location)) {
                Some(Ok(target)) => format!(
                    "; it redirects to {}, and redirects are switched off (max_redirects): connect there",
                    shorten(&target.to_string())
                ),
                Some(Err(_)) | None => String::new(),
            }
        }
        401 => unauthorized(request, &response.headers),
        403 => "; does it want credentials, an Origin or a cookie?".to_owned(),
        404 => "; check the path of the URL".to_owned(),
        200 | 426 => "; is there a WebSocket at this path?".to_owned(),
        407 => "; a proxy stands before it and wants credentials".to_owned(),
        429 | 503 => match response.headers.get("Retry-After") {
            Some(when) => format!("; it is busy and says Retry-After: {:?}", shorten(when)),
            None => "; it is busy: try again later".to_owned(),
        },
        _ => String::new(),
    }
}

fn unauthorized(request: &Request, headers: &Headers) -> String {
    let challenges = Challenge::parse_all(headers.get_all("WWW-Authenticate"));
    let is_known = challenges.iter().any(|challenge| challenge.is("Basic") || challenge.is("Digest"));
    let mut schemes: Vec<&str> = Vec::new();
    for challenge in &challenges {
        if !schemes.contains(&challenge.scheme.as_str()) {
            schemes.push(&challenge.scheme);
        }
    }
    if !schemes.is_empty() && !is_known {
        return format!(
            "; it wants the authentication scheme {}, and the option auth knows Basic and Digest: send its Authorization \
             header yourself",
            schemes.join(" or ")
        );
    }
    if request.is_authorized() {
        return "; it does not accept the credentials that were sent".to_owned();
    }
    "; it wants credentials: give a user name and a password with the option auth, or in the URL \
     (ws://user:password@host/)"
        .to_owned()
}
