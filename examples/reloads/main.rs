//! What do clients notice of 200 reloads in a minute, and how long does a reload of a thousand modules take?
//!
//! ```sh
//! cargo run --release --example reloads [SECONDS]
//! ```
//!
//! First, 32 connections of HTTP/1.1, 4 of HTTP/2 and 8 long responses ask a program for a variable of its entry, which it prints
//! in a header field and in its body, while the module, a route, a host, a volume, the variable, a limit and the certificate
//! change in turn, and every second configuration is broken. Then a thousand modules are served, of which one changes, while a
//! greeting is asked for.

#![expect(clippy::print_stdout, reason = "it speaks to the terminal")]

mod clients;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use wagi::config::{ListenAddress, Options, Source, TlsFiles};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::server::Server;
use wagi::startup::Reloader;
use wagi::{ReloadHandle, ReloadOutcome, reload_channel};

use crate::clients::{Clients, latencies, percentile};

const RELOADS: u32 = 200;
const MODULES: usize = 1_000;

const GENERATION: &str = include_str!("../../tests/it/reload/generation.wat");
const GREETING: &str = include_str!("../hello.wat");

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = std::env::args().nth(1).map_or(Ok(60), |text| text.parse())?;
    under_load(Duration::from_secs(seconds)).await?;
    with_many_modules().await
}

/// A server over the files of a directory.
struct Served {
    directory: tempfile::TempDir,
    plain: SocketAddr,
    secure: Option<SocketAddr>,
    reload: ReloadHandle,
}

impl Served {
    async fn start(directory: tempfile::TempDir, has_tls: bool) -> Result<Self> {
        let path = |name: &str| directory.path().join(name);
        let mut options = Options::new(Source::Manifest(path("modules.toml")));
        options.listen = vec![ListenAddress::PlainTcp(SocketAddr::from(([127, 0, 0, 1], 0)))];
        if has_tls {
            options.listen.push(ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 0))));
            options.tls = Some(TlsFiles { cert: path("cert.pem"), key: path("key.pem"), location: None });
        }
        let (log, mut problems) = (LogWriter::spawn(std::io::sink())?, Vec::new());
        let reloader = Reloader::start(options, &log, Arc::new(Silent), &mut problems).await?;
        if let Some(problem) = problems.iter().find(|problem| problem.is_error()) {
            bail!(problem.render(false));
        }
        let server = Server::bind(&reloader.config().server).await?;
        let addresses = server.addresses();
        let plain = addresses.first().copied().context("a port is open")?;
        let reloader = reloader.with_server(server.handle());
        tokio::spawn(server.serve(reloader.gateway().clone(), std::future::pending()));
        let (reload, requests) = reload_channel();
        tokio::spawn(reloader.run(requests));
        Ok(Self { directory, plain, secure: addresses.get(1).copied(), reload })
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<()> {
        Ok(std::fs::write(self.directory.path().join(name), content)?)
    }

    async fn reload(&self) -> Result<Arc<ReloadOutcome>> {
        self.reload.reload().await.context("the server runs")
    }
}

