//! How many requests a second over HTTP/2?

use anyhow::{Context, Result};
use serde_json::json;

use super::Outcome;
use crate::load::{Load, h2load, median};
use crate::servers::{Server, hyper, wagi};
use crate::site::Site;

/// Connections, and requests at once on each.
const SHAPE: (usize, usize) = (8, 8);

/// Takes the measure.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let servers = [hyper::http2(site)?, wagi::wat(site)?];
    let mut loads: [Vec<Load>; 2] = Default::default();
    for _ in 0..site.rounds {
        for (server, loads) in servers.iter().zip(&mut loads) {
            loads.push(turn(site, server)?);
        }
    }
    let [limit, ours] = &loads;
    let ratio = median(ours.iter().zip(limit).map(|(ours, limit)| ours.per_second / limit.per_second));
    let rates = |loads: &[Load]| median(loads.iter().map(|load| load.per_second)).round();
    let detail = json!({ "hyper_per_second": rates(limit), "wagi_per_second": rates(ours), "connections": SHAPE.0, "streams": SHAPE.1 });
    Ok(vec![Outcome::new("http2", "hello over HTTP/2, against bare hyper", ratio, "").with(detail)])
}

fn turn(site: &Site, server: &Server) -> Result<Load> {
    h2load::load(site, &server.url("/"), SHAPE, site.turn).with_context(|| server.url("/"))
}
