//! The `carport` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    carport::main(carport::BILL)
}
