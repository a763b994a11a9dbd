//! What the fuzz targets do with a text. It is apart from them, so that it is built, read and run with everything
//! else; the targets themselves need the fuzzer's build.

mod a2a;
mod proposal;
#[cfg(test)]
mod tests;

pub use a2a::a2a;
pub use proposal::proposal;
