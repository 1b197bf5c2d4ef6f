//! stub
mod module;
fn main() {}
