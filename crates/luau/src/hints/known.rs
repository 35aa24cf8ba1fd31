//! Names that scripts know from other hosts, and what to use here instead. A line for each thing that is missing; who adds that
//! thing takes its line away. Flags are named here only where `sunsocket run --help` has them.

const GAME: &str = "there is no game here";
const EXECUTOR: &str = "it reaches into a game or its memory, and there is none here";
const FILES: &str = "scripts have no files here, but for modules: require(\"./name\")";
const HTTP: &str = "there are no HTTP requests here, this is a WebSocket client";
const CONNECT: &str = "use WebSocket.connect(url)";
const PRINT: &str = "use print";
const JSON: &str = "use game:GetService(\"HttpService\"):JSONEncode(value)";
const SYSTEM: &str = "scripts have no files, processes and environment variables here";

/// The names, with spaces between them, and what is said of them. Members stand behind a dot; `*` is any.
#[rustfmt::skip]
const KNOWN: &[(&str, &str)] = &[
    ("readfile writefile appendfile isfile isfolder listfiles makefolder delfile delfolder io", FILES),
    ("loadfile dofile package module", "use require(\"./name\")"),
    ("script", "there is no object for a script here; require takes a path, like require(\"./name\")"),
    ("load", "use loadstring"),
    ("request http_request http httpget HttpGet game.HttpGet game.HttpGetAsync game.HttpPost game.HttpPostAsync", HTTP),
    ("HttpService.GetAsync HttpService.PostAsync HttpService.RequestAsync", HTTP),
    ("syn krnl Krnl fluxus Fluxus net socket websocket WebSocketClient WebSocket.new", CONNECT),
    ("os.execute os.getenv os.remove os.rename os.tmpname process fs", SYSTEM),
    ("os.exit", "a script ends when nothing of it is left to run; error() ends a thread"),
    ("workspace Workspace Instance Enum Vector2 Vector3 CFrame Color3 BrickColor UDim UDim2 Rect Ray", GAME),
    ("TweenInfo Region3 Players plugin stats settings UserSettings game.*", GAME),
    ("Random", "use math.random"),
    ("DateTime", "use os.time() and os.date()"),
    ("getrawmetatable setrawmetatable hookfunction hookmetamethod newcclosure clonefunction checkcaller", EXECUTOR),
    ("getgc getreg getrenv getsenv getupvalue getupvalues setupvalue getconstants getconnections", EXECUTOR),
    ("getinstances getnilinstances getloadedmodules getscripts gethui cloneref fireclickdetector", EXECUTOR),
    ("firetouchinterest firesignal getnamecallmethod setnamecallmethod gethiddenproperty", EXECUTOR),
    ("sethiddenproperty Drawing queue_on_teleport setfpscap mouse1click keypress keyrelease", EXECUTOR),
    ("identifyexecutor getexecutorname", "there is no executor here"),
    ("iscclosure islclosure", "use debug.info(f, \"s\"), which is \"[C]\" for functions of the host"),
    ("setreadonly make_writeable", "use table.freeze, and table.clone for a table that may be written"),
    ("isreadonly", "use table.isfrozen"),
    ("setclipboard toclipboard", "there is no clipboard here; print writes to standard output"),
    ("rconsoleprint rconsoleinfo rconsolename rconsolecreate printconsole printf console", PRINT),
    ("rconsolewarn rconsoleerr", "use warn"),
    ("json JSON cjson", JSON),
    ("crypt base64 base64_encode base64_decode", "there is no such library here; require a module that does it"),
    ("sleep", "use task.wait(seconds)"),
    ("setTimeout", "use task.delay(seconds, handler)"),
    ("elapsedTime ElapsedTime", "use os.clock()"),
    ("ypcall", "use pcall"),
    ("self", "a method is called with a colon, like object:method()"),
    ("string.length string.size", "use # or string.len"),
    ("task.synchronize task.desynchronize", "a script runs in one thread here: leave it out"),
];

/// What to use in place of a name.
pub(super) fn about(name: &str) -> Option<&'static str> {
    let stands = |names: &str| names.split(' ').any(|known| known == name);
    KNOWN.iter().find(|(names, _)| stands(names)).map(|(_, instead)| *instead)
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, about};

    #[test]
    fn each_name_stands_there_once() {
        let names: Vec<&str> = KNOWN.iter().flat_map(|(names, _)| names.split(' ')).collect();
        for (at, name) in names.iter().enumerate() {
            assert!(!name.is_empty() && !names[..at].contains(name), "{name:?}");
            assert!(about(name).is_some());
        }
        assert_eq!(about("print"), None);
    }
}
