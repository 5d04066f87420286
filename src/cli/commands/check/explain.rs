//! Where does each value of a configuration come from?

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use wagi::admin::configuration;
use wagi::config::{Config, Options, Source, SourceLocation, operator_variables, written_values};
use wagi::printable;

/// An option of the command line, or its environment variable, that has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenOption {
    /// The value, with its table, as in modules.toml.
    pub key: &'static str,
    /// The option or the variable.
    pub name: &'static str,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ValueSource {
    Default,
    File(SourceLocation),
    /// An option or an environment variable.
    Given(&'static str),
}

/// A value, and where it comes from.
struct ExplainedValue {
    /// The table, or the route of the entry.
    section: String,
    key: String,
    value: Value,
    source: ValueSource,
}

/// All values of a configuration, each with its source.
pub struct ConfigExplanation(Vec<ExplainedValue>);

impl ConfigExplanation {
    pub fn new(config: &Config, options: &Options, given: &[GivenOption]) -> Self {
        let written = match &options.source {
            Source::Manifest(path) => written_values(path),
            Source::Module(_) | Source::Bindle { .. } => Vec::new(),
        };
        let written = written.into_iter().map(|value| (value.key, value.location)).collect();
        let variables = operator_variables(options);
        let sources = ValueSources { written, given, options, variables };
        let shown = configuration::config(config);
        let mut values = Vec::new();
        for section in ["server", "tls", "admin", "debug", "limits", "log"] {
            let names = shown[section].as_object().into_iter().flatten();
            values.extend(names.map(|(key, value)| ExplainedValue {
                section: section.to_owned(),
                key: key.clone(),
                value: value.clone(),
                source: sources.of(&format!("{section}.{key}")),
            }));
        }
        for (list, array) in [("modules", "module"), ("static", "static")] {
            for (index, entry) in shown[list].as_array().into_iter().flatten().enumerate() {
                let Some(entry) = entry.as_object() else { continue };
                values.extend(sources.of_entry(&format!("{array}[{index}]"), entry));
            }
        }
        Self(values)
    }

    /// One object for each value.
    pub fn json(&self) -> Value {
        self.0.iter().map(ExplainedValue::json).collect()
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut section = "";
        let width = |value: &ExplainedValue| value.assignment().chars().count().min(MAX_WIDTH);
        let width = self.0.iter().map(width).max().unwrap_or_default();
        for value in &self.0 {
            if value.section != section {
                section = &value.section;
                text += &format!("{}{}\n", if text.is_empty() { "" } else { "\n" }, printable::line(section));
            }
            let line = format!("  {:width$}  {}", value.assignment(), value.source.text());
            text += &format!("{}\n", printable::line(&line));
        }
        text
    }
}

/// The longest values that the column of sources stands behind.
const MAX_WIDTH: usize = 56;

/// What is known of where values come from.
struct ValueSources<'a> {
    written: HashMap<String, SourceLocation>,
    given: &'a [GivenOption],
    options: &'a Options,
    /// Those of `--env` and `--env-file`.
    variables: Vec<String>,
}

impl ValueSources<'_> {
    fn of_entry(&self, prefix: &str, entry: &Map<String, Value>) -> Vec<ExplainedValue> {
        let route = entry.get("route").and_then(Value::as_str).unwrap_or_default();
        let section = format!("{} `{route}`", prefix.split('[').next().unwrap_or_default());
        let mut values = Vec::new();
        let mut add = |key: String, value: Value, source| {
            values.push(ExplainedValue { section: section.clone(), key, value, source });
        };
        for (key, value) in entry {
            match (key.as_str(), value) {
                ("limits", Value::Object(limits)) => {
                    for (limit, value) in limits {
                        let of_entry = self.of(&format!("{prefix}.limits.{limit}"));
                        let of_all = || self.of(&format!("limits.{limit}"));
                        let source = if of_entry == ValueSource::Default { of_all() } else { of_entry };
                        add(format!("limits.{limit}"), value.clone(), source);
                    }
                }
                ("environment", Value::Array(names)) => {
                    for name in names.iter().filter_map(Value::as_str) {
                        // Its value is not shown.
                        add(format!("environment.{name}"), Value::Null, self.of_variable(prefix, name));
                    }
                }
                ("compress", _) => {
                    let of_entry = self.of(&format!("{prefix}.compress"));
                    let is_default = of_entry == ValueSource::Default;
                    add(key.clone(), value.clone(), if is_default { self.of("server.compress") } else { of_entry });
                }
                _ => add(key.clone(), value.clone(), self.of(&format!("{prefix}.{key}"))),
            }
        }
        values
    }

    fn of(&self, key: &str) -> ValueSource {
        if let Some(given) = self.given.iter().find(|given| given.key == key) {
            return ValueSource::Given(given.name);
        }
        let other_name = match key {
            "server.server_name" => "default_host",
            "admin.token" => "admin.token_file",
            _ => key,
        };
        let written = self.written.get(key).or_else(|| self.written.get(other_name));
        // A table with keys of the operator, such as `volumes`.
        let below = format!("{key}.");
        let in_table = || self.written.iter().filter(|(written, _)| written.starts_with(&below));
        let written =
            written.or_else(|| in_table().map(|(_, location)| location).min_by_key(|location| location.position()));
        written.map_or(ValueSource::Default, |location| ValueSource::File(location.clone()))
    }

    /// The last of its values counts.
    fn of_variable(&self, prefix: &str, name: &str) -> ValueSource {
        if self.options.env.iter().any(|(given, _)| given == name) {
            return ValueSource::Given("--env");
        }
        if self.variables.iter().any(|given| given == name) {
            return ValueSource::Given("--env-file");
        }
        let keys = [format!("secrets.{name}"), format!("environment.{name}"), "env_file".to_owned()];
        let mut found = keys.iter().filter_map(|key| self.written.get(&format!("{prefix}.{key}")));
        found.next().map_or(ValueSource::Default, |location| ValueSource::File(location.clone()))
    }
}

impl ExplainedValue {
    fn json(&self) -> Value {
        let Self { section, key, value, source } = self;
        json!({ "section": section, "key": key, "value": value, "source": source.json() })
    }

    fn assignment(&self) -> String {
        match &self.value {
            // The only numbers with a point are seconds.
            Value::Number(seconds) if seconds.is_f64() => {
                format!("{} = {}s", self.key, seconds.as_f64().unwrap_or_default())
            }
            Value::Null if self.key.starts_with("environment.") => self.key.clone(),
            Value::Null => format!("{} = none", self.key),
            value => format!("{} = {value}", self.key),
        }
    }
}

impl ValueSource {
    fn text(&self) -> String {
        match self {
            Self::Default => "default".to_owned(),
            Self::File(location) => {
                let (line, column) = location.position();
                format!("{}:{line}:{column}", location.file_name())
            }
            Self::Given(name) => (*name).to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Default => json!({ "kind": "default" }),
            Self::File(location) => {
                let (line, column) = location.position();
                json!({ "kind": "file", "file": location.file_name(), "line": line, "column": column })
            }
            Self::Given(name) if name.starts_with("--") => json!({ "kind": "flag", "name": name }),
            Self::Given(name) => json!({ "kind": "variable", "name": name }),
        }
    }
}
