//! Does the code on the page about embedding compile? All of it is here as well, and a test compares the two.

use std::io;
use std::sync::Arc;

use wagi::config::{Config, Diagnostic, Options, Source};
use wagi::fetch::{Resolved, Silent};
use wagi::observe::LogWriter;
use wagi::{Gateway, fetch, startup};

async fn gateway() -> Result<(Gateway, Resolved), Box<dyn std::error::Error>> {
    let options = Options::new(Source::Manifest("modules.toml".into()));
    let log = LogWriter::spawn(io::stderr())?;
    let (config, mut problems) = Config::load(&options);
    let mut resolved = fetch::complete(config, &mut problems, Arc::new(Silent)).await;
    let gateway = startup::load(&mut resolved, &log, &mut problems).await;
    for problem in &problems {
        eprintln!("{}", problem.render(false));
    }
    if problems.iter().any(Diagnostic::is_error) {
        return Err("the configuration has errors".into());
    }
    Ok((gateway?, resolved))
}

async fn in_axum() -> Result<(axum::Router, Resolved), Box<dyn std::error::Error>> {
    async fn own() -> &'static str {
        "its own"
    }
    let (gateway, resolved) = gateway().await?;
    let app = axum::Router::new().route("/own", axum::routing::get(own)).fallback_service(gateway);
    Ok((app, resolved))
}

#[expect(clippy::print_stdout, reason = "so does the page")]
async fn alone() -> Result<(), Box<dyn std::error::Error>> {
    use wagi::server::Server;

    let (gateway, resolved) = gateway().await?;
    let server = Server::bind(&resolved.config().server).await?;
    println!("{}", server.urls().join(" "));
    server.serve(gateway, wagi::server::shutdown_signal()).await;
    Ok(())
}

/// The root of the package holds no modules.toml.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_with_errors_is_not_served() {
    assert!(in_axum().await.is_err());
    assert!(alone().await.is_err());
}

/// The lines of a text without blanks at their ends.
fn trimmed(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim())).collect()
}

#[test]
fn the_code_of_the_page_is_the_code_that_compiles() {
    let page = include_str!("../../docs/embedding.md");
    let here = trimmed(include_str!("embedding.rs"));
    let blocks: Vec<String> =
        page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).map(trimmed).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        assert!(here.contains(&block), "the page has other code: {block}");
    }
}
