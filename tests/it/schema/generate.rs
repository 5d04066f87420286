//! How does the JSON Schema of `modules.toml` follow from the pages that describe its keys?
//!
//! `docs/modules-toml.md` and `docs/limits.md` have a table for each table of the file: key, type, default, meaning. They are the one
//! place where types are written, and become the schema. Tables that stand in a line of their own have their types here.

use serde_json::{Map, Value, json};

/// The tables of the pages.
pub struct Pages<'a> {
    /// `docs/modules-toml.md`.
    pub keys: &'a str,
    /// `docs/limits.md`.
    pub limits: &'a str,
}

/// A table of a page.
struct Table<'a> {
    heading: &'a str,
    columns: Vec<&'a str>,
    rows: Vec<Vec<&'a str>>,
}

fn cells(line: &str) -> Vec<&str> {
    let inner = line.trim().strip_prefix('|').and_then(|line| line.strip_suffix('|')).unwrap_or(line);
    inner.split('|').map(str::trim).collect()
}

fn tables(page: &str) -> Vec<Table<'_>> {
    let (mut tables, mut heading, mut lines) = (Vec::<Table<'_>>::new(), "", page.lines().peekable());
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text;
        }
        if line.starts_with('|') && lines.peek().is_some_and(|next| next.starts_with("| ---")) {
            lines.next();
            let mut rows = Vec::new();
            while let Some(row) = lines.next_if(|row| row.starts_with('|')) {
                rows.push(cells(row));
            }
            tables.push(Table { heading, columns: cells(line), rows });
        }
    }
    tables
}

/// The name in a cell such as ``[`route`](#route)``.
fn name(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or(cell)
}

/// Text without links.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, (label, after))) = rest.split_once('[').and_then(|(before, link)| {
        let (label, target) = link.split_once("](")?;
        Some((before, (label, target.split_once(')')?.1)))
    }) {
        plain += &format!("{before}{label}");
        rest = after;
    }
    plain + rest
}

/// The schema of a key by what the page calls its type.
fn of_type(key: &str, kind: &str) -> Value {
    let string = || json!({ "type": "string" });
    let strings = || json!({ "type": "array", "items": { "type": "string" } });
    let definition = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
    match kind {
        "string" => string(),
        "path" => json!({ "type": "string", "minLength": 1 }),
        "boolean" => json!({ "type": "boolean" }),
        "array of strings" => strings(),
        "string or array of strings" | "array of strings, or string" => json!({ "anyOf": [string(), strings()] }),
        "array of strings or tables" => {
            json!({ "type": "array", "items": { "anyOf": [string(), definition("allowed_host")] } })
        }
        "table of strings" => json!({ "type": "object", "additionalProperties": string() }),
        "array of tables with `cert` and `key`" => json!({ "type": "array", "items": definition("certificate") }),
        "array of tables" => json!({ "type": "array", "items": definition(key) }),
        "table" if key == "volumes" => {
            json!({ "type": "object", "additionalProperties": { "anyOf": [string(), definition("volume")] } })
        }
        "table of tables" => json!({ "type": "object", "additionalProperties": definition("registry") }),
        "table" => definition(key),
        "boolean or table" => json!({ "anyOf": [{ "type": "boolean" }, definition(key)] }),
        "size" => definition("size"),
        "duration" => definition("duration"),
        "number" => json!({ "type": "integer", "minimum": 0 }),
        _ if kind.starts_with("number from ") => {
            let (from, to) =
                kind["number from ".len()..].split_once(" to ").unwrap_or((&kind["number from ".len()..], ""));
            let mut number = json!({ "type": "integer", "minimum": from.parse::<u64>().expect("a number") });
            if let Ok(to) = to.parse::<u64>() {
                number["maximum"] = json!(to);
            }
            number
        }
        _ if kind.starts_with("`\"") => {
            let values: Vec<_> = kind.split('`').skip(1).step_by(2).map(|value| value.trim_matches('"')).collect();
            json!({ "enum": values })
        }
        _ => panic!("the type of `{key}` is not known here: {kind}"),
    }
}

/// The schema of a limit: its type follows from its default.
fn of_limit(default: &str, bounds: &str) -> Value {
    let value = match default.rsplit_once(' ').map_or("", |(_, unit)| unit) {
        "s" | "ms" | "min" => json!({ "$ref": "#/definitions/duration" }),
        "KiB" | "MiB" | "GiB" | "limit" => json!({ "$ref": "#/definitions/size" }),
        _ => {
            let numbers = bounds.split_once(" to ").map(|(from, to)| (from, to.replace(' ', "")));
            let (from, to) = numbers.unwrap_or(("0", bounds.trim_start_matches("up to").replace(' ', "")));
            let from: u64 = from.trim().parse().unwrap_or(0);
            match to.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().parse::<u64>() {
                Ok(to) => json!({ "type": "integer", "minimum": from, "maximum": to }),
                Err(_) => json!({ "type": "integer", "minimum": from }),
            }
        }
    };
    match bounds.contains("may be lifted") {
        true => json!({ "anyOf": [value, { "enum": [0, "0", "none", "unlimited"] }] }),
        false => value,
    }
}

