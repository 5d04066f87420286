//! Where is the program of a `bindle:` module?
//!
//! It is the first program in no group of the bindle with that id, on the server that the entry names, without a login.
//! Features, groups and files play no part. For threads that may block.

use std::collections::HashMap;
use std::time::Instant;

use toml::{Table, Value};

use crate::config::{BindleId, Diagnostic, EntryConfig, Key, Lock, MAX_INVOICE_SIZE, ModuleRef, Sha256};

use crate::bindle::server::{BindleServer, ServerError};
use crate::bindle::source::BindleSource as _;
use crate::bindle::stored_invoice;
use crate::cache::fetched::{Arrival, FetchedModule, FetchedModules};
use crate::cache::store::{Store, StoreError};
use crate::net::client::Fetch;

/// The media type of a program.
const MODULE_TYPE: &str = "application/wasm";

/// Why there is no program.
#[derive(Debug, thiserror::Error)]
enum ModuleError {
    #[error("it is not the id of a bindle")]
    Id,
    #[error("the bindle server is not known")]
    NoServer,
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("its invoice has more than {MAX_INVOICE_SIZE} bytes")]
    InvoiceTooLarge,
    #[error("its invoice is not TOML in UTF-8")]
    Syntax,
    #[error("the server sends the invoice of another bindle")]
    OtherBindle,
    #[error("it is yanked: its publisher has withdrawn it")]
    Yanked,
    #[error("its invoice has no parcel of the type `{MODULE_TYPE}` outside all groups")]
    NoProgram,
    #[error("parcel `{0}` has no size or SHA-256 digest")]
    Broken(String),
    #[error("parcel `{0}` cannot be had")]
    Parcel(String, #[source] StoreError),
    #[error("parcel `{name}` has {size} bytes, more than the {limit} a module may have")]
    TooLarge { name: String, size: u64, limit: u64 },
    #[error("cannot write to the module cache")]
    Write(#[source] std::io::Error),
}

impl ModuleError {
    fn help(&self) -> &'static str {
        match self {
            Self::Id => "write `bindle:NAME/VERSION`, such as `bindle:example.com/hello/1.0.0`",
            Self::NoServer => "give `bindle_server`, the URL of the server that has it",
            Self::Server(error) if error.is_about_login() => {
                "`bindle:` modules are fetched without a login; `--bindle` can log in"
            }
            Self::Server(error) => error.help(),
            Self::Yanked => "ask for another version",
            Self::TooLarge { .. } => "raise `module_size` in the limits",
            _ => "`--bindle` with `--check` says more about a bindle",
        }
    }
}

/// Fetches the modules that `entries` name on bindle servers into `store`. For a thread that may block, with a runtime
/// around it.
pub(crate) fn fetch(
    entries: &[EntryConfig],
    store: &Store,
    max_module_size: u64,
    lock: Option<&Lock>,
) -> FetchedModules {
    let mut fetching = ProgramFetcher { store, max_module_size, lock, servers: HashMap::new() };
    let mut fetched = FetchedModules::default();
    for entry in entries {
        let ModuleRef::Bindle { id, server } = &entry.module else { continue };
        if fetched.by_reference.contains_key(&entry.module) {
            continue;
        }
        match fetching.fetch(&entry.module, id, server.as_deref()) {
            Ok(found) => {
                let warning = found.outage.map(|error| error.stand_in(format!("`{}`", entry.module)));
                fetched.problems.extend(warning.map(|warning| warning.at(entry.origin.at(Key::Module))));
                fetched.by_reference.insert(entry.module.clone(), found.module);
            }
            Err(error) => {
                let problem = Diagnostic::error(format!("route `{}`: cannot fetch `{}`", entry.route, entry.module));
                let problem = problem.at(entry.origin.at(Key::Module)).caused_by(&error).help(error.help());
                fetched.problems.push(problem);
            }
        }
    }
    fetched
}

