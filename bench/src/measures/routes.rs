//! What do 10,000 routes cost a request?

use anyhow::Result;
use serde_json::json;

use super::{Bound, Outcome};
use crate::load::{median, wrk};
use crate::servers::{HELLO_WAT, wagi};
use crate::site::Site;

const ROUTES: usize = 10_000;

/// Takes the measure: the last of many routes beside the only one, under the same name.
pub fn take(site: &Site) -> Result<Vec<Outcome>> {
    let last = route(ROUTES);
    let many: String = (1..=ROUTES).map(|number| wagi::entry(&route(number), HELLO_WAT)).collect();
    let one = wagi::serve(site, "one-route", &wagi::entry(&last, HELLO_WAT))?.says_hello(&last)?;
    let many = wagi::serve(site, "many-routes", &many)?.says_hello(&last)?;
    let rate = |url: String| Ok::<_, anyhow::Error>(wrk::load(site, &url, 32, site.turn)?.per_second);
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    for round in 0..site.rounds {
        let (with_one, with_many) = match round % 2 {
            0 => (rate(one.url(&last))?, rate(many.url(&last))?),
            _ => {
                let with_many = rate(many.url(&last))?;
                (rate(one.url(&last))?, with_many)
            }
        };
        ratios.push(with_many / with_one);
        rates.push(json!([with_one.round(), with_many.round()]));
    }
    let row = Outcome::new("routes", "the last of 10,000 routes, against the only one", median(ratios), "");
    let row = row.held_against(Bound::AtLeast(0.97), Some(Bound::AtLeast(0.99)));
    Ok(vec![row.with(json!({ "per_second_one_and_many": rates }))])
}

fn route(number: usize) -> String {
    format!("/shop/department-{}/article-{number}", number / 100)
}
