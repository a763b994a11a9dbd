//! The models on recordings: what is heard, who speaks, and what is spoken.

mod recognition;
mod speakers;
mod speech;
mod support;
