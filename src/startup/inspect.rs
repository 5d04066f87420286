//! What is a module, and how can it be served?
//!
//! What a start finds out about a module, without a configuration: its imports and exports, which of its imports wagi provides,
//! whether it compiles, and which sub-routes it declares. For the sub-routes it is run, as a start runs it. For `wagi inspect`.

use std::sync::Arc;

use crate::config::{Limits, UnknownImports};
use crate::format::{causes, sha256_hex};
use crate::route::Discovered;
use crate::runtime;
use crate::runtime::{
    ColdExplanation, Encoding, EngineConfig, Grants, ModuleInfo, ModuleOwner, ParseError, ProgramSource, ROUTES,
    Runtime, warm_start_obstacle,
};

use crate::startup::discover::sub_routes;

/// The properties of a module or component.
#[derive(Debug)]
pub struct Inspection {
    /// Its kind, such as `module` or `component, wasi:http 0.2`.
    pub kind: &'static str,
    /// Whether it was written as text.
    pub is_text: bool,
    /// Its imports, each with whether wagi provides it; `None` for the imports of components.
    pub imports: Vec<(Item, Option<bool>)>,
    /// Its exports.
    pub exports: Vec<Item>,
    /// The exports that `entrypoint` may name.
    pub entry_points: Vec<String>,
    /// The bytes of its memories at the start, and the maximum that it declares.
    pub memory: (u64, Option<u64>),
    /// The sub-routes it declares: pattern below its own route, and entry point. `None` if it declares none.
    pub sub_routes: Option<Vec<(String, String)>>,
    /// Why it cannot begin warm, as far as it shows; `None` if nothing in it is against that.
    pub cold: Option<ColdExplanation>,
    /// Why it cannot be served as it is, each error before its cause.
    pub problems: Vec<String>,
}

/// An import or export.
#[derive(Clone, Debug)]
pub struct Item {
    /// The module name of an import; empty for exports and for the imports of components.
    pub module: String,
    /// Its name.
    pub name: String,
    /// Its kind, such as `function` or `memory`.
    pub kind: &'static str,
}

/// Inspects a module or component, binary or text. Compiles and runs it.
pub async fn inspect(bytes: Vec<u8>) -> Result<Inspection, ParseError> {
    let info = ModuleInfo::parse(&bytes)?;
    let mut inspection = Inspection { cold: cold(&info, &bytes), ..Inspection::new(&info) };
    inspection.run(&info, bytes).await;
    Ok(inspection)
}

impl Inspection {
    fn new(info: &ModuleInfo) -> Self {
        let item =
            |found: &runtime::Extern| Item { module: found.module.clone(), name: found.name.clone(), kind: found.kind };
        let entry_points = info.exports.iter().filter(|export| export.is_entry_point && export.name != ROUTES);
        Self {
            kind: kind(info),
            is_text: info.is_text,
            imports: info.imports.iter().map(|import| (item(import), None)).collect(),
            exports: info.exports.iter().map(item).collect(),
            entry_points: entry_points.map(|export| export.name.clone()).collect(),
            memory: (info.minimum_memory, info.maximum_memory),
            sub_routes: None,
            cold: None,
            problems: Vec::new(),
        }
    }

