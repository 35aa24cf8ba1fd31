//! Errors in words: the message first, then where it came from, without the host's own frames.

/// The whole report of an error that ended a coroutine.
pub(crate) fn describe(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { traceback, cause } => {
            let mut root = cause;
            while let mlua::Error::CallbackError { cause, .. } = root.as_ref() {
                root = cause;
            }
            clean(&format!("{}\n{traceback}", message(root)))
        }
        other => clean(&message(other)),
    }
}

/// The message alone.
pub(crate) fn message(error: &mlua::Error) -> String {
    match error {
        mlua::Error::RuntimeError(text) => text.clone(),
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::CallbackError { cause, .. } => message(cause),
        mlua::Error::WithContext { context, cause } => format!("{context}: {}", message(cause)),
        other => other.to_string(),
    }
}

/// Drops the frames that are the host's.
fn clean(text: &str) -> String {
    let lines = text.lines().filter(|line| {
        !line.contains("sunsocket-prelude")
            && !line.trim_start().starts_with("[C]")
            && !line.contains("in function <[C]")
    });
    let mut lines: Vec<&str> = lines.collect();
    while lines.last().is_some_and(|line| line.trim().is_empty() || line.trim() == "stack traceback:") {
        lines.pop();
    }
    lines.join("\n")
}
