//! A daemon of one's own: Carport with run tracing and a door.

use std::process::ExitCode;

carport_core::link! { carport as "runs" { "runs" }, carport_door as "door" { "door" } }

fn main() -> ExitCode {
    carport::main(BILL)
}
