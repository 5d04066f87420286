//! What can the operator do about a program that cannot be run here?

use crate::runtime::code::preinitialize::PreinitializeError;
use crate::runtime::error::Error;
use crate::runtime::module_info::ParseError;
use crate::runtime::other_host::{OtherHost, UNKNOWN};
use crate::wasm_bytes::LEGACY_EXCEPTIONS_HELP;

const COMMAND: &str = "build a program with a main function for `wasm32-wasip1`";

const ONE_THREAD: &str = "wagi runs each request in one thread: build without threads, for `wasm32-wasip1` and not for \
                          `wasm32-wasip1-threads`";

impl ParseError {
    /// What the operator can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Text(error) => error.help(),
            Self::Binary(error) => of_compilation(&error.to_string()),
        }
    }
}

impl PreinitializeError {
    /// What the operator can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Module(error) => error.help(),
            Self::Missing | Self::MissingInComponent => {
                Some("export the function that computes what does not change, or leave `preinitialize` out")
            }
            Self::HoldsResources(_) => Some(
                "let the initializer print nothing and close what it opens: a request cannot go on with it. Components that are \
                 made of a module with an adapter keep standard output open once they have printed",
            ),
            _ => None,
        }
    }
}

impl Error {
    /// What the operator can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::NotWasm(error) => error.help(),
            Self::Compile(error) | Self::Proposal { source: error, .. } => of_compilation(&format!("{error:#}")),
            Self::TooDemanding(_) => Some("raise `memory` or `table_elements` in the limits of the module"),
            Self::CompileTime(_) => Some(
                "raise `compile_time` in the limits; or, if you trust the module, keep it as a file of your own, which has no \
                 such limit",
            ),
            Self::CompileMemory(_) => Some(
                "raise `compile_memory` in the limits; or, if you trust the module, keep it as a file of your own, which has no \
                 such limit",
            ),
            Self::OldHttp => Some("build the program again with version 0.4 or later of the library"),
            Self::OtherEngine(_) => Some("run `wagi compile` of this version again, on this kind of machine"),
            Self::NotServed(exports) => Some(of_exports(exports)),
            Self::UnknownInterfaces { imports, .. } => of_interfaces(imports),
            Self::UnknownImports { imports, kind } => {
                Some(OtherHost::of(imports, *kind).map_or(UNKNOWN, |host| host.cure(*kind)))
            }
            Self::LegacyExceptions(_) => Some(LEGACY_EXCEPTIONS_HELP),
            Self::ReleaseCandidate(_) => Some("build it again with current tools, for WASI 0.3.0 or 0.2"),
            _ => None,
        }
    }
}

/// The cure for what the engine says of a module that is not valid, or uses what it does not run.
fn of_compilation(message: &str) -> Option<&'static str> {
    // What the engine says, and the cure. Only the text of its error tells one feature from another.
    let known = [
        ("unexpected end", "the file is cut off: build or download it again"),
        ("threads must be enabled", ONE_THREAD),
        ("threads support is not enabled", ONE_THREAD),
        ("unknown binary version", "the file is of another version of WebAssembly: build it again with current tools"),
        ("magic header", "is this the right file?"),
    ];
    known.iter().find(|(text, _)| message.contains(text)).map(|(_, help)| *help)
}

fn of_exports(exports: &[String]) -> &'static str {
    match exports.iter().any(|name| name.starts_with("fermyon:spin/") || name.starts_with("spin:")) {
        true => {
            "the component is for a trigger of Spin that wagi does not have; a component for its HTTP trigger is served if it \
             exports `wasi:http/incoming-handler`"
        }
        false => {
            "a component has to export `wasi:cli/run` or `wasi:http/incoming-handler` of WASI 0.2, or `wasi:cli/run` \
             or `wasi:http/handler` of WASI 0.3"
        }
    }
}

fn of_interfaces(imports: &[String]) -> Option<&'static str> {
    imports.iter().any(|name| name.starts_with("fermyon:spin/") || name.starts_with("spin:")).then_some(
        "these interfaces are Spin's own; wagi provides those of WASI: use HTTP, files and environment variables instead",
    )
}

/// The cure for an entry point that is not there: the module may be of a kind without a main function.
pub fn of_missing_entry_point(name: &str, candidates: &[String]) -> String {
    let exports = |name: &str| candidates.iter().any(|candidate| candidate == name);
    let list = candidates.iter().take(20).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match candidates {
        [] => format!("{COMMAND}; a library, or a program for `wasm32-unknown-unknown`, has no entry point"),
        _ if name != "_start" => format!("the module exports {list}"),
        candidates => {
            let other = candidates.iter().find(|name| !name.starts_with('_'));
            let entry = other.map(|name| format!("write `entrypoint = \"{name}\"`, or ")).unwrap_or_default();
            let kind = if exports("_initialize") { ": it is a reactor, which has no main function" } else { "" };
            format!("the module exports {list}{kind}; {entry}{COMMAND}")
        }
    }
}

/// The cure for an entry point that takes or returns something.
pub fn of_wrong_entry_point(candidates: &[String]) -> String {
    match candidates.iter().find(|name| !name.starts_with('_')) {
        Some(name) => format!("write `entrypoint = \"{name}\"`, or {COMMAND}"),
        None => format!("export a function without parameters and results, and name it in `entrypoint`, or {COMMAND}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::runtime::cure::*;

    #[test]
    fn features_that_do_not_run_have_a_cure() {
        let atomic = "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))";
        for threads in ["(module (memory 1 2 shared))", atomic, "(module (func (atomic.fence)))"] {
            let error = crate::runtime::CompilerTarget::Guests.compile(threads.as_bytes()).expect_err(threads);
            assert!(error.help().is_some_and(|help| help.contains("one thread")), "{threads}: {error:?}");
        }
        let whole = wat::parse_str("(module (memory 1) (func (export \"_start\")))").expect("a module");
        let error = crate::runtime::CompilerTarget::Guests.compile(&whole[..whole.len() - 3]).expect_err("cut off");
        assert!(error.help().is_some_and(|help| help.contains("cut off")), "{error:?}");
    }

    #[test]
    fn modules_without_a_main_function_have_a_cure() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (name, candidates, cure) in [
            ("_start", &[][..], "`wasm32-wasip1`"),
            (
                "_start",
                &["_initialize", "handle"],
                "a reactor, which has no main function; write `entrypoint = \"handle\"`",
            ),
            ("_start", &["handle"], "write `entrypoint = \"handle\"`"),
            ("_start", &["_initialize"], "build a program with a main function"),
            ("handel", &["handle"], "the module exports `handle`"),
        ] {
            let shown = of_missing_entry_point(name, &names(candidates));
            assert!(shown.contains(cure), "{shown}");
        }
    }

    #[test]
    fn a_function_that_could_be_the_entry_point_is_named() {
        assert!(of_wrong_entry_point(&["_initialize".to_owned(), "run".to_owned()]).contains("`entrypoint = \"run\"`"));
        assert!(of_wrong_entry_point(&[]).contains("without parameters and results"));
    }

    #[test]
    fn components_of_spin_are_recognized() {
        assert!(of_exports(&["fermyon:spin/inbound-redis".to_owned()]).contains("Spin"));
        assert!(of_exports(&[]).contains("wasi:cli/run"));
        assert!(of_interfaces(&["fermyon:spin/key-value".to_owned()]).is_some_and(|help| help.contains("Spin")));
    }
}