/// A program that was fetched.
struct Found {
    module: FetchedModule,
    /// Why its invoice is not from the server.
    outage: Option<ServerError>,
}

/// Fetches programs of bindles into a store.
struct ProgramFetcher<'s> {
    store: &'s Store,
    /// The limit on the size of a module, in bytes.
    max_module_size: u64,
    lock: Option<&'s Lock>,
    /// The servers by their URLs.
    servers: HashMap<String, BindleServer>,
}

impl ProgramFetcher<'_> {
    fn fetch(&mut self, reference: &ModuleRef, id: &str, url: Option<&str>) -> Result<Found, ModuleError> {
        let started = Instant::now();
        let id: BindleId = id.parse().map_err(|_| ModuleError::Id)?;
        let url = url.ok_or(ModuleError::NoServer)?;
        if !self.servers.contains_key(url) {
            self.servers.insert(url.to_owned(), BindleServer::new(url, None, false)?);
        }
        let server = self.servers.get(url).ok_or(ModuleError::NoServer)?;
        let mut outage = None;
        let program = match self.lock.and_then(|lock| lock.find((&reference.to_string(), Some(url)))) {
            // The lock file says what it was. Whether it has been yanked since does not matter.
            Some(locked) => ProgramParcel { name: id.to_string(), sha256: locked.module.clone(), size: locked.size },
            None => self.program(server, &id, &mut outage)?,
        };
        if program.size > self.max_module_size {
            let limit = self.max_module_size;
            return Err(ModuleError::TooLarge { name: program.name, size: program.size, limit });
        }
        let (path, is_new) = match self.store.find(&program.sha256, program.size) {
            Some(path) => (path, false),
            None => {
                let fetch = Fetch::start_sized(program.size);
                let open = || server.parcel(&id, &program.sha256, fetch);
                let stored = self.store.insert_from(&program.sha256, program.size, open);
                (stored.map_err(|error| ModuleError::Parcel(program.name.clone(), error))?, true)
            }
        };
        self.store.pin(&path);
        let arrival = Arrival { is_new, took: started.elapsed() };
        let ProgramParcel { sha256, size, .. } = program;
        Ok(Found { module: FetchedModule { path, sha256, size, manifest: None, arrival }, outage })
    }

    /// Reads the program from the server's invoice, or from the last one if the server is out of order.
    fn program(
        &self,
        server: &BindleServer,
        id: &BindleId,
        outage: &mut Option<ServerError>,
    ) -> Result<ProgramParcel, ModuleError> {
        let error = match server.fetch_invoice(id, MAX_INVOICE_SIZE) {
            Ok((_, invoice)) => {
                let program = ProgramParcel::parse(&invoice, id)?;
                let written = stored_invoice::write(self.store, id, Some(server.url()), &invoice);
                return written.map(|()| program).map_err(ModuleError::Write);
            }
            Err(error) => error,
        };
        match stored_invoice::read(&self.store.path(""), id, server.url()).filter(|_| error.is_outage()) {
            Some(invoice) => {
                *outage = Some(error);
                ProgramParcel::parse(&invoice, id)
            }
            None => Err(error.into()),
        }
    }
}

/// A parcel that is a program.
#[derive(Debug)]
struct ProgramParcel {
    name: String,
    sha256: Sha256,
    size: u64,
}

