//! The shim of the suite's agents, as a program.

fn main() {
    std::process::exit(carport_agents::run_shim());
}
