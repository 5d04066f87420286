//! How does an HTTP exchange look to a CGI guest (RFC 3875: the script)?
//!
//! RFC 3875 with WAGI 0.8's additions, as pure functions: no I/O, nothing async, no Wasm, no clock. `gateway` calls them.
//!
//! | RFC 3875 | file |
//! | --- | --- |
//! | §4.1 meta-variables | `meta_variables` |
//! | §3.3, §4.1.6 meta-variables about the script of a directory | `script_variables` |
//! | §4.1.14, §4.1.15 server name and port | `endpoint` |
//! | §4.1.18 meta-variables made of request header fields | `request_headers` |
//! | §4.4 the guest's command line | `arguments` |
//! | §6.1 to §6.2 the end of a response's head | `head_reader` |
//! | §6.2 to §6.3 the meaning of a response's header fields | `response` |

mod arguments;
mod endpoint;
mod head_reader;
mod meta_variables;
mod request_headers;
mod response;
mod script_variables;

pub use crate::cgi::arguments::ArgumentTemplate;
pub use crate::cgi::endpoint::{Endpoint, Host, RequestedHost};
pub use crate::cgi::head_reader::HeadReader;
pub use crate::cgi::meta_variables::{BadRequest, ClientCertificate, RequestHead, RouteVariables};
pub(crate) use crate::cgi::request_headers::remove_withheld;
pub use crate::cgi::response::{Dropped, HeadError, Reason, ResponseHead, ResponseType, keep_allowed_trailers};