impl ProgramParcel {
    /// The first program of an invoice that is in no group.
    fn parse(invoice: &[u8], id: &BindleId) -> Result<Self, ModuleError> {
        if invoice.len() as u64 > MAX_INVOICE_SIZE {
            return Err(ModuleError::InvoiceTooLarge);
        }
        let text = std::str::from_utf8(invoice).map_err(|_| ModuleError::Syntax)?;
        let root: Table = text.parse().map_err(|_| ModuleError::Syntax)?;
        let bindle_key = |key| root.get("bindle")?.get(key)?.as_str();
        if (bindle_key("name"), bindle_key("version")) != (Some(id.name()), Some(id.version())) {
            return Err(ModuleError::OtherBindle);
        }
        if root.get("yanked").and_then(Value::as_bool) == Some(true) {
            return Err(ModuleError::Yanked);
        }
        let parcels = root.get("parcel").and_then(Value::as_array).into_iter().flatten();
        let label = parcels.filter(|parcel| is_in_no_group(parcel)).filter_map(|parcel| parcel.get("label"));
        let label = label.into_iter().find(|label| media_type(label) == Some(MODULE_TYPE));
        Self::from_label(label.ok_or(ModuleError::NoProgram)?)
    }

    fn from_label(label: &Value) -> Result<Self, ModuleError> {
        let text = |key| label.get(key).and_then(Value::as_str);
        let name = text("name").unwrap_or_default().to_owned();
        let size = label.get("size").and_then(Value::as_integer).and_then(|size| u64::try_from(size).ok());
        match (text("sha256").and_then(|digest| digest.parse().ok()), size) {
            (Some(sha256), Some(size)) => Ok(Self { name, sha256, size }),
            _ => Err(ModuleError::Broken(name)),
        }
    }
}

fn media_type(label: &Value) -> Option<&str> {
    label.get("mediaType").or_else(|| label.get("media_type"))?.as_str()
}

fn is_in_no_group(parcel: &Value) -> bool {
    let conditions = parcel.get("conditions");
    let groups = conditions.and_then(|table| table.get("memberOf").or_else(|| table.get("member_of")));
    groups.is_none_or(|groups| groups.as_array().is_some_and(Vec::is_empty))
}

#[cfg(test)]
mod tests {
    use crate::bindle::module::*;
    use crate::format::sha256_hex;

    fn invoice(parcels: &[(&str, &str)]) -> String {
        let mut text = "bindle = { name = 'a', version = '1.0.0' }\n".to_owned();
        for (index, (media_type, conditions)) in parcels.iter().enumerate() {
            let digest = sha256_hex(media_type.as_bytes());
            text += &format!(
                "[[parcel]]\nlabel = {{ name = 'p{index}', mediaType = '{media_type}', size = 3, sha256 = '{digest}' }}\n\
                conditions = {{ {conditions} }}\n"
            );
        }
        text
    }

    fn first(text: &str) -> Result<String, String> {
        let id = "a/1.0.0".parse().expect("an id");
        ProgramParcel::parse(text.as_bytes(), &id).map(|program| program.name).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_program_in_no_group_is_taken() {
        let program = "application/wasm";
        let parcels = [
            ("text/plain", ""),
            (program, "memberOf = ['g']"),
            (program, "memberOf = [], requires = ['g']"),
            (program, ""),
        ];
        assert_eq!(first(&invoice(&parcels)), Ok("p2".to_owned()));
        assert!(first(&invoice(&parcels[..2])).is_err_and(|error| error.contains("no parcel")));
    }

    #[test]
    fn an_invoice_that_is_wrong_is_refused() {
        let good = invoice(&[("application/wasm", "")]);
        assert_eq!(first(&good), Ok("p0".to_owned()));
        for (text, message) in [
            ("x =".to_owned(), "not TOML"),
            (String::new(), "another bindle"),
            (good.replace("'1.0.0'", "'1.0.1'"), "another bindle"),
            (format!("yanked = true\n{good}"), "yanked"),
            (good.replace("size = 3", "size = -3"), "no size"),
            (good.replace("sha256 = '", "sha256 = '../"), "no size or SHA-256"),
            (good.replace("size", "parcel"), "no size"),
            ("parcel = 3\n".to_owned() + "bindle = { name = 'a', version = '1.0.0' }", "no parcel"),
        ] {
            assert!(first(&text).is_err_and(|error| error.contains(message)), "{text}");
        }
    }
}
