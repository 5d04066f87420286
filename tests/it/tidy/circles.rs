//! Does anything know what knows it? Files that name each other in a circle cannot be read one after the other.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, program};
use super::walls::imports;

/// The file of a module, such as `src/config/mod.rs` or `src/config/limits.rs` of `config` and `config::limits`.
fn module_of(source: &Source) -> Vec<String> {
    let path = source.path.strip_prefix("src").expect("a source of the program").with_extension("");
    let parts = path.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
    parts.filter(|part| part != "mod").collect()
}

/// What leads from names that a module exports to where they are defined.
type Exports = BTreeMap<Vec<String>, Vec<String>>;

fn exports(sources: &[Source]) -> Exports {
    let of_source = |source: &Source| {
        let module = module_of(source);
        let exports = imports(source).into_iter().filter(|import| import.is_export);
        let named = exports.filter_map(move |import| {
            let name = import.path.last()?.clone();
            Some(([module.clone(), vec![name]].concat(), import.path))
        });
        named.collect::<Vec<_>>()
    };
    sources.iter().flat_map(of_source).collect()
}

/// Whether it stands for a folder.
fn is_head(source: &Source) -> bool {
    ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| source.path.ends_with(name))
}

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The module in which the item at a path is defined.
fn definition(path: &[String], modules: &BTreeSet<Vec<String>>, exports: &Exports) -> Option<Vec<String>> {
    for length in (1..=path.len()).rev() {
        // A function may be called like the module it is in: what goes on behind the name is in the module.
        let is_module = length < path.len() && modules.contains(&path[..length]);
        match exports.get(&path[..length]) {
            Some(elsewhere) if !is_module => return definition(elsewhere, modules, exports),
            _ if modules.contains(&path[..length]) => return Some(path[..length].to_vec()),
            _ => {}
        }
    }
    None
}

/// Which file names items of which. Heads of folders are left out: they stand for all that is below them.
fn files() -> Graph {
    let sources = program();
    let modules: BTreeSet<Vec<String>> = sources.iter().map(module_of).collect();
    let exports = exports(&sources);
    let mut graph = Graph::new();
    let heads: Vec<Vec<String>> = sources.iter().filter(|source| is_head(source)).map(module_of).collect();
    for source in sources.iter().filter(|source| !is_head(source)) {
        let own = module_of(source);
        let named = imports(source).into_iter().filter(|import| !import.is_export);
        let found = named.filter_map(|import| definition(&import.path, &modules, &exports));
        let others = found.filter(|module| *module != own && !heads.contains(module));
        graph.insert(own.join("::"), others.map(|module| module.join("::")).collect());
    }
    graph
}

/// Nodes that lead to each other in a circle: what is left when those that lead nowhere, or only to such, are taken away,
/// from either end.
fn circles(mut graph: Graph) -> Graph {
    loop {
        let named: BTreeSet<String> = graph.values().flatten().cloned().collect();
        let ends: Vec<String> = graph
            .iter()
            .filter(|(node, to)| to.is_empty() || !named.contains(*node))
            .map(|(node, _)| node.clone())
            .collect();
        if ends.is_empty() {
            return graph;
        }
        for end in ends {
            graph.remove(&end);
            graph.values_mut().for_each(|to| to.retain(|node| *node != end));
        }
    }
}

#[test]
fn circles_are_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*to).to_owned()).or_default();
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        circles(graph).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(graph(&[("a", "b"), ("b", "c"), ("a", "c")]), [""; 0]);
    assert_eq!(graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")]), ["b", "c"]);
}

#[test]
fn no_files_name_each_other_in_a_circle() {
    let circles = circles(files());
    assert!(circles.is_empty(), "{circles:#?}");
}

/// The folders below a room are rooms as well.
#[test]
fn no_folders_of_the_runtime_name_each_other_in_a_circle() {
    let folder =
        |module: &str| module.strip_prefix("runtime::").map(|rest| rest.split("::").next().unwrap_or(rest).to_owned());
    let mut graph = Graph::new();
    for (module, named) in files() {
        let Some(from) = folder(&module) else { continue };
        let to = named.iter().filter_map(|module| folder(module)).filter(|to| *to != from);
        graph.entry(from.clone()).or_default().extend(to);
    }
    let circles = circles(graph);
    assert!(circles.is_empty(), "{circles:#?}");
}
