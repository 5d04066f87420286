//! What do proxies say about the connections and the requests that they forward?
//!
//! Pure functions over header fields and bytes: no I/O, nothing async, no clock. Who may say it is decided by `server` for a
//! connection and by `gateway` for a request; they call these functions only for a trusted proxy.
//!
//! Only one family of header fields counts. Proxies pass on what a client wrote in the other. A field with a value that makes no
//! sense is ignored as a whole: half of it might mean something else than the proxy meant.
//!
//! | file | what it reads |
//! | --- | --- |
//! | `x_forwarded` | `X-Forwarded-For`, `-Proto`, `-Host` and `-Port` |
//! | `forwarded_field` | `Forwarded` (RFC 7239) |
//! | `node` | one item of a list of clients and proxies, and which of them is the client |
//! | `values` | schemes, hosts and ports |
//! | `proxy_header` | the PROXY header at the beginning of a connection |

mod forwarded;
mod forwarded_field;
#[cfg(test)]
mod forwarded_tests;
mod node;
mod proxy_header;
#[cfg(test)]
mod proxy_header_tests;
mod values;
mod x_forwarded;

use http::HeaderMap;

use crate::config::{ForwardedFields, TrustedProxies};

pub(crate) use crate::proxy::forwarded::Forwarded;
pub(crate) use crate::proxy::proxy_header::{BadProxyHeader, ProxyHeader, read_proxy_header};

/// Reads the fields of a request that a trusted proxy has sent.
pub(crate) fn read_forwarded<'a>(
    headers: &'a HeaderMap,
    fields: ForwardedFields,
    trusted: &TrustedProxies,
) -> Forwarded<'a> {
    match fields {
        ForwardedFields::XForwarded => x_forwarded::read(headers, trusted),
        ForwardedFields::Forwarded => forwarded_field::read(headers, trusted),
    }
}
