//! The proxy.

mod buffers;
mod driver;
mod listener;
mod permits;
mod relay;
#[cfg(test)]
mod testing;
pub mod tls;
mod upstream;
