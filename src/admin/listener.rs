//! Where is the admin listener, and on which thread?

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::{interval, timeout};

use crate::admin::log_level::LogLevel;
use crate::admin::service::AdminService;
use crate::admin::state::AdminState;
use crate::config::{AdminConfig, ConnectionLimits, ServerConfig, WhenFull};
use crate::server;
use crate::server::Server;

/// The limits of its connections. An operator, some probes and a Prometheus have few of them; others must not cost much.
const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 128,
    connections_per_address: 32,
    header_block: 16 << 10,
    header_timeout: Duration::from_secs(5),
    body_timeout: Duration::from_secs(5),
    send_timeout: Duration::from_secs(10),
    keep_alive: Duration::from_secs(60),
    tls_handshake: Duration::from_secs(5),
    shutdown_grace: Duration::from_secs(1),
};

/// How long responses under way may take at the end of the process.
const STOP_TIMEOUT: Duration = Duration::from_millis(300);

/// How often the counts are looked at, for the quantiles of the last minute.
const TICK: Duration = Duration::from_secs(5);

/// The admin listener, which answers until it is dropped.
pub struct AdminListener {
    state: Arc<AdminState>,
    addresses: Vec<SocketAddr>,
    url: String,
    stop: Option<oneshot::Sender<()>>,
    ended: mpsc::Receiver<()>,
}

/// Why there is no admin listener.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] server::Error),
    /// There is no thread for it.
    #[error("cannot start a thread for the admin listener")]
    Thread(#[from] io::Error),
}

/// What the thread says when it listens.
struct BoundListener {
    addresses: Vec<SocketAddr>,
    url: String,
}

impl AdminListener {
    /// Opens the listener, and answers on a thread of its own.
    pub fn start(config: &AdminConfig, log_level: LogLevel) -> Result<Self, AdminError> {
        let state = Arc::new(AdminState::new(config.clone(), log_level));
        let (stop, stopped) = oneshot::channel();
        let (sender, ended) = mpsc::channel();
        let (opened, receiver) = mpsc::channel();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (config, service) = (server_config(config), AdminService::new(state.clone()));
        thread::Builder::new().name("wagi-admin".into()).spawn(move || {
            run(&runtime, &config, service, ThreadChannels { opened, stopped });
            // Frees the sockets before the end is told.
            drop(runtime);
            drop(sender);
        })?;
        let opened: Result<BoundListener, server::Error> = receiver.recv().map_err(io::Error::other)?;
        let BoundListener { addresses, url } = opened?;
        tracing::info!(url, "the admin listener is open");
        Ok(Self { state, addresses, url, stop: Some(stop), ended })
    }

    /// What the program tells how far the server is.
    pub fn state(&self) -> Arc<AdminState> {
        self.state.clone()
    }

    /// Its TCP address, if it has one.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Its URL, or `unix:PATH`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for AdminListener {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nothing is ever sent: the thread ends, or takes too long for that.
        let _ = self.ended.recv_timeout(2 * STOP_TIMEOUT);
    }
}

/// What the thread says and hears.
struct ThreadChannels {
    opened: mpsc::Sender<Result<BoundListener, server::Error>>,
    stopped: oneshot::Receiver<()>,
}

fn run(runtime: &Runtime, config: &ServerConfig, service: AdminService, signals: ThreadChannels) {
    let ThreadChannels { opened, mut stopped } = signals;
    runtime.block_on(async {
        let server = match Server::bind(config).await {
            Ok(server) => server,
            Err(error) => return drop(opened.send(Err(error))),
        };
        let (addresses, url) = (server.addresses(), server.urls().join(" "));
        // The one that has started the thread waits for this.
        let _ = opened.send(Ok(BoundListener { addresses, url }));
        let (stop, told) = oneshot::channel::<()>();
        let serving = server.serve(service.clone(), async {
            let _ = told.await;
        });
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => return,
            () = tick(&service) => {}
            _ = &mut stopped => {}
        }
        drop(stop);
        let _ = timeout(STOP_TIMEOUT, serving).await;
    });
}

/// Lets the gateway look at its counts, for ever.
async fn tick(service: &AdminService) {
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        service.tick();
    }
}

fn server_config(config: &AdminConfig) -> ServerConfig {
    let listen = vec![config.listen.clone().into()];
    // A probe is answered, however many connections are open in which nothing is asked.
    ServerConfig { listen, limits: LIMITS, when_full: WhenFull::CloseOldest, ..ServerConfig::default() }
}