fn described(mut schema: Value, meaning: &str, default: &str) -> Value {
    // Beside `$ref`, older readers ignore all else.
    if schema.get("$ref").is_some() {
        schema = json!({ "allOf": [schema] });
    }
    schema["description"] = json!(plain(meaning));
    let written = default.split('`').nth(1).filter(|written| default == format!("`{written}`"));
    if let Some(value) = written.and_then(|written| serde_json::from_str::<Value>(written).ok()) {
        schema["default"] = value;
    }
    schema
}

/// An object of the keys of a table, and of no others.
fn object(properties: Map<String, Value>, required: &[&str]) -> Value {
    let mut object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn of_keys(table: &Table<'_>) -> Value {
    assert_eq!(table.columns, ["key", "type", "default", "meaning"], "{}", table.heading);
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for row in &table.rows {
        let [key, kind, default, meaning] = row[..] else { panic!("four cells: {row:?}") };
        if default == "required" {
            required.push(name(key));
        }
        properties.insert(name(key).to_owned(), described(of_type(name(key), kind), meaning, default));
    }
    object(properties, &required)
}

/// All limits of the page, and those that are of one module.
fn limits(page: &str) -> (Value, Value) {
    let (mut all, mut of_module) = (Map::new(), Map::new());
    for table in tables(page).iter().filter(|table| table.columns.starts_with(&["key", "default", "bounds"])) {
        for row in &table.rows {
            let schema = described(of_limit(row[1], row[2]), row[3], "");
            all.insert(name(row[0]).to_owned(), schema.clone());
            if table.heading == "Modules" {
                of_module.insert(name(row[0]).to_owned(), schema);
            }
        }
    }
    (object(all, &[]), object(of_module, &[]))
}

/// What has no table of its own on the page.
fn inline() -> [(&'static str, Value); 10] {
    let string = || json!({ "type": "string" });
    let names = || json!({ "anyOf": [string(), { "type": "array", "items": string() }] });
    let of = |properties: Value, required: &[&str]| {
        let Value::Object(properties) = properties else { panic!("an object") };
        object(properties, required)
    };
    [
        ("certificate", of(json!({ "cert": string(), "key": string() }), &["cert", "key"])),
        (
            "volume",
            of(
                json!({
                    "path": { "type": "string", "description": "a directory of this machine" },
                    "read_only": { "type": "boolean", "default": false },
                    "scratch": { "allOf": [{ "$ref": "#/definitions/size" }],
                        "description": "an empty directory of the request's own, with room for this length of files" },
                    "files": { "type": "integer", "minimum": 1, "maximum": 10000, "default": 1024 },
                }),
                &[],
            ),
        ),
        (
            "allowed_host",
            of(
                json!({ "host": string(), "scheme": string(), "port": { "type": "integer", "minimum": 1, "maximum": 65535 } }),
                &["host"],
            ),
        ),
        (
            "scripts",
            of(
                json!({ "directory": string(), "extensions": names(), "index": names(),
                    "mount": { "type": "string", "default": "/www" } }),
                &["directory", "extensions"],
            ),
        ),
        (
            "verify",
            of(json!({ "key": names(), "identity": string(), "issuer": string(), "trusted_root": string() }), &[]),
        ),
        ("registry", of(json!({ "verify": { "$ref": "#/definitions/verify" } }), &["verify"])),
        ("warm_start", of(json!({ "shared_random": { "type": "boolean", "default": false } }), &[])),
        (
            "profile",
            of(
                json!({ "slower_than": { "$ref": "#/definitions/duration" },
                    "kept": { "type": "integer", "minimum": 1, "maximum": 100, "default": 10 } }),
                &["slower_than"],
            ),
        ),
        (
            "size",
            json!({ "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": "^\\s*[0-9]+\\s*([kKmMgG][iI]?[bB]|[bB])?\\s*$" },
        ] }),
        ),
        ("duration", json!({ "type": "string", "pattern": "^\\s*[0-9.]+\\s*[a-zµ]+(\\s*[0-9.]+\\s*[a-zµ]+)*\\s*$" })),
    ]
}

/// The schema.
pub fn schema(pages: &Pages<'_>) -> Value {
    let tables = tables(pages.keys);
    let mut of_keys_tables = tables.iter().filter(|table| table.columns == ["key", "type", "default", "meaning"]);
    let mut next = || of_keys_tables.next().expect("a table of the file, then one of `[[module]]`");
    let (root, module) = (of_keys(next()), of_keys(next()));
    let mut definitions = Map::new();
    definitions.insert("module".to_owned(), module);
    for table in of_keys_tables {
        definitions.insert(table.heading.to_owned(), of_keys(table));
    }
    let (limits, module_limits) = limits(pages.limits);
    definitions.insert("limits".to_owned(), limits);
    definitions.insert("module_limits".to_owned(), module_limits);
    definitions.extend(inline().map(|(name, schema)| (name.to_owned(), schema)));
    // An entry has fewer limits than the server.
    definitions["module"]["properties"]["limits"]["allOf"] = json!([{ "$ref": "#/definitions/module_limits" }]);
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "modules.toml",
        "description": "Which programs wagi serves, at which paths, with which rights.",
        "type": "object",
        "additionalProperties": false,
        "properties": root["properties"],
        "anyOf": [{ "required": ["module"] }, { "required": ["static"] }],
        "definitions": definitions,
    })
}
