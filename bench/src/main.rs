//! Which measures are taken in which order, and where do the figures go?
//!
//! ```sh
//! cargo run --profile dist -p wagi-bench
//! ```
//!
//! docs/performance.md explains what is measured and how to read it.

mod bare;
mod client;
mod load;
mod measures;
mod process;
mod report;
mod servers;
mod site;

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};

use measures::{MEASURES, Measure, Outcome};
use site::Site;

/// Measures the gateway beside bare hyper and other servers, all on this machine.
#[derive(Parser)]
#[command(name = "wagi-bench")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,

    /// Take these measures only, and leave the documentation alone
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Take all measures in a hurry, which is for trying them out, and leave the documentation alone
    #[arg(long)]
    quick: bool,

    /// List the measures
    #[arg(long)]
    list: bool,
}

/// What the program starts itself for.
#[derive(Subcommand)]
enum Role {
    /// Serve as the bare server that others are compared with
    #[command(hide = true)]
    Bare {
        /// For HTTP/1.1
        http1: SocketAddr,
        /// For HTTP/2
        http2: SocketAddr,
    },
    /// Answer so many requests without any socket
    #[command(hide = true)]
    Answer {
        /// The module
        module: String,
        /// How many
        requests: u32,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.role {
        Some(Role::Bare { http1, http2 }) => return bare::serve(http1, http2),
        Some(Role::Answer { module, requests }) => return wagi_bench::answer(&module, requests),
        None => {}
    }
    if arguments.list {
        MEASURES.iter().for_each(|measure| println!("{:<15} {}", measure.name, measure.question));
        return Ok(());
    }
    let chosen = chosen(&arguments.only)?;
    let site = Site::prepare(arguments.quick)?;
    let outcomes = take(&chosen, &site);
    report::print(&outcomes);
    let is_complete = arguments.only.is_empty() && !arguments.quick;
    report::write(&site, &outcomes, is_complete)
}

fn chosen(only: &[String]) -> Result<Vec<&'static Measure>> {
    for name in only {
        let is_known = MEASURES.iter().any(|measure| measure.name == name);
        ensure!(is_known, "there is no measure `{name}`: `--list` shows all");
    }
    let is_chosen = |measure: &&Measure| only.is_empty() || only.iter().any(|name| name == measure.name);
    Ok(MEASURES.iter().filter(is_chosen).collect())
}

/// A measure that fails is missing from the report, with the reason; the others are taken all the same.
fn take(chosen: &[&'static Measure], site: &Site) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for measure in chosen {
        eprintln!("{}: {}", measure.name, measure.question);
        match (measure.take)(site) {
            Ok(taken) => outcomes.extend(taken),
            Err(error) => outcomes.push(Outcome::missing(measure.name, measure.question, format!("{error:#}"))),
        }
    }
    outcomes
}
