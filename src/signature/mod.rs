//! Who vouches for a module?
//!
//! A signature comes from a registry or from a file beside the module, in one of two formats. Here it becomes a signer, or a
//! reason why not: bytes in, a verdict out. Nothing is fetched and no clock is read, so that a module that was good stays good.
//!
//! | file | question |
//! | --- | --- |
//! | `verify` | is one of the signatures the one that is wanted? |
//! | `policy`, `trusted_root` | whose signature is wanted, and who is trusted to say whose it is? |
//! | `evidence` | what is attached to a module, and how is that kept? |
//! | `content` | what is a signature over, and what comes with it? |
//! | `certificate` | whose certificate is it, who issued it, and when was it valid? |
//! | `witness` | who else has seen a signature, and when? |
//! | `key`, `signing` | which keys check signatures, and which make them? |
//! | `der`, `json` | how are the two encodings read? |

mod certificate;
mod content;
mod der;
mod evidence;
mod json;
mod key;
mod policy;
mod signing;
mod trusted_root;
mod verify;
mod witness;

pub use crate::signature::content::bundle::{BUNDLE, is_bundle};
pub use crate::signature::content::statement::{SIGNS, is_other_statement};
pub use crate::signature::content::{ContentError, SignedFile};
pub use crate::signature::evidence::Evidence;
pub use crate::signature::key::PublicKey;
pub use crate::signature::policy::{Signer, TrustPolicy};
pub use crate::signature::signing::{SigningKey, SigningKeyError};
pub use crate::signature::trusted_root::TrustedRoot;
pub use crate::signature::verify::{SignatureError, claimed_by, verify};
