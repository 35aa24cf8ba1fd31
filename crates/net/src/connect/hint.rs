//! What to try next when a server answers the opening handshake with something else than a WebSocket.

use sunsocket_wire::{Headers, Request, Response, Url, shorten};

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
    let schemes = schemes(headers);
    let knows_basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("Basic"));
    if !schemes.is_empty() && !knows_basic {
        return format!(
            "; it wants the authentication scheme {}, and the option auth knows Basic alone: send its Authorization \
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

/// The authentication schemes that `WWW-Authenticate` names (RFC 9110 11.6.1), each once, in order.
fn schemes(headers: &Headers) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    for value in headers.get_all("WWW-Authenticate") {
        let mut is_quoted = false;
        // A comma ends a challenge or a parameter, but not inside quotes.
        let parts = value.split(|c| {
            is_quoted ^= c == '"';
            c == ',' && !is_quoted
        });
        for part in parts {
            let first = part.split_whitespace().next().unwrap_or_default();
            let is_scheme =
                !first.is_empty() && first.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
            let is_parameter = part.trim_start()[first.len()..].trim_start().starts_with('=');
            if is_scheme && !is_parameter && first.len() <= 40 && found.len() < 8 && !found.contains(&first) {
                found.push(first);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use sunsocket_wire::Limits;

    use super::*;

    fn schemes_of(values: &[&str]) -> Vec<String> {
        let lines: String = values.iter().map(|value| format!("WWW-Authenticate: {value}\r\n")).collect();
        let head = format!("HTTP/1.1 401 x\r\n{lines}\r\n");
        let (response, _) =
            Response::parse(head.as_bytes(), &Limits::default()).expect("valid").expect("complete");
        schemes(&response.headers).into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn schemes_are_found_among_their_parameters() {
        assert_eq!(schemes_of(&["Basic realm=\"x\""]), ["Basic"]);
        assert_eq!(
            schemes_of(&["Digest realm=\"a, Basic\", qop = auth, Basic realm=\"b\""]),
            ["Digest", "Basic"]
        );
        assert_eq!(
            schemes_of(&["Negotiate", "NTLM, Bearer error=\"no\"", "NTLM"]),
            ["Negotiate", "NTLM", "Bearer"]
        );
        assert_eq!(schemes_of(&["Negotiate abc=="]), ["Negotiate"]);
        assert_eq!(schemes_of(&[", ,", "realm=\"x", "\"Basic\""]), [""; 0]);
    }
}
