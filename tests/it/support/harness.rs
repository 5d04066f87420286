//! A gateway in the test's own process: guests and a `modules.toml` in a temporary directory, requests without a socket.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use tempfile::TempDir;

use wagi::Gateway;
use wagi::config::{Config, Options, Source};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::server::Peer;
use wagi::{fetch, startup};

/// A gateway to be made.
pub struct Test {
    directory: TempDir,
    manifest: String,
    options: Options,
}

/// A gateway and what it has logged.
pub struct Running {
    gateway: Gateway,
    log: Log,
    lines: LogWriter,
    _directory: TempDir,
}

/// An answer in full.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body, or what came of it before it broke off.
    pub body: Bytes,
    /// Whether the transfer was cut.
    pub cut: bool,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header that is there once.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().unwrap_or_else(|| panic!("no {name} in {:?}", self.headers));
        assert!(values.next().is_none(), "{name} is there twice");
        value.to_str().expect("an ASCII value")
    }

    /// `NAME=VALUE` lines as a lookup.
    #[track_caller]
    pub fn variable(&self, name: &str) -> Option<String> {
        let text = self.text();
        let prefix = format!("{name}=");
        let mut found = text.lines().filter_map(|line| line.strip_prefix(prefix.as_str()));
        let value = found.next().map(str::to_owned);
        assert!(found.next().is_none(), "{name} is there twice:\n{text}");
        value
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Test {
    /// No module yet.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let manifest = directory.path().join("modules.toml");
        let options = Options::new(Source::Manifest(manifest));
        Self { directory, manifest: String::new(), options }
    }

    /// One module in text form at `route`.
    pub fn at(route: &str, module: &str) -> Self {
        Self::new().module(route, module, "")
    }

    /// One module at `/` that prints this.
    pub fn printing(output: impl AsRef<[u8]>) -> Self {
        Self::at("/", &super::guest::printing(output))
    }

    /// Another module in text form, with more keys of its entry in TOML.
    pub fn module(self, route: &str, module: &str, keys: &str) -> Self {
        let number = self.manifest.matches("[[module]]").count();
        let path = self.directory.path().join(format!("guest{number}.wat"));
        std::fs::write(&path, module).expect("a file can be written");
        self.file_module(route, &path, keys)
    }

    /// Another module from a file.
    pub fn file_module(mut self, route: &str, path: &Path, keys: &str) -> Self {
        writeln!(self.manifest, "[[module]]\nroute = '{route}'\nmodule = '{}'\n{keys}", path.display()).unwrap();
        self
    }

    /// Something before all modules.
    pub fn top(mut self, toml: &str) -> Self {
        self.manifest.insert_str(0, &format!("{toml}\n"));
        self
    }

    /// Changes what was typed.
    pub fn options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Starts it; a configuration with errors or warnings fails the test.
    pub async fn start(self) -> Running {
        let (running, problems) = self.try_start().await;
        assert!(problems.is_empty(), "{problems}");
        running.expect("no error without a problem")
    }

    /// Starts it if that is possible, and says what is wrong.
    pub async fn try_start(self) -> (Option<Running>, String) {
        std::fs::write(self.directory.path().join("modules.toml"), &self.manifest).expect("a file can be written");
        let log = Log::default();
        let lines = LogWriter::spawn(log.clone()).expect("a thread can be started");
        let (config, mut problems) = Config::load(&self.options);
        let mut resolved = fetch::complete(config, &mut problems, Arc::new(Silent)).await;
        let gateway = startup::load(&mut resolved, &lines, &mut problems).await.expect("an engine");
        let failed = problems.iter().any(|problem| problem.is_error());
        let report: String = problems.iter().map(|problem| problem.render(false) + "\n").collect();
        let running = Running { gateway, log, lines, _directory: self.directory };
        ((!failed).then_some(running), report)
    }

    /// Starts it and sends one GET.
    pub async fn get(self, target: &str) -> Answer {
        self.start().await.get(target).await
    }
}

impl Running {
    pub async fn get(&self, target: &str) -> Answer {
        self.send(Request::get(target).body(Bytes::new()).expect("a request")).await
    }

    pub async fn post(&self, target: &str, body: impl Into<Bytes>) -> Answer {
        self.send(Request::post(target).body(body.into()).expect("a request")).await
    }

    /// Sends a request from 192.168.0.1, with Host unless the request has one, and reads the whole answer.
    pub async fn send(&self, request: Request<Bytes>) -> Answer {
        let (mut parts, body) = request.into_parts();
        parts.extensions.insert(Peer::new(SocketAddr::from(([192, 168, 0, 1], 4321))));
        let response = self.gateway.handle(Request::from_parts(parts, Full::new(body))).await;
        let (parts, mut body) = response.into_parts();
        let (mut read, mut cut) = (Vec::new(), false);
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => read.extend_from_slice(&frame.into_data().expect("no trailers")),
                Err(_) => {
                    cut = true;
                    break;
                }
            }
        }
        Answer { status: parts.status, headers: parts.headers, body: read.into(), cut }
    }

    /// The gateway itself.
    pub fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        self.lines.flush();
        String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned()
    }
}