    /// Adds what only the engine knows, under the default limits.
    async fn run(&mut self, info: &ModuleInfo, bytes: Vec<u8>) {
        let limits = Limits::default();
        let runtime = match Runtime::new(&EngineConfig::for_one(limits.memory, limits.table_elements)) {
            Ok(runtime) => Arc::new(runtime),
            Err(error) => return self.problem(&error),
        };
        if info.encoding == Encoding::Module {
            let names: Vec<_> = info.imports.iter().map(|import| (&*import.module, &*import.name)).collect();
            for ((_, is_provided), found) in self.imports.iter_mut().zip(runtime.provides(&names)) {
                *is_provided = Some(found);
            }
        }
        let compiling = runtime.clone();
        let executable = match tokio::task::spawn_blocking(move || {
            let digest = sha256_hex(&bytes);
            let (owner, unknown_imports) = (ModuleOwner::Operator, UnknownImports::Refuse);
            compiling.compile(&ProgramSource { bytes: &bytes, digest: &digest, owner, unknown_imports })
        })
        .await
        {
            Ok(Ok((executable, _))) => executable,
            Ok(Err(error)) => return self.problem(&error),
            Err(_) => return self.problems.push("compiling it failed".to_owned()),
        };
        match sub_routes(&executable, Grants { limits, ..Grants::default() }).await {
            Ok(declared) => self.sub_routes = declared.map(|list| list.into_iter().map(below).collect()),
            Err(error) => self.problem(&error),
        }
    }

    fn problem(&mut self, error: &dyn std::error::Error) {
        self.problems.extend(causes(error));
    }
}

fn cold(info: &ModuleInfo, bytes: &[u8]) -> Option<ColdExplanation> {
    let of_component = || ColdExplanation { reason: "component", text: "`warm_start` is for modules".to_owned() };
    match info.encoding {
        Encoding::Module => warm_start_obstacle(bytes),
        Encoding::Component => Some(of_component()),
    }
}

fn below(declared: Discovered) -> (String, String) {
    (declared.route, declared.entrypoint)
}

/// The kind of a module or component, by its exports.
fn kind(info: &ModuleInfo) -> &'static str {
    let exports = |prefix: &str| info.exports.iter().any(|export| export.name.starts_with(prefix));
    match info.encoding {
        Encoding::Module => "module",
        Encoding::Component if exports("wasi:http/handler@0.3.") => "component, wasi:http 0.3",
        Encoding::Component if exports("wasi:http/incoming-handler@0.2.") => "component, wasi:http 0.2",
        Encoding::Component if exports("wasi:cli/run@") => "component, wasi:cli",
        Encoding::Component => "component, of another world",
    }
}

#[cfg(test)]
mod tests {
    use crate::startup::inspect::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_module_is_shown_with_what_a_start_would_find() {
        let text = include_str!("../../examples/greet.wat");
        let found = inspect(text.into()).await.expect("a module");
        assert_eq!((found.kind, found.is_text, found.problems.len()), ("module", true, 0));
        assert!(found.imports.iter().all(|(_, is_provided)| *is_provided == Some(true)), "{:?}", found.imports);
        assert_eq!(found.sub_routes.map(|list| list.len()), Some(2));
        assert!(found.entry_points.contains(&"_start".to_owned()) && !found.entry_points.contains(&ROUTES.to_owned()));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_served_is_shown_with_the_reason() {
        let text = r#"(module (import "env" "magic" (func)) (func (export "_start")))"#;
        let found = inspect(text.into()).await.expect("a module");
        assert_eq!(found.imports[0].1, Some(false));
        assert!(found.problems[0].contains("`env.magic`"), "{:?}", found.problems);
        let endless = r#"(module (func (export "_routes") unreachable))"#;
        let found = inspect(endless.into()).await.expect("a module");
        assert!(found.problems[0].contains("`_routes` trapped"), "{:?}", found.problems);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn components_are_told_by_what_they_export() {
        for (export, kind) in [
            ("wasi:http/incoming-handler@0.2.3", "component, wasi:http 0.2"),
            ("wasi:http/handler@0.3.0", "component, wasi:http 0.3"),
            ("wasi:cli/run@0.2.0", "component, wasi:cli"),
            ("example:other/thing@1.0.0", "component, of another world"),
        ] {
            let text =
                format!("(component (import \"a:b/c@1.0.0\" (instance $i)) (export \"{export}\" (instance $i)))");
            let found = inspect(text.into()).await.expect("a component");
            assert_eq!((found.kind, found.imports[0].1), (kind, None));
        }
    }
}
