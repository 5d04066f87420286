//! How does a gateway live inside somebody else's server? As a `tower` service under a path of an axum application:
//! `/about` is answered by the application, everything else by WebAssembly guests.
//!
//! ```sh
//! cargo run --example embed
//! ```

#![expect(clippy::print_stderr, clippy::print_stdout, reason = "it speaks to the terminal")]

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;

use wagi::config::{Config, Options, Source};
use wagi::fetch::Silent;
use wagi::observe::LogWriter;
use wagi::server::Peer;
use wagi::{fetch, startup};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::new(Source::Manifest("examples/modules.toml".into()));
    let (config, mut problems) = Config::load(&options);
    let mut resolved = fetch::complete(config, &mut problems, Arc::new(Silent)).await;
    let gateway = startup::load(&mut resolved, &LogWriter::spawn(std::io::stderr())?, &mut problems).await?;
    for problem in &problems {
        eprintln!("{}", problem.render(false));
    }
    anyhow::ensure!(!problems.iter().any(|problem| problem.is_error()), "the configuration has errors");

    let application = Router::new()
        .route("/about", get(async || "An application with WebAssembly inside\n"))
        .fallback_service(gateway)
        .layer(middleware::from_fn(tell_the_gateway_who_asks));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("Listening on http://{}", listener.local_addr()?);
    axum::serve(listener, application.into_make_service_with_connect_info::<SocketAddr>()).await?;
    Ok(())
}

/// The gateway finds the client's address, REMOTE_ADDR, among the request's extensions.
async fn tell_the_gateway_who_asks(
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Peer::new(address));
    next.run(request).await
}
