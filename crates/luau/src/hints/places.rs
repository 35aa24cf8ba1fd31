//! Which names a line of a script calls or indexes.

use std::collections::HashSet;

use super::lexer::{Kind, Token, tokens};

/// What may have been nil.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Suspect {
    /// A name by itself that is local nowhere.
    Global(String),
    /// A member of such a name.
    Member(String, String),
    /// A member of something else.
    Field(String),
    /// A local that may be anything.
    Local,
}

const KEYWORDS: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil",
    "not", "or", "repeat", "return", "then", "true", "until", "while",
];

pub(super) struct Text<'a> {
    tokens: Vec<Token<'a>>,
    /// Names that are local somewhere: they may be so here.
    locals: HashSet<&'a str>,
    /// Those of them that are not only functions by their declaration: they may be nil.
    variables: HashSet<&'a str>,
}

impl<'a> Text<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        let mut text = Self { tokens: tokens(source), locals: HashSet::new(), variables: HashSet::new() };
        text.find_locals();
        text
    }

    /// Whether the name is a local somewhere that is not only a copy of the global of the same name.
    fn declares(&self, name: &str) -> bool {
        self.locals.contains(name)
    }

    fn is(&self, at: usize, text: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind != Kind::Text && token.text == text)
    }

    fn name(&self, at: usize) -> Option<&'a str> {
        let token = self.tokens.get(at)?;
        (token.kind == Kind::Name && !KEYWORDS.contains(&token.text)).then_some(token.text)
    }

    fn find_locals(&mut self) {
        for at in 0..self.tokens.len() {
            if self.is(at, "local") && self.is(at + 1, "function") {
                self.locals.extend(self.name(at + 2));
            } else if self.is(at, "local") || self.is(at, "for") {
                self.names_from(at + 1);
            } else if self.is(at, "function") {
                // Behind the function's own name stand its parameters.
                let open = (at + 1..self.tokens.len()).find(|at| self.is(*at, "("));
                self.names_from(open.map_or(self.tokens.len(), |open| open + 1));
            }
        }
    }

    /// The names of a list of locals, each of which may have a type.
    fn names_from(&mut self, mut at: usize) {
        let begin = at;
        let mut depth = 0_usize;
        let mut names = Vec::new();
        while let Some(token) = self.tokens.get(at) {
            match token.text {
                "=" | "in" if depth == 0 => break,
                "(" | "{" | "<" | "[" => depth += 1,
                ")" | "}" | "]" if depth == 0 => break,
                // The ">" of "->" closes nothing.
                ">" if at > 0 && self.is(at - 1, "-") => {}
                ")" | "}" | "]" | ">" => depth = depth.saturating_sub(1),
                _ if token.kind == Kind::Text || KEYWORDS.contains(&token.text) => break,
                _ if depth == 0 && (at == begin || self.is(at - 1, ",")) => names.extend(self.name(at)),
                // A name behind a name: the next statement.
                _ if depth == 0 && self.name(at).is_some() && at > begin && self.name(at - 1).is_some() => {
                    break;
                }
                _ => {}
            }
            at += 1;
        }
        // "local name = name" keeps what the global is.
        if let [name] = names[..]
            && self.is(at, "=")
            && self.is(at + 1, name)
            && !self.is(at + 2, ".")
            && !self.is(at + 2, "(")
            && !self.is(at + 2, ":")
        {
            return;
        }
        self.locals.extend(&names);
        self.variables.extend(names);
    }

    /// What the name at this place is a part of.
    fn suspect(&self, at: usize) -> Option<Suspect> {
        let name = self.name(at)?;
        let before = |back: usize, text| at >= back && self.is(at - back, text);
        if before(1, "function") || before(1, ":") || before(1, "::") || before(1, "local") {
            return None;
        }
        if !before(1, ".") {
            return if !self.declares(name) {
                Some(Suspect::Global(name.to_owned()))
            } else if self.variables.contains(name) {
                Some(Suspect::Local)
            } else {
                None
            };
        }
        let base = at.checked_sub(2).and_then(|at| self.name(at));
        Some(match base {
            // "function name.member(": it is being made.
            Some(_) if before(3, "function") => return None,
            Some(base) if !before(3, ".") && !before(3, ":") && !self.declares(base) => {
                Suspect::Member(base.to_owned(), name.to_owned())
            }
            _ => Suspect::Field(name.to_owned()),
        })
    }

    fn begins_call(&self, at: usize) -> bool {
        self.is(at, "(")
            || self.is(at, "{")
            || self.tokens.get(at).is_some_and(|token| token.kind == Kind::Text)
    }

    /// What is called on this line, but for methods.
    pub(super) fn called(&self, line: usize) -> Vec<Suspect> {
        self.on(line).filter(|at| self.begins_call(at + 1)).filter_map(|at| self.suspect(at)).collect()
    }

    /// What is indexed with this key on this line, or with a key that is no name.
    pub(super) fn indexed(&self, line: usize, key: &str) -> Vec<Suspect> {
        let by_name = |at: usize| {
            (self.is(at + 1, ".") || self.is(at + 1, ":"))
                && self.is(at + 2, key)
                // The line of an error is that of the key, or of the beginning of the expression.
                && (self.tokens[at].line == line || self.tokens[at + 2].line == line)
        };
        let named: Vec<_> =
            (0..self.tokens.len()).filter(|at| by_name(*at)).filter_map(|at| self.suspect(at)).collect();
        if !named.is_empty() {
            return named;
        }
        self.on(line).filter(|at| self.is(at + 1, "[")).filter_map(|at| self.suspect(at)).collect()
    }

    /// Whether a method of this name is called on this line.
    pub(super) fn calls_method(&self, line: usize, key: &str) -> bool {
        self.on(line).any(|at| self.is(at, key) && at > 0 && self.is(at - 1, ":") && self.begins_call(at + 1))
    }

    fn on(&self, line: usize) -> impl Iterator<Item = usize> {
        (0..self.tokens.len()).filter(move |at| self.tokens[*at].line == line)
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn what_a_line_calls() {
        for (line, expected) in [
            ("readfile('x')", r#"[Global("readfile")]"#),
            ("require 'x' print{} f[[x]]", r#"[Global("require"), Global("print"), Global("f")]"#),
            ("string.lenght(s)", r#"[Member("string", "lenght")]"#),
            ("a.b.c() d().e() f:g().h()", r#"[Field("c"), Global("d"), Field("e"), Field("h")]"#),
            ("local s = 1; s.f() s()", r#"[Field("f"), Local]"#),
            ("local function f() end f() g()", r#"[Global("g")]"#),
            ("local function f(g) end f() g()", r#"[Local]"#),
            ("function a() end local function b() end function c.d() end function c:e() end", "[]"),
            ("x = 'a' .. b() -- c()", r#"[Global("b")]"#),
            ("return (f), not (g), if (h) then 1 else (i)", "[]"),
        ] {
            assert_eq!(format!("{:?}", Text::new(line).called(1)), expected, "{line}");
        }
    }

    #[test]
    fn what_a_line_indexes() {
        for (text, line, expected) in [
            ("syn.key.x = y.other", 1, r#"[Global("syn")]"#),
            ("ws.OnMesage\n\t:key(f)", 2, r#"[Member("ws", "OnMesage")]"#),
            ("local ws\nws.OnMesage:key(f)", 2, r#"[Field("OnMesage")]"#),
            ("a.b.c.key()", 1, r#"[Field("c")]"#),
            ("a[1] = b", 1, r#"[Global("a")]"#),
            ("f().key = 1", 1, "[]"),
            ("local x x.key = 1 y.key = 1", 1, r#"[Local, Global("y")]"#),
        ] {
            assert_eq!(format!("{:?}", Text::new(text).indexed(line, "key")), expected, "{text}");
        }
        assert!(Text::new("x:key{}").calls_method(1, "key"));
        assert!(!Text::new("x.key(x.key)").calls_method(1, "key"));
    }

    #[test]
    fn names_that_are_local_somewhere() {
        let declares = |text: &str, name: &str| Text::new(text).declares(name);
        for text in [
            "local x",
            "local a, x = 1",
            "local a: { x: number }, x: string = 1",
            "for x = 1, 2 do end",
            "for _, x in t do end",
            "local function x() end",
            "local function f(a: (y: number) -> string, x) end",
            "return function(x, ...) end",
            "function t.f(x) end",
            "local x = x.y",
            "local x = x()",
            "local x = y",
        ] {
            assert!(declares(text, "x"), "{text}");
        }
        for text in [
            "local a\nx = 1",
            "local a: x = 1",
            "f(x)",
            "local x = x",
            "local x = x or y",
            "for a in x do end",
        ] {
            assert!(!declares(text, "x"), "{text}");
        }
    }
}
