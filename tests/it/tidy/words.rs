//! Which names does this code not use? Where the field has a word for a thing, a word of our own has to be learnt first.
//! And a name that two things have has to be read twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::source::{Source, program, sources};

/// What no type and no file may be called: each has a name that others would look for.
const NAMES: [&str; 45] = [
    "Admitted",     // a permit
    "Allowance",    // the budget of a call
    "Anyone",       // a verifier that verifies nothing
    "Departure",    // a disconnect
    "Doors",        // a limit of connections
    "Exchange",     // a response in the making
    "Exchanges",    // a service
    "Fault",        // an error of a value
    "Given",        // options or defaults
    "Hub",          // a shutdown
    "Incoming",     // a request
    "Intake",       // the body of a request
    "Internet",     // a transport
    "Keeping",      // a cache of code
    "Lanes",        // executors
    "Lazily",       // a lazy value
    "Line",         // the state of a connection
    "Made",         // what was loaded
    "Means",        // options
    "Meter",        // a timer of computing time
    "Mounting",     // a builder of the table of routes
    "Nature",       // a kind
    "Opened",       // the start of a response
    "Opening",      // the start of a response
    "Paced",        // a connection with timeouts
    "Passed",       // a count of bytes
    "Passing",      // a limited body
    "Patience",     // timeouts
    "Place",        // a permit, or a span
    "Places",       // a limit of concurrency
    "ModulePlaces", // a limit of concurrency
    "Pump",         // what forwards a body
    "Purpose",      // a scope
    "Question",     // a request
    "Refusal",      // an error
    "Said",         // what a file, a registry or a guest says
    "Seat",         // a permit
    "Shelf",        // a budget for buffers
    "Streamed",     // a request with a stream
    "Tally",        // counters
    "Terms",        // a builder of connections
    "Told",         // an interface
    "Troubles",     // a pause after errors
    "WaitsFor",     // why something is blocked
    "Wanted",       // a specification
];

/// What no file may be called besides.
const FILES: [&str; 6] = ["pace", "admission", "keychain", "holding", "concealed", "spelling"];

/// The error of a room, which is read with the name of the room.
const ROOM_ERROR: &str = "Error";

/// Where one of these words is right: a place in a file is one, and so is a line of the log.
const ALLOWED: [(&str, &str); 2] = [("src/config/diagnostic.rs", "Place"), ("src/observe/line.rs", "Line")];

/// Pronouns in place of the client, the operator, the guest or the request that is meant.
const RIDDLES: [&str; 6] = ["whom", "whoever", "nobody", "somebody", "anybody", "so many"];

/// The words that declare a type or the like.
const DECLARATIONS: [&str; 5] = ["struct", "enum", "trait", "type", "union"];

/// The names that a source gives to types, each with its line.
fn declared(source: &Source) -> Vec<(usize, String)> {
    let mut declared = Vec::new();
    for (number, line) in source.lines() {
        let words: Vec<&str> = line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
        // A call of a function `union` declares nothing.
        let is_declaration = |pair: &&[&str]| DECLARATIONS.contains(&pair[0]) && line.contains(&pair.join(" "));
        let pairs = words.windows(2).filter(is_declaration);
        declared.extend(pairs.map(|pair| (number, pair[1].to_owned())));
    }
    declared
}

/// A name as a file would have it: `ModulePlaces` as `module_places`.
fn as_file(name: &str) -> String {
    let mut file = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !file.is_empty() {
            file.push('_');
        }
        file.extend(letter.to_lowercase());
    }
    file
}

/// The words that a source may not use, and uses: for a type, or as its own name.
fn private_names(source: &Source) -> Vec<String> {
    let is_allowed = |name: &str| ALLOWED.iter().any(|(file, word)| source.path == Path::new(file) && *word == name);
    let forbidden: Vec<&str> = NAMES.into_iter().filter(|name| !is_allowed(name)).collect();
    let types = declared(source).into_iter().filter(|(_, name)| forbidden.contains(&name.as_str()));
    let mut found: Vec<String> = types.map(|(line, name)| format!("{}: {name}", source.at(line))).collect();
    let mut files = forbidden.iter().map(|name| as_file(name)).chain(FILES.map(str::to_owned));
    if source.path.file_stem().is_some_and(|stem| files.any(|file| *stem == *file)) {
        found.push(source.path.display().to_string());
    }
    found
}

#[test]
fn names_are_those_of_the_field() {
    let found: Vec<String> = sources("src").iter().flat_map(private_names).collect();
    assert!(found.is_empty(), "{found:#?}");
}

/// The types that a source declares, each with its line. What a trait or an `impl` calls its types is not among them.
fn types(source: &Source) -> Vec<(usize, String)> {
    let is_alias = |line: &str| line.trim_start().starts_with("type ");
    let lines: Vec<&str> = source.code.lines().collect();
    declared(source)
        .into_iter()
        .filter(|(line, _)| !is_alias(lines[line - 1]) || !lines[line - 1].starts_with(' '))
        .collect()
}

/// Where the types of these sources are declared, for each name that more than one of them has.
fn shared_names(sources: &[Source]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources {
        for (line, name) in types(source).into_iter().filter(|(_, name)| name != ROOM_ERROR) {
            places.entry(name).or_default().push(source.at(line));
        }
    }
    let shared = places.into_iter().filter(|(_, places)| places.len() > 1);
    shared.map(|(name, places)| format!("{name}: {}", places.join(", "))).collect()
}

#[test]
fn no_two_types_have_the_same_name() {
    let found = shared_names(&program());
    assert!(found.is_empty(), "{found:#?}");
}

/// The pages below a folder, and the page itself if it is one.
fn pages(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
        return entries.flat_map(|entry| pages(&entry)).collect();
    }
    let is_page = path.extension().is_some_and(|extension| extension == "md");
    if is_page { vec![path.to_owned()] } else { Vec::new() }
}

/// The places in a text, line by line, that hold one of the riddles as words of their own.
fn riddles(name: &str, text: &str) -> Vec<String> {
    let of_line = |(index, line): (usize, &str)| {
        let words = line.to_lowercase();
        let words: Vec<&str> = words.split(|letter: char| !letter.is_alphanumeric()).collect();
        let line = format!(" {} ", words.join(" "));
        let found = RIDDLES.iter().filter(|riddle| line.contains(&format!(" {riddle} ")));
        found.map(|riddle| format!("{name}:{}: {riddle}", index + 1)).collect::<Vec<_>>()
    };
    text.lines().enumerate().flat_map(of_line).collect()
}

#[test]
fn comments_and_pages_say_who_is_meant() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for source in sources("src") {
        found.extend(riddles(&source.path.display().to_string(), &source.comments));
    }
    for page in
        ["docs", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].into_iter().flat_map(|path| pages(&root.join(path)))
    {
        let name = page.strip_prefix(root).expect("below the root").display().to_string();
        found.extend(riddles(&name, &fs::read_to_string(&page).expect("a page is text")));
    }
    assert!(found.is_empty(), "{} times: {found:#?}", found.len());
}
