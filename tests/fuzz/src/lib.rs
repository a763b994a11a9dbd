//! What the fuzz targets do with a text. It is apart from them, so that it is built, read and run with everything
//! else; the targets themselves need the fuzzer's build.

mod a2a;
mod proposal;
#[cfg(test)]
mod tests;

pub use a2a::a2a;
pub use carport_core::testing::fuzz::{auth, frame};
pub use proposal::proposal;

/// Calls the method that the first line names, with the rest as its parameters.
pub fn params(text: &str) {
    let (method, params) = text.split_once('\n').unwrap_or((text, "{}"));
    carport_core::testing::fuzz::call(method, params);
}
