//! What errors advise, in the words of `sunsocket run`.
//!
//! The engine names options as programs in Python know them. A script has none of these: it has flags, or nothing. So what
//! an error says is put in other words here, where it leaves the engine for a script.

use sunsocket_net::Error;

/// What stands for what. A phrase that holds another one stands before it.
const IN_SCRIPTS: &[(&str, &str)] = &[
    ("ca_file (--cacert)", "--cacert"),
    ("ca_file, --cacert", "--cacert"),
    ("max_redirects", "--max-redirects"),
    ("redirect_headers", "--redirect-header"),
    ("give it with resolve", "give its address with --resolve"),
    ("with the option auth, or in the URL", "in the URL"),
    ("the option auth knows", "the user of a URL logs in by"),
    ("send its Authorization header yourself", "send its Authorization with --header"),
    ("or give that name as server_hostname", "and lead that to this address with --resolve"),
    ("check the URL or server_hostname", "check the URL"),
    (": give cert_file and key_file", ", and scripts have none"),
    (": check cert_file and key_file", ", and scripts have none"),
    ("(cert_file and key_file)", "(scripts have none)"),
    ("open_timeout (", "the time for that ("),
    ("close_timeout (", "the time for that ("),
    ("ping_timeout (", "the time for that ("),
    ("max_message_size is", "the most that a script takes is"),
    ("; raise it if such messages are expected", ""),
];

/// The text of an error, as scripts get it.
pub(crate) fn text_of(error: &Error) -> String {
    in_scripts(&error.to_string())
}

fn in_scripts(text: &str) -> String {
    IN_SCRIPTS.iter().fold(text.to_owned(), |text, (option, flag)| text.replace(option, flag))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The texts in the engine's sources, as they are when nothing is put into them.
    fn texts(folder: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                texts(&path, found);
            } else if !path.to_string_lossy().contains("test") {
                let source = fs::read_to_string(&path).expect("text");
                let code = source.split("#[cfg(test)]").next().unwrap_or_default();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code: String = lines.map(|line| line.trim().to_owned() + "\n").collect();
                let code = code.replace("\\\n", "").replace("'\"'", "").replace("\\\"", "'");
                found.extend(code.split('"').skip(1).step_by(2).map(str::to_owned));
            }
        }
    }

    fn texts_of_the_engine() -> Vec<String> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crates");
        let mut found = Vec::new();
        texts(&crates.join("net/src"), &mut found);
        texts(&crates.join("wire/src"), &mut found);
        found
    }

    #[test]
    fn every_phrase_is_one_of_the_engine_s() {
        let texts = texts_of_the_engine();
        for (option, _) in IN_SCRIPTS {
            assert!(texts.iter().any(|text| text.contains(option)), "no text of the engine has {option:?}");
        }
    }

    #[test]
    fn no_advice_names_an_option_that_scripts_do_not_have() {
        for text in texts_of_the_engine() {
            // Names of options that stand alone in other texts are of what a script cannot have, a client's certificate.
            let told = in_scripts(&text);
            for option in
                ["max_redirects", "redirect_headers", "server_hostname", "option auth", "with resolve"]
            {
                assert!(!told.contains(option), "{told:?}");
            }
            for option in ["open_timeout", "close_timeout", "ping_timeout", "max_message_size"] {
                assert!(!told.contains(&format!("{option} ")), "{told:?}");
            }
            assert!(!told.contains("cert_file and key_file)") && !told.contains("as ca_file"), "{told:?}");
        }
    }
}
