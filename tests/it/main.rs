//! The integration tests, in one binary. What each topic holds:

mod command_line; // arguments: the default and the template
mod endings; // limits, and how a guest that reaches one ends
mod environment; // meta-variables as a guest reads them
mod manifests; // configuration files beside what is said about them
mod responses; // what a guest prints, and what the client gets
mod routing; // which route answers, sub-routes
mod support;
mod tidy; // the walls between rooms, and other rules of the house