async fn under_load(time: Duration) -> Result<()> {
    let directory = tempfile::tempdir()?;
    std::fs::write(directory.path().join("guest.wat"), GENERATION)?;
    std::fs::write(directory.path().join("modules.toml"), configuration(1, directory.path()))?;
    certificate(directory.path(), 0)?;
    let served = Served::start(directory, true).await?;
    let before = Resources::now()?;
    let clients = Clients::start(served.plain, served.secure.context("a port for TLS")?);
    let (began, mut refused, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    for number in 2..RELOADS + 2 {
        tokio::time::sleep_until((began + time / RELOADS * (number - 2)).into()).await;
        if number % 7 == 0 {
            let module = GENERATION.replace("module 0", &format!("module {number}"));
            served.write("guest.wat", module)?;
        }
        if number % 7 == 6 {
            certificate(served.directory.path(), number / 7)?;
        }
        let configuration = configuration(number, served.directory.path());
        if number.is_multiple_of(2) {
            served.write("modules.toml", format!("{configuration}\nnonsense = = 1\n"))?;
            ensure!(matches!(&*served.reload().await?, ReloadOutcome::Refused { .. }), "the file is broken");
            refused += 1;
        }
        served.write("modules.toml", configuration)?;
        match &*served.reload().await? {
            ReloadOutcome::Swapped(report) => slowest = slowest.max(report.took),
            other => bail!("{other:?}"),
        }
    }
    let took = began.elapsed();
    let answers = clients.end().await?;
    println!(
        "{RELOADS} reloads and {refused} broken configurations in {took:.1?}; the slowest reload took {slowest:.1?}"
    );
    println!("{answers} answers, none failed, each of one generation");
    // Connections that have just been closed are open on the side of the server for a moment.
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("descriptors and memory: {before} before, {} after", Resources::now()?);
    Ok(())
}

/// A configuration that differs from the one before in the variable and, in turn, in something else.
fn configuration(number: u32, directory: &Path) -> String {
    let module = directory.join("guest.wat");
    let volumes = format!("volumes = {{ '/v' = '{}' }}", directory.display());
    let keys = match number % 7 {
        1 => "host = ['127.0.0.1', 'localhost']",
        2 => &volumes,
        3 => "limits = { memory = '8 MiB' }",
        _ => "",
    };
    let route = if number % 7 == 4 { "/..." } else { "/" };
    let entry = |route: &str, keys: &str| {
        let module = module.display();
        format!(
            "[[module]]\nroute = '{route}'\nmodule = '{module}'\nenvironment = {{ GENERATION = '{number}' }}\n{keys}\n"
        )
    };
    entry("/stream", "entrypoint = 'stream'") + &entry(route, keys)
}

/// One of two certificates.
fn certificate(directory: &Path, number: u32) -> Result<()> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let [cert, key] =
        if number.is_multiple_of(2) { ["ec.cert.pem", "ec.pkcs8.pem"] } else { ["rsa.cert.pem", "rsa.pkcs1.pem"] };
    std::fs::copy(fixtures.join(cert), directory.join("cert.pem"))?;
    std::fs::copy(fixtures.join(key), directory.join("key.pem"))?;
    Ok(())
}

async fn with_many_modules() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = |name: String| -> PathBuf { directory.path().join(name) };
    let mut toml = String::new();
    for number in 0..MODULES {
        let module = path(format!("m{number}.wat"));
        std::fs::write(&module, format!("{GREETING}\n;; {number}\n"))?;
        toml += &format!("[[module]]\nroute = '/{number}'\nmodule = '{}'\n", module.display());
    }
    std::fs::write(path("modules.toml".to_owned()), toml)?;
    let served = Served::start(directory, false).await?;
    let quiet = latencies(served.plain, Duration::from_secs(2)).await?;
    served.write("m7.wat", GREETING)?;
    let (during, outcome) = tokio::join!(latencies(served.plain, Duration::from_millis(600)), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        served.reload().await
    });
    let ReloadOutcome::Swapped(report) = &*outcome? else { bail!("one module has changed") };
    println!("{} modules, {} compiled, reloaded in {:.1?}", report.modules, report.compiled, report.took);
    println!("p99 of a greeting: {:.2?} before, {:.2?} meanwhile", percentile(quiet, 99), percentile(during?, 99));
    Ok(())
}

/// What this process holds.
struct Resources {
    descriptors: usize,
    memory: String,
}

impl Resources {
    fn now() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let memory = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap_or_default();
        let descriptors = std::fs::read_dir("/proc/self/fd")?.count();
        Ok(Self { descriptors, memory: memory.trim().to_owned() })
    }
}

impl std::fmt::Display for Resources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} and {}", self.descriptors, self.memory)
    }
}
