//! The crate from outside: files made by the `openssl` command.

mod files;
mod import;
mod pfx;
mod request;
